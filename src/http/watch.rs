//! What is known of one connection: what it does, since when, and what the board makes of it.
//!
//! What a request costs is to note the tick, which is a number in memory: no clock is read, no timer is armed or moved.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::board::Board;
use super::limits::Limits;
use crate::executor::AbortHandle;

/// For how long nothing happens until a connection dozes: longer than who asks again and again takes in between, for what it lets go of has to be made
/// anew.
const DOZE_AFTER: Duration = Duration::from_millis(100);

/// Why a connection was ended by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lapse {
    /// The head of a request did not come within [`header_timeout`](super::Serve::header_timeout).
    Header,
    /// No request came for [`idle_timeout`](super::Serve::idle_timeout).
    Idle,
    /// The client did not take the answer for [`stall_timeout`](super::Serve::stall_timeout).
    Stall,
}

/// What a connection is told by the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing happens: hold as little as possible.
    Doze,
    /// The server stops: finish what is begun.
    Finish,
    End(Lapse),
}

/// What a connection does, as far as it can be seen from outside of hyper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first bytes of a connection, or of its TLS, or of a head.
    Opening,
    /// Nothing but the socket is held.
    Dozing,
    Http1,
    Http2,
}

/// One connection's place on the board.
pub(super) struct Watch {
    pub(super) board: Rc<Board>,
    pub(super) place: Cell<usize>,
    pub(super) phase: Cell<Phase>,
    /// The tick of its last progress: bytes in or out, or the end of an answer.
    pub(super) since: Cell<u32>,
    /// The tick at which the head of a request began, if one has.
    pub(super) head_since: Cell<Option<u32>>,
    /// Requests whose answers have not ended.
    pub(super) answering: Cell<u32>,
    /// The last read would have waited.
    pub(super) read_waits: Cell<bool>,
    /// The tick since which what is written waits for the client, if it does.
    pub(super) stuck_since: Cell<Option<u32>>,
    /// Of HTTP/2: parts of answers that were made and wait for the client, who has not opened its window for more.
    pub(super) handed: Cell<u32>,
    /// The tick at which an answer was last asked for more.
    pub(super) asked_since: Cell<u32>,
    /// The last request had a body: whether it was received whole is not known.
    pub(super) had_body: Cell<bool>,
    pub(super) order: Cell<Option<Order>>,
    pub(super) waker: RefCell<Option<Waker>>,
    pub(super) task: RefCell<Option<AbortHandle>>,
}

