//! Time, by the wall and by the processor.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What some work cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// How many operations.
    pub operations: u64,
    /// Nanoseconds by the wall.
    pub wall: u64,
    /// Nanoseconds of processor time of the whole process, its helper threads and the kernel's work for it.
    pub cpu: u64,
}

/// Begins to measure when it is made.
pub struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch { wall: Instant::now(), cpu: processor_time() }
    }

    /// What `operations` cost since the start.
    pub fn stop(self, operations: u64) -> Cost {
        let cpu = processor_time() - self.cpu;
        Cost { operations, wall: self.wall.elapsed().as_nanos() as u64, cpu: cpu.as_nanos() as u64 }
    }
}

/// Of this process.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes a timespec.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(answer, 0, "every Linux has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Binds this thread, and those it will start, to a core.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: a set of bits, and zero is an empty one; the call reads it.
    let answer = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
