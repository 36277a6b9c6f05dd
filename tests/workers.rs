//! The kernel's own threads: as many as a loop allows.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use annulus::fs::{File, OpenOptions};
use annulus::task::JoinHandle;
use annulus::time::sleep;
use annulus::{Builder, Runtime, spawn};
use support::child::alone;
use support::on_real_drivers;

on_real_drivers! {
    because "the threads are the kernel's":
        the_kernel_has_no_more_threads_for_files_than_it_may,
        two_loops_have_no_more_threads_of_the_kernels_than_both_may;
}

/// How many threads of this process are the kernel's, for a ring.
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|name| name.starts_with("iou-wrk")).count()
}

/// Opening a FIFO to write waits until somebody opens it to read; on the ring a thread of the kernel's waits.
fn the_kernel_has_no_more_threads_for_files_than_it_may(builder: Builder) {
    alone(|| {
        // Threads of the kernel's end with the thread that they are for.
        for limit in [0, 2] {
            let builder = builder.clone().kernel_workers_max(limit, 0);
            let opening = std::thread::spawn(move || builder.build().unwrap().run(opening(limit)).unwrap());
            opening.join().unwrap();
        }
    });
}

const OPENS: usize = 6;

/// Opens that wait, begun at once.
fn open_to_write(path: &Path) -> Vec<JoinHandle<std::io::Result<File>>> {
    // What may create is never tried without a thread.
    let mut writing = OpenOptions::new();
    writing.write(true).create(true);
    let each = (0..OPENS).map(|_| (writing.clone(), path.to_owned()));
    each.map(|(writing, path)| spawn(async move { writing.open(path).await })).collect()
}

/// A FIFO, and the directory that it is in.
fn fifo() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    (directory, path)
}

async fn opening(limit: u32) {
    if Runtime::try_current().unwrap().driver() != "uring" {
        return println!("skipped: there is no ring");
    }
    let (_directory, path) = fifo();
    let opens = open_to_write(&path);
    sleep(Duration::from_millis(100)).await;
    println!("with a limit of {limit}: {} threads", workers());
    if workers() == 0 {
        println!("skipped: before Linux 5.12 these threads are not shown as the process's");
    } else {
        assert_eq!(workers(), if limit == 0 { OPENS } else { limit as usize });
    }
    let _reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    for open in opens {
        open.await.unwrap().unwrap();
    }
}

/// The kernel's threads belong to the thread that entered, not to its ring: each loop has its own, and its own limit.
fn two_loops_have_no_more_threads_of_the_kernels_than_both_may(builder: Builder) {
    const LIMITS: [u32; 2] = [2, 3];
    const PATIENCE: Duration = Duration::from_secs(20);
    alone(|| {
        if builder.clone().build().unwrap().driver() != "uring" {
            return println!("skipped: there is no ring");
        }
        let (_directory, path) = fifo();
        let loops = LIMITS.map(|limit| {
            let (builder, path) = (builder.clone().kernel_workers_max(limit, 0), path.clone());
            std::thread::spawn(move || {
                let opened = async {
                    for open in open_to_write(&path) {
                        open.await.unwrap().unwrap();
                    }
                };
                builder.build().unwrap().run(opened).unwrap();
            })
        });
        let both = LIMITS.iter().sum::<u32>() as usize;
        let (start, mut most) = (Instant::now(), 0);
        while most < both && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
            most = most.max(workers());
        }
        // There are more opens than threads: were there to be another one, it would come now.
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(10));
            most = most.max(workers());
        }
        match most {
            0 => println!("skipped: before Linux 5.12 these threads are not shown as the process's"),
            most => assert_eq!(most, both),
        }
        let _reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        for one in loops {
            one.join().unwrap();
        }
    });
}
