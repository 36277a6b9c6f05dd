//! Who looks whether connections take too long: one look at all of them now and then, instead of a timer for each request.
//!
//! Time is counted in ticks. The board ticks while some connection does something; while all doze, it sleeps until the first has idled for too long.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use super::limits::Limits;
use super::watch::{Order, Phase, Watch};
use crate::time::now;

/// More ticks than these between two looks: the loop had no time for its connections.
const LATE: u32 = 2;

/// All connections of a server.
pub(super) struct Board {
    pub(super) limits: Limits,
    pub(super) period: Duration,
    pub(super) epoch: Instant,
    pub(super) tick: Cell<u32>,
    /// Nobody counts ticks: whoever begins something says so.
    pub(super) resting: Cell<bool>,
    pub(super) watches: RefCell<Slab<Rc<Watch>>>,
    /// The tick of the stop.
    pub(super) stopped: Cell<Option<u32>>,
    /// The last look came late, and nobody was judged.
    pub(super) was_late: Cell<bool>,
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
    pub(super) fn span(&self, since: u32) -> Duration {
        self.period * (self.tick.get() - since)
    }

    pub(super) fn set_tick(&self) {
        let ticks = now().saturating_duration_since(self.epoch).as_nanos() / self.period.as_nanos();
        self.tick.set(u32::try_from(ticks).unwrap_or(u32::MAX));
    }

    /// Something begins: ticks are counted from here on.
    pub(super) fn rouse(&self) {
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

    pub(super) fn remove(&self, watch: &Watch) {
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
