//! Operations that their futures have left behind.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::mem::MaybeUninit;

use crate::driver::descriptor::Departure;
use crate::driver::{Completion, Form, Operation};

/// An operation that its future has left behind, until its completion comes.
pub(crate) trait Orphan {
    /// How it is done.
    fn form(&self) -> &'static Form;

    /// Takes an answer that is not the last.
    fn keep(&mut self, answer: Completion);

    /// Takes the last answer.
    fn retire(self: Box<Self>, answer: Completion);
}

/// An abandoned operation, kept as its future kept it: without the compiler's assumption that nobody else touches
/// what it owns, for the kernel may still write there. One that is never retired is never freed, either (I6).
struct Abandoned<O>(MaybeUninit<O>);

impl<O: Operation> Orphan for Abandoned<O> {
    fn form(&self) -> &'static Form {
        O::form()
    }

    fn keep(&mut self, answer: Completion) {
        // SAFETY: present until it is retired. The kernel may go on writing only to what it has not yet answered.
        unsafe { self.0.assume_init_mut() }.salvage_one(answer);
    }

    /// The direction is left, and the descriptor let go of, only after something may have been left behind.
    fn retire(self: Box<Self>, answer: Completion) {
        // SAFETY: present since `orphan`, and taken once: retiring consumes it. The kernel has answered, so it is
        // ours alone again.
        let operation = unsafe { self.0.assume_init() };
        let _departure = Departure::of(&operation);
        operation.salvage(answer);
    }
}

/// Makes an orphan of an operation.
///
/// # Safety
/// The operation is present, and the caller does not use its own copy any more.
pub(crate) unsafe fn orphan<O: Operation>(operation: MaybeUninit<O>) -> Box<dyn Orphan> {
    Box::new(Abandoned(operation))
}

/// Several answers that nobody waits for.
pub(crate) struct Retirement {
    pub(crate) orphan: Box<dyn Orphan>,
    pub(crate) answers: VecDeque<Completion>,
}

impl Retirement {
    pub(crate) fn retire(self) {
        let Retirement { mut orphan, mut answers } = self;
        let last = answers.pop_back();
        answers.into_iter().for_each(|answer| orphan.keep(answer));
        orphan.retire(last.expect("what has ended was answered"));
    }
}
