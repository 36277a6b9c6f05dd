//! What timers cost, beside tokio's: to arm and cancel, to arm and fire, and with very many of them.
//!
//! The clock is read once for each sleep and each time-out; a row tells what that alone costs here.
//!
//! `cargo bench --bench time`

mod support;

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use tokio::task::spawn_local;

use support::{Tokio, in_rounds, loops};

const MANY: u64 = 100_000;
/// None of these comes to pass.
const LONG: Duration = Duration::from_secs(10);

/// Different lengths of up to a millisecond, in no order.
fn short(number: u64) -> Duration {
    Duration::from_nanos(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44)
}

/// Polls each once, and drops it.
async fn arm_and_cancel<S: Future>(count: u64, sleep: impl Fn() -> S) -> Duration {
    let start = Instant::now();
    poll_fn(|cx| {
        for _ in 0..count {
            let sleep = pin!(sleep());
            assert!(sleep.poll(cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    start.elapsed()
}

/// Around a future that is ready at its second poll.
async fn time_out<T: Future>(count: u64, timeout: impl Fn() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        timeout().await;
    }
    start.elapsed()
}

/// One task arms them all, and then waits for each. Every sleep is boxed, since it must not move.
async fn arm_and_fire<S: Future>(rounds: u64, sleep: impl Fn(Duration) -> S) -> Duration {
    let mut sleeps = Vec::with_capacity(MANY as usize);
    let start = Instant::now();
    for _ in 0..rounds {
        sleeps.extend((0..MANY).map(|number| Box::pin(sleep(short(number)))));
        poll_fn(|cx| {
            sleeps.retain_mut(|sleep| sleep.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        for sleep in sleeps.drain(..) {
            sleep.await;
        }
    }
    start.elapsed()
}

/// A task for each.
async fn sleeping_tasks<J: Future>(rounds: u64, spawn: impl Fn(Duration) -> J) -> Duration {
    let mut tasks = Vec::with_capacity(MANY as usize);
    let start = Instant::now();
    for _ in 0..rounds {
        tasks.extend((0..MANY).map(|number| spawn(short(number))));
        for task in tasks.drain(..) {
            task.await;
        }
    }
    start.elapsed()
}

fn benches(criterion: &mut Criterion) {
    // Timers never reach a driver, so the first will do.
    let (ours, theirs) = (loops().swap_remove(0), Tokio::new());

    let mut group = criterion.benchmark_group("arm and cancel");
    group.bench_function("reading the clock alone", |bencher| bencher.iter(|| black_box(Instant::now())));
    group.bench_function("annulus", |bencher| {
        bencher.iter_custom(|count| ours.run(arm_and_cancel(count, || annulus::time::sleep(LONG))).unwrap())
    });
    group.bench_function("tokio", |bencher| {
        bencher.iter_custom(|count| theirs.run(arm_and_cancel(count, || tokio::time::sleep(LONG))))
    });
    group.finish();

    let mut group = criterion.benchmark_group("arm and cancel, the deadline given");
    group.bench_function("annulus", |bencher| {
        bencher.iter_custom(|count| {
            let deadline = Instant::now() + LONG;
            ours.run(arm_and_cancel(count, || annulus::time::sleep_until(deadline))).unwrap()
        })
    });
    group.bench_function("tokio", |bencher| {
        bencher.iter_custom(|count| {
            let deadline = (Instant::now() + LONG).into();
            theirs.run(arm_and_cancel(count, move || tokio::time::sleep_until(deadline)))
        })
    });
    group.finish();

    let mut group = criterion.benchmark_group("time-out around a yield");
    group.bench_function("annulus", |bencher| {
        bencher.iter_custom(|count| {
            ours.run(time_out(count, || annulus::time::timeout(LONG, annulus::yield_now()))).unwrap()
        })
    });
    group.bench_function("tokio", |bencher| {
        bencher.iter_custom(|count| {
            theirs.run(time_out(count, || tokio::time::timeout(LONG, tokio::task::yield_now())))
        })
    });
    group.finish();

    // Of what one costs, up to 10 ns are the millisecond that the last waits for, shared by all.
    let mut group = criterion.benchmark_group("100,000 sleeps of one task");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("annulus", |bencher| {
        bencher.iter_custom(|count| {
            in_rounds(count, MANY, |rounds| ours.run(arm_and_fire(rounds, annulus::time::sleep)).unwrap())
        })
    });
    group.bench_function("tokio", |bencher| {
        bencher.iter_custom(|count| {
            in_rounds(count, MANY, |rounds| theirs.run(arm_and_fire(rounds, tokio::time::sleep)))
        })
    });
    group.finish();

    let mut group = criterion.benchmark_group("100,000 sleeping tasks");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("annulus", |bencher| {
        bencher.iter_custom(|count| {
            let spawn = |span| annulus::spawn(annulus::time::sleep(span));
            in_rounds(count, MANY, |rounds| ours.run(sleeping_tasks(rounds, spawn)).unwrap())
        })
    });
    group.bench_function("tokio", |bencher| {
        bencher.iter_custom(|count| {
            let spawn = |span| spawn_local(tokio::time::sleep(span));
            in_rounds(count, MANY, |rounds| theirs.run(sleeping_tasks(rounds, spawn)))
        })
    });
    group.finish();
}

criterion_group! { name = all; config = support::settings(); targets = benches }
criterion_main!(all);
