//! What a loop counts of itself.

use crate::engine::Engine;
use crate::histogram::Histogram;

/// A loop's counters at one moment. They only grow, but for those that say "now".
///
/// They are always kept: counting costs less than a nanosecond where it happens. Times are taken of one poll in some hundreds and
/// of one operation in 64, chosen by chance; so histograms of time say how they are spread, and not how many there were.
/// In a simulated world no times are taken.
///
/// ```
/// let runtime = annulus::Runtime::new()?;
/// runtime.run(async { annulus::spawn(async {}).await.unwrap() })?;
/// assert_eq!(runtime.metrics().spawned, 2, "the future given to run is a task, too");
/// # Ok::<(), annulus::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Polls that the [watchdog](crate::Builder::watchdog) found to be stuck.
    pub stalls: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Times that the loop had nothing to do and waited.
    pub parks: u64,
    /// Times that it looked for wakes by other threads before it waited: see [`Builder::spin`](crate::Builder::spin).
    pub spins: u64,
    /// Those of them in which none came.
    pub spins_in_vain: u64,
    /// How many tasks were polled before the driver had its turn, of one turn in 61.
    pub batches: Histogram,
    /// How many operations were in the driver then.
    pub depths: Histogram,
    /// How long polls took, in nanoseconds, of one in some hundreds.
    pub poll_time: Histogram,
    /// How long tasks that were ready waited for their poll, in nanoseconds, of one in some hundreds.
    pub wake_to_poll: Histogram,
    /// Polls of tasks.
    pub polls: u64,
    /// Tasks made.
    pub spawned: u64,
    /// Tasks that have not finished, now.
    pub alive: usize,
    /// Tasks that other threads woke.
    pub remote_wakes: u64,
    /// Timers armed, now.
    pub timers: usize,
    /// Timers that came due.
    pub timers_fired: u64,
    /// System calls that the driver made to submit, to wait, or to collect.
    pub enters: u64,
    /// Operations given to the driver.
    pub submitted: u64,
    /// Operations answered.
    pub completed: u64,
    /// Operations in the driver, now.
    pub in_flight: usize,
    /// Those of them whose future was dropped, now.
    pub orphans: usize,
    /// Operations that the ring did not know and that were done otherwise.
    pub fallbacks: u64,
    /// Requests to stop an operation.
    pub cancels: u64,
    /// Enters that the kernel refused for want of something, and that were made again.
    pub refusals: u64,
    /// Times that the completion queue was found to have run over.
    pub overflows: u64,
    /// Completions of nothing that is known; a kernel's mistake or ours.
    pub stray: u64,
    /// Buffers for [leases](crate::buf::Lease) that there are, now.
    pub lease_buffers: usize,
    /// Those of them that leases or answers have, now.
    pub leases_out: usize,
    /// Times that bytes were copied because too few buffers were left: see
    /// [`Builder::leases_max`](crate::Builder::leases_max).
    pub leases_copied: u64,
}

impl Metrics {
    pub(super) fn of(engine: &Engine) -> Metrics {
        let counters = engine.port.counters();
        let leases = engine.port.pool_numbers();
        Metrics {
            stalls: engine.beacon.stalls(),
            turns: engine.beacon.turns(),
            parks: engine.parks.get(),
            spins: engine.spin.looks.get(),
            spins_in_vain: engine.spin.in_vain.get(),
            batches: *engine.batches.borrow(),
            depths: *engine.depths.borrow(),
            poll_time: engine.executor.poll_time(),
            wake_to_poll: engine.executor.wake_to_poll(),
            polls: engine.executor.polls(),
            spawned: engine.spawned(),
            alive: engine.alive(),
            remote_wakes: engine.executor.remote_wakes.get(),
            timers: engine.timers(),
            timers_fired: engine.timers_fired.get(),
            enters: counters.enters,
            submitted: counters.submitted,
            completed: counters.completed,
            in_flight: engine.port.in_flight(),
            orphans: engine.port.orphans(),
            fallbacks: counters.fallbacks,
            cancels: counters.cancels,
            refusals: counters.refusals,
            overflows: counters.overflows,
            stray: engine.port.stray(),
            lease_buffers: leases.buffers,
            leases_out: leases.out,
            leases_copied: leases.copied,
        }
    }
}

/// How long the operations of one kind took, from their submission to their answer, in nanoseconds: of one in 64.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Latency {
    /// What the kernel calls the operation: `recv`, `accept`, `openat`.
    pub operation: &'static str,
    /// How long it took.
    pub time: Histogram,
}

impl Latency {
    pub(super) fn all_of(engine: &Engine) -> Vec<Latency> {
        let kinds = engine.port.latencies().into_iter();
        kinds.map(|(operation, time)| Latency { operation, time }).collect()
    }
}
