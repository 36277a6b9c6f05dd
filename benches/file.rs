//! What a read of 4 KiB costs that the page cache answers, one at a time and 32 at a time, beside a loop of pread(2).
//!
//! A ring does not make such reads faster than the bare call: it makes 32 of them cost one enter, and never blocks
//! the loop for those that the cache does not answer. (Tokio's files need its feature `fs`, which nothing here does.)
//!
//! `cargo bench --bench file`

mod support;

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulus::fs::File;
use criterion::{Criterion, criterion_group, criterion_main};

use support::{in_rounds, loops};

const PAGE: u64 = 4096;
const PAGES: u64 = 4096;
const DEPTH: u64 = 32;

/// Where the n-th read is: here and there, the same for everybody.
fn place(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761) % PAGES * PAGE
}

/// One after the other, beginning at the n-th.
async fn reads(file: Rc<File>, first: u64, count: u64) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(PAGE as usize);
    for number in first..first + count {
        let (result, filled) = file.read_at(buffer, place(number)).await;
        assert_eq!(result?, PAGE as usize);
        buffer = filled;
    }
    Ok(())
}

/// By as many tasks.
async fn at_a_time(path: &Path, depth: u64, rounds: u64) -> io::Result<Duration> {
    let file = Rc::new(File::open(path).await?);
    let start = Instant::now();
    let read = |task: u64| annulus::spawn(reads(Rc::clone(&file), task * rounds, rounds));
    let tasks: Vec<_> = (0..depth).map(read).collect();
    for task in tasks {
        task.await??;
    }
    Ok(start.elapsed())
}

fn preads(path: &Path, count: u64) -> io::Result<Duration> {
    let file = std::fs::File::open(path)?;
    let mut buffer = vec![0; PAGE as usize];
    let start = Instant::now();
    for number in 0..count {
        file.read_exact_at(&mut buffer, place(number))?;
    }
    Ok(start.elapsed())
}

fn benches(criterion: &mut Criterion) {
    // Written, it is in the cache.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![7; (PAGE * PAGES) as usize]).unwrap();
    let (path, loops) = (file.path(), loops());

    for (depth, name) in [(1, "cached 4 KiB read, one at a time"), (DEPTH, "cached 4 KiB read, 32 at a time")]
    {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("pread", |bencher| bencher.iter_custom(|count| preads(path, count).unwrap()));
        for runtime in &loops {
            group.bench_function(runtime.driver(), |bencher| {
                bencher.iter_custom(|count| {
                    in_rounds(count, depth, |rounds| {
                        runtime.run(at_a_time(path, depth, rounds)).unwrap().unwrap()
                    })
                })
            });
        }
        group.finish();
    }
}

criterion_group! { name = all; config = support::settings(); targets = benches }
criterion_main!(all);
