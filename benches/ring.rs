//! What a trip to the driver and back costs: a NOP, beside the same on a bare ring with the same flags.
//!
//! `cargo bench --bench ring`

mod support;

use std::time::{Duration, Instant};

use annulus::nop;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::stream::{FuturesUnordered, StreamExt};

use support::{in_rounds, loops};

const DEPTH: u64 = 32;

/// One after the other.
async fn alone(count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        nop().await.unwrap();
    }
    start.elapsed()
}

/// As many tasks as the depth, each one after the other.
async fn by_tasks(rounds: u64) -> Duration {
    let start = Instant::now();
    let tasks: Vec<_> = (0..DEPTH).map(|_| annulus::spawn(alone(rounds))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    start.elapsed()
}

/// One task that keeps as many in flight, each with a waker of its own that is not the loop's.
async fn by_one_task(rounds: u64) -> Duration {
    let start = Instant::now();
    let mut flying: FuturesUnordered<_> = (0..DEPTH).map(|_| nop()).collect();
    for _ in 1..rounds {
        for _ in 0..DEPTH {
            flying.next().await.unwrap().unwrap();
            flying.push(nop());
        }
    }
    while let Some(done) = flying.next().await {
        done.unwrap();
    }
    start.elapsed()
}

fn benches(criterion: &mut Criterion) {
    let loops = loops();

    let mut group = criterion.benchmark_group("nop, one at a time");
    #[cfg(target_os = "linux")]
    bare::row(&mut group, 1);
    for runtime in &loops {
        group.bench_function(runtime.driver(), |bencher| {
            bencher.iter_custom(|count| runtime.run(alone(count)).unwrap())
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("nop, 32 at a time");
    #[cfg(target_os = "linux")]
    bare::row(&mut group, DEPTH);
    for runtime in &loops {
        group.bench_function(format!("{}, 32 tasks", runtime.driver()), |bencher| {
            bencher
                .iter_custom(|count| in_rounds(count, DEPTH, |rounds| runtime.run(by_tasks(rounds)).unwrap()))
        });
        group.bench_function(format!("{}, one task", runtime.driver()), |bencher| {
            bencher.iter_custom(|count| {
                in_rounds(count, DEPTH, |rounds| runtime.run(by_one_task(rounds)).unwrap())
            })
        });
    }
    group.finish();
}

/// The least that a ring can cost: no slots, no tasks, no loop, only the `io-uring` crate's queues.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod bare {
    use std::time::{Duration, Instant};

    use criterion::{BenchmarkGroup, measurement::WallTime};
    use io_uring::{IoUring, opcode};

    use super::support::in_rounds;

    pub fn row(group: &mut BenchmarkGroup<'_, WallTime>, depth: u64) {
        // What annulus asks of a kernel that has it all: 6.6 and newer.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_no_sqarray()
            .setup_clamp()
            .setup_cqsize(4096)
            .build(256);
        let Ok(mut ring) = ring else { return eprintln!("not measured: a bare ring with annulus' flags") };
        group.bench_function("bare ring", |bencher| {
            bencher.iter_custom(|count| in_rounds(count, depth, |rounds| batches(&mut ring, rounds, depth)))
        });
    }

    fn batches(ring: &mut IoUring, rounds: u64, depth: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..rounds {
            let mut queue = ring.submission();
            for number in 0..depth {
                // SAFETY: a NOP points to nothing.
                unsafe { queue.push(&opcode::Nop::new().build().user_data(number)) }.unwrap();
            }
            drop(queue);
            ring.submit_and_wait(depth as usize).unwrap();
            let mut answered = 0;
            for entry in ring.completion() {
                assert_eq!(entry.result(), 0);
                answered += 1;
            }
            assert_eq!(answered, depth);
        }
        start.elapsed()
    }
}

criterion_group! { name = all; config = support::settings(); targets = benches }
criterion_main!(all);
