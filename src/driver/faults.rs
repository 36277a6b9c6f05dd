//! Faults on purpose, over a real driver, by a plan that a seed decides. Only in builds with `--cfg annulus_faults`.
//!
//! What it does a kernel may do, at any time: move fewer bytes than asked for, answer late and in any order, say that
//! a descriptor is not ready after all, and refuse an enter for want of something. So every test is to pass with it, but
//! for those that state when an answer comes, or how much one transfer moves: `tests/faulty.sh` names them. What a disk may say,
//! EIO and ENOSPC, a program is told: `tests/fault_layer.rs` asks for it.
//!
//! `ANNULUS_FAULTS` says which faults, and the seed: `short,late,again,enter,seed=7`. Without it there are none.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::completion::Completion;
use super::operation::{Begin, Request};
use super::slots::Token;
use super::{Counters, Driver, Faults, Lends, Wait};
use crate::buf::Pool;
use crate::dice::Dice;

pub(crate) struct Faulty {
    inner: Box<Driver>,
    plan: Plan,
    /// Answers that have come and are kept back: until the reap of that number.
    held: Vec<(u64, Token, Completion)>,
    reaps: u64,
}

#[derive(Clone, Debug, Default)]
struct Plan {
    faults: Faults,
    dice: Dice,
}

thread_local! {
    /// What refuses enters, of the loop that was made last on this thread.
    static ENTERS: RefCell<Plan> = RefCell::default();
}

/// Puts faults over a driver, if the environment asks for some.
pub(crate) fn over(inner: Driver) -> Driver {
    let Ok(text) = std::env::var("ANNULUS_FAULTS") else { return inner };
    let (mut faults, seed) = Faults::parse(&text).unwrap_or_else(|why| panic!("ANNULUS_FAULTS: {why}"));
    if inner.name() != "uring" {
        // The readiness driver asks the kernel itself, and it never lies about that.
        faults.again = 0.0;
    }
    let plan = Plan { faults, dice: Dice::new(seed) };
    ENTERS.set(plan.clone());
    Driver::Faulty(Box::new(Faulty { inner: Box::new(inner), plan, held: Vec::new(), reaps: 0 }))
}

/// What an enter is refused with, if this one is to be.
pub(super) fn refuses_enter() -> Option<i32> {
    ENTERS.with_borrow_mut(|plan| {
        const PASSING: [i32; 4] = [libc::EAGAIN, libc::EBUSY, libc::ENOMEM, libc::EINTR];
        plan.happens(|faults| faults.enter).then(|| PASSING[plan.dice.below(4) as usize])
    })
}

impl Plan {
    fn happens(&mut self, rate: impl Fn(&Faults) -> f64) -> bool {
        let rate = rate(&self.faults);
        self.dice.happens(rate)
    }
}

impl Faulty {
    pub(crate) fn inner(&self) -> &Driver {
        &self.inner
    }

    pub(crate) fn push(&mut self, token: Token, request: &Request, begin: Begin) {
        let may_wait = matches!(request.form.wait, Wait::Readable | Wait::Writable);
        if may_wait && begin == Begin::Now && self.plan.happens(|faults| faults.again) {
            return self.hold(token, Completion::of(-libc::EAGAIN));
        }
        if let Some(error) = self.disk_error(request) {
            return self.hold(token, Completion::of(-error));
        }
        let request = self.shortened(request);
        self.inner.push(token, &request, begin);
    }

    fn shortened(&mut self, request: &Request) -> Request {
        let mut request = *request;
        let lends_bytes = matches!(request.form.lends, Lends::ToFill | Lends::ToSend);
        if lends_bytes && request.length > 1 && self.plan.happens(|faults| faults.short) {
            let at_most = u64::from(request.length).min(if self.plan.dice.one_in(2) { 7 } else { 5000 });
            request.length = 1 + self.plan.dice.below(at_most) as u32;
        }
        request
    }

    /// Of a call that is made now, and no submission: None if it is not ready after all.
    pub(crate) fn attempted(&mut self, request: &Request) -> Option<Request> {
        let is_ready = !self.plan.happens(|faults| faults.again);
        is_ready.then(|| self.shortened(request))
    }

