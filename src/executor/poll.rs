//! Polling a task, and what is noted of it.
//!
//! Nearly all polls only count. One in some hundreds is timed, and each one of a task that has a budget of time or of a
//! loop whose polls somebody wants to be told of.
#![allow(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::header::TaskRef;
use super::hooks::TaskHook;
use super::{Executor, state};
use crate::sys::stack::Note;

impl Executor {
    /// Polls the task that has waited longest, of those that are not of the background. False when none is ready.
    #[inline]
    pub(crate) fn poll_next(&self) -> bool {
        match self.ready.pop() {
            None => false,
            Some((task, is_watched)) => {
                self.poll(&task, is_watched);
                true
            }
        }
    }

    /// Whether a task of the background may be ready.
    #[inline]
    pub(crate) fn has_background(&self) -> bool {
        self.ready.has_background()
    }

    /// Polls a task of the background, if it is its turn: called once a turn, after the others had theirs, if there were
    /// others.
    #[inline]
    pub(crate) fn poll_background(&self, others: bool) {
        if let Some((task, is_watched)) = self.ready.pop_background(others) {
            self.poll(&task, is_watched);
        }
    }

    #[inline(always)]
    fn poll(&self, task: &TaskRef, is_watched: bool) {
        if is_watched {
            return self.poll_watched(task);
        }
        match task.state().start() {
            state::Start::Poll => {
                let finished = self.poll_as_current(task);
                self.polled(task, finished);
            }
            rare => self.poll_rarely(task, rare),
        }
    }

    #[inline(never)]
    fn poll_rarely(&self, task: &TaskRef, start: state::Start) {
        match start {
            state::Start::Poll => unreachable!("that is not rare"),
            state::Start::PollTimed => self.poll_timed(task),
            state::Start::Cancel => {
                self.unpolled.set(self.unpolled.get() + 1);
                self.cancel(task);
            }
            state::Start::Nothing => self.unpolled.set(self.unpolled.get() + 1),
        }
    }

    #[inline]
    fn poll_as_current(&self, task: &TaskRef) -> bool {
        task.polls.set(task.polls.get() + 1);
        self.current.set(Some(task.pointer()));
        if let Some(recorder) = &self.recorder {
            recorder.poll(task.id, task.spawned_at);
        }
        let finished = task.poll();
        self.current.set(None);
        finished
    }

    /// Those who look from outside see the poll.
    #[cfg(feature = "tracing")]
    fn poll_in_span(&self, task: &TaskRef) -> bool {
        let span = self.span_of(task);
        let _inside = span.as_ref().map(|span| span.enter());
        self.poll_as_current(task)
    }

    #[cfg(not(feature = "tracing"))]
    #[inline]
    fn poll_in_span(&self, task: &TaskRef) -> bool {
        self.poll_as_current(task)
    }

    #[inline]
    fn polled(&self, task: &TaskRef, finished: bool) {
        match task.state().stop(finished) {
            state::Stop::Waiting => {}
            state::Stop::Finished => self.finish(task),
            state::Stop::Aborted => self.cancel(task),
        }
    }

    /// One of many.
    #[cold]
    fn poll_watched(&self, task: &TaskRef) {
        let begun = self.watch.now();
        // For loops that are never asleep.
        self.time.set(self.time.get().max(begun));
        self.watch.is_polled(begun);
        self.ready.watch(self.watch.next());
        match task.state().start() {
            state::Start::Poll => {
                let finished = self.poll_as_current(task);
                let took = self.watch.now() - begun;
                self.watch.poll_time.borrow_mut().note(took);
                // It stands for those that are not timed.
                task.busy.set(task.busy.get() + took * self.watch.weight());
                self.polled(task, finished);
            }
            rare => self.poll_rarely(task, rare),
        }
    }

    /// One that is timed each time.
    #[inline(never)]
    fn poll_timed(&self, task: &TaskRef) {
        let before = self.tell_hook(&self.hooks.before_poll, task);
        let begun = self.watch.now();
        self.debug.iter().for_each(|debug| debug.poll_begins(self.meta(task)));
        let finished = self.poll_in_span(task);
        self.debug.iter().for_each(|debug| debug.poll_ends());
        let took = self.watch.now() - begun;
        self.watch.poll_time.borrow_mut().note(took);
        task.busy.set(task.busy.get() + took);
        let after = self.tell_hook(&self.hooks.after_poll, task);
        if !finished && self.is_over_budget(task) {
            task.abort();
        }
        self.polled(task, finished);
        if let Some(panic) = before.or(after) {
            resume_unwind(panic);
        }
    }

    /// Calls a hook. Its panic, if there was one, is for whoever runs the loop, once the task is where it belongs.
    fn tell_hook(&self, hook: &TaskHook, task: &TaskRef) -> Option<Box<dyn Any + Send>> {
        let hook = hook.as_ref().filter(|_| !self.is_the_loops(task))?;
        catch_unwind(AssertUnwindSafe(|| hook(&self.meta(task)))).err()
    }

    fn is_over_budget(&self, task: &TaskRef) -> bool {
        let extras = self.extras.borrow();
        let budget = extras.get(&task.id).and_then(|extra| extra.time_budget);
        budget.is_some_and(|budget| u128::from(task.busy.get()) > budget.as_nanos())
    }

    pub(super) fn current_task(&self) -> Option<TaskRef> {
        // SAFETY: set only while the task is polled or dropped, by whoever has a reference to it.
        self.current.get().map(|task| unsafe { TaskRef::share(task) })
    }

    /// How many polls there were.
    #[inline]
    pub(crate) fn polls(&self) -> u64 {
        self.ready.popped() - self.unpolled.get()
    }

    /// The number of the task that is polled now; 0 if none is.
    #[inline]
    pub(crate) fn current_id(&self) -> u64 {
        // SAFETY: as above.
        self.current.get().map_or(0, |task| unsafe { task.as_ref() }.id)
    }

    /// Whose poll goes on.
    pub(super) fn note(&self) -> Note {
        // SAFETY: as above. Whoever took the task from the queue has a reference to it until after the pointer is taken away.
        let task = self.current.get().map(|task| unsafe { task.as_ref() });
        Note {
            task: task.map_or(0, |task| task.id),
            spawned_at: task.map(|task| task.spawned_at),
            polls: self.polls(),
        }
    }
}
