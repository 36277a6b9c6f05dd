//! Who is polled next: three queues, one for each priority, and the share of each.
//!
//! In most programs all tasks are of one priority. Then the others cost a look at one number.

use std::cell::Cell;

use super::header::TaskRef;
use super::ready::Ready;

/// Who comes first where several tasks are ready. Set by [`Builder::priority`](crate::task::Builder::priority).
///
/// None is starved by another, and none waits for another that is not ready. A poll is never broken off: what computes for long
/// [yields](crate::yield_now), or holds up all others whatever its priority.
///
/// # Examples
/// As [`task::Builder`](crate::task::Builder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Has no more than one poll a turn of the loop, and only each eighth turn while others are ready: for work that is to be
    /// done some time, and that nobody waits for.
    Background,
    /// What tasks have that ask for nothing else.
    #[default]
    Normal,
    /// Is polled before the others, and up to four times for each one of them that is ready: for what is short and urgent.
    High,
}

/// How many urgent polls come before a normal one that is ready.
const URGENT_POLLS: u32 = 4;
/// Of so many turns one has a poll of the background, while others are ready.
const TURNS_PER_BACKGROUND: u32 = 8;

#[derive(Default)]
pub(super) struct Queue {
    normal: Ready,
    high: Ready,
    background: Ready,
    /// How many tasks are ready that are not normal.
    others: Cell<usize>,
    /// Urgent polls since the last that was not.
    urgent: Cell<u32>,
    /// Turns since the background had its last poll.
    turns: Cell<u32>,
}

impl Queue {
    /// How many tasks are ready.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.normal.len() + self.others.get()
    }

    /// Links a task that is not linked. True if it is the one that is watched.
    #[inline]
    pub(super) fn push(&self, task: TaskRef) -> bool {
        match task.priority {
            Priority::Normal => self.normal.push(task),
            _ => self.push_other(task),
        }
    }

    #[inline(never)]
    fn push_other(&self, task: TaskRef) -> bool {
        self.others.set(self.others.get() + 1);
        match task.priority {
            Priority::High => self.high.push(task),
            _ => self.background.push(task),
        };
        false
    }

    /// Watches the normal task that becomes ready in so many.
    pub(super) fn watch(&self, ahead: u64) {
        self.normal.watch(ahead);
    }

    /// Whether a task of the background may be ready. Cheap where there is none of any priority but the normal.
    #[inline]
    pub(super) fn has_background(&self) -> bool {
        self.others.get() > 0
    }

    /// How many tasks were taken.
    #[inline]
    pub(super) fn popped(&self) -> u64 {
        self.normal.popped() + self.high.popped() + self.background.popped()
    }

    /// How many tasks are ready that are not of the background.
    #[inline]
    pub(super) fn foreground(&self) -> usize {
        match self.others.get() {
            0 => self.normal.len(),
            _ => self.normal.len() + self.high.len(),
        }
    }

    /// Takes the task that is polled next, of those that are not of the background, and says whether it is the one that is
    /// watched.
    #[inline]
    pub(super) fn pop(&self) -> Option<(TaskRef, bool)> {
        match self.others.get() {
            0 => self.normal.pop(),
            _ => self.pop_by_priority(),
        }
    }

    #[inline(never)]
    fn pop_by_priority(&self) -> Option<(TaskRef, bool)> {
        let is_urgent = self.normal.is_empty() || self.urgent.get() < URGENT_POLLS;
        if !self.high.is_empty() && is_urgent {
            self.urgent.set(self.urgent.get().saturating_add(1));
            self.others.set(self.others.get() - 1);
            return unwatched(&self.high);
        }
        self.urgent.set(0);
        self.normal.pop()
    }

    /// Takes a task of the background, if it is its turn: asked once a turn, `others` saying whether others had theirs.
    #[inline]
    pub(super) fn pop_background(&self, others: bool) -> Option<(TaskRef, bool)> {
        if self.others.get() == 0 { None } else { self.pop_background_in_turn(others) }
    }

    #[inline(never)]
    fn pop_background_in_turn(&self, others: bool) -> Option<(TaskRef, bool)> {
        let turns = self.turns.get().saturating_add(1);
        let waits = self.background.is_empty() || (others && turns < TURNS_PER_BACKGROUND);
        self.turns.set(if waits { turns } else { 0 });
        if waits {
            return None;
        }
        self.others.set(self.others.get() - 1);
        unwatched(&self.background)
    }

    /// Lets all go.
    pub(super) fn clear(&self) {
        while self.pop().or_else(|| self.pop_background(false)).is_some() {}
    }
}

/// Only normal tasks are watched.
fn unwatched(queue: &Ready) -> Option<(TaskRef, bool)> {
    queue.pop().map(|(task, _)| (task, false))
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use super::*;
    use crate::executor::{Executor, Hooks, Plan};

    #[test]
    fn urgent_tasks_that_are_alone_for_long_overflow_no_count() {
        let executor = Executor::new(Hooks::default(), None);
        let plan = Plan { priority: Priority::High, ..Plan::at(std::panic::Location::caller()) };
        executor.ready.urgent.set(u32::MAX);
        executor.ready.turns.set(u32::MAX);
        let handles = [executor.spawn(async {}, plan.clone()), executor.spawn(async {}, plan)];
        assert!(executor.poll_next());
        executor.poll_background(true);
        assert!(executor.poll_next());
        assert!(handles.iter().all(super::super::JoinHandle::is_finished));
    }
}
