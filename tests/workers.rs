//! The kernel's own threads: as many as a loop allows.

mod support;

use std::time::Duration;

use annulus::fs::OpenOptions;
use annulus::time::sleep;
use annulus::{Builder, Runtime, spawn};
use support::child::alone;
use support::on_real_drivers;

on_real_drivers! {
    because "the threads are the kernel's":
        the_kernel_has_no_more_threads_for_files_than_it_may;
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

async fn opening(limit: u32) {
    const OPENS: usize = 6;
    if Runtime::try_current().unwrap().driver() != "uring" {
        return println!("skipped: there is no ring");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    // What may create is never tried without a thread.
    let mut writing = OpenOptions::new();
    writing.write(true).create(true);
    let opens: Vec<_> = (0..OPENS)
        .map(|_| (writing.clone(), path.clone()))
        .map(|(writing, path)| spawn(async move { writing.open(path).await }))
        .collect();
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
