//! What is known of a task, for those who look at it.

use std::panic::Location;
use std::time::Duration;

use super::header::TaskRef;
use super::hooks::Meta;
use super::task::Id;
use super::{Executor, Priority};

/// What a task is doing.
///
/// # Examples
/// As [`Snapshot::id`](crate::task::Snapshot::id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It is polled now: it is the one that asks.
    Running,
    /// It will be polled when its turn comes.
    Ready,
    /// It waits for something.
    Waiting,
}

/// What is known of a task at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) meta: Meta,
    pub(crate) priority: Priority,
    pub(crate) state: State,
    pub(crate) polls: u64,
    pub(crate) busy: Duration,
    pub(crate) age: Duration,
    /// It will be stopped when its turn comes.
    pub(crate) is_aborted: bool,
    /// The task that waits for its end.
    pub(crate) joiner: Option<u64>,
}

impl Facts {
    pub(crate) fn id(&self) -> Id {
        self.meta.id
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.meta.spawned_at
    }
}

impl Executor {
    /// The task that is polled now.
    pub(crate) fn current(&self) -> Option<Facts> {
        let current = self.current_task()?;
        Some(self.facts(&current, self.meta(&current)))
    }

    /// All tasks that have not finished, those that were spawned first in front.
    pub(crate) fn all(&self) -> Vec<Facts> {
        // Of many tasks this takes as long as memory does: once to each, and the list does not grow on the way.
        let mut all = Vec::with_capacity(self.live.len());
        let extras = self.extras.borrow();
        for task in self.live.iter() {
            let extra = if task.state().has_extra() { extras.get(&task.id) } else { None };
            if extra.is_none_or(|extra| !extra.is_the_loops) {
                let name = extra.and_then(|extra| extra.name.clone());
                all.push(self.facts(&task, Meta { id: Id(task.id), name, spawned_at: task.spawned_at }));
            }
        }
        all.reverse();
        all
    }

    fn facts(&self, task: &TaskRef, meta: Meta) -> Facts {
        let age = self.time.get().saturating_sub(task.spawned_when);
        Facts {
            meta,
            priority: task.priority,
            state: task.state().seen(),
            polls: task.polls.get(),
            busy: Duration::from_nanos(if task.state().is_timed() {
                task.busy.get()
            } else {
                task.busy.get().min(age)
            }),
            age: Duration::from_nanos(age),
            is_aborted: task.state().is_aborted(),
            joiner: task.joined_by(),
        }
    }

    /// The number of the task that the loop is run for.
    #[cfg(feature = "inspect")]
    pub(crate) fn root(&self) -> u64 {
        self.root.get()
    }

    /// Of those hooks are not told, either: one that asks for what such a task serves would have it made again and again.
    pub(super) fn is_the_loops(&self, task: &TaskRef) -> bool {
        task.state().has_extra() && self.extras.borrow().get(&task.id).is_some_and(|extra| extra.is_the_loops)
    }

    /// What is told of a task.
    pub(super) fn meta(&self, task: &TaskRef) -> Meta {
        let extras = self.extras.borrow();
        let name = if task.state().has_extra() { extras.get(&task.id) } else { None };
        Meta { id: Id(task.id), name: name.and_then(|extra| extra.name.clone()), spawned_at: task.spawned_at }
    }

    /// An operation was dropped that nobody had awaited. Told in debug mode.
    #[cold]
    pub(crate) fn never_polled(&self, operation: &'static str) {
        if let Some(debug) = &self.debug {
            let task = self.current_task().map(|task| self.meta(&task));
            debug.never_polled(operation, task);
        }
    }

    /// Stops a task that is told by its number; false if there is none of it, or not any more. The one that the loop is run for is
    /// its caller's, who waits for its output, and nobody else's to stop.
    pub(crate) fn abort(&self, id: Id) -> bool {
        let is_to_stop =
            |task: &TaskRef| task.id == id.0 && task.id != self.root.get() && !self.is_the_loops(task);
        let found = self.live.iter().find(is_to_stop);
        found.map(|task| task.abort()).is_some()
    }
}