    /// What a disk says to a transfer or a sync of a file, if it is to fail: of what has readiness there is no disk.
    fn disk_error(&mut self, request: &Request) -> Option<i32> {
        const READS: [&str; 3] = ["read", "read_lease", "readv"];
        const WRITES: [&str; 2] = ["write", "writev"];
        let (name, writes) = (request.form.name, WRITES.contains(&request.form.name));
        let is_asked = writes || READS.contains(&name) || name == "fsync";
        if request.form.wait != Wait::Helper || !is_asked {
            return None;
        }
        if self.plan.happens(|faults| faults.disk_error) {
            return Some(libc::EIO);
        }
        (writes && self.plan.happens(|faults| faults.disk_full)).then_some(libc::ENOSPC)
    }

    fn hold(&mut self, token: Token, answer: Completion) {
        let span = if self.plan.happens(|faults| faults.late) { self.plan.dice.below(4) } else { 0 };
        // Several answers of one submission keep their order.
        let before = self.held.iter().filter(|held| held.1 == token).map(|held| held.0).max();
        self.held.push(((self.reaps + span).max(before.unwrap_or(0)), token, answer));
    }

    pub(crate) fn cancel(&mut self, token: Token, fd: i32) {
        self.inner.cancel(token, fd);
    }

    pub(crate) fn lend(&mut self, pool: &Rc<Pool>) -> bool {
        self.inner.lend(pool)
    }

    pub(crate) fn register(&mut self, memory: *mut u8, length: usize) -> io::Result<u16> {
        self.inner.register(memory, length)
    }

    pub(crate) fn unregister(&mut self, place: u16) {
        self.inner.unregister(place);
    }

    pub(crate) fn plain(&mut self, number: i32) -> io::Result<i32> {
        self.inner.plain(number)
    }

    pub(crate) fn leave(&mut self, number: i32) -> io::Result<i32> {
        self.inner.leave(number)
    }

    pub(crate) fn close(&mut self, number: i32) {
        self.inner.close(number);
    }

    pub(crate) fn poll_file(&mut self, number: i32, most: u32) {
        self.inner.poll_file(number, most);
    }

    pub(crate) fn forget(&mut self, number: i32) {
        self.inner.forget(number);
    }

    pub(crate) fn reap(&mut self, mut found: impl FnMut(Token, Completion)) {
        self.reaps += 1;
        let mut come = Vec::new();
        // Not passed on: this function would be made anew for each driver within.
        let gather: &mut dyn FnMut(Token, Completion) = &mut |token, answer| come.push((token, answer));
        self.inner.reap(&mut { gather });
        for (token, answer) in come {
            self.hold(token, answer);
        }
        let (mut due, later) = self.held.drain(..).partition::<Vec<_>, _>(|(when, ..)| *when <= self.reaps);
        self.held = later;
        while !due.is_empty() {
            let any = self.plan.happens(|faults| faults.late);
            let next = if any { self.plan.dice.below(due.len() as u64) as usize } else { 0 };
            let next = due.iter().position(|other| other.1 == due[next].1).unwrap_or(next);
            let (_, token, answer) = due.remove(next);
            found(token, answer);
        }
    }

    pub(crate) fn has_answers(&mut self) -> bool {
        !self.held.is_empty() || self.inner.has_answers()
    }

    pub(crate) fn announces_by(&mut self) -> io::Result<Option<i32>> {
        self.inner.announces_by()
    }

    pub(crate) fn set_outside(&self, is_outside: bool) {
        self.inner.set_outside(is_outside);
    }

    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        Ok(self.inner.settle()? && self.held.is_empty())
    }

    pub(crate) fn closing(&self) -> usize {
        self.inner.closing()
    }

    pub(crate) fn queued(&self) -> usize {
        self.inner.queued()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.inner.counters()
    }

    pub(crate) fn flush(&mut self, due: bool) -> io::Result<()> {
        self.inner.flush(due)
    }

    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        match self.held.is_empty() {
            true => self.inner.wait(limit),
            false => self.inner.flush(true),
        }
    }
}
