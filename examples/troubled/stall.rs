//! Every five seconds a report is computed, on the loop: for two nothing else goes on.

use std::io;
use std::time::{Duration, Instant};

use annulus::task::Builder;
use annulus::time::sleep;

use crate::tick;

pub(crate) async fn run() -> io::Result<()> {
    for number in 0..8 {
        drop(Builder::new().name(&format!("connection {number}")).spawn(tick()));
    }
    let reports = Builder::new().name("reports").spawn(async {
        loop {
            sleep(Duration::from_secs(3)).await;
            // The mistake. `spawn_blocking`, or a `yield_now().await` now and then, lets the others go on.
            compute();
        }
    });
    Ok(reports.await?)
}

/// Keeps a processor busy.
fn compute() -> u64 {
    let (begun, mut sum) = (Instant::now(), 0_u64);
    while begun.elapsed() < Duration::from_secs(2) {
        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
    }
    sum
}
