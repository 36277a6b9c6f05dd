//! A ring inside of a loop that waits for descriptors: what that one waits for, and what is left to do before it may.
//!
//! The ring's own descriptor will not do. Where completions are delivered when they are asked for (DEFER_TASKRUN) it is readable to
//! who looks, but poll(2) and epoll(7) that wait already are not woken: so it is on 6.18, where a wait of 700 ms took them all,
//! and on 6.1 it is not. A counter that is registered with the ring is told on all of them.
//!
//! Before 5.18 the kernel waits until nothing is in flight before it registers a counter: with a read that waits, for ever (seen on 5.10).
//! Rings of such kernels know no DEFER_TASKRUN, so there their own descriptor will do, in one epoll set with the counter.
//!
//! On 6.12 the counter misses some (seen: of connections that come one after the other, all but the first). There both are in the
//! set, which misses fewer. Two features tell which kernel it is: nothing else does.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::Ring;
use crate::driver::doorbell::EventBell;
use crate::executor::Doorbell;
use crate::sys;

impl Ring {
    /// The counter that is told when there is something to reap. None where devices have to be asked: they tell nobody.
    pub(crate) fn announces_by(&mut self) -> io::Result<Option<i32>> {
        if self.polled.is_some() {
            return Ok(None);
        }
        if self.bell.outer().is_none() {
            let counter = EventBell::new()?;
            let got = self.queues.ring().params();
            let misses = got.is_feature_min_timeout() && !got.is_feature_no_iowait();
            // Before the counter is registered: should there be no descriptor left, it can be asked for again.
            if misses || !self.given.submit_all {
                self.outer_set = Some(set_of(&[counter.number(), self.queues.ring().as_raw_fd()])?);
            }
            // As old as the flag.
            if self.given.submit_all {
                self.queues.ring().submitter().register_eventfd(counter.number())?;
            }
            // Nobody has told it what came before.
            counter.ring();
            self.bell.set_outer(counter);
        }
        let set = self.outer_set.as_ref().map(AsRawFd::as_raw_fd);
        Ok(set.or(self.bell.outer().map(EventBell::number)))
    }

    /// Who waits from now on: a loop around this one, or the ring.
    pub(crate) fn set_outside(&self, is_outside: bool) {
        self.bell.set_outside(is_outside);
    }

    /// False if there is something to hand over or to reap; if not, the counter will tell.
    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        // First emptied, then looked: what comes in between is told again.
        self.bell.outer().iter().for_each(|counter| sys::event::take(counter.number()));
        Ok(self.has_nothing())
    }

    /// Whether the loop may wait without a call, and what comes meanwhile is seen: not while devices have to be asked.
    pub(crate) fn rests(&mut self) -> bool {
        self.has_nothing() && !self.has_to_ask()
    }

    /// Nothing is to be handed over or to be reaped, not even what the kernel holds back until it is entered.
    fn has_nothing(&mut self) -> bool {
        let held_back = self.queues.holds_back() || self.queues.has_overflowed();
        !held_back && self.queued() == 0 && !self.has_answers()
    }
}

/// A descriptor that is readable while one of these is.
fn set_of(numbers: &[i32]) -> io::Result<OwnedFd> {
    // The call has just opened it for us.
    let set = sys::owned(sys::checked(sys::epoll::create())? as i32);
    for number in numbers {
        sys::checked(sys::epoll::add(set.as_raw_fd(), *number, libc::EPOLLIN, 0))?;
    }
    Ok(set)
}
