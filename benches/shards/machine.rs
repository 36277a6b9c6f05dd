//! Two threads, each on a processor, and what both of them used.
#![allow(unsafe_code)]

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// What a trip took, in microseconds.
#[derive(Clone, Copy)]
pub struct Took {
    pub time: f64,
    pub processor: f64,
}

/// What is measured is behind some that is not.
pub const WARM: u64 = 100;

/// On which processors the two sides stay.
pub type Processors = [usize; 2];
pub const APART: Processors = [0, 1];
pub const TOGETHER: Processors = [0, 0];

/// Runs the two sides, each on a thread that stays on its processor. The first says when the warm part is over, and when all is.
pub fn on(
    processors: Processors,
    asks: impl FnOnce(&mut Watch) + Send,
    answers: impl FnOnce() + Send,
) -> Took {
    let both = Arc::new(Barrier::new(2));
    thread::scope(|scope| {
        let other = Arc::clone(&both);
        let answering = scope.spawn(move || {
            stay_on(processors[1]);
            other.wait();
            answers();
        });
        let asking = scope.spawn(move || {
            stay_on(processors[0]);
            both.wait();
            let mut watch = Watch::new();
            asks(&mut watch);
            watch.took()
        });
        answering.join().unwrap();
        asking.join().unwrap()
    })
}

pub struct Watch {
    since: (Instant, Duration),
    took: Option<Took>,
}

impl Watch {
    pub fn new() -> Watch {
        Watch { since: (Instant::now(), used(libc::CLOCK_PROCESS_CPUTIME_ID)), took: None }
    }

    /// What is measured begins now.
    pub fn begin(&mut self) {
        self.since = (Instant::now(), used(libc::CLOCK_PROCESS_CPUTIME_ID));
    }

    /// And is over, after so many.
    pub fn end(&mut self, trips: u64) {
        let (begun, before) = self.since;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / trips as f64;
        self.took = Some(Took {
            time: each(begun.elapsed()),
            processor: each(used(libc::CLOCK_PROCESS_CPUTIME_ID) - before),
        });
    }

    /// As `begin` and `end`, of this thread alone.
    pub fn begin_alone(&mut self) {
        self.since = (Instant::now(), used(libc::CLOCK_THREAD_CPUTIME_ID));
    }

    pub fn end_alone(&mut self, trips: u64) {
        let (begun, before) = self.since;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / trips as f64;
        let processor = used(libc::CLOCK_THREAD_CPUTIME_ID) - before;
        self.took = Some(Took { time: each(begun.elapsed()), processor: each(processor) });
    }

    pub fn took(&self) -> Took {
        self.took.expect("the end was told")
    }
}

fn used(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one timespec on this stack, for the time of the call.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Keeps this thread on that processor, where there are so many.
pub fn stay_on(processor: usize) {
    // SAFETY: a set of bits on this stack, all of whose values are valid.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}
