//! What a loop is made of, in one place: tasks, a port, timers, a clock. The turn, above, sets it in motion.
//!
//! "Current" is scoped: [`enter`](Engine::enter) makes an engine the current one of the thread until the
//! scope ends. Futures find theirs there when they are first polled.
#![allow(unsafe_code)]

mod beacon;
mod dumps;
mod home;
mod jobs;
mod record;
mod spin;
mod watchdog;

pub(crate) use beacon::{Beacon, Doing, beacons};
pub(crate) use dumps::ask_for_dumps;
pub(crate) use home::{Homed, here, leaked};
pub(crate) use jobs::{Job, Jobs, Outcome};
use spin::Spin;
pub(crate) use watchdog::Watch;

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::buf::PoolSize;
use crate::clock::Clock;
use crate::dice::Dice;
use crate::driver::{Driver, Port};
use crate::executor::{self, Executor, Waiter, say};
use crate::histogram::Histogram;
use crate::sys;
use crate::wheel::{Key, Wheel};

/// How many operations of a task may be answered at hand, without a trip through the driver, in one poll.
const BUDGET: u32 = 128;
/// Of so many turns in which the driver has its own one is looked at.
const TURNS_PER_NOTE: u32 = 61;
/// How many steps of a computation there are between two looks at the clock.
const STEPS_PER_LOOK: u32 = 8;
/// How long a task that computes may keep the others waiting (I8).
const SHARE: Duration = Duration::from_micros(500);

/// Who waits for a moment.
struct Timer {
    waiter: Waiter,
    /// The number of the task that was polled when it was armed; 0 if none was. The waiter may be somebody else's waker.
    task: u64,
}

pub(crate) struct Engine {
    pub(crate) executor: Executor,
    pub(crate) port: Rc<Port>,
    wheel: RefCell<Wheel<Timer>>,
    pub(crate) clock: Clock,
    /// The wheel counts nanoseconds from here.
    epoch: Instant,
    budget: Cell<u32>,
    /// In which poll time was last looked at, and when for the first time.
    share: Cell<(u64, Instant)>,
    batch: Cell<usize>,
    dice: RefCell<Dice>,
    /// The executor's count of polls when the driver last had its turn.
    polls_at_flush: Cell<u64>,
    /// Turns of the driver until the next that is looked at.
    until_noted: Cell<u32>,
    /// What other threads see, and where turns are counted.
    pub(crate) beacon: Arc<Beacon>,
    pub(crate) parks: Cell<u64>,
    pub(crate) batches: RefCell<Histogram>,
    pub(crate) depths: RefCell<Histogram>,
    pub(crate) timers_fired: Cell<u64>,
    pub(crate) spin: Spin,
    /// What other threads have this loop do; made when it is first asked for.
    jobs: OnceCell<Arc<Jobs>>,
}

thread_local! {
    // No destructor, so that it can be asked while the thread ends.
    static CURRENT: Cell<*const Engine> = const { Cell::new(std::ptr::null()) };
}

/// While this lives, its engine is the current one of the thread.
pub(crate) struct Scope<'a> {
    before: *const Engine,
    beacon: &'a Beacon,
    _executor: executor::Scope<'a>,
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        CURRENT.set(self.before);
        self.beacon.rests();
    }
}

/// Hands the current engine to `ask`, if there is one.
#[inline]
pub(crate) fn with_current<T>(ask: impl FnOnce(&Engine) -> T) -> Option<T> {
    let current = CURRENT.get();
    // SAFETY: not null only while a `Scope` borrows the engine; `ask` ends before the scope can, being above it
    // on this stack.
    unsafe { current.as_ref() }.map(ask)
}

/// As `with_current`, for what cannot do without.
///
/// # Panics
/// Outside of a runtime, saying what to do.
#[inline]
#[track_caller]
pub(crate) fn expect_current<T>(what: &str, ask: impl FnOnce(&Engine) -> T) -> T {
    match with_current(ask) {
        Some(answer) => answer,
        None => panic!(
            "{what} was used outside of a running annulus loop: call it inside `annulus::run(...)`, on the loop's own thread"
        ),
    }
}

/// The current loop's port.
///
/// # Panics
/// Outside of a runtime, saying what to do.
#[track_caller]
#[inline]
pub(crate) fn current_port() -> Rc<Port> {
    expect_current("an operation", |engine| Rc::clone(&engine.port))
}

/// What never waits takes a turn all the same, lest a task that uses nothing else has the thread for itself (I8).
///
/// Spends one of what a poll may have without waiting; when that is used up, the others have their turn first.
#[inline]
pub(crate) fn poll_turn(cx: &mut Context<'_>) -> Poll<()> {
    match has_turn() {
        true => Poll::Ready(()),
        false => give_way(cx),
    }
}

