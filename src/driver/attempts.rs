//! Whether to try a call at once, before it is handed to the ring: what came of it before.
//!
//! A read of what the page cache holds is cheaper made at once than sent through a ring, if nothing else is to be sent
//! there (measured: 970 ns by preadv2(2), 1,190 by a ring for one read, 930 of 32). One that finds nothing there has cost a
//! call for nothing. So a descriptor that failed rests, for twice as many operations each time.

use std::cell::Cell;

use crate::sys;

/// Of one descriptor, in two bytes.
pub(crate) struct Attempts {
    /// How many operations are not tried at once, from now on; or one of the two below.
    resting: Cell<u8>,
    /// How many it was the last time.
    rest: Cell<u8>,
}

const REST_MAX: u8 = 127;
/// Nothing was tried yet.
const UNKNOWN: u8 = u8::MAX - 1;
/// Nothing will be.
const NEVER: u8 = u8::MAX;

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts { resting: Cell::new(UNKNOWN), rest: Cell::new(0) }
    }
}

impl Attempts {
    /// Whether to try the next one, on the descriptor of this number.
    #[inline]
    pub(crate) fn pays(&self, number: i32) -> bool {
        self.resting.get() == 0 || self.pays_after_all(number)
    }

    #[cold]
    fn pays_after_all(&self, number: i32) -> bool {
        match self.resting.get() {
            NEVER => {}
            // Past the page cache a call that "does not wait" waits for the device all the same.
            UNKNOWN if sys::file::is_direct(number) => self.give_up(),
            UNKNOWN => self.resting.set(0),
            resting => {
                self.resting.set(resting - 1);
                return false;
            }
        }
        self.resting.get() == 0
    }

    /// It was tried; was it answered?
    #[inline]
    pub(crate) fn note(&self, answered: bool) {
        match answered {
            true => self.rest.set(0),
            false => self.failed(),
        }
    }

    #[cold]
    fn failed(&self) {
        let rest = (self.rest.get() * 2 + 1).min(REST_MAX);
        self.rest.set(rest);
        self.resting.set(rest);
    }

    /// It cannot be tried: the file system knows no such thing.
    #[cold]
    pub(crate) fn give_up(&self) {
        self.resting.set(NEVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many operations pass until one is tried.
    fn rest(attempts: &Attempts) -> usize {
        (0..1000).take_while(|_| !attempts.pays(0)).count()
    }

    #[test]
    fn a_failure_rests_longer_each_time_and_a_success_forgets_that() {
        let attempts = Attempts::default();
        assert!(attempts.pays(0), "the first is tried");
        let rests: Vec<_> = (0..9)
            .map(|_| {
                attempts.note(false);
                rest(&attempts)
            })
            .collect();
        assert_eq!(rests, [1, 3, 7, 15, 31, 63, 127, 127, 127]);
        attempts.note(true);
        assert_eq!(rest(&attempts), 0);
        attempts.note(false);
        assert_eq!(rest(&attempts), 1);
    }

    #[test]
    fn what_cannot_be_tried_is_never_tried_again() {
        let attempts = Attempts::default();
        attempts.give_up();
        assert_eq!(rest(&attempts), 1000);
    }
}
