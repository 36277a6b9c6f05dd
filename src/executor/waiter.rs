//! Who waits for something: a task of this loop, linked without a clone, or somebody's waker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use super::current::current_id;
use super::header::TaskRef;
use super::{waker, with_current};

/// Whom to resume when what they wait for has come.
pub(crate) enum Waiter {
    /// A task of this loop: resuming it costs no call through a table and no atomic operation.
    Task(TaskRef),
    /// Anybody else's waker (`join!`, `FuturesUnordered`, another runtime). Waking it runs their code.
    Foreign(Waker),
}

impl Waiter {
    /// Recognises our own tasks.
    pub(crate) fn of(waker: &Waker) -> Waiter {
        match waker::own_task(waker) {
            Some(task) => Waiter::Task(task),
            None => Waiter::Foreign(waker.clone()),
        }
    }

    /// Whether waking `self` is waking `waker`, so that nothing needs to be registered anew.
    pub(crate) fn is(&self, waker: &Waker) -> bool {
        match self {
            Waiter::Task(task) => {
                std::ptr::eq(waker.data(), task.pointer().as_ptr().cast_const().cast())
                    && waker::own_task(waker).is_some()
            }
            Waiter::Foreign(own) => own.will_wake(waker),
        }
    }

    /// Resumes whoever waits. Runs user code if that is a foreign waker (I5: not while anything is borrowed); a
    /// panic of theirs is theirs: the panic hook has told it, and the loop goes on.
    pub(crate) fn wake(self) {
        match self {
            Waiter::Task(task) => resume(task),
            Waiter::Foreign(waker) => drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))),
        }
    }

    /// Resumes a task of this loop; gives a foreign waker back, to be woken when nothing is borrowed.
    pub(crate) fn resume_own(self) -> Option<Waker> {
        match self {
            Waiter::Task(task) => {
                resume(task);
                None
            }
            Waiter::Foreign(waker) => Some(waker),
        }
    }
}

fn resume(task: TaskRef) {
    if current_id() == Some(task.runtime) {
        with_current(|executor| executor.schedule(task));
    } else {
        // Its loop is not the one that runs now, on this thread: it finds the task when it does.
        task.post();
    }
}
