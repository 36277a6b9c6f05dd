//! Who waits for something: a task of this loop, linked without a clone, or somebody's waker.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{RawWakerVTable, Waker};

use super::header::{Header, TaskRef};
use super::hooks::drop_unheard;
#[cfg(feature = "tracing")]
use super::traced;
use super::{waker, with_current};

/// Whom to resume when what they wait for has come.
///
/// Either a task of this loop: resuming it costs no call through a table and no atomic operation. Or anybody
/// else's waker (`join!`, `FuturesUnordered`, another runtime): waking it runs their code.
///
/// Two words that travel in registers. As an enum of the two it would be built and copied in memory, in pieces of
/// different sizes, which stalls the processor (measured: 8 ns of a nop's 125).
pub(crate) struct Waiter {
    /// The task's header, of which we own a reference; or the waker's data.
    data: *const (),
    /// `OWN` for a task of this loop. Never null, so that an `Option` of this is two words as well.
    vtable: &'static RawWakerVTable,
}

/// Marks a task of this loop; its functions are never called.
static OWN: RawWakerVTable = RawWakerVTable::new(|_| unreachable!(), |_| {}, |_| {}, |_| {});

impl Waiter {
    /// Recognises our own tasks.
    #[inline]
    pub(crate) fn of(waker: &Waker) -> Waiter {
        match waker::own_task(waker) {
            Some(task) => Waiter::task(task),
            None => Waiter::foreign(waker),
        }
    }

    #[inline]
    pub(super) fn task(task: TaskRef) -> Waiter {
        // To those who look it is a waker like others: a task without one they take for lost.
        #[cfg(feature = "tracing")]
        traced::tell(&task, traced::CLONE);
        Waiter { data: task.into_raw().as_ptr().cast_const().cast(), vtable: &OWN }
    }

    #[cold]
    fn foreign(waker: &Waker) -> Waiter {
        let waker = ManuallyDrop::new(waker.clone());
        Waiter { data: waker.data(), vtable: waker.vtable() }
    }

    /// Whether it is a task of this loop; then no code but ours ran to make it, and none will to wake or drop it.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        std::ptr::eq(self.vtable, &OWN)
    }

    /// The number of the task, if it is one of this loop.
    #[inline]
    pub(crate) fn task_id(&self) -> Option<u64> {
        // SAFETY: made by `task`, of which we own a reference.
        self.is_own().then(|| unsafe { (*self.data.cast::<Header>()).id })
    }

    /// Whether waking `self` is waking `waker`, so that nothing needs to be registered anew.
    #[inline]
    pub(crate) fn is(&self, waker: &Waker) -> bool {
        self.data == waker.data()
            && match self.is_own() {
                true => waker::is_own(waker),
                false => std::ptr::eq(self.vtable, waker.vtable()),
            }
    }

    /// Whether it is a task of this loop, and `waker` is that task's.
    #[inline]
    pub(crate) fn is_task_of(&self, waker: &Waker) -> bool {
        self.is_own() && self.data == waker.data() && waker::is_a_task(waker)
    }

    /// Resumes a task of this loop, and goes on being its waiter. False of anybody else's waker, of which nothing is
    /// touched.
    #[inline]
    pub(crate) fn resume_again(&self) -> bool {
        if !self.is_own() {
            return false;
        }
        // SAFETY: made by `task`, of which we own a reference, which stays ours; a waiter does not leave its thread.
        let task = unsafe { TaskRef::share(NonNull::new_unchecked(self.data.cast_mut().cast::<Header>())) };
        #[cfg(feature = "tracing")]
        traced::note(&task, traced::BY_REF);
        resume(task);
        true
    }

    /// Resumes whoever waits. Runs user code if that is a foreign waker (I5: not while anything is borrowed); a
    /// panic of theirs is theirs: the panic hook has told it, and the loop goes on.
    #[inline]
    pub(crate) fn wake(self) {
        match self.into_owner() {
            Ok(task) => {
                #[cfg(feature = "tracing")]
                traced::tell(&task, traced::WAKE);
                resume(task);
            }
            Err(waker) => wake_foreign(waker),
        }
    }

    /// Resumes a task of this loop; gives a foreign waker back, to be woken when nothing is borrowed.
    #[inline(always)]
    pub(crate) fn resume_own(self) -> Option<Waker> {
        match self.into_owner() {
            Ok(task) => {
                #[cfg(feature = "tracing")]
                traced::note(&task, traced::WAKE);
                resume(task);
                None
            }
            Err(waker) => Some(waker),
        }
    }

    /// What the two words own.
    #[inline]
    fn into_owner(self) -> Result<TaskRef, Waker> {
        let waiter = ManuallyDrop::new(self);
        match waiter.is_own() {
            // SAFETY: made by `task`, from a reference that is now given back; a waiter does not leave its thread.
            true => Ok(unsafe {
                TaskRef::from_raw(NonNull::new_unchecked(waiter.data.cast_mut().cast::<Header>()))
            }),
            // SAFETY: made by `foreign`, from a waker that is now put together again.
            false => Err(unsafe { Waker::new(waiter.data, waiter.vtable) }),
        }
    }
}

impl Drop for Waiter {
    #[inline]
    fn drop(&mut self) {
        let words = Waiter { data: self.data, vtable: self.vtable };
        match words.into_owner() {
            Ok(task) => {
                #[cfg(feature = "tracing")]
                traced::note(&task, traced::DROP);
                drop(task);
            }
            Err(waker) => drop_foreign(waker),
        }
    }
}

#[inline(always)]
fn resume(task: TaskRef) {
    let mut task = Some(task);
    with_current(|executor| {
        if let Some(task) = task.take_if(|task| task.runtime == executor.id()) {
            executor.schedule(task);
        }
    });
    if let Some(task) = task {
        leave_for_its_loop(task);
    }
}

/// Its loop is not the one that runs now, on this thread: it finds the task when it does.
#[cold]
fn leave_for_its_loop(task: TaskRef) {
    task.post();
}

#[cold]
fn drop_foreign(waker: Waker) {
    drop(waker);
}

/// Wakes who is no task of this loop. That runs their code, and a panic of theirs is theirs.
#[cold]
pub(crate) fn wake_foreign(waker: Waker) {
    // What it carried is theirs as well: dropped, it may panic, and others are still to be woken.
    catch_unwind(AssertUnwindSafe(|| waker.wake())).unwrap_or_else(drop_unheard);
}
