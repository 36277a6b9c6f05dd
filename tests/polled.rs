//! Devices that are asked instead of interrupting. Few machines have one, so most of these promises say that they were not
//! looked at: `tests/polled.sh` looks at them, on a machine that it makes. There `ANNULUS_POLLED` names a directory on such a
//! device's file system.
// A ring asks them.
#![cfg(target_os = "linux")]

mod support;

use std::cell::Cell;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulus::buf::{Aligned, IoBuf};
use annulus::fs::{self, File, OpenOptions, ReadAhead, RegisteredBuffers, WriteBehind};
use annulus::io::AsyncWrite;
use annulus::{Builder, Runtime, spawn, spawn_blocking};
use support::data::{assert_same, bytes};
use support::on_real_drivers;

on_real_drivers! {
    because "devices are the machine's":
        a_device_that_cannot_be_asked_is_refused_and_told,
        a_device_that_is_asked_reads_and_writes,
        more_transfers_than_the_ring_has_places_are_all_answered,
        registered_buffers_and_streams_go_that_way_too,
        everything_else_goes_on_meanwhile,
        a_number_that_is_used_again_is_an_ordinary_files,
        a_dropped_transfer_is_waited_for;
}

/// A file past the page cache on a device that is asked. None, with the reason, where there is none.
async fn asked(name: &str) -> Option<File> {
    let (path, options) = place(name)?;
    Some(options.open(path).await.unwrap())
}

fn place(name: &str) -> Option<(PathBuf, OpenOptions)> {
    let Some(directory) = std::env::var_os("ANNULUS_POLLED") else {
        support::skipped(name, "no device here is said to be one that can be asked: ANNULUS_POLLED");
        return None;
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).custom_flags(libc::O_DIRECT);
    Some((PathBuf::from(directory).join(name), options))
}

fn run(builder: Builder, body: impl AsyncFnOnce()) {
    let runtime = builder.iopoll(true).build().unwrap();
    runtime.run(body()).unwrap();
    assert_eq!(runtime.metrics().stray, 0);
    assert_eq!(runtime.shutdown(Duration::from_secs(20)), 0, "nothing is leaked");
}

fn block(seed: u64, length: usize) -> Aligned {
    let mut block = Aligned::zeroed(length, 4096);
    block.copy_from_slice(&bytes(seed, length));
    block
}

fn a_device_that_cannot_be_asked_is_refused_and_told(builder: Builder) {
    run(builder, async || {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let Ok(directory) = directory.or_else(|_| tempfile::tempdir()) else { return };
        let path = directory.path().join("file");
        // By way of the page cache nobody is asked.
        fs::write(&path, "content").await.0.unwrap();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).custom_flags(libc::O_DIRECT);
        let opened = options.open(&path).await;
        let is_ring = Runtime::try_current().unwrap().driver() == "uring";
        match opened {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => println!("skipped: no O_DIRECT here"),
            Err(error) => {
                assert!(is_ring, "{error}");
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                let text = error.to_string();
                assert!(text.contains("Builder::iopoll") && text.contains("cannot be asked"), "{text}");
            }
            Ok(_) => {
                assert!(
                    !is_ring,
                    "no device of a machine for tests has queues for that, but ANNULUS_POLLED's"
                );
                return;
            }
        }
        assert_eq!(fs::read(&path).await.unwrap(), b"content", "it is refused before it is emptied");
    });
}

/// How many entries each ring of this process has taken.
fn taken() -> Vec<u32> {
    let told = std::fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let told = told.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let tail = |told: String| told.lines().find_map(|line| line.strip_prefix("SqTail:")?.trim().parse().ok());
    told.filter_map(tail).collect()
}

fn a_device_that_is_asked_reads_and_writes(builder: Builder) {
    run(builder, async || {
        let Some(file) = asked("blocks").await else { return };
        let (result, written) = file.write_all_at(block(1, 64 << 10), 8192).await;
        result.unwrap();
        file.sync_all().await.unwrap();
        let before = taken();
        for _ in 0..10 {
            let (result, read) = file.read_exact_at(Aligned::with_capacity(64 << 10, 4096), 8192).await;
            result.unwrap();
            assert_same(&read, &written);
        }
        if Runtime::try_current().unwrap().driver() == "uring" {
            let mut more: Vec<_> =
                before.iter().zip(taken()).map(|(before, after)| (*before, after - before)).collect();
            more.sort();
            let more: Vec<_> = more.iter().map(|(_, more)| *more).collect();
            assert_eq!(
                more,
                [10, 0],
                "the ring that asks has all of them, and the one that did more before has none"
            );
        }
        let (result, parts) = file
            .readv_at(vec![Aligned::with_capacity(4096, 4096), Aligned::with_capacity(8192, 4096)], 8192)
            .await;
        assert_eq!(result.unwrap(), 12_288);
        assert_same(&parts[1], &written[4096..12_288]);
        assert_eq!(file.read_at(Aligned::with_capacity(4096, 4096), 1 << 30).await.0.unwrap(), 0, "the end");
        // ext4 does that by way of the page cache; others want it straight.
        match file.read_at(Aligned::with_capacity(4096, 4096).slice(..100), 3).await.0 {
            Ok(count) => assert_eq!(count, 100),
            Err(error) => assert!(error.to_string().contains("multiples of"), "{error}"),
        }
        // More than any device takes at once.
        let (result, written) = file.write_all_at(block(2, 3 << 20), 0).await;
        result.unwrap();
        let (result, read) = file.read_exact_at(Aligned::with_capacity(3 << 20, 4096), 0).await;
        result.unwrap();
        assert_same(&read, &written);
        file.close().await.unwrap();
    });
}

