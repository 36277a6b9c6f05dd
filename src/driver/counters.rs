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
    /// Enters that the kernel refused for now: EAGAIN, EBUSY.
    pub(crate) refusals: u64,
    /// Times that the completion queue ran over, which loses nothing.
    pub(crate) overflows: u64,
}
