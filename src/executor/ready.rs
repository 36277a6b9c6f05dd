//! The tasks that are ready, first in, first out: a list through the tasks themselves.
//!
//! Each entry owns one reference to its task, so that a task that finishes while it is linked stays. The entries are
//! numbered, so that one of many can be watched from its wake to its poll.
#![allow(unsafe_code)]

use std::cell::Cell;

use super::header::{TaskPointer, TaskRef};

#[derive(Default)]
pub(super) struct Ready {
    first: Cell<Option<TaskPointer>>,
    last: Cell<Option<TaskPointer>>,
    pushed: Cell<u64>,
    popped: Cell<u64>,
    /// The number of the entry that is watched.
    watched: Cell<u64>,
}

impl Ready {
    #[inline]
    pub(super) fn len(&self) -> usize {
        (self.pushed.get() - self.popped.get()) as usize
    }

    /// How many were taken.
    #[inline]
    pub(super) fn popped(&self) -> u64 {
        self.popped.get()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }

    /// Watches the entry that comes in so many.
    pub(super) fn watch(&self, ahead: u64) {
        self.watched.set(self.pushed.get() + ahead);
    }

    /// Links a task that is not linked (its state says so). True if it is the one that is watched.
    #[inline]
    pub(super) fn push(&self, task: TaskRef) -> bool {
        let task = task.into_raw();
        match self.last.replace(Some(task)) {
            // SAFETY: an entry owns a reference to its task.
            Some(last) => unsafe { last.as_ref() }.ready_next.set(Some(task)),
            None => self.first.set(Some(task)),
        }
        let number = self.pushed.get();
        self.pushed.set(number + 1);
        number == self.watched.get()
    }

    /// Takes the task that has waited longest, and says whether it is the one that is watched.
    #[inline]
    pub(super) fn pop(&self) -> Option<(TaskRef, bool)> {
        let task = self.first.get()?;
        // SAFETY: an entry owns a reference to its task, which now becomes the caller's.
        let task = unsafe { TaskRef::from_raw(task) };
        let next = task.ready_next.take();
        self.first.set(next);
        if next.is_none() {
            self.last.set(None);
        }
        let number = self.popped.get();
        self.popped.set(number + 1);
        Some((task, number == self.watched.get()))
    }
}
