//! One direction of a descriptor: who uses it, who waits for it, and what an abandoned operation left in it.
//!
//! Operations on a stream take turns, first come first served, so that an operation whose future was dropped
//! is settled before the next one begins. What its completion brought after all, bytes, a connection or an
//! error, is left here, and the next operation gets it first: nothing is lost, and the order is kept.
//! An operation that finds the direction free pays one load.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;

use socket2::SockAddr;

use super::slots::Token;
use crate::executor::Waiter;
use crate::sys::control::Ancillary;

/// What the completion of an abandoned operation brought.
#[derive(Debug)]
pub(crate) enum Leftover {
    /// Bytes that were received; those from `taken` on are still to be handed out. `then` is an error that came
    /// after them.
    Bytes { bytes: Box<[u8]>, taken: usize, then: Option<i32> },
    /// Messages that were received, of which there is one at least: datagrams, each whole, or the one of a stream that
    /// came with control data.
    Messages(VecDeque<LeftMessage>),
    /// A connection that was accepted.
    Descriptor(i32),
    /// An `errno`, positive. Told once: the kernel does not say it again (ECONNRESET, then a clean end).
    Error(i32),
}

/// A message that nobody has yet.
#[derive(Debug)]
pub(crate) struct LeftMessage {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) name: Option<SockAddr>,
    pub(crate) control: Ancillary,
    /// MSG_TRUNC, MSG_CTRUNC: what the room that it was received into cut off.
    pub(crate) flags: i32,
}

/// A place in the queue of a busy direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// Somebody has the turn, or is called to have it next.
const BUSY: u8 = 1;
/// Something was left for the next operation.
const LEFTOVER: u8 = 1 << 1;
/// Who has the turn is an operation: the descriptor is not closed meanwhile.
const INSIDE: u8 = 1 << 2;
/// Somebody waits for the turn.
const QUEUE: u8 = 1 << 3;
/// Nothing begins any more.
const CLOSING: u8 = 1 << 4;

/// All that an operation has to know before it begins or ends is in one byte, which nearly always is 0 then, or says
/// that it alone is there.
#[derive(Default)]
pub(crate) struct Direction {
    word: Cell<u8>,
    /// What is in flight, so that closing can cancel it. Means nothing when no operation is inside.
    operation: Cell<Token>,
    /// What hardly any direction ever needs.
    rare: RefCell<Option<Box<Rare>>>,
}

#[derive(Default)]
struct Rare {
    queue: VecDeque<(Ticket, Waiter)>,
    tickets: u64,
    /// Whose turn it is; the direction stays busy in their name until they come.
    called: Option<Ticket>,
    /// In the order in which they came.
    leftovers: VecDeque<Leftover>,
    /// How many bytes dropped writes wrote after all.
    written: usize,
    /// Who waits until dropped writes are settled.
    followers: Vec<Waiter>,
}

impl Direction {
    #[inline]
    fn has(&self, bits: u8) -> bool {
        self.word.get() & bits != 0
    }

    fn set(&self, bits: u8) {
        self.word.set(self.word.get() | bits);
    }

    fn clear(&self, bits: u8) {
        self.word.set(self.word.get() & !bits);
    }

    /// Takes the turn for an operation, if nobody has it, nothing was left and nothing is closing.
    #[inline]
    pub(super) fn enter_at_once(&self) -> bool {
        let free = self.word.get() == 0;
        if free {
            self.word.set(BUSY | INSIDE);
        }
        free
    }

    /// Ends an operation's turn, if nobody waits for that.
    #[inline]
    pub(super) fn leave_at_once(&self) -> bool {
        let alone = self.word.get() == BUSY | INSIDE;
        if alone {
            self.word.set(0);
        }
        alone
    }

    /// Who has the turn is an operation.
    pub(super) fn go_inside(&self) {
        self.set(INSIDE);
    }

    /// The operation that had the turn has ended.
    pub(super) fn come_out(&self) {
        self.clear(INSIDE);
    }

    /// Whether an operation has the turn.
    pub(super) fn is_inside(&self) -> bool {
        self.has(INSIDE)
    }

    /// Whether the descriptor is closing.
    pub(super) fn set_closing(&self, closing: bool) {
        match closing {
            true => self.set(CLOSING),
            false => self.clear(CLOSING),
        }
    }

