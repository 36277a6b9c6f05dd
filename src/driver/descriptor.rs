//! A descriptor of a driver, and when it may be closed (I4).
//!
//! Never an `OwnedFd`: the number may be a simulated one, which must not close a real file. Two counts: when
//! no *handle* is left closing begins, and what is in flight is cancelled; when no *operation* is left either,
//! or the kernel has answered all of them, the driver closes the number. So no number is used again while an entry
//! names it, and no future that nobody polls keeps it open.

mod leaving;
mod seen;

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::rc::Rc;
use std::task::{Poll, Waker};

use socket2::SockAddr;

use super::attempts::Attempts;
use super::direction::{Direction, Leftover};
use super::operation::Operation;
use super::policy::Policy;
use super::port::Port;
use crate::executor::Waiter;

pub(crate) use leaving::{Parcel, Parcels, Traveller};

/// A direction of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Receiving, accepting, reading at the cursor.
    Read,
    /// Sending, connecting, writing at the cursor.
    Write,
}

/// Who moves a file's cursor after a transfer there. See `op/cursor.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mover {
    /// Nobody has looked.
    Unknown,
    /// It has none.
    Nobody,
    /// The first whole transfer will tell.
    Learning,
    System,
    Ours,
}

struct Shared {
    number: i32,
    port: Rc<Port>,
    handles: Cell<u32>,
    /// Of those that use no direction up; each direction knows whether one is inside.
    operations: Cell<u32>,
    closing: Cell<bool>,
    closed: Cell<bool>,
    /// It is closing for this loop alone: what operations bring after all is kept for who gets the number.
    handing_over: Cell<bool>,
    /// Who gets the number gets it in blocking mode.
    blocks: Cell<bool>,
    /// All that was in flight when closing began is answered, though its futures may not know.
    unnamed: Cell<bool>,
    read: Direction,
    write: Direction,
    /// How many writes to a file were dropped and are not settled.
    unsettled: Cell<u32>,
    /// Who is at the other end, where that came with the connection.
    peer: OnceCell<Box<SockAddr>>,
    zero_copy: Policy,
    attempts: Attempts,
    mover: Cell<Mover>,
    /// Who waits until nothing is in flight any more.
    closer: Cell<Option<Waiter>>,
}

/// A handle: while one is left the descriptor is not closed.
pub struct Descriptor(Rc<Shared>);

/// What an operation keeps of its descriptor. The number stays open from its submission to its completion.
#[derive(Clone)]
pub struct Hold(Rc<Shared>);

impl Descriptor {
    /// Takes ownership of a number that this driver opened.
    pub(crate) fn new(number: i32, port: &Rc<Port>) -> Descriptor {
        Descriptor(Rc::new(Shared {
            number,
            port: Rc::clone(port),
            handles: Cell::new(1),
            operations: Cell::new(0),
            closing: Cell::new(false),
            closed: Cell::new(false),
            handing_over: Cell::new(false),
            blocks: Cell::new(true),
            unnamed: Cell::new(false),
            read: Direction::default(),
            write: Direction::default(),
            unsettled: Cell::new(0),
            peer: OnceCell::new(),
            zero_copy: Policy::default(),
            attempts: Attempts::default(),
            mover: Cell::new(Mover::Unknown),
            closer: Cell::new(None),
        }))
    }

    /// The same, of which it is known who is at the other end.
    pub(crate) fn with_peer(self, peer: Option<SockAddr>) -> Descriptor {
        if let Some(peer) = peer {
            // Just made: there is none yet.
            let _ = self.0.peer.set(Box::new(peer));
        }
        self
    }

    /// Who is at the other end, where that is known without asking.
    pub(crate) fn peer(&self) -> Option<&SockAddr> {
        self.0.peer.get().map(|peer| &**peer)
    }

    /// For an operation.
    #[inline]
    pub(crate) fn hold(&self) -> Hold {
        Hold(Rc::clone(&self.0))
    }

    #[inline]
    pub(crate) fn number(&self) -> i32 {
        self.0.number
    }

    /// The number by which system calls know it, or -1 if it cannot have one.
    pub(crate) fn plain_number(&self) -> i32 {
        self.0.port.plain(self.0.number).unwrap_or(-1)
    }

