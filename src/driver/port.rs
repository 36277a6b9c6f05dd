//! Where operations go out and answers come in: a driver, the slots of what is in flight, and what is to be
//! done for those that nobody waits for.
//!
//! The invariants that are kept here: I2, an operation in flight is owned by its future or by its slot; I3,
//! only a completion retires it; I5, nothing is borrowed while somebody else's code runs; I6, what the kernel
//! may still touch is never freed.

mod end;
mod lending;
mod now;
mod numbers;
mod outside;
mod seen;
mod settling;
mod spinning;
mod tally;
#[cfg(feature = "tracing")]
mod traced;

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::completion::{BUFFER, Completion};
use super::descriptor::Hold;
use super::fork;
use super::operation::{Begin, Request};
use super::pipes::Pipes;
use super::slots::{Found, LastLook, Next, Orphan, Retirement, Slots, Token};
use super::{Driver, Taker};
use crate::buf::{Pool, PoolSize};
use crate::executor::{Inbox, RuntimeId, Waiter, drop_unheard};
pub(crate) use tally::Count;
use tally::Tally;

/// Held by its runtime, by the futures in flight and by descriptors, so it may outlive the first.
pub struct Port {
    runtime: RuntimeId,
    inbox: &'static Inbox,
    pair: RefCell<Pair>,
    /// What leases are of, made when the first is asked for.
    pool: OnceCell<Rc<Pool>>,
    pool_size: PoolSize,
    kernel_picks: Cell<bool>,
    accepts_directly: bool,
    is_ring: bool,
    /// Calls may be made past the driver: its numbers are the system's.
    may_attempt: bool,
    /// Other people's code that completions ask for, run when nothing is borrowed.
    later: RefCell<Vec<Later>>,
    /// Descriptors that are being closed, and what the kernel has not answered on each.
    closing: RefCell<Vec<(Hold, Vec<Token>)>>,
    /// Who waits for orphans to retire.
    settling: RefCell<Vec<Waiter>>,
    /// Whether the driver was given anything since it was last found with nothing to do.
    given: Cell<bool>,
    /// Whether somebody else waits, between two turns.
    outside: Cell<bool>,
    /// Whether somebody has the descriptor to wait for.
    announced: Cell<bool>,
    ended: Cell<bool>,
    /// Whether this is a child's copy of its parent's port. It has then ended as well.
    forked: Cell<bool>,
    tally: Tally,
    pub(super) pipes: Pipes,
    /// What those are told of who look from outside.
    #[cfg(feature = "tracing")]
    traced: traced::Traced,
}

/// What submissions go through and answers come to, borrowed together.
struct Pair {
    driver: Driver,
    slots: Slots,
}

/// Hands an answer to whoever waits for it.
struct Reaper<'a> {
    port: &'a Port,
    slots: &'a mut Slots,
    later: &'a mut Vec<Later>,
    pool: Option<&'a Rc<Pool>>,
}

impl Taker for Reaper<'_> {
    #[inline(always)]
    fn take(&mut self, token: Token, answer: Completion) {
        let answer = match answer.flags & BUFFER {
            0 => answer,
            _ => lending::arrived(self.pool, answer),
        };
        #[cfg(feature = "tracing")]
        self.port.traced.note(token, answer);
        if let Some(rare) = self.slots.complete(token, answer) {
            self.later.extend(self.port.sort(rare, answer));
        }
    }
}

enum Later {
    Wake(Waker),
    /// The kernel has answered all that names the descriptor.
    Close(Hold),
    Retire(Box<dyn Orphan>, Completion),
    RetireMany(Box<Retirement>),
}