/// As `poll_turn`, without anybody's code: when it is false, give way.
#[inline]
pub(crate) fn has_turn() -> bool {
    let current = with_current(|engine| {
        let left = engine.budget.get();
        engine.budget.set(left.saturating_sub(1));
        left > 0
    });
    // Outside of a loop there are no others.
    current.unwrap_or(true)
}

/// As `has_turn`, for a task that computes: it has used up its share also by the time that it took.
#[inline]
pub(crate) fn has_share() -> bool {
    with_current(Engine::spend_share).unwrap_or(true)
}

/// Pending, to be polled again when others had their turn.
#[cold]
pub(crate) fn give_way<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Waits until the operations that these tasks have left behind are retired. The thread goes on meanwhile.
pub(crate) async fn settled(tasks: Vec<u64>) {
    let port = current_port();
    let mut orphans = port.orphans_of(&tasks);
    poll_fn(|cx| port.poll_settled(&mut orphans, cx.waker())).await
}

impl Engine {
    pub(crate) fn new(executor: Executor, driver: Driver, pool: PoolSize) -> Engine {
        let (clock, seed) = (driver.clock(), driver.seed());
        if clock.is_simulated() {
            executor.times_nothing();
        }
        let epoch = clock.now();
        let recorder = executor.recorder.clone();
        let beacon = Beacon::new(executor.id().number(), driver.name(), recorder.clone());
        let port = Port::new(executor.id(), executor.inbox(), driver, pool);
        recorder.iter().for_each(|recorder| port.record(recorder));
        Engine {
            beacon,
            port,
            executor,
            wheel: RefCell::new(Wheel::new()),
            epoch,
            clock,
            budget: Cell::new(BUDGET),
            share: Cell::new((u64::MAX, epoch)),
            batch: Cell::new(0),
            dice: RefCell::new(Dice::new(seed)),
            polls_at_flush: Cell::new(0),
            until_noted: Cell::new(0),
            parks: Cell::new(0),
            batches: RefCell::default(),
            depths: RefCell::default(),
            timers_fired: Cell::new(0),
            spin: Spin::default(),
            jobs: OnceCell::new(),
        }
    }

