//! What both ends of a channel share.
//!
//! No waker is cloned, woken or dropped, and no message dropped, while anything in here is borrowed (I5).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll};

use super::error::TryRecvError;
use super::places::Places;
use crate::engine::{give_way, has_turn, poll_turn};
use crate::executor::{Waiter, wake_foreign};
use crate::sync::waiters::{Place, Waiters};

pub(super) struct Shared<T> {
    messages: RefCell<VecDeque<T>>,
    /// Who waits for a message.
    receiver: Cell<Option<Waiter>>,
    /// Those that can send; weak ones do not count.
    senders: Cell<usize>,
    pub(super) places: Places,
    /// The receiver is dropped, and not only closed.
    is_deserted: Cell<bool>,
    /// Who waits until nobody receives.
    leavers: RefCell<Waiters<()>>,
}

impl<T> Shared<T> {
    /// With one sender.
    pub(super) fn new(bound: usize) -> Shared<T> {
        Shared {
            messages: RefCell::default(),
            receiver: Cell::new(None),
            senders: Cell::new(1),
            places: Places::new(bound),
            is_deserted: Cell::new(false),
            leavers: RefCell::default(),
        }
    }

    // Senders.

    pub(super) fn add_sender(&self) {
        self.senders.set(self.senders.get() + 1);
    }

    pub(super) fn remove_sender(&self) {
        let left = self.senders.get() - 1;
        self.senders.set(left);
        if left == 0 {
            self.wake_receiver();
        }
    }

    pub(super) fn senders(&self) -> usize {
        self.senders.get()
    }

    /// Puts a message into a place that the caller has.
    #[inline]
    pub(super) fn put(&self, message: T) {
        if self.is_deserted.get() {
            // It had a place since before the receiver was dropped.
            drop(message);
            return self.places.give_back();
        }
        self.messages.borrow_mut().push_back(message);
        self.wake_receiver();
    }

    /// A place that was taken is not used.
    pub(super) fn give_back(&self) {
        self.places.give_back();
        if self.places.is_closed() {
            // It may have been what the receiver still waited for.
            self.wake_receiver();
        }
    }

    #[inline]
    fn wake_receiver(&self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.wake();
        }
    }

    pub(super) fn poll_closed(&self, mine: &mut Option<Place>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.places.is_closed() {
            // Cloning a waker may run anything: asked again after it.
            let waiter = Waiter::of(cx.waker());
            if !self.places.is_closed() {
                let mut leavers = self.leavers.borrow_mut();
                let before = match *mine {
                    Some(place) => leavers.renew(place, waiter).1,
                    None => {
                        *mine = Some(leavers.push(Some(waiter)));
                        None
                    }
                };
                drop(leavers);
                drop(before);
                return Poll::Pending;
            }
        }
        poll_turn(cx)
    }

    pub(super) fn forget_leaver(&self, place: Place) {
        let left = self.leavers.borrow_mut().leave(place);
        drop(left);
    }

    // The receiver.

    pub(super) fn len(&self) -> usize {
        self.messages.borrow().len()
    }

    /// Whether nobody can send a message any more.
    #[inline]
    fn is_ended(&self) -> bool {
        self.senders.get() == 0 || (self.places.is_closed() && self.places.is_unused())
    }

    #[inline]
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut messages = self.messages.borrow_mut();
        if messages.is_empty() {
            drop(messages);
            return self.poll_more(cx);
        }
        if !has_turn() {
            drop(messages);
            return give_way(cx);
        }
        let message = messages.pop_front();
        drop(messages);
        self.places.give_back();
        Poll::Ready(message)
    }

    /// Waits for a message: none is there.
    #[inline]
    fn poll_more(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.is_ended() {
            return poll_turn(cx).map(|()| None);
        }
        let waiter = Waiter::of(cx.waker());
        let is_own = waiter.is_own();
        drop(self.receiver.replace(Some(waiter)));
        match is_own {
            true => Poll::Pending,
            false => self.ask_again(cx),
        }
    }

    /// Cloning somebody else's waker, or dropping one, may have run anything.
    #[cold]
    fn ask_again(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.messages.borrow().is_empty() && !self.is_ended() {
            true => Poll::Pending,
            false => give_way(cx),
        }
    }

    #[inline]
    fn take(&self) -> Option<T> {
        let message = self.messages.borrow_mut().pop_front();
        if message.is_some() {
            self.places.give_back();
        }
        message
    }

    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.take() {
            Some(message) => Ok(message),
            None if self.is_ended() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Nobody gets a place any more. What was sent can still be received.
    pub(super) fn close(&self) {
        if self.places.is_closed() {
            return;
        }
        self.places.close();
        let mut foreign = Vec::new();
        self.leavers.borrow_mut().call_all((), |waiter| foreign.extend(waiter.resume_own()));
        foreign.into_iter().for_each(wake_foreign);
    }

    /// The receiver is dropped: what was sent is dropped now, not with the last sender.
    pub(super) fn desert(&self) {
        self.is_deserted.set(true);
        self.close();
        drop(self.receiver.take());
        let messages = std::mem::take(&mut *self.messages.borrow_mut());
        for message in messages {
            self.places.give_back();
            drop(message);
        }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("messages", &self.len())
            .field("senders", &self.senders())
            .field("closed", &self.places.is_closed())
            .finish()
    }
}