impl Port {
    pub(crate) fn new(
        runtime: RuntimeId,
        inbox: &'static Inbox,
        driver: Driver,
        pool_size: PoolSize,
    ) -> Rc<Port> {
        let port = Rc::new(Port {
            runtime,
            inbox,
            pool: OnceCell::new(),
            pool_size,
            kernel_picks: Cell::new(false),
            accepts_directly: driver.accepts_directly(),
            is_ring: driver.name() == "uring",
            may_attempt: driver.may_attempt(),
            pair: RefCell::new(Pair { slots: Slots::new(!driver.is_simulated()), driver }),
            later: RefCell::default(),
            closing: RefCell::default(),
            settling: RefCell::default(),
            given: Cell::new(false),
            outside: Cell::new(false),
            announced: Cell::new(false),
            ended: Cell::new(false),
            forked: Cell::new(false),
            tally: Tally::default(),
            pipes: Pipes::default(),
            #[cfg(feature = "tracing")]
            traced: traced::Traced::default(),
        });
        fork::watch(&port);
        port
    }

    /// This process is a child of the one whose port it is. From now on nothing of the driver is touched.
    pub(super) fn left_behind(&self) {
        self.ended.set(true);
        self.forked.set(true);
        self.given.set(false);
    }

    /// Whether this is a child's copy of its parent's port.
    pub(crate) fn is_forked(&self) -> bool {
        self.forked.get()
    }

    #[inline]
    pub(crate) fn runtime(&self) -> RuntimeId {
        self.runtime
    }

    /// Whether the runtime has ended; nothing is submitted any more.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    // What futures do.

    /// Whether a call may be tried past the driver before it is submitted.
    #[inline]
    pub(crate) fn may_attempt(&self) -> bool {
        self.may_attempt
    }

    /// Sends an operation out, of which this is the request. Its future goes on owning it.
    #[inline(always)]
    pub(crate) fn submit(&self, request: &Request, begin: Begin, waiter: Waiter) -> Token {
        self.given.set(true);
        self.tally.begun(request.form.kind);
        let mut pair = self.pair.borrow_mut();
        let token = pair.slots.insert(waiter, request);
        pair.driver.push(token, request, begin);
        token
    }

    /// Asks for the answer; where there is none yet, `waker` is who waits from now on.
    ///
    /// # Panics
    /// If there is none and the runtime has ended.
    #[inline(always)]
    pub(crate) fn poll(&self, token: Token, waker: &Waker) -> Poll<Completion> {
        let answer = self.pair.borrow_mut().slots.answer(token);
        #[cfg(feature = "tracing")]
        self.show_poll(token, answer);
        match answer {
            Some(answer) => Poll::Ready(answer),
            None => self.poll_unanswered(token, waker),
        }
    }

    /// As `poll`, of what is answered several times.
    #[inline(always)]
    pub(crate) fn poll_next(&self, token: Token, waker: &Waker) -> Poll<Completion> {
        let found = self.pair.borrow_mut().slots.next(token, waker);
        #[cfg(feature = "tracing")]
        self.show_poll(token, found.answer());
        match found {
            Next::Answer(answer) => Poll::Ready(answer),
            Next::Wait if !self.has_ended() => Poll::Pending,
            Next::Wait | Next::Ask => self.poll_unanswered(token, waker),
        }
    }

    #[cold]
    fn poll_unanswered(&self, token: Token, waker: &Waker) -> Poll<Completion> {
        if self.is_forked() {
            // The kernel writes to the parent's memory, and this is a copy of it.
            return Poll::Ready(Completion::cancelled());
        }
        assert!(
            !self.has_ended(),
            "an operation was polled whose runtime has ended before the kernel answered: it never will, and its \
             memory is leaked"
        );
        if self.pair.borrow().slots.is_waited_for_by(token, waker) {
            return Poll::Pending;
        }
        let waiter = Waiter::of(waker);
        let before = self.pair.borrow_mut().slots.set_waiter(token, waiter);
        drop(before);
        Poll::Pending
    }

