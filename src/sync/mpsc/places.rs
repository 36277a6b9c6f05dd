//! The places of a channel with a bound: whoever sends takes one first, first come first served.
//!
//! While anybody waits no place is free: one that is given back is theirs. So nobody overtakes them, and a place that was
//! given to a future that is then dropped goes on to the next.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll};

use crate::engine::{give_way, has_turn};
use crate::executor::{Waiter, wake_foreign};
use crate::sync::waiters::{Place, Waiters};

pub(super) struct Places {
    free: Cell<usize>,
    bound: usize,
    closed: Cell<bool>,
    waiting: RefCell<Waiters<Call>>,
}

/// What one who waits for a place is called for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    /// The place is theirs.
    Granted,
    /// There will be none.
    Closed,
}

/// No place will be had any more.
#[derive(Debug)]
pub(super) struct NoPlace;

impl Places {
    pub(super) fn new(bound: usize) -> Places {
        Places { free: Cell::new(bound), bound, closed: Cell::new(false), waiting: RefCell::default() }
    }

    #[inline]
    pub(super) fn free(&self) -> usize {
        self.free.get()
    }

    #[inline]
    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether every place is free: no message is there, and nobody may send one.
    #[inline]
    pub(super) fn is_unused(&self) -> bool {
        self.free.get() == self.bound
    }

    /// Takes a place that is free. The channel is open.
    #[inline]
    pub(super) fn try_take(&self) -> bool {
        let free = self.free.get();
        if free > 0 {
            self.free.set(free - 1);
        }
        free > 0
    }

    /// Waits for a place, which is then the caller's.
    #[inline]
    pub(super) fn poll_take(
        &self,
        mine: &mut Option<Place>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NoPlace>> {
        if let Some(place) = *mine {
            return self.poll_called(place, mine, cx);
        }
        if self.is_closed() {
            return Poll::Ready(Err(NoPlace));
        }
        let free = self.free();
        if free == 0 {
            return self.poll_queue(mine, cx);
        }
        if !has_turn() {
            return give_way(cx);
        }
        self.free.set(free - 1);
        Poll::Ready(Ok(()))
    }

    fn poll_queue(&self, mine: &mut Option<Place>, cx: &mut Context<'_>) -> Poll<Result<(), NoPlace>> {
        let waiter = Waiter::of(cx.waker());
        // Cloning somebody else's waker may have run anything.
        if !waiter.is_own() && (self.is_closed() || self.free() > 0) {
            return give_way(cx);
        }
        *mine = Some(self.waiting.borrow_mut().push(Some(waiter)));
        Poll::Pending
    }

    fn poll_called(
        &self,
        place: Place,
        mine: &mut Option<Place>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NoPlace>> {
        let mut called = self.waiting.borrow().called(place);
        if called.is_none() {
            let waiter = Waiter::of(cx.waker());
            let (now, before) = self.waiting.borrow_mut().renew(place, waiter);
            drop(before);
            called = now;
        }
        let Some(call) = called else { return Poll::Pending };
        if !has_turn() {
            return give_way(cx);
        }
        *mine = None;
        // Called, so that there is no waiter to be dropped.
        self.waiting.borrow_mut().leave(place);
        Poll::Ready(match call {
            Call::Granted => Ok(()),
            Call::Closed => Err(NoPlace),
        })
    }

    /// Leaves the queue. True if a place was given before: it is to be given back.
    #[must_use]
    pub(super) fn leave(&self, place: Place) -> bool {
        let (called, waiter) = self.waiting.borrow_mut().leave(place);
        drop(waiter);
        called == Some(Call::Granted)
    }

    /// A place is free again, or the next one's.
    #[inline]
    pub(super) fn give_back(&self) {
        let free = self.free.get();
        // As long as a place is free, nobody waits for one.
        if free > 0 {
            self.free.set(free + 1);
            return;
        }
        self.give_on();
    }

    fn give_on(&self) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.free.set(1);
            return;
        }
        let waiter = waiting.call_first(Call::Granted);
        drop(waiting);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Nobody gets a place any more; those who have one keep it.
    pub(super) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let mut foreign = Vec::new();
        self.waiting.borrow_mut().call_all(Call::Closed, |waiter| foreign.extend(waiter.resume_own()));
        foreign.into_iter().for_each(wake_foreign);
    }
}