    #[inline]
    pub(crate) fn port(&self) -> &Rc<Port> {
        &self.0.port
    }

    /// Takes ownership of a number that somebody else opened, whose flags it has again when it leaves.
    pub(crate) fn adopted(number: i32, port: &Rc<Port>, blocks: bool) -> Descriptor {
        let descriptor = Descriptor::new(number, port);
        descriptor.0.blocks.set(blocks);
        descriptor
    }

    /// Whether an operation uses the direction up, or has its turn next.
    pub(crate) fn is_busy(&self, way: Way) -> bool {
        self.direction(way).is_busy()
    }

    /// What an abandoned operation left in a direction.
    pub(crate) fn take_leftover(&self, way: Way) -> Option<Leftover> {
        self.direction(way).take_leftover()
    }

    fn direction(&self, way: Way) -> &Direction {
        match way {
            Way::Read => &self.0.read,
            Way::Write => &self.0.write,
        }
    }

    /// Whether there are other handles.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.handles.get() > 1
    }

    /// Whether two handles are of the same descriptor.
    pub(crate) fn is(&self, other: &Descriptor) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Waits until no operation is in flight.
    pub(crate) fn poll_settled(&self, waker: &Waker) -> Poll<()> {
        if self.0.is_unnamed() {
            return Poll::Ready(());
        }
        let before = self.0.closer.replace(Some(Waiter::of(waker)));
        drop(before);
        Poll::Pending
    }

    /// The number was closed by an operation; it is not ours any more.
    pub(crate) fn forget_number(&self) {
        self.0.closed.set(true);
    }

    /// Refuses new operations and cancels those in flight.
    pub(crate) fn start_closing(&self) {
        self.0.start_closing();
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Descriptor").field(&self.0.number).finish()
    }
}

impl Clone for Descriptor {
    fn clone(&self) -> Descriptor {
        self.0.handles.set(self.0.handles.get() + 1);
        Descriptor(Rc::clone(&self.0))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let left = self.0.handles.get() - 1;
        self.0.handles.set(left);
        if left == 0 {
            // If it was to leave, nobody waits for it any more.
            self.0.handing_over.set(false);
            self.0.start_closing();
            self.0.close_if_unused();
        }
    }
}

impl Hold {
    #[inline]
    pub(crate) fn number(&self) -> i32 {
        self.0.number
    }

    #[inline]
    pub(crate) fn port(&self) -> &Rc<Port> {
        &self.0.port
    }

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.0.closing.get()
    }

    /// Whether the number is not ours any more, or is being closed.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.get()
    }

    /// Who moves the cursor, if it is a file.
    #[inline]
    pub(crate) fn mover(&self) -> &Cell<Mover> {
        &self.0.mover
    }

    /// Whether nobody will ever have what an operation leaves.
    #[inline]
    pub(crate) fn discards(&self) -> bool {
        self.0.closing.get() && !self.0.handing_over.get()
    }

    #[inline]
    pub(crate) fn direction(&self, way: Way) -> &Direction {
        match way {
            Way::Read => &self.0.read,
            Way::Write => &self.0.write,
        }
    }

    /// Whether sending without copying pays.
    pub(crate) fn zero_copy(&self) -> &Policy {
        &self.0.zero_copy
    }

    /// A write to the file was dropped; until `settled` nobody knows whether it happens.
    pub(crate) fn unsettle(&self) {
        self.0.unsettled.set(self.0.unsettled.get() + 1);
    }

    /// A dropped write was answered.
    pub(crate) fn settled(&self) {
        let left = self.0.unsettled.get() - 1;
        self.0.unsettled.set(left);
        if left == 0 {
            self.0.write.call_followers();
        }
    }

    /// Whether all dropped writes are settled: one load. If not, `waker` is woken when they are.
    #[inline]
    pub(crate) fn is_settled(&self, waker: &Waker) -> bool {
        let settled = self.has_settled();
        if !settled {
            self.0.write.follow(waker);
        }
        settled
    }

    /// All that was in flight when closing began is answered.
    pub(super) fn is_named_no_more(&self) {
        self.0.unnamed.set(true);
        self.0.settle();
    }

    /// An operation is in flight from here to `end`, if nothing is in its way: its direction is free, nothing was left in
    /// it, nothing is closing.
    #[inline]
    pub(crate) fn begin_at_once(&self, way: Option<Way>) -> bool {
        match way {
            Some(way) => self.direction(way).enter_at_once(),
            None if self.0.closing.get() => false,
            None => {
                self.0.operations.set(self.0.operations.get() + 1);
                true
            }
        }
    }

    /// Whether an operation that has begun is the only one that uses no direction up.
    #[inline]
    pub(crate) fn is_alone(&self) -> bool {
        self.0.operations.get() <= 1
    }

    /// Whether trying at once pays.
    #[inline]
    pub(crate) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// Whether all dropped writes are settled: one load.
    #[inline]
    pub(crate) fn has_settled(&self) -> bool {
        self.0.unsettled.get() == 0
    }

    /// An operation is in flight from here to `end`. Of the way that it uses up it has the turn.
    #[inline]
    pub(crate) fn begin(&self, way: Option<Way>) {
        match way {
            Some(way) => self.direction(way).go_inside(),
            None => self.0.operations.set(self.0.operations.get() + 1),
        }
    }

    /// The operation's answer has come: lets the next one begin in its direction, and the descriptor be closed.
    #[inline]
    pub(crate) fn end(&self, way: Option<Way>) {
        match way.map(|way| self.direction(way)) {
            Some(direction) if direction.leave_at_once() => return,
            Some(direction) => self.0.end_in(direction),
            None => self.0.operations.set(self.0.operations.get() - 1),
        }
        if self.0.closing.get() {
            self.0.settle();
        }
    }
}

