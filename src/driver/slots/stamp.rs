//! Who asked for what, and when: for those who look, and for the time that operations take.

use std::cell::RefCell;

use super::{Slot, Slots, State};
use crate::driver::operation::Wait;
use crate::histogram::Histogram;

/// By whom and when an operation was submitted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    /// The number of the task that asked; 0 if it was none.
    task: u64,
    /// By the executor's time, some milliseconds late; or, in one of many, exactly, and then odd.
    since: u64,
}

impl Stamp {
    #[inline]
    pub(crate) fn lately(task: u64, when: u64) -> Stamp {
        Stamp { task, since: when & !1 }
    }

    /// The time that it takes is wanted.
    pub(crate) fn exactly(task: u64, when: u64) -> Stamp {
        Stamp { task, since: when | 1 }
    }

    #[inline]
    pub(super) fn is_exact(self) -> bool {
        self.since & 1 == 1
    }
}

/// How long operations took: a few kinds, each found by its form's name.
#[derive(Default)]
pub(super) struct Latencies(RefCell<Vec<(&'static str, Histogram)>>);

impl Latencies {
    #[cold]
    pub(super) fn note(&self, name: &'static str, stamp: Stamp, now: u64) {
        let mut kinds = self.0.borrow_mut();
        let place = kinds.iter().position(|kind| kind.0 == name).unwrap_or_else(|| {
            kinds.push((name, Histogram::default()));
            kinds.len() - 1
        });
        kinds[place].1.note(now.saturating_sub(stamp.since));
    }
}

/// An operation in flight, for those who look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    pub(crate) name: &'static str,
    /// Below zero if it names no descriptor.
    pub(crate) number: i32,
    pub(crate) task: u64,
    pub(crate) since: u64,
    /// Its future was dropped.
    pub(crate) is_orphan: bool,
}

impl Slots {
    /// All that is in flight.
    pub(crate) fn list(&self) -> Vec<InFlight> {
        self.slots.iter().filter(|slot| slot.is_in_flight()).map(Slot::listed).collect()
    }

    /// Whether anything in flight ends without anybody's doing: a thread of the kernel's or a helper is at it.
    pub(crate) fn some_end_by_themselves(&self) -> bool {
        self.slots.iter().any(|slot| slot.is_in_flight() && slot.form.wait == Wait::Helper)
    }

    /// How long operations took, by their kinds.
    pub(crate) fn latencies(&self) -> Vec<(&'static str, Histogram)> {
        self.latencies.0.borrow().clone()
    }
}

impl Slot {
    fn listed(&self) -> InFlight {
        InFlight {
            name: self.form.name,
            number: self.fd,
            task: self.stamp.task,
            since: self.stamp.since,
            is_orphan: match &self.state {
                State::Orphaned(_) => true,
                State::Repeated(repeated) => repeated.is_orphan(),
                _ => false,
            },
        }
    }
}