    /// Asks for the early end of what is in flight.
    pub(crate) fn cancel(&self, token: Token) {
        if self.has_ended() {
            return;
        }
        self.given.set(true);
        let mut pair = self.pair.borrow_mut();
        if let Some(fd) = pair.slots.fd(token) {
            pair.driver.cancel(token, fd);
        }
        self.call_for_a_turn();
    }

    /// What is in flight on a descriptor.
    pub(super) fn in_flight_on(&self, number: i32) -> Vec<Token> {
        self.pair.borrow().slots.tokens(Some(number))
    }

    /// Cancels these, and tells the descriptor when all of them are answered: not only when their futures know, which
    /// may be never.
    pub(super) fn cancel_to_close(&self, hold: Hold, tokens: Vec<Token>) {
        for token in &tokens {
            self.cancel(*token);
        }
        if !self.has_ended() {
            self.closing.borrow_mut().push((hold, tokens));
        }
    }

    /// Cancels all that is in flight.
    fn cancel_all(&self) {
        let tokens = self.pair.borrow().slots.tokens(None);
        for token in tokens {
            self.cancel(token);
        }
    }

    /// The future is dropped. The slot takes the operation over and asks for its end; or, if the answer has
    /// come already, it is salvaged here and now.
    pub(crate) fn abandon(&self, token: Token, orphan: Box<dyn Orphan>) {
        if self.is_forked() {
            return orphan.retire(Completion::cancelled());
        }
        let mut orphan = Some(orphan);
        let found = self.pair.borrow_mut().slots.abandon(token, &mut orphan);
        #[cfg(feature = "tracing")]
        self.show_orphan(token);
        match found {
            LastLook::Answered(answer) => {
                orphan.into_iter().for_each(|orphan| self.tally.retire(orphan, answer))
            }
            LastLook::AnsweredOften(answers) => {
                if let Some(orphan) = orphan {
                    self.tally.retire_many(Retirement { orphan, answers });
                }
            }
            LastLook::Orphaned(waiter) => {
                self.tally.orphans_max.set(self.orphans_max().max(self.orphans()));
                // After the end nobody can be asked. The slot keeps it, leaked: the kernel may still write (I6).
                self.cancel(token);
                // Last: somebody else's waker may do anything when it is dropped, also panic.
                drop(waiter);
            }
        }
    }

    // What the turn does.

