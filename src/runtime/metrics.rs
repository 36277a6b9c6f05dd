//! What a loop counts of itself.

use crate::driver::Count;
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
    /// The most that there ever were at a time.
    pub in_flight_max: usize,
    /// Operations in the driver whose future was dropped, now.
    pub orphans: usize,
    /// The most of them that there ever were at a time.
    pub orphans_max: usize,
    /// Operations that the ring did not know and that were done otherwise.
    pub fallbacks: u64,
    /// Requests to stop an operation.
    pub cancels: u64,
    /// Those of them that came in time: the operation did nothing.
    pub cancels_stopped: u64,
    /// Those that came too late: it was done meanwhile, or is of a kind that cannot be stopped once it has begun. Of what is not
    /// counted here or above the driver has not heard yet.
    pub cancels_late: u64,
    /// Threads that make calls which can only block, now: see [`Builder::helpers_max`](crate::Builder::helpers_max).
    pub helper_threads: usize,
    /// Calls that wait for one of them, now.
    pub helper_jobs_waiting: usize,
    /// Calls that they have made. In a simulated world nobody counts them.
    pub helper_jobs_done: u64,
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
            in_flight_max: engine.port.in_flight_max(),
            orphans: engine.port.orphans(),
            orphans_max: engine.port.orphans_max(),
            fallbacks: counters.fallbacks,
            cancels: counters.cancels,
            cancels_stopped: counters.cancels_stopped,
            cancels_late: counters.cancels_late,
            helper_threads: counters.helper_threads,
            helper_jobs_waiting: counters.helper_jobs_waiting,
            helper_jobs_done: counters.helper_jobs_done,
            refusals: counters.refusals,
            overflows: counters.overflows,
            stray: engine.port.stray(),
            lease_buffers: leases.buffers,
            leases_out: leases.out,
            leases_copied: leases.copied,
        }
    }
}

/// What has become of the operations of one kind. The numbers only grow.
///
/// Counted is each answer: of what is answered often (connections accepted one after the other) each of these, and of what takes
/// several calls (a whole buffer that is written in parts) each part. What is made again because there was nothing yet is one. It
/// is counted when its future, or the loop for a future that was dropped, has taken the answer.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = annulus::Runtime::new()?;
/// let text = runtime.run(annulus::fs::read("Cargo.toml"))??;
/// let operations = runtime.operations();
/// let reads = operations.iter().find(|kind| kind.operation == "read").expect("it was read");
/// assert_eq!(reads.bytes, text.len() as u64);
/// assert_eq!(reads.errors, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OperationMetrics {
    /// What the kernel calls the operation: `recv`, `accept`, `openat`.
    pub operation: &'static str,
    /// How often one was answered, with an error or without: by the kernel, by a call that was made at once, or by what a dropped one
    /// had left.
    pub completed: u64,
    /// How often the answer was an error. That it was stopped is none, nor that it would have had to wait.
    pub errors: u64,
    /// How many bytes they transferred. None of those that transfer none: `accept` brings a descriptor, `peek` leaves all where it is.
    /// What a dropped one has received is counted once, then, and not when the next one finds it.
    pub bytes: u64,
    /// How long they took, from submission to answer, in nanoseconds: of one in 64 of those that went to the driver and were answered
    /// once. None in a simulated world.
    pub time: Histogram,
}

impl OperationMetrics {
    pub(super) fn all_of(engine: &Engine) -> Vec<OperationMetrics> {
        let kinds = engine.port.operations().into_iter();
        kinds
            .map(|(operation, Count { completed, errors, bytes }, time)| OperationMetrics {
                operation,
                completed,
                errors,
                bytes,
                time,
            })
            .collect()
    }
}
