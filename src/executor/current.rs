//! Which executor runs on this thread now.
//!
//! "Current" is scoped, not owned by the thread: it is set while a loop runs and put back afterwards, so that
//! several may take turns on one thread.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Executor;

/// What tells one runtime of a process from all others. Never used twice, also after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeId(NonZeroU64);

impl RuntimeId {
    pub(super) fn next() -> RuntimeId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        RuntimeId(NonZeroU64::new(id).expect("2^64 runtimes in one process"))
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

thread_local! {
    // No destructor, so that it can be asked while the thread ends.
    static CURRENT: Cell<*const Executor> = const { Cell::new(std::ptr::null()) };
}

/// While this lives, its executor is the current one of the thread.
pub(crate) struct Scope<'a> {
    before: *const Executor,
    executor: &'a Executor,
}

impl<'a> Scope<'a> {
    pub(crate) fn enter(executor: &'a Executor) -> Scope<'a> {
        Scope { before: CURRENT.replace(executor), executor }
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        debug_assert!(std::ptr::eq(CURRENT.get(), self.executor), "scopes end in the order of their nesting");
        CURRENT.set(self.before);
    }
}

/// Hands the current executor to `ask`, if there is one.
#[inline]
pub(crate) fn with_current<T>(ask: impl FnOnce(&Executor) -> T) -> Option<T> {
    let current = CURRENT.get();
    // SAFETY: not null only while a `Scope` borrows the executor, and `ask` ends before the scope can: it is on
    // this stack. A scope that is forgotten, not dropped, would break this; they never leave `runtime`, which drops them.
    unsafe { current.as_ref() }.map(ask)
}

/// The number of the task of this thread that is polled or dropped now; 0 if there is none.
#[inline]
pub(crate) fn current_task_id() -> u64 {
    with_current(Executor::current_id).unwrap_or(0)
}