    /// Takes the direction, or a place in its queue. True when it is the caller's.
    #[inline]
    pub(crate) fn enter(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> bool {
        if ticket.is_none() && !self.has(BUSY) {
            self.set(BUSY);
            return true;
        }
        self.queue(ticket, waker)
    }

    #[cold]
    fn queue(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> bool {
        // Cloning a waker runs somebody's code: before anything is borrowed (I5).
        let waiter = Waiter::of(waker);
        let mut rare = self.rare.borrow_mut();
        let rare = rare.get_or_insert_default();
        let mine = *ticket.get_or_insert_with(|| {
            rare.tickets += 1;
            Ticket(rare.tickets)
        });
        if rare.called == Some(mine) {
            rare.called = None;
            *ticket = None;
            return true;
        }
        match rare.queue.iter_mut().find(|(waiting, _)| *waiting == mine) {
            Some((_, before)) => *before = waiter,
            None => rare.queue.push_back((mine, waiter)),
        }
        self.set(QUEUE);
        false
    }

    /// Remembers what is in flight.
    #[inline]
    pub(crate) fn begin(&self, token: Token) {
        self.operation.set(token);
    }

    /// What is in flight; or was, if the operation inside is between two submissions.
    pub(crate) fn operation(&self) -> Option<Token> {
        self.is_inside().then_some(self.operation.get())
    }

    /// Gives the direction to the next in the queue, or leaves it free.
    pub(crate) fn leave(&self) {
        if self.has(QUEUE) {
            return self.call_next();
        }
        self.clear(BUSY);
    }

    #[cold]
    fn call_next(&self) {
        let next = match &mut *self.rare.borrow_mut() {
            Some(rare) => {
                let next = rare.queue.pop_front();
                rare.called = next.as_ref().map(|(ticket, _)| *ticket);
                if rare.queue.is_empty() {
                    self.clear(QUEUE);
                }
                next
            }
            None => None,
        };
        match next {
            Some((_, waiter)) => waiter.wake(),
            None => self.clear(BUSY),
        }
    }

    /// Gives a place in the queue back.
    pub(crate) fn give_up(&self, ticket: Ticket) {
        let (waiting, called) = match &mut *self.rare.borrow_mut() {
            Some(rare) => {
                let place = rare.queue.iter().position(|(waiting, _)| *waiting == ticket);
                let waiting = place.and_then(|place| rare.queue.remove(place));
                if rare.queue.is_empty() {
                    self.clear(QUEUE);
                }
                (waiting, rare.called == Some(ticket))
            }
            None => (None, false),
        };
        drop(waiting);
        if called {
            self.call_next();
        }
    }

    /// Whether an operation has it, or is called to have it next.
    pub(crate) fn is_busy(&self) -> bool {
        self.has(BUSY)
    }

    /// Whether something was left for the next operation: one load.
    #[inline]
    pub(crate) fn has_leftover(&self) -> bool {
        self.has(LEFTOVER)
    }

    /// Leaves something for the next operation, behind what was left before.
    pub(crate) fn leave_behind(&self, leftover: Leftover) {
        self.set(LEFTOVER);
        self.rare.borrow_mut().get_or_insert_default().leftovers.push_back(leftover);
    }

    /// Puts back what was not taken of the first that was left.
    pub(crate) fn put_back(&self, leftover: Leftover) {
        self.set(LEFTOVER);
        self.rare.borrow_mut().get_or_insert_default().leftovers.push_front(leftover);
    }

    /// Remembers what became of a dropped write. Of several errors the first is told.
    #[cold]
    pub(crate) fn record(&self, written: usize, errno: Option<i32>) {
        let mut rare = self.rare.borrow_mut();
        let rare = rare.get_or_insert_default();
        rare.written += written;
        if let Some(errno) = errno {
            self.set(LEFTOVER);
            if rare.leftovers.is_empty() {
                rare.leftovers.push_back(Leftover::Error(errno));
            }
        }
    }

    /// Wakes `waker` when dropped writes are settled.
    #[cold]
    pub(crate) fn follow(&self, waker: &Waker) {
        // Cloning a waker runs somebody's code: before anything is borrowed (I5).
        let waiter = Waiter::of(waker);
        let mut rare = self.rare.borrow_mut();
        let followers = &mut rare.get_or_insert_default().followers;
        match followers.iter().any(|follower| follower.is(waker)) {
            false => followers.push(waiter),
            true => {
                drop(rare);
                drop(waiter);
            }
        }
    }

    /// Dropped writes are settled.
    pub(crate) fn call_followers(&self) {
        let followers = self.rare.borrow_mut().as_mut().map(|rare| std::mem::take(&mut rare.followers));
        followers.into_iter().flatten().for_each(Waiter::wake);
    }

    /// How many bytes dropped writes wrote after all, since this was last asked.
    pub(crate) fn take_written(&self) -> usize {
        self.rare.borrow_mut().as_mut().map_or(0, |rare| std::mem::take(&mut rare.written))
    }

    /// Takes the first that was left.
    #[inline]
    pub(crate) fn take_leftover(&self) -> Option<Leftover> {
        if !self.has_leftover() {
            return None;
        }
        let mut rare = self.rare.borrow_mut();
        let leftovers = &mut rare.as_mut()?.leftovers;
        let first = leftovers.pop_front();
        if leftovers.is_empty() {
            self.clear(LEFTOVER);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_take_turns_in_the_order_in_which_they_came() {
        let direction = Direction::default();
        let waker = Waker::noop();
        let (mut a, mut b, mut c) = (None, None, None);
        assert!(direction.enter(&mut a, waker));
        assert!(!direction.enter(&mut b, waker));
        assert!(!direction.enter(&mut c, waker));
        direction.leave();
        assert!(!direction.enter(&mut c, waker), "it is not c's turn");
        assert!(!direction.enter(&mut None, waker), "nobody jumps the queue");
        assert!(direction.enter(&mut b, waker));
    }

    #[test]
    fn a_turn_that_is_given_up_goes_to_the_next() {
        let direction = Direction::default();
        let waker = Waker::noop();
        let (mut a, mut b, mut c) = (None, None, None);
        assert!(direction.enter(&mut a, waker));
        assert!(!direction.enter(&mut b, waker));
        assert!(!direction.enter(&mut c, waker));
        direction.leave();
        direction.give_up(b.take().unwrap());
        assert!(direction.enter(&mut c, waker));
        direction.leave();
        assert!(direction.enter(&mut a, waker), "free again");
    }
}
