//! What the benches share: which runtimes are measured, and how criterion is asked to measure them.

use std::time::Duration;

use annulus::{Driver, Runtime};
use criterion::Criterion;

/// Short, since there are many rows: what differs by less than a tenth is to be measured again, and longer.
pub fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

/// One loop for each driver that can be had here; says which cannot, and why.
pub fn loops() -> Vec<Runtime> {
    let built = [Driver::Uring, Driver::Readiness].map(|driver| Runtime::builder().driver(driver).build());
    let refused = |error: annulus::Error| eprintln!("not measured: {error}");
    built.into_iter().filter_map(|runtime| runtime.map_err(refused).ok()).collect()
}

/// Tokio's loop for one thread, with a place for tasks that stay on it.
#[allow(dead_code, reason = "the ring and files have no counterpart in it")]
pub struct Tokio {
    runtime: tokio::runtime::Runtime,
    tasks: tokio::task::LocalSet,
}

#[allow(dead_code, reason = "as above")]
impl Tokio {
    pub fn new() -> Tokio {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Tokio { runtime, tasks: tokio::task::LocalSet::new() }
    }

    /// As a task like others: what `block_on` is given itself is polled differently.
    pub fn run<F: Future + 'static>(&self, future: F) -> F::Output {
        self.tasks.block_on(&self.runtime, async { tokio::task::spawn_local(future).await.unwrap() })
    }
}

/// Runs whole rounds of `size` operations, at least `wanted` in all; what it gives is the time of `wanted`.
#[allow(dead_code, reason = "some are measured one by one")]
pub fn in_rounds(wanted: u64, size: u64, run: impl FnOnce(u64) -> Duration) -> Duration {
    let rounds = wanted.div_ceil(size);
    run(rounds).mul_f64(wanted as f64 / (rounds * size) as f64)
}