fn more_transfers_than_the_ring_has_places_are_all_answered(builder: Builder) {
    run(builder.entries(16).completions(32), async || {
        let Some(file) = asked("many").await else { return };
        let file = Rc::new(file);
        let transfer = |number: u64, reads: bool| {
            let file = Rc::clone(&file);
            spawn(async move {
                let content = block(number, 4096);
                let result = match reads {
                    false => file.write_all_at(content, number * 4096).await.0,
                    true => {
                        let (result, read) =
                            file.read_exact_at(Aligned::with_capacity(4096, 4096), number * 4096).await;
                        assert_same(&read, &content);
                        result
                    }
                };
                result.unwrap();
            })
        };
        for reads in [false, true] {
            let tasks: Vec<_> = (0..300).map(|number| transfer(number, reads)).collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
}

fn registered_buffers_and_streams_go_that_way_too(builder: Builder) {
    run(builder, async || {
        let Some(file) = asked("streams").await else { return };
        let pool = RegisteredBuffers::new(8, 16 << 10).unwrap();
        assert!(pool.refusal().is_none() || Runtime::try_current().unwrap().driver() != "uring");
        let content = bytes(3, 500_001);
        let mut writer = WriteBehind::new(file).buffers(pool.clone());
        writer.write_all(content.clone()).await.0.unwrap();
        let file = writer.finish().await.unwrap();
        let mut reader = ReadAhead::new(file).buffers(pool);
        let (mut all, before) = (Vec::new(), taken());
        while let Some(block) = reader.next_block().await.unwrap() {
            all.extend_from_slice(&block);
        }
        assert_same(&all, &content);
        if Runtime::try_current().unwrap().driver() == "uring" {
            let more = before.iter().zip(taken()).map(|(before, after)| after - before).max();
            assert!(more.unwrap_or(0) >= 500_001 / (16 << 10), "{more:?} reads went through a ring");
        }
    });
}

fn everything_else_goes_on_meanwhile(builder: Builder) {
    run(builder, async || {
        let Some(file) = asked("busy").await else { return };
        file.write_all_at(block(1, 1 << 20), 0).await.0.unwrap();
        let (done, reads) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let reading = spawn({
            let (done, reads) = (done.clone(), reads.clone());
            async move {
                while !done.get() {
                    file.read_exact_at(Aligned::with_capacity(4096, 4096), 4096).await.0.unwrap();
                    reads.set(reads.get() + 1);
                }
            }
        });
        // A timer, another thread's wake, and what the other ring does.
        let begun = Instant::now();
        annulus::time::sleep(Duration::from_millis(50)).await;
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
        let (reader, writer) = annulus::io::pipe().await.unwrap();
        writer.write_all("past it").await.0.unwrap();
        assert_eq!(reader.read(Vec::with_capacity(100)).await.1, b"past it");
        done.set(true);
        reading.await.unwrap();
        println!("{} reads meanwhile", reads.get());
        assert!(reads.get() > 0);
    });
}

fn a_number_that_is_used_again_is_an_ordinary_files(builder: Builder) {
    run(builder, async || {
        let Some((path, options)) = place("again") else { return };
        for closes in [false, true] {
            let file = options.open(&path).await.unwrap();
            file.write_all_at(block(1, 4096), 0).await.0.unwrap();
            let numbers = || std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|fd| fd.file_name());
            let before: std::collections::BTreeSet<_> = numbers().collect();
            if closes {
                file.close().await.unwrap()
            } else {
                drop(file)
            }
            annulus::time::sleep(Duration::from_millis(20)).await;
            // The next one has the number, and is no file that is asked.
            let ordinary = File::open(&path).await.unwrap();
            assert_eq!(before, numbers().collect(), "it has the number");
            let (result, read) = ordinary.read_exact_at(Vec::with_capacity(100), 3).await;
            result.unwrap();
            assert_same(&read, &bytes(1, 4096)[3..103]);
        }
    });
}

fn a_dropped_transfer_is_waited_for(builder: Builder) {
    run(builder, async || {
        let Some(file) = asked("dropped").await else { return };
        file.write_all_at(block(1, 1 << 20), 0).await.0.unwrap();
        for _ in 0..100 {
            let read = file.read_exact_at(Aligned::with_capacity(1 << 20, 4096), 0);
            // Whether it is done in time is the device's to say.
            let _ = annulus::time::timeout(Duration::ZERO, read).await;
        }
        file.close().await.unwrap();
    });
}
