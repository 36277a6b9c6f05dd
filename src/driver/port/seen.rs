//! What those see who look at a loop: what is in flight, since when, what came of operations, and how long they take.

use std::sync::Arc;

use super::Port;
use super::tally::{Count, Tally};
use crate::driver::Counters;
use crate::driver::operation::Kind;
use crate::driver::slots::InFlight;
use crate::histogram::Histogram;
use crate::recorder::Ring;

impl Port {
    pub(crate) fn driver_name(&self) -> &'static str {
        self.pair.borrow().driver.name()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.pair.borrow().driver.counters()
    }

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

    /// What came of operations, by the names of their kinds, and how long some of them took. None of what was never done.
    pub(crate) fn operations(&self) -> Vec<(&'static str, Count, Histogram)> {
        let slots = &self.pair.borrow().slots;
        let held = slots.held();
        let each = Kind::all().map(|kind| (kind, self.tally.of(kind, held[kind.place()])));
        let done = each.filter(|(_, count)| count.completed > 0);
        done.map(|(kind, count)| (kind.name(), count, slots.time(kind))).collect()
    }

    /// What is counted where it happens.
    #[inline(always)]
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Completions that found no slot.
    pub(crate) fn stray(&self) -> u64 {
        self.tally.stray.get()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.pair.borrow().slots.in_flight()
    }

    pub(crate) fn orphans(&self) -> usize {
        self.pair.borrow().slots.orphans()
    }

    /// The most operations that were ever in flight.
    pub(crate) fn in_flight_max(&self) -> usize {
        self.tally.in_flight_max.get().max(self.in_flight())
    }

    /// The most of them that were ever left behind.
    pub(crate) fn orphans_max(&self) -> usize {
        self.tally.orphans_max.get()
    }

    /// Of how many there are now.
    #[inline]
    pub(super) fn saw_in_flight(&self, now: usize) {
        self.tally.in_flight_max.set(self.tally.in_flight_max.get().max(now));
    }
}