    pub(crate) fn enter(&self) -> Scope<'_> {
        // Much time may have passed since the last turn.
        self.note_time();
        let _executor = executor::Scope::enter(&self.executor);
        Scope { before: CURRENT.replace(self), beacon: &self.beacon, _executor }
    }

    /// The loop's clock.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// How many polls the driver has been kept waiting for.
    pub(crate) fn polls_since_flush(&self) -> u64 {
        self.executor.polls() - self.polls_at_flush.get()
    }

    /// The driver has its turn.
    pub(crate) fn flushed(&self) {
        self.polls_at_flush.set(self.executor.polls());
    }

    /// A number by chance, or in a simulated world by its seed.
    pub(crate) fn random(&self) -> u64 {
        self.dice.borrow_mut().next()
    }

    /// Notes what time it is, for ages: after each sleep, or once in a while.
    #[inline]
    pub(crate) fn note_time(&self) {
        let now = match self.clock.is_simulated() {
            true => self.nanoseconds(self.clock.shown()),
            false => sys::clock::lately(),
        };
        self.executor.time.set(now);
        self.port.set_time(now);
    }

    /// The driver is about to have its turn: one in some is looked at.
    #[inline]
    pub(crate) fn note_turn(&self) {
        let left = self.until_noted.get();
        if left == 0 {
            return self.note_this_turn();
        }
        self.until_noted.set(left - 1);
    }

    #[cold]
    fn note_this_turn(&self) {
        // Not a divisor of what people do in rounds.
        self.until_noted.set(TURNS_PER_NOTE - 1);
        self.note_time();
        self.batches.borrow_mut().note(self.batch.get() as u64);
        self.depths.borrow_mut().note(self.port.in_flight() as u64);
    }

    /// What other threads reach this loop by.
    pub(crate) fn jobs(&self) -> &Arc<Jobs> {
        self.jobs.get_or_init(|| {
            let jobs = Jobs::start(self);
            self.beacon.answers_to(&jobs);
            jobs
        })
    }

    /// How many tasks have not finished. The one that attends to other threads is the loop's own, and not counted.
    pub(crate) fn alive(&self) -> usize {
        self.executor.alive().saturating_sub(usize::from(self.jobs.get().is_some()))
    }

    /// How many tasks were made, but for that one.
    pub(crate) fn spawned(&self) -> u64 {
        self.executor.spawned.get() - u64::from(self.jobs.get().is_some())
    }

    // Budget.

    /// A task is about to be polled.
    pub(crate) fn renew_budget(&self) {
        self.budget.set(BUDGET);
    }

    /// Somebody polls by hand, as if it were a task's poll.
    pub(crate) fn begin_by_hand(&self) {
        self.renew_budget();
        // These polls are not counted, so what was looked at before belongs to none.
        self.share.set((u64::MAX, self.epoch));
    }

    /// Whether the task may go on. If not, `has_budget` is to be told who asks.
    #[inline]
    pub(crate) fn has_budget_left(&self) -> bool {
        self.budget.get() > 0
    }

    /// The port, for an operation of no descriptor. None if the task is to yield, or all has ended.
    #[inline]
    pub(crate) fn port_of_a_task(&self) -> Option<Rc<Port>> {
        (self.has_budget_left() && !self.port.has_ended()).then(|| Rc::clone(&self.port))
    }

    /// Whether the loop has one task to poll and no more, so that nothing is gained by gathering what it asks for.
    #[inline]
    pub(crate) fn is_light(&self) -> bool {
        self.batch.get() == 1
    }

    /// So many tasks are polled before the driver has its turn.
    #[inline]
    pub(crate) fn begin_batch(&self, tasks: usize) {
        self.batch.set(tasks);
    }

    /// Whether this loop is the port's, and neither has ended.
    #[inline]
    pub(crate) fn is_of(&self, port: &Rc<Port>) -> bool {
        Rc::ptr_eq(&self.port, port) && !port.has_ended()
    }

    /// False when the task has had its share: it is to yield, having been made ready again.
    #[inline]
    pub(crate) fn has_budget(&self, waker: &Waker) -> bool {
        let left = self.budget.get() > 0;
        if !left {
            waker.wake_by_ref();
        }
        left
    }

    /// An operation was answered without a trip through the driver.
    pub(crate) fn spend_budget(&self) {
        self.budget.set(self.budget.get().saturating_sub(1));
    }

    #[inline]
    fn spend_share(&self) -> bool {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        left > 0 && (left % STEPS_PER_LOOK != 0 || self.has_time())
    }

    /// Whether the task that is polled may go on for longer. Its time begins with its first look.
    #[cold]
    fn has_time(&self) -> bool {
        let (poll, now) = (self.executor.polls(), self.now());
        let (of_poll, began) = self.share.get();
        if of_poll != poll {
            self.share.set((poll, now));
            return true;
        }
        let has_time = now.saturating_duration_since(began) < SHARE;
        if !has_time {
            self.budget.set(0);
        }
        has_time
    }

    // Timers.

    fn nanoseconds(&self, deadline: Instant) -> u64 {
        let after = deadline.saturating_duration_since(self.epoch);
        u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wakes `waker` once the deadline has come.
    pub(crate) fn arm(&self, deadline: Instant, waker: &Waker) -> Key {
        let timer = Timer { waiter: Waiter::of(waker), task: self.executor.current_id() };
        self.wheel.borrow_mut().insert(self.nanoseconds(deadline), timer)
    }

    /// Whether the timer is still armed; if so, `waker` is who waits from now on.
    pub(crate) fn still_armed(&self, key: Key, waker: &Waker) -> bool {
        match self.wheel.borrow_mut().get_mut(key) {
            None => return false,
            Some(timer) if timer.waiter.is(waker) => return true,
            Some(_) => {}
        }
        let timer = Timer { waiter: Waiter::of(waker), task: self.executor.current_id() };
        let before = self.wheel.borrow_mut().get_mut(key).map(|place| std::mem::replace(place, timer));
        before.is_some()
    }

    pub(crate) fn disarm(&self, key: Key) {
        let timer = self.wheel.borrow_mut().remove(key);
        drop(timer);
    }

    /// How many timers are armed.
    pub(crate) fn timers(&self) -> usize {
        self.wheel.borrow().len()
    }

    /// For whom timers are armed, by the tasks' numbers, and for when.
    pub(crate) fn timers_of_tasks(&self) -> Vec<(u64, Instant)> {
        let wheel = self.wheel.borrow();
        let at = |after| self.epoch + Duration::from_nanos(after);
        wheel
            .iter()
            .filter(|(_, timer)| timer.task != 0)
            .map(|(after, timer)| (timer.task, at(after)))
            .collect()
    }

    /// When the next timer is due, if there is one.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let mut wheel = self.wheel.borrow_mut();
        // Beyond what an Instant can say is never.
        wheel.next_deadline().and_then(|after| self.epoch.checked_add(Duration::from_nanos(after)))
    }

    /// Fires the timers that are due. No clock is read when there are none.
    #[inline]
    pub(crate) fn fire_timers(&self) {
        if !self.wheel.borrow().is_empty() {
            self.fire_due();
        }
    }

    fn fire_due(&self) {
        let now = self.nanoseconds(self.now());
        let mut foreign = Vec::new();
        let mut fired = 0;
        self.wheel.borrow_mut().expire(now, |timer| {
            fired += 1;
            foreign.extend(timer.waiter.resume_own());
        });
        self.timers_fired.set(self.timers_fired.get() + fired);
        for waker in foreign {
            self.port.wake_later(waker);
        }
    }

    /// Forgets all timers; their futures are gone.
    pub(crate) fn clear_timers(&self) {
        let wheel = std::mem::replace(&mut *self.wheel.borrow_mut(), Wheel::new());
        drop(wheel);
    }
}
