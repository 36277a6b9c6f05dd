//! The tasks whose future is not gone: a list through the tasks themselves, for shutdown and for listing.
//!
//! Each entry owns one reference, so a task that has not finished is never freed.
#![allow(unsafe_code)]

use std::cell::Cell;

use super::header::{TaskPointer, TaskRef};

#[derive(Default)]
pub(super) struct Live {
    first: Cell<Option<TaskPointer>>,
    length: Cell<usize>,
}

impl Live {
    pub(super) fn len(&self) -> usize {
        self.length.get()
    }

    pub(super) fn insert(&self, task: TaskRef) {
        let task = task.into_raw();
        let after = self.first.replace(Some(task));
        // SAFETY: entries own references to their tasks.
        unsafe {
            task.as_ref().live_after.set(after);
            if let Some(after) = after {
                after.as_ref().live_before.set(Some(task));
            }
        }
        self.length.set(self.length.get() + 1);
    }

    /// Unlinks a task of the list.
    pub(super) fn remove(&self, task: &TaskRef) {
        let before = task.live_before.take();
        let after = task.live_after.take();
        // SAFETY: the neighbours are entries, which own references. The last line takes back the reference that
        // this entry owned; `task` itself is another one.
        unsafe {
            match before {
                Some(before) => before.as_ref().live_after.set(after),
                None => self.first.set(after),
            }
            if let Some(after) = after {
                after.as_ref().live_before.set(before);
            }
            drop(TaskRef::from_raw(task.pointer()));
        }
        self.length.set(self.length.get() - 1);
    }

    /// Each of them, the last that came first. Should the next one finish meanwhile, it ends there.
    pub(super) fn iter(&self) -> impl Iterator<Item = TaskRef> {
        let mut next = self.first();
        std::iter::from_fn(move || {
            let task = next.take()?;
            // SAFETY: an entry owns a reference.
            next = task.live_after.get().map(|after| unsafe { TaskRef::share(after) });
            Some(task)
        })
    }

    pub(super) fn first(&self) -> Option<TaskRef> {
        // SAFETY: an entry owns a reference.
        self.first.get().map(|task| unsafe { TaskRef::share(task) })
    }
}