    /// Whether the driver has nothing to do and nothing to tell. Says so only after `flush` found it so.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        !self.given.get()
    }

    /// Hands answers to those who wait. Resumes own tasks; everything else waits for `run_later`.
    #[inline]
    pub(crate) fn reap(&self) {
        if !self.is_quiet() {
            self.reap_what_came();
        }
    }

    fn reap_what_came(&self) {
        let Pair { driver, slots } = &mut *self.pair.borrow_mut();
        self.saw_in_flight(slots.in_flight());
        let mut later = self.later.borrow_mut();
        driver.reap(&mut Reaper { port: self, slots, later: &mut later, pool: self.pool.get() });
        while let Some(token) = slots.next_crowded() {
            // One that nobody waits for may have had its last answer in this same reap: its slot is free then.
            if let Some(fd) = slots.fd(token) {
                driver.cancel(token, fd);
            }
        }
        let mut closing = self.closing.borrow_mut();
        if !closing.is_empty() {
            closing.retain_mut(|(hold, tokens)| {
                tokens.retain(|token| slots.names_descriptor(*token));
                if tokens.is_empty() {
                    later.push(Later::Close(hold.clone()));
                }
                !tokens.is_empty()
            });
        }
    }

    /// What is to be done for an answer that resumed no task of ours.
    #[cold]
    fn sort(&self, found: Found, answer: Completion) -> Option<Later> {
        match found {
            Found::Foreign(waker) => Some(Later::Wake(waker)),
            Found::Orphan(orphan) => Some(Later::Retire(orphan, answer)),
            Found::OrphanOfMany(retirement) => Some(Later::RetireMany(retirement)),
            Found::Nothing => {
                self.tally.stray.set(self.tally.stray.get() + 1);
                let unwanted = answer.buffer().zip(self.pool.get());
                unwanted.into_iter().for_each(|(id, pool)| pool.recycle(id));
                None
            }
        }
    }

    /// Wakes somebody else's waker when nothing is borrowed.
    pub(crate) fn wake_later(&self, waker: Waker) {
        self.later.borrow_mut().push(Later::Wake(waker));
    }

    #[inline]
    pub(crate) fn has_later(&self) -> bool {
        !self.later.borrow().is_empty()
    }

    /// Runs other people's code: wakers, and destructors of what nobody wants. A panic of theirs is theirs: the
    /// panic hook tells it, and the loop goes on.
    #[inline]
    pub(crate) fn run_later(self: &Rc<Port>) {
        #[cfg(feature = "tracing")]
        self.show_what_came();
        if self.has_later() {
            self.run_what_is_later();
        }
    }

    #[cold]
    fn run_what_is_later(self: &Rc<Port>) {
        let batch = std::mem::take(&mut *self.later.borrow_mut());
        for later in batch {
            let ran = catch_unwind(AssertUnwindSafe(|| match later {
                Later::Wake(waker) => waker.wake(),
                Later::Close(hold) => hold.is_named_no_more(),
                Later::Retire(orphan, answer) => self.tally.retire(orphan, answer),
                Later::RetireMany(retirement) => self.tally.retire_many(*retirement),
            }));
            ran.unwrap_or_else(drop_unheard);
        }
        self.tell_those_who_settle();
    }

    /// What may go wrong, if the driver is a simulated one.
    #[cfg(feature = "sim")]
    pub(crate) fn set_faults(&self, faults: &super::Faults) {
        if let Driver::Sim(driver) = &self.pair.borrow().driver {
            driver.set_faults(faults);
        }
    }

    /// Whether there is nothing to reap, to run, or to hand over.
    #[cfg(feature = "sim")]
    pub(crate) fn is_at_rest(&self) -> bool {
        let driver = &mut self.pair.borrow_mut().driver;
        !driver.has_answers() && driver.queued() == 0 && !self.has_later()
    }

    /// Whether entries wait for the kernel to be told.
    pub(crate) fn queued(&self) -> usize {
        self.pair.borrow().driver.queued()
    }

    /// See `Driver::flush`.
    pub(crate) fn flush(&self, due: bool) -> io::Result<()> {
        self.refuse_in_child()?;
        let Pair { driver, slots } = &mut *self.pair.borrow_mut();
        driver.flush(due)?;
        let busy = driver.queued() + driver.closing() + slots.in_flight() > 0;
        self.given.set(busy || driver.has_answers());
        Ok(())
    }

    /// Waits until an answer can be reaped, or until another thread has something that `look` finds, for at most
    /// `limit`. First we say that we sleep, then we look once more: what comes after the look rings the doorbell.
    pub(crate) fn wait(&self, limit: Option<Duration>, look: impl FnOnce() -> bool) -> io::Result<()> {
        self.refuse_in_child()?;
        if self.outside.get() {
            self.step_in();
        }
        self.inbox.park();
        let driver = &mut self.pair.borrow_mut().driver;
        let waited = match driver.has_answers() || look() {
            true => driver.flush(true),
            false => driver.wait(limit),
        };
        self.inbox.unpark();
        // Whatever ended the wait, be it the doorbell's own completion, is to be reaped.
        self.given.set(true);
        waited
    }

    fn refuse_in_child(&self) -> io::Result<()> {
        if self.is_forked() { Err(io::Error::from_raw_os_error(libc::EOWNERDEAD)) } else { Ok(()) }
    }

    #[cfg(test)]
    pub(crate) fn with_driver<T>(&self, ask: impl FnOnce(&mut Driver) -> T) -> T {
        ask(&mut self.pair.borrow_mut().driver)
    }
}
