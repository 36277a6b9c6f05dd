//! What an inspector has done.

use std::sync::atomic::{AtomicU64, Ordering};

/// What an inspector has done so far: see [`Inspector::counts`](super::Inspector::counts).
///
/// # Examples
/// As [`Inspector`](super::Inspector).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that were answered, or refused.
    pub requests: u64,
    /// Those of them that were refused for their host, their token, or a header that was missing.
    pub refused: u64,
    /// Times that the loops were asked how they are. One survey serves all requests of 200 ms.
    pub surveys: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) surveys: AtomicU64,
}

impl Counters {
    pub(super) fn now(&self) -> Counts {
        Counts {
            requests: self.requests.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            surveys: self.surveys.load(Ordering::Relaxed),
        }
    }
}
