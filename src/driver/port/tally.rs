//! How often each kind of operation was done, and what came of it: plain cells, three a kind.
//!
//! What happens to each operation adds to one or two of them, at an address that its form knows: what has been submitted, and the bytes
//! of good answers. What was submitted and has not been taken stands in the slots, and is taken off by who looks. All else is rare.

use std::cell::Cell;

use crate::driver::completion::Completion;
use crate::driver::operation::{Form, Kind};
use crate::driver::slots::{Orphan, Retirement};

/// What a port counts.
pub(crate) struct Tally {
    kinds: [Cells; Kind::COUNT],
    /// Completions that found no slot.
    pub(super) stray: Cell<u64>,
    /// The most that there ever were.
    pub(super) in_flight_max: Cell<usize>,
    pub(super) orphans_max: Cell<usize>,
}

/// Of one kind.
struct Cells {
    /// Submissions, other answers than the first of each, and what needed no submission.
    begun: Cell<u64>,
    bytes: Cell<u64>,
    errors: Cell<u64>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            kinds: [const { Cells { begun: Cell::new(0), bytes: Cell::new(0), errors: Cell::new(0) } };
                Kind::COUNT],
            stray: Cell::new(0),
            in_flight_max: Cell::new(0),
            orphans_max: Cell::new(0),
        }
    }
}

/// What has become of the operations of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) completed: u64,
    pub(crate) errors: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    /// One is submitted; or it is answered without that, or once more.
    #[inline(always)]
    pub(crate) fn begun(&self, kind: Kind) {
        let begun = &self.kinds[kind.place()].begun;
        begun.set(begun.get() + 1);
    }

    /// One was answered, and no error.
    #[inline(always)]
    pub(crate) fn done(&self, kind: Kind, answer: Completion) {
        if kind.transfers() {
            self.moved(kind, kind.bytes(answer.result));
        }
    }

    /// Bytes that no answer tells.
    #[inline(always)]
    pub(crate) fn moved(&self, kind: Kind, count: u64) {
        let bytes = &self.kinds[kind.place()].bytes;
        bytes.set(bytes.get() + count);
    }

    /// One was answered in a way that is nothing to its user: it is submitted again.
    #[cold]
    pub(crate) fn again(&self, kind: Kind) {
        let begun = &self.kinds[kind.place()].begun;
        begun.set(begun.get() - 1);
    }

    /// One was answered, with an error perhaps. That it was stopped, or found that it would have to wait, is none.
    pub(crate) fn answered(&self, form: &Form, answer: Completion) {
        // In its place it says how the memory was used: a number of all bits, which has no negative.
        if answer.is_release() {
            return;
        }
        let kind = form.kind;
        match -answer.result {
            done if done <= 0 => self.done(kind, answer),
            libc::ECANCELED | libc::EAGAIN | libc::EINTR => {}
            libc::ENOBUFS if form.picks => {}
            _ => {
                let errors = &self.kinds[kind.place()].errors;
                errors.set(errors.get() + 1);
            }
        }
    }

    /// An answer comes that nobody waits for any more.
    pub(super) fn retire(&self, orphan: Box<dyn Orphan>, answer: Completion) {
        self.answered(orphan.form(), answer);
        orphan.retire(answer);
    }

    /// The same of several.
    pub(super) fn retire_many(&self, retirement: Retirement) {
        let form = retirement.orphan.form();
        for answer in &retirement.answers {
            if form.repeats && answer.has_more() {
                self.begun(form.kind);
            }
            self.answered(form, *answer);
        }
        retirement.retire();
    }

    /// What has become of one kind, of which so many are not taken yet.
    pub(super) fn of(&self, kind: Kind, held: u64) -> Count {
        let Cells { begun, bytes, errors } = &self.kinds[kind.place()];
        Count { completed: begun.get().saturating_sub(held), errors: errors.get(), bytes: bytes.get() }
    }
}
