//! Tasks and the queue of those that are ready. Knows nothing of operations, timers or drivers.
//!
//! A task is one allocation. Its owner's thread counts references in plain cells; only wakers that leave use
//! an atomic count, and what other threads wake comes through an inbox. Who polls tasks, and when, is the
//! turn's business, some floors up.
#![allow(unsafe_code)]

mod asked;
mod current;
mod debug;
mod facts;
mod header;
mod hooks;
mod inbox;
mod join;
mod live;
#[cfg(all(test, annulus_loom))]
pub(crate) mod models;
mod plan;
mod poll;
mod queue;
mod ready;
mod spare;
mod state;
mod task;
#[cfg(feature = "tracing")]
pub(crate) mod traced;
mod waiter;
mod waker;
mod warning;
mod watch;

pub(crate) use asked::{Asked, prepare_to_ask};
pub(crate) use current::{RuntimeId, Scope, current_task_id, with_current};
pub(crate) use debug::{Debug, DebugPlan, Tell, tell};
pub(crate) use facts::Facts;
pub use facts::State;
pub(crate) use hooks::{Hooks, drop_unheard, say};
pub use hooks::{Meta, UnheardPanic};
pub(crate) use inbox::{Doorbell, Inbox};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub(crate) use plan::{Extra, Plan};
pub use queue::Priority;
pub use task::Id;
pub(crate) use waiter::{Waiter, wake_foreign};
pub use warning::{Leak, NeverPolled, SlowPoll, Warning};

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use header::{Birth, TaskPointer, TaskRef};
use live::Live;
use queue::Queue;
use task::allocate;
use watch::Watch;

use crate::histogram::Histogram;
use crate::recorder::Ring;

