//! Tasks and their wakers, for those who look by `tracing`: by the names that console-subscriber knows.
//!
//! A task's span is made at its birth, if somebody wants it, and marks the task: its polls go the long way, and enter it. It is a
//! root, never inside of another, and closes when the future is gone. What wakers do is told with the span's id, by any thread.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{Level, Span};

use super::header::{Header, TaskRef};
use super::task::next_id;
use super::{Executor, Extra, UnheardPanic, Warning, with_current};

/// Whether anybody may want to be told of what happens at this level. One load.
#[inline]
pub(crate) fn may_be_wanted() -> bool {
    tracing::level_enabled!(Level::TRACE)
}

/// What the span of a task says, whatever its target.
macro_rules! task_span {
    ($target:literal, $kind:expr, $name:expr, $id:expr, $size:expr, $at:expr, $loop:expr) => {
        tracing::trace_span!(
            target: $target,
            parent: None,
            "runtime.spawn",
            kind = $kind,
            task.name = $name,
            task.id = $id,
            size.bytes = $size as u64,
            loc.file = $at.file(),
            loc.line = u64::from($at.line()),
            loc.col = u64::from($at.column()),
            "loop" = $loop,
        )
    };
}

/// A closure on its way to a helper, seen as a task: what is given to the one that waits for it, and the span to call it in.
///
/// The waiting itself is not shown. Its number is taken now, for the closure may begin before the task is there.
pub(crate) fn blocking(at: &'static Location<'static>, size: usize) -> Option<(Box<Extra>, Span)> {
    let number = with_current(|executor| executor.id().number())?;
    let id = next_id();
    let span = task_span!("annulus::task::blocking", "blocking", None::<&str>, id, size, at, number);
    let kept = (!span.is_disabled()).then(|| Arc::new(span.clone()));
    Some((Box::new(Extra { span: kept, id: Some(id), ..Extra::default() }), span))
}

impl Executor {
    /// A task was born. Those who want to see it are told.
    #[cold]
    pub(super) fn begin_span(&self, task: &TaskRef, extra: Option<Box<Extra>>) -> Option<Box<Extra>> {
        let is_hidden = extra.as_ref().is_some_and(|extra| extra.is_the_loops || extra.span.is_some());
        if is_hidden || !may_be_wanted() {
            return extra;
        }
        let kind = if self.root.get() == task.id { "block_on" } else { "task" };
        let name = extra.as_ref().and_then(|extra| extra.name.as_deref());
        let (size, at, number) = (task.size(), task.spawned_at, self.id().number());
        let span = task_span!("annulus::task", kind, name, task.id, size, at, number);
        let Some(id) = span.id() else { return extra };
        task.span.store(id.into_u64(), Ordering::Relaxed);
        task.state().set_timed();
        let mut extra = extra.unwrap_or_default();
        extra.span = Some(Arc::new(span));
        Some(extra)
    }

    /// The span to poll a task in.
    pub(super) fn span_of(&self, task: &TaskRef) -> Option<Arc<Span>> {
        match task.span.load(Ordering::Relaxed) {
            0 => None,
            _ => self.extras.borrow().get(&task.id).and_then(|extra| extra.span.clone()),
        }
    }

    /// The future is gone.
    pub(super) fn end_span(&self, task: &TaskRef) {
        let span = self.extras.borrow_mut().get_mut(&task.id).and_then(|extra| extra.span.take());
        // With nothing borrowed: whoever is told may do anything (I5).
        drop(span);
    }

    /// Tells what was done while something was borrowed: before those are polled who were resumed.
    #[inline]
    pub(crate) fn tell_of_wakes(&self) {
        if !self.woken.borrow().is_empty() {
            self.tell_of_each();
        }
    }

    #[cold]
    fn tell_of_each(&self) {
        let woken = std::mem::take(&mut *self.woken.borrow_mut());
        woken.into_iter().for_each(|(span, what)| say(span, what));
    }
}

pub(super) const CLONE: &str = "waker.clone";
pub(super) const DROP: &str = "waker.drop";
/// It takes the waker with it, so there is no drop besides.
pub(super) const WAKE: &str = "waker.wake";
pub(super) const BY_REF: &str = "waker.wake_by_ref";

/// Something is done to a waker of the task, or as if to one.
#[inline]
pub(super) fn tell(task: &Header, what: &'static str) {
    let span = task.span.load(Ordering::Relaxed);
    if span != 0 {
        say(span, what);
    }
}

#[cold]
fn say(span: u64, what: &'static str) {
    tracing::trace!(target: "runtime::waker", op = what, task.id = span);
}

/// As `tell`, where something may be borrowed: it is told later.
#[inline]
pub(super) fn note(task: &Header, what: &'static str) {
    let span = task.span.load(Ordering::Relaxed);
    if span != 0 {
        note_that(span, what);
    }
}

#[cold]
fn note_that(span: u64, what: &'static str) {
    if with_current(|executor| executor.woken.borrow_mut().push((span, what))).is_none() {
        say(span, what);
    }
}

/// What debug mode has found, for those who read the program's log.
pub(super) fn warn(warning: &Warning) {
    tracing::warn!(target: "annulus", "{warning}");
}

/// A panic that nobody waits for.
pub(super) fn error(panic: &UnheardPanic) {
    let (id, name) = (panic.task.id.0, panic.task.name.as_deref());
    tracing::error!(target: "annulus", { task.id = id, task.name = name }, "{panic}");
}
