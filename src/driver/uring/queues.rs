//! The ring's two queues, whose handles are kept from one submission to the next.
//!
//! The `io-uring` crate makes a handle for each use, which reads both ends of the queue from the memory that the kernel
//! shares and writes its own end back. Kept, a push touches nothing but the handle and the entry's place: the kernel is
//! told, and asked how far it came, once an enter.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;

use io_uring::{CompletionQueue, IoUring, SubmissionQueue, cqueue, squeue};

pub(super) struct Queues {
    // Never dropped: that would write to memory that is shared with a forked child's parent.
    entries: ManuallyDrop<SubmissionQueue<'static>>,
    answers: ManuallyDrop<CompletionQueue<'static>>,
    /// What the handles point into: in a box, so that it stays where it is, and dropped with them.
    ring: Box<IoUring>,
}

impl Queues {
    pub(super) fn of(ring: IoUring) -> Queues {
        let ring = Box::new(ring);
        let place: *const IoUring = &raw const *ring;
        // SAFETY: the box is neither moved out of nor dropped while the handles are used: all three are private, and
        // the handles are used through `&mut self` alone. Nobody makes others.
        let (entries, answers) = unsafe { ((*place).submission_shared(), (*place).completion_shared()) };
        Queues { entries: ManuallyDrop::new(entries), answers: ManuallyDrop::new(answers), ring }
    }

    /// For what is not about the queues.
    pub(super) fn ring(&self) -> &IoUring {
        &self.ring
    }

    /// How many entries wait to be taken.
    #[inline]
    pub(super) fn queued(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.entries.is_full()
    }

    /// Puts an entry behind the others. False if there is no room.
    ///
    /// # Safety
    /// What the entry points to stays, and is nobody else's, until it is answered.
    #[inline(always)]
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { self.entries.push(entry) }.is_ok()
    }

    /// Lets the kernel see what was pushed, and sees what it has taken: before and after each enter.
    #[inline]
    pub(super) fn exchange(&mut self) {
        self.entries.sync();
    }

    /// Whether answers are there to be collected.
    pub(super) fn has_answers(&mut self) -> bool {
        self.answers.sync();
        !self.answers.is_empty()
    }

    /// How many answers are there.
    pub(super) fn answered(&mut self) -> usize {
        self.answers.sync();
        self.answers.len()
    }

    /// Takes out what is there. How far that came is published at the end, before any enter: otherwise the kernel thinks
    /// the queue full and returns at once for nothing.
    #[inline(always)]
    pub(super) fn drain(&mut self, mut each: impl FnMut(cqueue::Entry)) {
        self.answers.sync();
        for entry in &mut *self.answers {
            each(entry);
        }
        self.answers.sync();
    }

    /// Whether the kernel holds answers back until it is entered.
    pub(super) fn holds_back(&self) -> bool {
        self.entries.taskrun()
    }

    /// Whether answers wait in the kernel because there was no room for them.
    pub(super) fn has_overflowed(&self) -> bool {
        self.entries.cq_overflow()
    }
}
