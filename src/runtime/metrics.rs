//! What a loop counts of itself.

use crate::engine::Engine;

/// A loop's counters at one moment. They only grow, but for those that say "now".
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
    /// Turns of the loop.
    pub turns: u64,
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
            turns: engine.turns.get(),
            polls: engine.executor.polls.get(),
            spawned: engine.executor.spawned.get(),
            alive: engine.executor.alive(),
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
