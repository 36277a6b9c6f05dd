//! The state of a task: one byte that only its own thread touches.
//!
//! ```text
//!            spawn                poll_next                 Ready, panic
//! (nothing) -------> SCHEDULED ------------> RUNNING ------------------------> COMPLETE | OUTPUT
//!                        ^                      |  Pending                        |
//!                        +------ wake ----------+                     join, or the handle dropped
//!                                                                                 v
//!                                                                              COMPLETE
//! ```
//!
//! | bit | set | cleared | who cares |
//! |---|---|---|---|
//! | SCHEDULED | a wake, unless complete | taken from the ready queue | wakes: a task is linked once |
//! | RUNNING | before its poll | after it | abort: a running future is not dropped under its own feet |
//! | ABORTED | `abort()`, unless complete | never | the next poll, which drops the future instead |
//! | COMPLETE | the future is gone | never | everybody: nothing wakes or polls it again |
//! | OUTPUT | a result is stored | it is taken or dropped | the join handle |
//! | HANDLE | made | the join handle is dropped | completion: is the result wanted? |
//! | TIMED | made | never | each poll, which is then timed |
//! | EXTRA | made | never | its end, and those who look: something of it is kept aside |

use super::facts::State as Seen;
use crate::sys::sync::Cell;

const SCHEDULED: u8 = 1;
const RUNNING: u8 = 1 << 1;
const ABORTED: u8 = 1 << 2;
const COMPLETE: u8 = 1 << 3;
const OUTPUT: u8 = 1 << 4;
const HANDLE: u8 = 1 << 5;
const TIMED: u8 = 1 << 6;
const EXTRA: u8 = 1 << 7;

/// See the table at the top of this file.
pub(super) struct State(Cell<u8>);

/// What to do with a task that was taken from the ready queue.
#[must_use]
pub(super) enum Start {
    Poll,
    PollTimed,
    Cancel,
    Nothing,
}

/// What to do with a task that was polled.
#[must_use]
pub(super) enum Stop {
    Waiting,
    Finished,
    Aborted,
}

impl State {
    pub(super) fn new() -> State {
        State(Cell::new(HANDLE))
    }

    #[inline]
    fn has(&self, bits: u8) -> bool {
        self.0.get() & bits != 0
    }

    #[inline]
    fn set(&self, bits: u8) {
        self.0.set(self.0.get() | bits);
    }

    #[inline]
    fn clear(&self, bits: u8) {
        self.0.set(self.0.get() & !bits);
    }

    /// True when the task is to be linked into the ready queue.
    #[inline]
    pub(super) fn schedule(&self) -> bool {
        let link = !self.has(SCHEDULED | COMPLETE);
        if link {
            self.set(SCHEDULED);
        }
        link
    }

    #[inline]
    pub(super) fn start(&self) -> Start {
        let state = self.0.get() & !SCHEDULED;
        // One look for all that is rare.
        if state & (COMPLETE | ABORTED | TIMED) == 0 {
            self.0.set(state | RUNNING);
            return Start::Poll;
        }
        self.start_rarely(state)
    }

    #[cold]
    fn start_rarely(&self, state: u8) -> Start {
        self.0.set(state);
        if state & COMPLETE != 0 {
            return Start::Nothing;
        }
        if state & ABORTED != 0 {
            return Start::Cancel;
        }
        self.set(RUNNING);
        Start::PollTimed
    }

    #[inline]
    pub(super) fn stop(&self, finished: bool) -> Stop {
        self.clear(RUNNING);
        match finished {
            true => Stop::Finished,
            false if self.has(ABORTED) => Stop::Aborted,
            false => Stop::Waiting,
        }
    }

    /// True when the task is to be scheduled, so that it sees the abort.
    pub(super) fn abort(&self) -> bool {
        if self.is_complete() {
            return false;
        }
        self.set(ABORTED);
        !self.has(RUNNING)
    }

    /// The future is gone and its result stored. True when nobody wants the result.
    pub(super) fn complete(&self) -> bool {
        self.set(COMPLETE | OUTPUT);
        !self.has(HANDLE)
    }

    /// Each poll is timed.
    pub(super) fn set_timed(&self) {
        self.set(TIMED);
    }

    /// Something of the task is kept aside.
    pub(super) fn set_extra(&self) {
        self.set(EXTRA);
    }

    pub(super) fn has_extra(&self) -> bool {
        self.has(EXTRA)
    }

    pub(super) fn is_timed(&self) -> bool {
        self.has(TIMED)
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.has(ABORTED)
    }

    pub(super) fn has_handle(&self) -> bool {
        self.has(HANDLE)
    }

    /// What those see who look at a task that has not finished.
    pub(super) fn seen(&self) -> Seen {
        match self.0.get() {
            state if state & RUNNING != 0 => Seen::Running,
            // Aborted: it may still be in the inbox, but its turn comes.
            state if state & (SCHEDULED | ABORTED) != 0 => Seen::Ready,
            _ => Seen::Waiting,
        }
    }

    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.has(COMPLETE)
    }

    /// True when there is a result to take, which the caller then owns.
    pub(super) fn take_output(&self) -> bool {
        let stored = self.has(OUTPUT);
        self.clear(OUTPUT);
        stored
    }

    pub(super) fn drop_handle(&self) {
        self.clear(HANDLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_linked_once_however_often_it_is_woken() {
        let state = State::new();
        assert!(state.schedule());
        assert!(!state.schedule());
        assert!(matches!(state.start(), Start::Poll));
        assert!(state.schedule(), "a wake during the poll counts");
        assert!(matches!(state.stop(false), Stop::Waiting));
    }

    #[test]
    fn an_abort_during_the_poll_is_seen_after_it() {
        let state = State::new();
        assert!(state.schedule());
        assert!(matches!(state.start(), Start::Poll));
        assert!(!state.abort(), "a running task is not scheduled to be dropped");
        assert!(matches!(state.stop(false), Stop::Aborted));
    }

    #[test]
    fn nothing_touches_a_complete_task() {
        let state = State::new();
        assert!(!state.complete(), "the handle wants the result");
        assert!(!state.schedule());
        assert!(!state.abort());
        assert!(state.take_output());
        assert!(!state.take_output());
    }
}
