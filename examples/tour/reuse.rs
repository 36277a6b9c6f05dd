//! Stop 7: what it costs to make a loop for every call, measured here and now.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use annulus::{Builder, Error, yield_now};

use crate::page::{code, prints, so, tell};

const ROUNDS: usize = 31;

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    tell(
        "A loop has a queue shared with the kernel, or a poller, and memory of its own. Who makes one for every call pays for \
         that each time. Make it once and run many futures on it.",
    );
    code(file!(), include_str!("reuse.rs"));
    // shown
    let (mut rebuilt, mut reused) = (Vec::new(), Vec::new());
    let runtime = builder.clone().build()?;
    for _ in 0..ROUNDS {
        rebuilt.push(time(|| builder.clone().build()?.run(yield_now()))?); // the mistake
        reused.push(time(|| runtime.run(yield_now()))?);
    }
    // until here
    let (rebuilt, reused) = (median(rebuilt), median(reused));
    prints(format_args!("a loop for every call: {:>9.1} us a call", micros(rebuilt)));
    prints(format_args!("one loop for all:      {:>9.1} us a call", micros(reused)));
    let build = if cfg!(debug_assertions) { "without optimization" } else { "optimized" };
    so(&format!(
        "These are medians of {ROUNDS} rounds, on this machine, now, in a program built {build}: yours will differ."
    ));
    Ok(())
}

/// How long one call takes.
fn time(call: impl FnOnce() -> Result<(), Error>) -> Result<Duration, Error> {
    let begun = Instant::now();
    black_box(call())?;
    Ok(begun.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
