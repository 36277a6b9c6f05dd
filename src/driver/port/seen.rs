//! What those see who look at a loop: what is in flight, since when, and how long operations take.

use std::sync::Arc;

use super::Port;
use crate::driver::slots::InFlight;
use crate::histogram::Histogram;
use crate::recorder::Ring;

impl Port {
    /// What time it is, by the executor's time.
    #[inline]
    pub(crate) fn set_time(&self, now: u64) {
        self.pair.borrow_mut().slots.set_time(now);
    }

    /// From now on submissions and answers are noted there.
    pub(crate) fn record(&self, recorder: &Arc<Ring>) {
        self.pair.borrow_mut().slots.recorder = Some(Arc::clone(recorder));
    }

    /// All that is in flight.
    pub(crate) fn list(&self) -> Vec<InFlight> {
        self.pair.borrow().slots.list()
    }

    /// How long operations took, by their kinds.
    pub(crate) fn latencies(&self) -> Vec<(&'static str, Histogram)> {
        self.pair.borrow().slots.latencies()
    }
}
