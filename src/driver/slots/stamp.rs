//! Who asked for what, and when: for those who look, and for the time that operations take.

use super::{GENERATION, INDEX_BITS, Slot, Slots, State};
use crate::dice::Dice;
use crate::driver::operation::{Kind, Wait};
use crate::histogram::Histogram;
use crate::sys;

/// By whom and when an operation was submitted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    /// The number of the task that asked, or that dropped the future; 0 if it was none.
    pub(super) task: u64,
    /// By the executor's time, some milliseconds late; or, in one of many, exactly, and then odd.
    since: u64,
}

impl Stamp {
    #[inline]
    pub(super) fn lately(task: u64, when: u64) -> Stamp {
        Stamp { task, since: when & !1 }
    }

    /// The time that it takes is wanted.
    #[cold]
    pub(super) fn exactly(self, latencies: &mut Latencies) -> Stamp {
        latencies.choose_next();
        Stamp { since: sys::clock::now() | 1, ..self }
    }

    #[inline]
    pub(super) fn is_exact(self) -> bool {
        self.since & 1 == 1
    }
}

/// How long operations took, by their kinds: those of which one was timed. One of 64 is timed, for that takes two looks at the clock;
/// by chance, so that what comes in a rhythm is not seen in one of its beats only.
pub(super) struct Latencies {
    kinds: Vec<(Kind, Histogram)>,
    dice: Dice,
    /// The generation of the next that is timed.
    pub(super) next: u64,
}

const SPREAD: u64 = 64;

impl Latencies {
    /// `times` says whether there is a time to be taken.
    pub(super) fn new(times: bool) -> Latencies {
        // The first, or one that never comes.
        let next = if times { 1 << INDEX_BITS } else { u64::MAX };
        Latencies { kinds: Vec::new(), dice: Dice::default(), next }
    }

    fn choose_next(&mut self) {
        let ahead = 1 + self.dice.next() % (2 * SPREAD);
        self.next = self.next.wrapping_add(ahead << INDEX_BITS) & GENERATION;
    }

    #[cold]
    pub(super) fn note(&mut self, kind: Kind, stamp: Stamp) {
        let now = sys::clock::now();
        let place = self.kinds.iter().position(|other| other.0 == kind).unwrap_or_else(|| {
            self.kinds.push((kind, Histogram::default()));
            self.kinds.len() - 1
        });
        self.kinds[place].1.note(now.saturating_sub(stamp.since));
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
    /// What time it is.
    #[inline]
    pub(crate) fn set_time(&mut self, now: u64) {
        self.time = now;
    }

    /// All that is in flight.
    pub(crate) fn list(&self) -> Vec<InFlight> {
        self.slots.iter().filter(|slot| slot.is_in_flight()).map(Slot::listed).collect()
    }

    /// Whether anything in flight ends without anybody's doing: a thread of the kernel's or a helper is at it.
    pub(crate) fn some_end_by_themselves(&self) -> bool {
        self.slots.iter().any(|slot| slot.is_in_flight() && slot.form.wait == Wait::Helper)
    }

    /// How long the operations of a kind took.
    pub(crate) fn time(&self, kind: Kind) -> Histogram {
        self.latencies.kinds.iter().find(|other| other.0 == kind).map(|other| other.1).unwrap_or_default()
    }

    /// By kind: how many are in flight, or have answers that are not taken.
    pub(crate) fn held(&self) -> [u64; Kind::COUNT] {
        let mut held = [0; Kind::COUNT];
        let taken = self.slots.iter().filter(|slot| !matches!(slot.state, State::Free { .. }));
        taken.for_each(|slot| held[slot.form.kind.place()] += 1);
        held
    }
}

impl Slot {
    fn listed(&self) -> InFlight {
        InFlight {
            name: self.form.name,
            number: self.fd,
            task: self.stamp.task,
            since: self.stamp.since,
            is_orphan: self.is_orphan(),
        }
    }
}
