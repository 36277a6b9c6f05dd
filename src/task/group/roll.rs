//! Who belongs to a group and has not finished, and which tasks may have left something behind.
//!
//! A group inside of another is a part of it: when its future is dropped before its tasks are gone, the outer one
//! waits for them in its place. Which group is the outer one is known from where its future is polled.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};

use slab::Slab;

use crate::engine::with_current;
use crate::executor::{AbortHandle, Waiter, current_task_id};

/// A task's, until it has finished.
#[derive(Clone, Copy)]
pub(super) struct Place(usize);

#[derive(Default)]
pub(super) struct Roll {
    /// None until its task is spawned.
    members: RefCell<Slab<Option<AbortHandle>>>,
    /// Groups inside of this one that were dropped, with tasks that have not finished.
    strays: Cell<usize>,
    /// Tasks that have finished, and may have left operations behind.
    left: RefCell<Vec<u64>>,
    /// Nobody enters any more.
    is_closed: Cell<bool>,
    waiter: Cell<Option<Waiter>>,
    /// Who waits for it instead, once its own future is dropped.
    heir: Cell<Option<Rc<Roll>>>,
}

thread_local! {
    /// The group whose body or task is being polled.
    static INSIDE: Cell<Option<Rc<Roll>>> = const { Cell::new(None) };
}

/// How many tasks may have left something behind before it is looked whether they have.
const LEFT_MAX: usize = 64;

impl Roll {
    /// A place for one more; None where nobody enters any more.
    pub(super) fn enter(&self) -> Option<Place> {
        (!self.is_closed.get()).then(|| Place(self.members.borrow_mut().insert(None)))
    }

    pub(super) fn is_aborted_by(&self, place: Place, handle: AbortHandle) {
        // It is gone already if the loop is at its end.
        if let Some(member) = self.members.borrow_mut().get_mut(place.0) {
            *member = Some(handle);
        }
    }

    /// A member's future is gone; that member's task is the one that runs now.
    pub(super) fn leave(&self, place: Place) {
        let member = self.members.borrow_mut().remove(place.0);
        drop(member);
        let has_orphans = with_current(|engine| engine.port.orphans() > 0);
        if has_orphans.unwrap_or(false) {
            self.leave_behind(&[current_task_id()]);
        }
        self.tell_if_empty();
    }

    fn leave_behind(&self, tasks: &[u64]) {
        let mut left = self.left.borrow_mut();
        left.extend(tasks);
        // Now and then, so that a group that lives for long does not remember all it ever had.
        if left.len() >= LEFT_MAX && left.len().is_power_of_two() {
            let is_settled = with_current(|engine| engine.port.orphans_of(&left).is_empty());
            if is_settled.unwrap_or(true) {
                left.clear();
            }
        }
    }

    /// The tasks that may have left operations behind.
    pub(super) fn left(&self) -> Vec<u64> {
        self.left.borrow().clone()
    }

    pub(super) fn len(&self) -> usize {
        self.members.borrow().len()
    }

    fn is_empty(&self) -> bool {
        self.members.borrow().is_empty() && self.strays.get() == 0
    }

    fn tell_if_empty(&self) {
        if !self.is_empty() {
            return;
        }
        if let Some(heir) = self.heir.take() {
            heir.leave_behind(&self.left.take());
            heir.strays.set(heir.strays.get() - 1);
            heir.tell_if_empty();
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// Who is woken when all have finished, or have to.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        let before = self.waiter.take();
        let waiter = match before {
            Some(before) if before.is(cx.waker()) => before,
            _ => Waiter::of(cx.waker()),
        };
        self.waiter.set(Some(waiter));
    }

    /// Ready when all have finished.
    pub(super) fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_empty() {
            return Poll::Ready(());
        }
        self.wait(cx);
        // Somebody else's waker may have run anything while it was cloned.
        if self.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Nobody enters any more.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
    }

    /// Stops all, and nobody enters any more.
    pub(super) fn cancel(&self) {
        self.close();
        // Nobody's code runs for it: they are made ready, and dropped in their turn.
        self.members.borrow().iter().filter_map(|(_, member)| member.as_ref()).for_each(AbortHandle::abort);
        self.wake();
    }

    /// Runs something of the group's, so that groups that begin in it are parts of this one.
    pub(super) fn within<T>(self: &Rc<Roll>, run: impl FnOnce() -> T) -> T {
        struct Before(Option<Rc<Roll>>);

        impl Drop for Before {
            fn drop(&mut self) {
                INSIDE.set(self.0.take());
            }
        }

        let _before = Before(INSIDE.replace(Some(Rc::clone(self))));
        run()
    }
}

/// Stops a group whose future is dropped, and leaves what it has not waited for to the group around it.
pub(super) struct Leaving {
    roll: Rc<Roll>,
    around: Option<Rc<Roll>>,
    is_done: bool,
}

impl Leaving {
    pub(super) fn new(roll: &Rc<Roll>) -> Leaving {
        let around = INSIDE.take();
        INSIDE.set(around.clone());
        Leaving { roll: Rc::clone(roll), around, is_done: false }
    }

    /// All was waited for.
    pub(super) fn is_done(&mut self) {
        self.is_done = true;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        self.roll.cancel();
        let Some(around) = self.around.take() else { return };
        match self.roll.is_empty() {
            true => around.leave_behind(&self.roll.left.take()),
            false => {
                around.strays.set(around.strays.get() + 1);
                self.roll.heir.set(Some(around));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_lives_for_long_does_not_remember_all_it_ever_had() {
        let roll = Roll::default();
        for task in 0..10_000 {
            roll.leave_behind(&[task]);
            assert!(roll.left().len() <= LEFT_MAX);
        }
    }
}
