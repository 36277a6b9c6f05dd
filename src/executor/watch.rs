//! How long polls take, and how long tasks that are ready wait for theirs: one in some hundreds is timed.
//!
//! To time each would cost more than most polls do (two looks at the clock: 50 ns). Which one is chosen by chance, so that
//! what comes in a rhythm is not seen in one of its beats only.

use std::cell::{Cell, RefCell};

use crate::dice::Dice;
use crate::histogram::Histogram;
use crate::sys;

/// One of so many polls is timed, in the mean.
const SPREAD: u64 = 512;

pub(super) struct Watch {
    now: Cell<fn() -> u64>,
    /// When the task that is watched became ready.
    since: Cell<u64>,
    /// How many polls the next that is timed stands for. The first of all is not chosen by chance: it stands for itself.
    weight: Cell<u64>,
    dice: RefCell<Dice>,
    pub(super) poll_time: RefCell<Histogram>,
    pub(super) wake_to_poll: RefCell<Histogram>,
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch {
            now: Cell::new(sys::clock::now),
            since: Cell::new(0),
            weight: Cell::new(1),
            dice: RefCell::default(),
            poll_time: RefCell::default(),
            wake_to_poll: RefCell::default(),
        }
    }

    /// In a simulated world no time passes while a task is polled; the machine's would differ from run to run.
    pub(super) fn stand_still(&self) {
        self.now.set(|| 0);
    }

    /// In nanoseconds.
    pub(super) fn now(&self) -> u64 {
        (self.now.get())()
    }

    /// The task that is watched is ready.
    #[cold]
    pub(super) fn is_ready(&self) {
        self.since.set(self.now());
    }

    /// The task that is watched is polled.
    pub(super) fn is_polled(&self, now: u64) {
        self.wake_to_poll.borrow_mut().note(now - self.since.get());
    }

    /// How many polls that stands for which was just timed.
    pub(super) fn weight(&self) -> u64 {
        self.weight.replace(SPREAD)
    }

    /// How many tasks further on the next one is.
    pub(super) fn next(&self) -> u64 {
        self.dice.borrow_mut().next() % (2 * SPREAD)
    }
}
