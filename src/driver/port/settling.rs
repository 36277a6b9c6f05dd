//! Waiting until operations that nobody owns have retired. Whoever waits looks again whenever some have: what a
//! batch retires is retired before any of them is polled.

use std::task::{Poll, Waker};

use super::Port;
use crate::driver::slots::Token;
use crate::executor::Waiter;

impl Port {
    /// What these tasks have left behind, and is not answered.
    pub(crate) fn orphans_of(&self, tasks: &[u64]) -> Vec<Token> {
        self.pair.borrow().slots.orphans_of(tasks)
    }

    /// Ready when none of these is in flight; those that are not are taken out.
    pub(crate) fn poll_settled(&self, orphans: &mut Vec<Token>, waker: &Waker) -> Poll<()> {
        {
            let pair = self.pair.borrow();
            orphans.retain(|orphan| pair.slots.is_in_flight(*orphan));
        }
        if orphans.is_empty() || self.has_ended() {
            return Poll::Ready(());
        }
        let is_known = self.settling.borrow().iter().any(|waiter| waiter.is(waker));
        if !is_known {
            let waiter = Waiter::of(waker);
            self.settling.borrow_mut().push(waiter);
        }
        Poll::Pending
    }

    /// Some orphans may have retired.
    pub(super) fn tell_those_who_settle(&self) {
        let waiters = std::mem::take(&mut *self.settling.borrow_mut());
        waiters.into_iter().for_each(Waiter::wake);
    }
}
