//! Tasks and the queue of those that are ready. Knows nothing of operations, timers or drivers.
//!
//! A task is one allocation. Its owner's thread counts references in plain cells; only wakers that leave use
//! an atomic count, and what other threads wake comes through an inbox. Who polls tasks, and when, is the
//! turn's business, some floors up.
#![allow(unsafe_code)]

mod current;
mod header;
mod inbox;
mod join;
mod live;
#[cfg(all(test, annulus_loom))]
pub(crate) mod models;
mod ready;
mod spare;
mod state;
mod task;
mod waiter;
mod waker;

pub(crate) use current::{RuntimeId, Scope, with_current};
pub(crate) use inbox::{Doorbell, Inbox};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use task::Id;
pub(crate) use waiter::{Waiter, wake_foreign};

use std::cell::Cell;
use std::future::Future;
use std::panic::resume_unwind;

use header::TaskRef;
use live::Live;
use ready::Ready;
use task::allocate;

/// The tasks of one runtime: those that live, and among them those that are ready to be polled.
pub(crate) struct Executor {
    id: RuntimeId,
    ready: Ready,
    live: Live,
    inbox: &'static Inbox,
    /// Set once the runtime shuts down: nothing is spawned any more.
    closed: Cell<bool>,
    pub(crate) spawned: Cell<u64>,
    pub(crate) polls: Cell<u64>,
    pub(crate) remote_wakes: Cell<u64>,
}

impl Executor {
    pub(crate) fn new() -> Executor {
        Executor {
            id: RuntimeId::next(),
            ready: Ready::default(),
            live: Live::default(),
            inbox: Inbox::claim(),
            closed: Cell::new(false),
            spawned: Cell::new(0),
            polls: Cell::new(0),
            remote_wakes: Cell::new(0),
        }
    }

    #[inline]
    pub(crate) fn id(&self) -> RuntimeId {
        self.id
    }

    /// What other threads and helpers reach this runtime by.
    pub(crate) fn inbox(&self) -> &'static Inbox {
        self.inbox
    }

    /// How many tasks are ready.
    #[inline]
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// How many tasks have not finished.
    pub(crate) fn alive(&self) -> usize {
        self.live.len()
    }

    /// Makes a task and puts it at the end of the ready queue: it is polled first in a coming batch, never here.
    pub(crate) fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        // SAFETY: it borrows nothing; and its output is the handle's.
        unsafe {
            let task = allocate(future, self.id, self.inbox);
            self.adopt(task)
        }
    }

    /// Makes a task of a future that may borrow from the caller, and turns the loop until it has finished.
    ///
    /// `turn` is told how to ask whether it has. However this ends, by a result, by an error of `turn` or by a
    /// panic, the future is gone when it does.
    pub(crate) fn drive<F: Future, E>(
        &self,
        future: F,
        mut turn: impl FnMut(&dyn Fn() -> bool) -> Result<(), E>,
    ) -> Result<F::Output, E> {
        // SAFETY: `root` cancels the task, if it has not finished, before this returns.
        let task = unsafe { allocate(future, self.id, self.inbox) };
        let root = Root { executor: self, task: task.clone() };
        // SAFETY: the output of the future just allocated.
        let mut handle = unsafe { self.adopt::<F::Output>(task) };
        loop {
            turn(&|| root.task.state().is_complete())?;
            if !root.task.state().is_complete() {
                continue;
            }
            match handle.take() {
                None => {}
                Some(Ok(output)) => return Ok(output),
                Some(Err(JoinError::Panicked(panic))) => resume_unwind(panic),
                Some(Err(JoinError::Cancelled)) => unreachable!("nobody has a handle to abort it by"),
            }
        }
    }

    /// Takes a new task among the live ones.
    ///
    /// # Safety
    /// `T` is the output of the task's future.
    unsafe fn adopt<T>(&self, task: TaskRef) -> JoinHandle<T> {
        self.spawned.set(self.spawned.get() + 1);
        // SAFETY: passed on to the caller.
        let handle = unsafe { JoinHandle::new(task.clone()) };
        self.live.insert(task.clone());
        match self.closed.get() {
            // Spawned by a destructor while the runtime ends: it is cancelled at once, and its handle says so.
            true => self.cancel(&task),
            false => self.schedule(task),
        }
        handle
    }

    /// Polls the task that has waited longest. False when none is ready.
    #[inline]
    pub(crate) fn poll_next(&self) -> bool {
        let Some(task) = self.ready.pop() else { return false };
        match task.state().start() {
            state::Start::Poll => {
                self.polls.set(self.polls.get() + 1);
                let finished = task.poll();
                match task.state().stop(finished) {
                    state::Stop::Waiting => {}
                    state::Stop::Finished => self.finish(&task),
                    state::Stop::Aborted => self.cancel(&task),
                }
            }
            state::Start::Cancel => self.cancel(&task),
            state::Start::Nothing => {}
        }
        true
    }

    /// Takes what other threads woke. One relaxed load when there is nothing.
    #[inline]
    pub(crate) fn take_inbox(&self) {
        if !self.inbox.is_empty() {
            self.take_what_came();
        }
    }

    #[cold]
    fn take_what_came(&self) {
        for task in self.inbox.take(self.id) {
            self.remote_wakes.set(self.remote_wakes.get() + 1);
            self.schedule(task);
        }
    }

    /// Puts a task at the end of the ready queue, unless it is there or has finished.
    #[inline]
    fn schedule(&self, task: TaskRef) {
        if task.state().schedule() {
            self.ready.push(task);
        }
    }

    #[cold]
    fn cancel(&self, task: &TaskRef) {
        task.cancel();
        self.finish(task);
    }

    fn finish(&self, task: &TaskRef) {
        self.live.remove(task);
        task.settle();
    }

    /// Drops every future. Those that spawn while they are dropped are dropped, too.
    pub(crate) fn abort_all(&self) {
        self.closed.set(true);
        while let Some(task) = self.live.first() {
            self.cancel(&task);
        }
        while self.ready.pop().is_some() {}
    }
}

/// The future of a `drive`; it does not outlive the call, because what it borrows may not.
struct Root<'a> {
    executor: &'a Executor,
    task: TaskRef,
}

impl Drop for Root<'_> {
    fn drop(&mut self) {
        if !self.task.state().is_complete() {
            self.executor.cancel(&self.task);
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.abort_all();
        self.inbox.release();
    }
}
