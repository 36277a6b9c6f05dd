//! Permits that are taken by the number, first come first served: what a semaphore and a reader-writer lock count by.
//!
//! While anybody waits no permit is free: what comes is held back for the first in line until it is as many as they
//! wait for. So nobody overtakes, and one who wants many is not starved by those who want few.

use std::cell::Cell;
use std::task::{Context, Poll, ready};

use super::line::Line;
use super::waiters::Place;
use crate::engine::{give_way, has_turn};

pub(super) struct Permits {
    free: Cell<usize>,
    /// For the first in line, who waits for more. Zero when nobody waits.
    held_back: Cell<usize>,
    closed: Cell<bool>,
    line: Line<Call, usize>,
}

/// What one who waits is called for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    /// The permits are theirs.
    Granted,
    /// There will be none.
    Closed,
}

/// Why there are no permits now.
pub(super) enum NoPermits {
    Closed,
    TooFew,
}

impl Permits {
    pub(super) const MAX: usize = usize::MAX >> 3;

    pub(super) fn new(free: usize) -> Permits {
        Permits {
            free: Cell::new(free),
            held_back: Cell::new(0),
            closed: Cell::new(false),
            line: Line::default(),
        }
    }

    #[inline]
    pub(super) fn free(&self) -> usize {
        self.free.get()
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    #[inline]
    pub(super) fn try_take(&self, count: usize) -> Result<(), NoPermits> {
        if self.is_closed() {
            return Err(NoPermits::Closed);
        }
        let left = self.free().checked_sub(count).ok_or(NoPermits::TooFew)?;
        self.free.set(left);
        Ok(())
    }

    /// Waits for so many permits, which are then the caller's.
    #[inline]
    pub(super) fn poll_take(
        &self,
        count: usize,
        mine: &mut Option<Place>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NoPermits>> {
        if let Some(place) = *mine {
            let call = ready!(self.line.poll_called(place, mine, cx));
            return Poll::Ready(match call {
                Call::Granted => Ok(()),
                Call::Closed => Err(NoPermits::Closed),
            });
        }
        if !self.is_closed() && self.free() < count {
            return self.poll_line(count, mine, cx);
        }
        if !has_turn() {
            return give_way(cx);
        }
        Poll::Ready(self.try_take(count))
    }

    fn poll_line(
        &self,
        count: usize,
        mine: &mut Option<Place>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NoPermits>> {
        let joined = self.line.join(count, mine, cx, || !self.is_closed() && self.free() < count);
        if mine.is_some() {
            self.held_back.set(self.held_back.get() + self.free.take());
        }
        joined
    }

    /// Leaves the line. What it was given for nothing, or held up, goes to the next.
    pub(super) fn leave(&self, place: Place, count: usize) {
        let (called, _waiter) = self.line.leave(place);
        match called {
            Some(Call::Granted) => self.give(count),
            Some(Call::Closed) => {}
            None => self.settle(),
        }
    }

    /// So many permits more: given back, or new.
    #[inline]
    pub(super) fn give(&self, count: usize) {
        match self.line.is_empty() {
            true => self.free.set(self.free() + count),
            false => {
                self.held_back.set(self.held_back.get() + count);
                self.settle();
            }
        }
    }

    /// Whether so many more can be counted.
    pub(super) fn has_room_for(&self, count: usize) -> bool {
        count <= Permits::MAX && self.free() + self.held_back.get() + count <= Permits::MAX
    }

    /// Takes so many out of those that are free, and says how many there were.
    pub(super) fn take_away(&self, count: usize) -> usize {
        let gone = count.min(self.free());
        self.free.set(self.free() - gone);
        gone
    }

    /// Gives what was held back to those in front for whom it is enough.
    #[inline(never)]
    fn settle(&self) {
        self.line.call_while(|first| match first {
            Some(count) => {
                let left = self.held_back.get().checked_sub(count)?;
                self.held_back.set(left);
                Some(Call::Granted)
            }
            None => {
                self.free.set(self.free() + self.held_back.take());
                None
            }
        });
    }

    /// Nobody gets permits any more; those who have some keep them.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.free.set(self.free() + self.held_back.take());
        self.line.call_all(Call::Closed);
    }
}
