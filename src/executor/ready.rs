//! The tasks that are ready, first in, first out: a list through the tasks themselves.
//!
//! Each entry owns one reference to its task, so that a task that finishes while it is linked stays. One entry of many is watched
//! from its wake to its poll: it is the one with which the two counts, which go down, come to zero.
#![allow(unsafe_code)]

use std::cell::Cell;

use super::header::{TaskPointer, TaskRef};

#[derive(Default)]
pub(super) struct Ready {
    first: Cell<Option<TaskPointer>>,
    last: Cell<Option<TaskPointer>>,
    /// How many are to be linked until the watched one is, and how many taken. Below zero there is none.
    to_push: Cell<i64>,
    to_pop: Cell<i64>,
    /// What `to_pop` would be before the first was taken.
    sum: Cell<i64>,
}

impl Ready {
    #[inline]
    pub(super) fn len(&self) -> usize {
        (self.to_pop.get() - self.to_push.get()) as usize
    }

    /// How many were taken.
    #[inline]
    pub(super) fn popped(&self) -> u64 {
        (self.sum.get() - self.to_pop.get()) as u64
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }

    /// Watches the entry that comes after so many.
    pub(super) fn watch(&self, ahead: u64) {
        let (popped, length) = (self.popped(), self.len());
        self.to_push.set(ahead as i64 + 1);
        self.to_pop.set(self.to_push.get() + length as i64);
        self.sum.set(popped as i64 + self.to_pop.get());
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
        let left = self.to_push.get() - 1;
        self.to_push.set(left);
        left == 0
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
        let left = self.to_pop.get() - 1;
        self.to_pop.set(left);
        Some((task, left == 0))
    }
}
