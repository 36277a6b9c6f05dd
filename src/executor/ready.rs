//! The tasks that are ready, first in, first out: a list through the tasks themselves.
//!
//! Each entry owns one reference to its task, so that a task that finishes while it is linked stays.
#![allow(unsafe_code)]

use std::cell::Cell;

use super::header::{TaskPointer, TaskRef};

#[derive(Default)]
pub(super) struct Ready {
    first: Cell<Option<TaskPointer>>,
    last: Cell<Option<TaskPointer>>,
    length: Cell<usize>,
}

impl Ready {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.length.get()
    }

    /// Links a task that is not linked (its state says so).
    #[inline]
    pub(super) fn push(&self, task: TaskRef) {
        let task = task.into_raw();
        match self.last.replace(Some(task)) {
            // SAFETY: an entry owns a reference to its task.
            Some(last) => unsafe { last.as_ref() }.ready_next.set(Some(task)),
            None => self.first.set(Some(task)),
        }
        self.length.set(self.length.get() + 1);
    }

    /// Takes the task that has waited longest.
    #[inline]
    pub(super) fn pop(&self) -> Option<TaskRef> {
        let task = self.first.get()?;
        // SAFETY: an entry owns a reference to its task, which now becomes the caller's.
        let task = unsafe { TaskRef::from_raw(task) };
        let next = task.ready_next.take();
        self.first.set(next);
        if next.is_none() {
            self.last.set(None);
        }
        self.length.set(self.length.get() - 1);
        Some(task)
    }
}