impl Watch {
    pub(super) fn new(board: &Rc<Board>) -> Rc<Watch> {
        board.rouse();
        let tick = board.tick.get();
        let watch = Rc::new(Watch {
            board: Rc::clone(board),
            place: Cell::new(0),
            phase: Cell::new(Phase::Opening),
            since: Cell::new(tick),
            head_since: Cell::new(Some(tick)),
            answering: Cell::new(0),
            read_waits: Cell::new(false),
            stuck_since: Cell::new(None),
            handed: Cell::new(0),
            asked_since: Cell::new(tick),
            had_body: Cell::new(false),
            order: Cell::new(None),
            waker: RefCell::default(),
            task: RefCell::default(),
        });
        watch.place.set(board.watches.borrow_mut().insert(Rc::clone(&watch)));
        watch
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    // What the connection tells.

    pub(super) fn enter(&self, phase: Phase) {
        if self.phase.replace(phase) == Phase::Dozing {
            self.board.rouse();
        }
        self.since.set(self.board.tick.get());
        match phase {
            Phase::Dozing => self.head_since.set(None),
            // It begins with bytes.
            Phase::Opening | Phase::Http1 => self.begin_head(),
            Phase::Http2 => {}
        }
    }

    /// The beginning of a head has come.
    pub(super) fn has_begun(&self) {
        if self.phase.get() == Phase::Dozing {
            self.enter(Phase::Opening);
        }
    }

    #[inline]
    fn begin_head(&self) {
        if self.head_since.get().is_none() {
            self.head_since.set(Some(self.board.tick.get()));
        }
    }

    #[inline]
    pub(super) fn has_read(&self, count: usize) {
        self.read_waits.set(false);
        if count > 0 {
            self.note_progress();
            if self.answering.get() == 0 && self.phase.get() == Phase::Http1 {
                self.begin_head();
            }
        }
    }

    #[inline]
    pub(super) fn read_waits(&self) {
        self.read_waits.set(true);
    }

    #[inline]
    pub(super) fn has_written(&self) {
        self.stuck_since.set(None);
        self.note_progress();
    }

    /// Of HTTP/2 only what belongs to a request is progress: a client that only sends pings is idle.
    #[inline]
    fn note_progress(&self) {
        if self.answering.get() > 0 || self.phase.get() != Phase::Http2 {
            self.since.set(self.board.tick.get());
        }
    }

    /// What the client says meanwhile is no progress of it.
    #[inline]
    pub(super) fn write_waits(&self) {
        if self.stuck_since.get().is_none() {
            self.stuck_since.set(Some(self.board.tick.get()));
        }
    }

    #[inline]
    pub(super) fn flush_waits(&self, waits: bool) {
        match waits {
            true => self.write_waits(),
            false => self.stuck_since.set(None),
        }
    }

    /// An answer is asked for its next part: the client has taken the last one, if there was one.
    #[inline]
    pub(super) fn is_asked_for_more(&self) {
        self.asked_since.set(self.board.tick.get());
    }

    #[inline]
    pub(super) fn hands_over(&self) {
        self.handed.set(self.handed.get() + 1);
    }

    #[inline]
    pub(super) fn is_taken(&self) {
        self.handed.set(self.handed.get() - 1);
    }

    #[inline]
    pub(super) fn begins_answer(&self, has_body: bool) {
        self.answering.set(self.answering.get() + 1);
        self.head_since.set(None);
        self.had_body.set(has_body);
        self.board.requests.set(self.board.requests.get() + 1);
    }

    #[inline]
    pub(super) fn ends_answer(&self) {
        self.answering.set(self.answering.get() - 1);
        self.since.set(self.board.tick.get());
    }

    #[inline]
    pub(super) fn is_answering(&self) -> bool {
        self.answering.get() > 0
    }

    /// Whether the last request had a body: it may not have come as a whole.
    pub(super) fn had_body(&self) -> bool {
        self.had_body.get()
    }

    /// Who is told of orders.
    #[inline]
    pub(super) fn wakes(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    #[inline]
    pub(super) fn order(&self) -> Option<Order> {
        self.order.take()
    }

    /// How long ago something last moved, at most.
    pub(super) fn at_rest_for(&self) -> Duration {
        self.board.span(self.since.get())
    }

    /// Whether a connection that is idle was told so long ago.
    pub(super) fn has_had_its_time(&self) -> bool {
        self.at_rest_for() >= self.board.limits.idle + self.board.limits.stall
    }

    // What the board does.

    pub(super) fn give(&self, order: Order) {
        self.order.set(Some(order));
        let waker = self.waker.borrow().clone();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Between two requests, as far as it is known: nothing is begun, and nothing is on its way out.
    pub(super) fn is_idle(&self) -> bool {
        self.answering.get() == 0 && self.head_since.get().is_none() && self.stuck_since.get().is_none()
    }

    /// What was noted at that tick may have been as late as the other one.
    pub(super) fn forgive(&self, before: u32, tick: u32) {
        let forgiven = |since: u32| if since == before { tick } else { since };
        self.since.set(forgiven(self.since.get()));
        self.asked_since.set(forgiven(self.asked_since.get()));
        self.head_since.set(self.head_since.get().map(forgiven));
        self.stuck_since.set(self.stuck_since.get().map(forgiven));
    }

    pub(super) fn look(&self, limits: &Limits) {
        let board = &*self.board;
        let over = |since: u32, limit: Duration| board.span(since) >= limit;
        let (phase, since) = (self.phase.get(), self.since.get());
        if let Some(head) = self.head_since.get().filter(|_| self.answering.get() == 0) {
            if over(head, limits.header) {
                self.give(Order::End(Lapse::Header));
            }
        } else if self.is_idle() {
            let (since_last, limit) = match board.stopped.get() {
                // From the stop on: it may have idled for as long as it liked before.
                Some(stopped) if phase != Phase::Http2 => {
                    (since.max(stopped), limits.farewell.min(limits.idle))
                }
                _ => (since, limits.idle),
            };
            if over(since_last, limit) {
                self.give(Order::End(Lapse::Idle));
            } else if phase == Phase::Http1
                && over(since, DOZE_AFTER.min(limits.idle / 4))
                && self.read_waits.get()
                && !self.had_body.get()
            {
                self.give(Order::Doze);
            }
        } else if self.stuck_since.get().is_some_and(|since| over(since, limits.stall))
            || (self.handed.get() > 0 && over(self.asked_since.get(), limits.stall))
        {
            self.give(Order::End(Lapse::Stall));
        }
    }
}

/// While this lives, the connection is on the board.
pub(super) struct Seat(pub(super) Rc<Watch>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.board.remove(&self.0);
    }
}
