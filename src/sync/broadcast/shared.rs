//! What all ends of a channel share: the newest messages, and for each how many receivers have not had it yet.
//!
//! A message lies in an `Rc`, so that it is cloned while nothing is borrowed (I5); the last receiver takes it out. The `Rc` stays in
//! its place for the next message: a steady coming and going allocates nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::error::{RecvError, TryRecvError};
use crate::engine::{give_way, has_turn};
use crate::sync::ends::Ends;
use crate::sync::waiters::Place;

pub(super) struct Shared<T> {
    ring: RefCell<Ring<T>>,
    capacity: usize,
    /// Receivers wait for a message.
    pub(super) ends: Ends,
}

struct Ring<T> {
    /// As many as were needed, up to the capacity. A message's place is its number modulo the capacity.
    slots: Vec<Slot<T>>,
    /// How many were sent: the number of the next one.
    sent: u64,
}

struct Slot<T> {
    /// None when all have had it.
    message: Rc<Option<T>>,
    /// How many are still to have it.
    left: usize,
}

impl<T> Slot<T> {
    /// One less is to have it. Out comes what the last of them takes, or what it is to clone: somebody else is just cloning it.
    fn had(&mut self) -> Option<Result<T, Rc<Option<T>>>> {
        self.left -= 1;
        if self.left > 0 {
            return None;
        }
        match Rc::get_mut(&mut self.message) {
            Some(message) => message.take().map(Ok),
            None => Some(Err(std::mem::replace(&mut self.message, Rc::new(None)))),
        }
    }
}

impl<T> Shared<T> {
    /// With one sender and no receiver.
    pub(super) fn new(capacity: usize) -> Shared<T> {
        Shared { ring: RefCell::new(Ring { slots: Vec::new(), sent: 0 }), capacity, ends: Ends::new() }
    }

    /// Where the message of that number lies.
    #[inline]
    fn slot(&self, number: u64) -> usize {
        (number % self.capacity as u64) as usize
    }

    /// The number of the oldest message that is kept.
    #[inline]
    fn oldest(&self, ring: &Ring<T>) -> u64 {
        ring.sent.saturating_sub(self.capacity as u64)
    }

    // Senders.

    /// Says how many are to have the message; gives it back if nobody is.
    pub(super) fn send(&self, message: T) -> Result<usize, T> {
        let receivers = self.ends.receivers();
        if receivers == 0 {
            return Err(message);
        }
        // What is overwritten is dropped at the end, when nothing is borrowed.
        let _overwritten = self.put(message, receivers);
        self.ends.waiting.call_all(());
        Ok(receivers)
    }

    fn put(&self, message: T, left: usize) -> (Option<T>, Option<Rc<Option<T>>>) {
        let mut ring = self.ring.borrow_mut();
        let place = self.slot(ring.sent);
        ring.sent += 1;
        let Some(slot) = ring.slots.get_mut(place) else {
            ring.slots.push(Slot { message: Rc::new(Some(message)), left });
            return (None, None);
        };
        slot.left = left;
        match Rc::get_mut(&mut slot.message) {
            Some(place) => (place.replace(message), None),
            // Somebody is just cloning it.
            None => (None, Some(std::mem::replace(&mut slot.message, Rc::new(Some(message))))),
        }
    }

    /// How many messages somebody is still to have.
    pub(super) fn len(&self) -> usize {
        self.ring.borrow().slots.iter().filter(|slot| slot.left > 0).count()
    }

    // Receivers.

    /// One more is to have what is sent from now on: the number of the first of them.
    pub(super) fn add_receiver(&self) -> u64 {
        self.ends.add_receiver();
        self.ring.borrow().sent
    }

    /// One who was to have `next` and those after it is gone.
    pub(super) fn remove_receiver(&self, mut next: u64) {
        self.ends.remove_receiver();
        let end = self.ring.borrow().sent;
        loop {
            let mut ring = self.ring.borrow_mut();
            // Dropping one may have run anything.
            next = next.max(self.oldest(&ring));
            if next >= end {
                break;
            }
            let place = self.slot(next);
            let gone = ring.slots[place].had();
            next += 1;
            drop(ring);
            drop(gone);
        }
        self.ends.tell_if_nobody_receives();
    }

    /// How many were sent from `next` on.
    pub(super) fn behind(&self, next: u64) -> u64 {
        self.ring.borrow().sent - next
    }

    fn has_news(&self, next: u64) -> bool {
        self.behind(next) > 0 || self.ends.senders() == 0
    }

    pub(super) fn poll_recv(
        &self,
        next: &mut u64,
        mine: &mut Option<Place>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, RecvError>>
    where
        T: Clone,
    {
        if let Some(place) = *mine {
            ready!(self.ends.waiting.poll_called(place, mine, cx));
        } else if !self.has_news(*next) {
            return self.ends.waiting.join((), mine, cx, || !self.has_news(*next));
        } else if !has_turn() {
            return give_way(cx);
        }
        Poll::Ready(self.take(next).map_err(|why| match why {
            TryRecvError::Lagged(missed) => RecvError::Lagged(missed),
            TryRecvError::Closed | TryRecvError::Empty => RecvError::Closed,
        }))
    }

    pub(super) fn forget_waiting(&self, place: Place) {
        drop(self.ends.waiting.leave(place));
    }

    /// The message of that number, or the one after those that were lost.
    pub(super) fn take(&self, next: &mut u64) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        let mut ring = self.ring.borrow_mut();
        if *next == ring.sent {
            return Err(match self.ends.senders() {
                0 => TryRecvError::Closed,
                _ => TryRecvError::Empty,
            });
        }
        let oldest = self.oldest(&ring);
        if *next < oldest {
            let missed = oldest - *next;
            *next = oldest;
            return Err(TryRecvError::Lagged(missed));
        }
        let slot = &mut ring.slots[self.slot(*next)];
        *next += 1;
        let message = match slot.had() {
            Some(Ok(message)) => return Ok(message),
            Some(Err(message)) => message,
            None => Rc::clone(&slot.message),
        };
        drop(ring);
        // Cloning may run anything.
        Ok((*message).clone().expect("there until the last has had it"))
    }
}