/// The tasks of one runtime: those that live, and among them those that are ready to be polled.
pub(crate) struct Executor {
    id: RuntimeId,
    ready: Queue,
    live: Live,
    inbox: &'static Inbox,
    /// Set once the runtime shuts down: nothing is spawned any more.
    closed: Cell<bool>,
    /// The task that is polled, or dropped, now.
    current: Cell<Option<TaskPointer>>,
    /// The number of the task that `drive` has made; 0 if it does not run.
    root: Cell<u64>,
    watch: Watch,
    hooks: Hooks,
    debug: Option<Debug>,
    /// Whether each poll is timed, because somebody wants to be told of each.
    times_all: bool,
    /// What was done to those who wait, and is not yet told: by their spans.
    #[cfg(feature = "tracing")]
    woken: RefCell<Vec<(u64, &'static str)>>,
    /// By the tasks' numbers.
    extras: RefCell<HashMap<u64, Box<Extra>, BuildHasherDefault<Spread>>>,
    /// What time it was lately, in nanoseconds: for ages.
    pub(crate) time: Cell<u64>,
    pub(crate) spawned: Cell<u64>,
    /// Tasks that were taken from the queue and not polled.
    unpolled: Cell<u64>,
    pub(crate) remote_wakes: Cell<u64>,
    /// What polls and wakes are noted in, if they are.
    pub(crate) recorder: Option<Arc<Ring>>,
}

/// Spreads numbers that are never used twice: nobody chooses them, so nobody can have them collide.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio: neighbours come far from each other, in the upper bits as well.
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Executor {
    pub(crate) fn new(hooks: Hooks, debug: Option<DebugPlan>) -> Executor {
        let (watch, ready) = (Watch::new(), Queue::default());
        ready.watch(0);
        Executor {
            id: RuntimeId::next(),
            ready,
            live: Live::default(),
            inbox: Inbox::claim(),
            closed: Cell::new(false),
            current: Cell::new(None),
            root: Cell::new(0),
            times_all: hooks.before_poll.is_some() || hooks.after_poll.is_some() || debug.is_some(),
            hooks,
            debug: debug.map(Debug::new),
            #[cfg(feature = "tracing")]
            woken: RefCell::default(),
            extras: RefCell::default(),
            time: Cell::new(watch.now()),
            watch,
            spawned: Cell::new(0),
            unpolled: Cell::new(0),
            remote_wakes: Cell::new(0),
            recorder: None,
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

    /// How many tasks are polled before the loop looks for more.
    #[inline]
    pub(crate) fn batch(&self) -> usize {
        self.ready.foreground()
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
    #[inline]
    pub(crate) fn spawn<F: Future + 'static>(&self, future: F, plan: Plan) -> JoinHandle<F::Output> {
        // SAFETY: it borrows nothing; and its output is the handle's.
        unsafe {
            let task = allocate(future, self.birth(&plan));
            self.adopt(task, plan.extra)
        }
    }

    #[inline]
    fn birth(&self, plan: &Plan) -> Birth {
        Birth {
            runtime: self.id,
            inbox: self.inbox,
            spawned_at: plan.spawned_at,
            spawned_when: self.time.get(),
            priority: plan.priority,
            #[cfg(feature = "tracing")]
            id: plan.extra.as_ref().and_then(|extra| extra.id),
        }
    }

    /// Makes a task of a future that may borrow from the caller, and turns the loop until it has finished.
    ///
    /// `turn` is told how to ask whether it has. However this ends, by a result, by an error of `turn` or by a
    /// panic, the future is gone when it does.
    pub(crate) fn drive<F: Future, E>(
        &self,
        future: F,
        plan: Plan,
        mut turn: impl FnMut(&dyn Fn() -> bool) -> Result<(), E>,
    ) -> Result<F::Output, E> {
        // SAFETY: `root` cancels the task, if it has not finished, before this returns.
        let task = unsafe { allocate(future, self.birth(&plan)) };
        let root = Root { executor: self, task: task.clone() };
        self.root.set(task.id);
        // SAFETY: the output of the future just allocated.
        let mut handle = unsafe { self.adopt::<F::Output>(task, plan.extra) };
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
    #[inline]
    unsafe fn adopt<T>(&self, task: TaskRef, extra: Option<Box<Extra>>) -> JoinHandle<T> {
        self.spawned.set(self.spawned.get() + 1);
        // SAFETY: passed on to the caller.
        let handle = unsafe { JoinHandle::new(task.clone()) };
        self.live.insert(task.clone());
        if self.times_all || self.hooks.spawn.is_some() || extra.is_some() || is_traced() {
            self.adopt_with_more(&task, extra);
        }
        match self.closed.get() {
            // Spawned by a destructor while the runtime ends: it is cancelled at once, and its handle says so.
            true => self.cancel(&task),
            false => self.schedule(task),
        }
        handle
    }

    /// What few tasks have and few loops want.
    #[cold]
    fn adopt_with_more(&self, task: &TaskRef, extra: Option<Box<Extra>>) {
        let is_the_loops = extra.as_ref().is_some_and(|extra| extra.is_the_loops);
        #[cfg(feature = "tracing")]
        let extra = self.begin_span(task, extra);
        if self.times_all || extra.as_ref().is_some_and(|extra| extra.time_budget.is_some()) {
            task.state().set_timed();
        }
        if let Some(extra) = extra {
            task.state().set_extra();
            self.extras.borrow_mut().insert(task.id, extra);
        }
        if let Some(hook) = self.hooks.spawn.as_ref().filter(|_| !is_the_loops) {
            let told = catch_unwind(AssertUnwindSafe(|| hook(&self.meta(task))));
            if let Err(panic) = told {
                // Whoever spawned has no task, so there is to be none.
                self.cancel(task);
                resume_unwind(panic);
            }
        }
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
            if let Some(recorder) = &self.recorder {
                let by = self.current_id();
                // A yield and an answer are told by what comes next, and by what came before.
                if by != 0 && by != task.id {
                    recorder.wake(task.id, by);
                }
            }
            if self.ready.push(task) {
                self.watch.is_ready();
            }
        }
    }

    #[cold]
    fn cancel(&self, task: &TaskRef) {
        // What its destructors ask for is its own. One that is polled may drop another: a loop that ends does.
        let before = self.current.replace(Some(task.pointer()));
        task.cancel();
        self.current.set(before);
        self.finish(task);
    }

    fn finish(&self, task: &TaskRef) {
        self.live.remove(task);
        task.settle();
        if task.state().has_extra() || self.hooks.terminate.is_some() {
            self.finish_with_more(task);
        }
    }

    #[cold]
    fn finish_with_more(&self, task: &TaskRef) {
        #[cfg(feature = "tracing")]
        self.end_span(task);
        let hook = self.hooks.terminate.as_ref().filter(|_| !self.is_the_loops(task));
        let meta = hook.map(|hook| (hook, self.meta(task)));
        // A panic that is its result may be told of later, and then by the task's name.
        if !task.state().has_handle() {
            self.forget_extra(task);
        }
        if let Some((hook, meta)) = meta {
            let told = catch_unwind(AssertUnwindSafe(|| hook(&meta)));
            if let Err(panic) = told {
                // The end of a loop goes on whatever a hook does, and a second panic would end the process.
                match self.closed.get() || std::thread::panicking() {
                    true => drop_unheard(panic),
                    false => resume_unwind(panic),
                }
            }
        }
    }

    fn forget_extra(&self, task: &TaskRef) {
        let extra = self.extras.borrow_mut().remove(&task.id);
        drop(extra);
    }

    /// Drops every future. Those that spawn while they are dropped are dropped, too.
    pub(crate) fn abort_all(&self) {
        self.closed.set(true);
        while let Some(task) = self.live.first() {
            self.cancel(&task);
        }
        self.ready.clear();
    }

    // Numbers.

    /// Nothing is timed: the time is not the machine's.
    pub(crate) fn times_nothing(&self) {
        self.watch.stand_still();
    }

    pub(crate) fn poll_time(&self) -> Histogram {
        *self.watch.poll_time.borrow()
    }

    pub(crate) fn wake_to_poll(&self) -> Histogram {
        *self.watch.wake_to_poll.borrow()
    }

    /// The task that is polled has panicked.
    #[cold]
    fn panicked(&self) {
        self.recorder.iter().for_each(|recorder| recorder.panic(self.current_id()));
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Debug mode, if it is on.
    pub(crate) fn debug(&self) -> Option<&Debug> {
        self.debug.as_ref()
    }
}

/// Whether somebody may want to see tasks from outside. Without the feature nobody can.
#[inline(always)]
fn is_traced() -> bool {
    #[cfg(feature = "tracing")]
    return traced::may_be_wanted();
    #[cfg(not(feature = "tracing"))]
    false
}

/// The future of a `drive`; it does not outlive the call, because what it borrows may not.
struct Root<'a> {
    executor: &'a Executor,
    task: TaskRef,
}

impl Drop for Root<'_> {
    fn drop(&mut self) {
        self.executor.root.set(0);
        if !self.task.state().is_complete() {
            self.executor.cancel(&self.task);
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.abort_all();
        #[cfg(feature = "tracing")]
        self.tell_of_wakes();
        self.inbox.release();
    }
}
