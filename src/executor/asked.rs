//! Asking a loop's thread what it is in the middle of, from another thread, when it cannot be asked otherwise.
//!
//! Nothing is kept for it: the thread looks when it is asked, in a signal handler, at what it has at hand anyway.

use std::time::Duration;

use super::hooks::Meta;
use super::task::Id;
use super::warning::SlowPoll;
use super::{Executor, with_current};
use crate::sys::stack::{self, Calls, Note, Thread};

/// What a thread is in the middle of.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The task that it polls. Its name is known to its loop alone.
    pub(crate) task: Option<Meta>,
    /// Tells one poll from the next.
    pub(crate) poll: u64,
    calls: Calls,
}

/// From now on threads can be asked.
pub(crate) fn prepare_to_ask() {
    stack::prepare(note);
}

/// Reads, and does nothing else: it is called in a signal handler, in the middle of whatever the thread does.
pub(super) fn note() -> Note {
    with_current(Executor::note).unwrap_or_default()
}

impl Asked {
    /// None where threads cannot be asked (this is Linux's, with the feature `backtrace`), or if this one does not answer in time: it takes
    /// up to 200 ms.
    pub(crate) fn of(thread: Thread) -> Option<Asked> {
        let (calls, Note { task, spawned_at, polls }) = stack::of(thread)?;
        let task =
            spawned_at.filter(|_| task > 0).map(|spawned_at| Meta { id: Id(task), name: None, spawned_at });
        Some(Asked { task, poll: polls, calls })
    }

    /// Its poll has taken so long.
    pub(crate) fn slow_poll(&self, time: Duration, untold: u64) -> Option<SlowPoll> {
        let task = self.task.clone()?;
        Some(SlowPoll { task, time, is_over: false, frames: self.frames(), untold })
    }

    /// The calls, the innermost first. The first time this takes up to a second.
    pub(crate) fn frames(&self) -> Vec<stack::Frame> {
        stack::named(&self.calls)
    }
}
