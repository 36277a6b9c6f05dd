//! What is written in its own words.

use annulus_peers::tasks::{Tasks, warm};
use annulus_peers::{Cost, Micro, Stopwatch};

use super::Loop;

pub fn measure(work: Micro, times: u64) -> Option<Cost> {
    Some(match work {
        Micro::NopOne => Loop::run(move || warm(times, |times| nops(1, times))),
        Micro::NopMany => Loop::run(move || warm(times, |times| nops(64, times))),
        _ => return None,
    })
}

async fn nops(tasks: u64, times: u64) -> Cost {
    let watch = Stopwatch::start();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            annulus::spawn(async move {
                for _ in 0..times / tasks {
                    annulus::nop().await.expect("it does nothing");
                }
            })
        })
        .collect();
    for task in all {
        task.await.expect("it does not panic");
    }
    watch.stop(times / tasks * tasks)
}