/// Ends a dropped operation's stay on its descriptor when it goes, be it by the panic of a destructor.
pub(crate) struct Departure {
    hold: Hold,
    way: Option<Way>,
    writes_file: bool,
}

impl Departure {
    /// Of an operation that nobody waits for and that was answered.
    pub(crate) fn of<O: Operation>(operation: &O) -> Option<Departure> {
        let hold = operation.descriptor()?.clone();
        Some(Departure { hold, way: operation.way(), writes_file: operation.writes_file() })
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        if self.writes_file {
            self.hold.settled();
        }
        self.hold.end(self.way);
    }
}

impl Shared {
    fn directions(&self) -> [&Direction; 2] {
        [&self.read, &self.write]
    }

    #[cold]
    fn end_in(&self, direction: &Direction) {
        direction.come_out();
        direction.leave();
    }

    fn start_closing(self: &Rc<Shared>) {
        let has_begun = self.closing.replace(true);
        self.directions().iter().for_each(|direction| direction.set_closing(true));
        // A connection that was accepted for nobody is nobody's now. Not only when all is gone: a future that is never
        // polled may outlive its listener for long.
        for direction in self.directions() {
            if self.handing_over.get() {
                continue;
            }
            while let Some(leftover) = direction.take_leftover() {
                if let Leftover::Descriptor(number) = leftover {
                    self.port.close(number);
                }
            }
        }
        if has_begun || self.is_unused() {
            return;
        }
        // Operations at an offset, polls: there may be any number, so the slots are searched.
        let tokens = match self.operations.get() {
            0 => self.directions().into_iter().filter_map(Direction::operation).collect(),
            _ => self.port.in_flight_on(self.number),
        };
        self.port.cancel_to_close(Hold(Rc::clone(self)), tokens);
    }

    /// No operation is between its beginning and its end.
    fn is_unused(&self) -> bool {
        self.operations.get() == 0 && !self.directions().into_iter().any(Direction::is_inside)
    }

    /// No entry names the number, and none will: it is closing, so nothing more is submitted.
    fn is_unnamed(&self) -> bool {
        self.unnamed.get() || self.is_unused()
    }

    /// An operation has ended on a descriptor that is being closed.
    #[cold]
    fn settle(&self) {
        if !self.is_unnamed() {
            return;
        }
        self.close_if_unused();
        if let Some(closer) = self.closer.take() {
            closer.wake();
        }
    }

    fn close_if_unused(&self) {
        let unused = self.handles.get() == 0 && self.is_unnamed();
        if unused && self.closing.get() && !self.closed.replace(true) {
            self.is_seen_no_more();
            self.port.close(self.number);
        }
    }
}
