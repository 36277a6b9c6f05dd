//! What a driver counts of itself.

/// Plain numbers, read by metrics and by the tests that count instead of timing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// System calls made to submit, to wait or to collect.
    pub(crate) enters: u64,
    pub(crate) submitted: u64,
    pub(crate) completed: u64,
    /// Requests that went another way than their ring entry: an attempt and a wait, or a helper.
    pub(crate) fallbacks: u64,
    pub(crate) cancels: u64,
    /// Those of them that came in time.
    pub(crate) cancels_stopped: u64,
    /// Those that found nothing to stop any more, or something that cannot be stopped.
    pub(crate) cancels_late: u64,
    /// Enters that the kernel refused for now: EAGAIN, EBUSY.
    pub(crate) refusals: u64,
    /// Times that the completion queue ran over, which loses nothing.
    pub(crate) overflows: u64,
    /// Threads that make calls which can only block, now.
    pub(crate) helper_threads: usize,
    /// Calls that wait for one of them, now.
    pub(crate) helper_jobs_waiting: usize,
    /// Calls that they have made.
    pub(crate) helper_jobs_done: u64,
}
