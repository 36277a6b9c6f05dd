//! Who looks whether connections take too long: one look at all of them now and then, instead of a timer for each request.
//!
//! Time is counted in ticks. What a request costs is to note the tick, which is a number in memory: no clock is read, no timer is armed or
//! moved. The board ticks while some connection does something; while all doze, it sleeps until the first has idled for too long.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use super::limits::Limits;
use crate::executor::AbortHandle;
use crate::time::now;

/// For how long nothing happens until a connection dozes: longer than who asks again and again takes in between, for what it lets go of has to be made
/// anew.
const DOZE_AFTER: Duration = Duration::from_secs(1);

/// Why a connection was ended by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lapse {
    /// The head of a request did not come within [`header_timeout`](super::Serve::header_timeout).
    Header,
    /// No request came for [`idle_timeout`](super::Serve::idle_timeout).
    Idle,
    /// The client did not take the answer, or did not go on with what it sends, for [`stall_timeout`](super::Serve::stall_timeout).
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
    board: Rc<Board>,
    place: Cell<usize>,
    phase: Cell<Phase>,
    /// The tick of its last progress: bytes in or out, or the end of an answer.
    since: Cell<u32>,
    /// The tick at which the head of a request began, if one has.
    head_since: Cell<Option<u32>>,
    /// Requests whose answers have not ended.
    answering: Cell<u32>,
    /// The last read would have waited.
    read_waits: Cell<bool>,
    /// The tick since which what is written waits for the client, if it does.
    stuck_since: Cell<Option<u32>>,
    /// Of HTTP/2: parts of answers that were made and wait for the client, who has not opened its window for more.
    handed: Cell<u32>,
    /// The tick at which an answer was last asked for more.
    asked_since: Cell<u32>,
    /// The last request had a body: whether it was received whole is not known.
    had_body: Cell<bool>,
    order: Cell<Option<Order>>,
    waker: RefCell<Option<Waker>>,
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

    fn give(&self, order: Order) {
        self.order.set(Some(order));
        let waker = self.waker.borrow().clone();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Between two requests, as far as it is known: nothing is begun, and nothing is on its way out.
    fn is_idle(&self) -> bool {
        self.answering.get() == 0 && self.head_since.get().is_none() && self.stuck_since.get().is_none()
    }

    /// What was noted at that tick may have been as late as the other one.
    fn forgive(&self, before: u32, tick: u32) {
        let forgiven = |since: u32| if since == before { tick } else { since };
        self.since.set(forgiven(self.since.get()));
        self.asked_since.set(forgiven(self.asked_since.get()));
        self.head_since.set(self.head_since.get().map(forgiven));
        self.stuck_since.set(self.stuck_since.get().map(forgiven));
    }

    fn look(&self, limits: &Limits) {
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
                && over(since, DOZE_AFTER)
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

/// More ticks than these between two looks: the loop had no time for its connections.
const LATE: u32 = 2;

/// All connections of a server.
pub(super) struct Board {
    pub(super) limits: Limits,
    period: Duration,
    epoch: Instant,
    tick: Cell<u32>,
    /// Nobody counts ticks: whoever begins something says so.
    resting: Cell<bool>,
    watches: RefCell<Slab<Rc<Watch>>>,
    /// The tick of the stop.
    stopped: Cell<Option<u32>>,
    /// The last look came late, and nobody was judged.
    was_late: Cell<bool>,
    /// The server's task, when it waits for something to change here.
    pub(super) server: RefCell<Option<Waker>>,
    pub(super) requests: Cell<u64>,
    pub(super) accepted: Cell<u64>,
    pub(super) lapsed: Cell<u64>,
    pub(super) late: Cell<u64>,
    pub(super) failed: Cell<u64>,
}

impl Board {
    pub(super) fn new(limits: Limits) -> Rc<Board> {
        Rc::new(Board {
            period: limits.tick(),
            limits,
            epoch: now(),
            tick: Cell::new(0),
            resting: Cell::new(true),
            watches: RefCell::default(),
            stopped: Cell::new(None),
            was_late: Cell::new(false),
            server: RefCell::default(),
            requests: Cell::new(0),
            accepted: Cell::new(0),
            lapsed: Cell::new(0),
            late: Cell::new(0),
            failed: Cell::new(0),
        })
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopped.get().is_some()
    }

    pub(super) fn connections(&self) -> usize {
        self.watches.borrow().len()
    }

    /// How long it is since that tick, at most.
    fn span(&self, since: u32) -> Duration {
        self.period * (self.tick.get() - since)
    }

    fn set_tick(&self) {
        let ticks = now().saturating_duration_since(self.epoch).as_nanos() / self.period.as_nanos();
        self.tick.set(u32::try_from(ticks).unwrap_or(u32::MAX));
    }

    /// Something begins: ticks are counted from here on.
    fn rouse(&self) {
        if self.resting.replace(false) {
            self.set_tick();
            self.call();
        }
    }

    pub(super) fn set_server(&self, waker: &Waker) {
        let mut known = self.server.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// How many hold nothing but their socket.
    pub(super) fn dozing(&self) -> u64 {
        let dozes = |watch: &Rc<Watch>| watch.phase.get() == Phase::Dozing;
        self.watches.borrow().iter().filter(|(_, watch)| dozes(watch)).count() as u64
    }

    /// Whether something has begun since it was decided to look at that moment, so that it is too late.
    pub(super) fn is_called_early(&self, due: Option<Instant>) -> bool {
        !self.resting.get() && due.is_none_or(|due| due > now() + self.period)
    }

    /// Has the server look again.
    pub(super) fn call(&self) {
        let waker = self.server.borrow().clone();
        waker.into_iter().for_each(Waker::wake);
    }

    fn remove(&self, watch: &Watch) {
        drop(self.watches.borrow_mut().try_remove(watch.place.get()));
        self.call();
    }

    /// Looks at all connections. When to look again; never, if there is none.
    pub(super) fn look(&self) -> Option<Instant> {
        let before = self.tick.get();
        self.set_tick();
        let watches: Vec<_> = self.watches.borrow().iter().map(|(_, watch)| Rc::clone(watch)).collect();
        if watches.is_empty() {
            self.resting.set(true);
            return None;
        }
        // The loop stood still, and clients are not to pay for it: they have until the next look to be heard.
        let tick = self.tick.get();
        let is_late = !self.resting.get() && tick - before > LATE;
        if is_late {
            watches.iter().for_each(|watch| watch.forgive(before, tick));
        }
        let spares = is_late && !self.was_late.get();
        self.was_late.set(spares);
        if !spares {
            watches.iter().for_each(|watch| watch.look(&self.limits));
        }
        let all_doze = watches.iter().all(|watch| watch.phase.get() == Phase::Dozing);
        let rests = all_doze && !self.is_stopping() && !spares;
        self.resting.set(rests);
        let next = match rests {
            false => now() + self.period,
            // The one that has idled for the longest.
            true => {
                let first = watches.iter().map(|watch| watch.since.get()).min().unwrap_or_default();
                self.epoch + self.period * first + self.limits.idle + self.period
            }
        };
        Some(next.max(now() + self.period))
    }

    /// The server stops: who has begun something finishes it.
    pub(super) fn finish(&self) {
        self.set_tick();
        self.stopped.set(Some(self.tick.get()));
        let watches: Vec<_> = self.watches.borrow().iter().map(|(_, watch)| Rc::clone(watch)).collect();
        watches.iter().for_each(|watch| watch.give(Order::Finish));
    }

    /// Ends all that is left.
    pub(super) fn abort(&self) {
        let watches: Vec<_> = self.watches.borrow().iter().map(|(_, watch)| Rc::clone(watch)).collect();
        for watch in watches {
            let task = watch.task.borrow_mut().take();
            task.into_iter().for_each(|task| task.abort());
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
