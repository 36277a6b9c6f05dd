//! A waiting list as futures use it: they join it, are called, or leave.
//!
//! Wakers are cloned, woken and dropped while nothing is borrowed (I5): somebody else's may use what they wait for. So what
//! was found before a waker was cloned is asked again after it.

use std::cell::RefCell;
use std::task::{Context, Poll};

use super::waiters::{Place, Waiters};
use crate::engine::{give_way, has_turn, poll_turn};
use crate::executor::{Waiter, wake_foreign};

/// `C` is what one can be called for, `W` what one waits for.
pub(super) struct Line<C, W = ()> {
    waiting: RefCell<Waiters<C, W>>,
}

impl<C, W> Default for Line<C, W> {
    fn default() -> Line<C, W> {
        Line { waiting: RefCell::default() }
    }
}

impl<C: Copy, W: Copy> Line<C, W> {
    /// Whether nobody waits to be called.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Joins the end, if there is still a reason to wait once the waker is cloned; if not, the caller is polled again. It
    /// is never ready.
    #[inline]
    pub(super) fn join<T>(
        &self,
        wish: W,
        mine: &mut Option<Place>,
        cx: &mut Context<'_>,
        is_to_wait: impl FnOnce() -> bool,
    ) -> Poll<T> {
        let waiter = Waiter::of(cx.waker());
        if !waiter.is_own() && !is_to_wait() {
            return give_way(cx);
        }
        *mine = Some(self.waiting.borrow_mut().push_for(wish, Some(waiter)));
        Poll::Pending
    }

    /// Waits to be called, and gives the place back then.
    #[inline]
    pub(super) fn poll_called(
        &self,
        place: Place,
        mine: &mut Option<Place>,
        cx: &mut Context<'_>,
    ) -> Poll<C> {
        let mut waiting = self.waiting.borrow_mut();
        let Some(call) = waiting.called(place) else {
            drop(waiting);
            return self.wait_on(place, cx);
        };
        if !has_turn() {
            drop(waiting);
            return give_way(cx);
        }
        let (_, none) = waiting.leave(place);
        drop(waiting);
        // Whoever was called has been woken.
        debug_assert!(none.is_none());
        *mine = None;
        Poll::Ready(call)
    }

    /// Waits until something has come: it is there already, or this is called.
    #[inline]
    pub(super) fn poll_until(
        &self,
        wish: W,
        mine: &mut Option<Place>,
        cx: &mut Context<'_>,
        has_come: impl Fn() -> bool,
    ) -> Poll<()> {
        if let Some(place) = *mine {
            return self.poll_called(place, mine, cx).map(|_| ());
        }
        if !has_come() {
            return self.join(wish, mine, cx, || !has_come());
        }
        poll_turn(cx)
    }

    /// Somebody else is to be woken now, perhaps.
    #[cold]
    fn wait_on(&self, place: Place, cx: &mut Context<'_>) -> Poll<C> {
        let waiter = Waiter::of(cx.waker());
        let (called, before) = self.waiting.borrow_mut().renew(place, waiter);
        drop(before);
        match called {
            Some(_) => give_way(cx),
            None => Poll::Pending,
        }
    }

    /// Gives the place back: what its owner was called for, and will not use, and what is to be dropped when all is
    /// settled.
    #[must_use]
    pub(super) fn leave(&self, place: Place) -> (Option<C>, Option<Waiter>) {
        self.waiting.borrow_mut().leave(place)
    }

    /// Calls the one who has waited longest.
    #[inline]
    pub(super) fn call_first(&self, call: C) {
        let waiter = self.waiting.borrow_mut().call_first(call);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Calls all who wait now.
    #[inline]
    pub(super) fn call_all(&self, call: C) {
        if !self.is_empty() {
            self.call_while(|first| first.map(|_| call));
        }
    }

    /// Calls those in front, as long as `decide` says what for. It is told what the first one waits for, or that nobody waits,
    /// while the list is borrowed.
    #[inline(never)]
    pub(super) fn call_while(&self, mut decide: impl FnMut(Option<W>) -> Option<C>) {
        let mut foreign = Vec::new();
        let mut waiting = self.waiting.borrow_mut();
        while let Some(call) = decide(waiting.first_wish()) {
            // Tasks of ours are linked at once; somebody else's waker runs their code, when nothing is borrowed.
            foreign.extend(waiting.call_first(call).and_then(Waiter::resume_own));
        }
        drop(waiting);
        foreign.into_iter().for_each(wake_foreign);
    }
}
