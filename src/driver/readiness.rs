//! The queue pair in user space, where there is no io_uring.
//!
//! A submission is attempted at once; if it would block it waits until its descriptor is ready, and is
//! attempted again. A descriptor is registered once, for both directions, when it first has to wait, in edge
//! mode where the system has that: a bit for each direction says "may be ready" and is cleared by EAGAIN, and
//! while it is clear nothing is attempted. What can only block goes to helper threads.
//!
//! What came over TCP and left room in its buffer has emptied the socket, so that it clears the bit as well and spares
//! the call that would say EAGAIN. That holds as long as nothing but bytes has come: an end, an error or urgent data
//! may be announced together with them, and then nobody would say so again.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(not(target_os = "linux"))]
mod portable;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

#[cfg(target_os = "linux")]
use epoll::Poller;
#[cfg(not(target_os = "linux"))]
use portable::Poller;

use super::completion::Completion;
use super::helpers::{HelperPlan, Helpers};
use super::operation::{Begin, Request, Wait};
use super::slots::Token;
use super::{Counters, Settings};
use crate::buf::Pool;
use crate::executor::Inbox;
use crate::sys;

pub(crate) struct Readiness {
    poller: Poller,
    /// By number: the system gives the lowest that is free, so few places are empty.
    watched: Vec<Option<Watched>>,
    generation: u32,
    /// How many operations wait for a descriptor.
    waiting: usize,
    answers: VecDeque<(Token, Completion)>,
    /// It was its turn to ask who is ready, and nobody waited.
    owes_a_look: bool,
    helpers: Option<Helpers>,
    helper_plan: HelperPlan,
    inbox: &'static Inbox,
    /// What is received into, where that is asked for.
    pool: Option<Rc<Pool>>,
    counters: Counters,
}

/// A registered descriptor.
struct Watched {
    name: Name,
    readable: bool,
    writable: bool,
    /// An answer that leaves room has taken all that was there, and what comes later will be told.
    empties: bool,
    waiting: VecDeque<(Token, Request)>,
}

/// What the poller calls a registration: an event of an earlier one of the same number is not for us.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    number: i32,
    generation: u32,
}

/// What a poller reports.
struct Event {
    name: Name,
    readable: bool,
    writable: bool,
    /// There is more to it than bytes that came and room for others.
    special: bool,
}

impl Readiness {
    pub(crate) fn new(settings: &Settings, inbox: &'static Inbox) -> io::Result<Readiness> {
        let poller = Poller::new()?;
        inbox.set_doorbell(Some(poller.doorbell()));
        Ok(Readiness {
            poller,
            watched: Vec::new(),
            generation: 0,
            waiting: 0,
            answers: VecDeque::new(),
            owes_a_look: false,
            helpers: None,
            helper_plan: settings.helpers.clone(),
            inbox,
            pool: None,
            counters: Counters::default(),
        })
    }

    pub(crate) fn push(&mut self, token: Token, request: &Request, begin: Begin) {
        self.counters.submitted += 1;
        match request.form.wait {
            // SAFETY: the request was just pushed, so its operation is in flight.
            Wait::Helper => match unsafe { request.attempt_at_once() } {
                Some(answer) => self.answers.push_back((token, Completion::of(answer))),
                None => self.help(token, request),
            },
            _ if begin == Begin::WhenReady || self.knows_not_ready(request) => self.wait_for(token, request),
            _ => self.attempt(token, request),
        }
    }

    pub(crate) fn lend(&mut self, pool: &Rc<Pool>) {
        self.pool = Some(Rc::clone(pool));
    }

    fn help(&mut self, token: Token, request: &Request) {
        let (inbox, plan) = (self.inbox, &self.helper_plan);
        self.helpers.get_or_insert_with(|| Helpers::new(inbox, plan)).submit(token, request);
    }

    #[inline]
    fn watched(&self, number: i32) -> Option<&Watched> {
        self.watched.get(number as usize)?.as_ref()
    }

    #[inline]
    fn watched_mut(&mut self, number: i32) -> Option<&mut Watched> {
        self.watched.get_mut(number as usize)?.as_mut()
    }

    fn knows_not_ready(&self, request: &Request) -> bool {
        let Some(watched) = self.watched(request.fd) else { return false };
        match request.form.wait {
            Wait::Readable => !watched.readable,
            Wait::Writable => !watched.writable,
            _ => false,
        }
    }

    fn attempt(&mut self, token: Token, request: &Request) {
        // SAFETY: the request was just pushed, or has waited: its operation is in flight.
        let answer = unsafe { request.attempt_with(self.pool.as_deref()) };
        match answer.result {
            again if again == -libc::EAGAIN && request.poll_events().is_some() => {
                self.wait_for(token, request);
            }
            result => {
                if request.form.empties && result > 0 && (result as u32) < request.length {
                    self.emptied(request.fd);
                }
                self.answers.push_back((token, answer));
            }
        }
    }

    /// There was less than there was room for.
    fn emptied(&mut self, number: i32) {
        if let Some(watched) = self.watched_mut(number).filter(|watched| watched.empties) {
            watched.readable = false;
        }
    }

    /// Puts a request into its descriptor's queue, registering the descriptor if need be.
    fn wait_for(&mut self, token: Token, request: &Request) {
        match self.register(request.fd) {
            Ok(watched) => {
                match request.form.wait {
                    Wait::Readable => watched.readable = false,
                    Wait::Writable => watched.writable = false,
                    _ => {}
                }
                watched.waiting.push_back((token, *request));
                self.waiting += 1;
                if self.poller.forgets() {
                    self.rearm(request.fd);
                }
            }
            // A regular file: it has no readiness, and its calls block. Threads are for that.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => self.help(token, request),
            Err(error) => self.answers.push_back((token, Completion::of(sys::negated(Err(error))))),
        }
    }

    fn register(&mut self, number: i32) -> io::Result<&mut Watched> {
        if self.watched(number).is_none() {
            self.generation = self.generation.wrapping_add(1);
            let name = Name { number, generation: self.generation };
            // It is open (I4), and forgotten before the number is closed, be it by `close` or by an operation.
            self.poller.watch(name)?;
            // Whatever was ready before is reported by the next wait, so nothing is missed.
            // Nearly always one operation waits: by itself the queue would make room for four, 256 bytes a connection.
            let waiting = VecDeque::with_capacity(1);
            let empties = self.poller.tells_ends(number);
            let watched = Watched { name, readable: true, writable: true, empties, waiting };
            let place = number as usize;
            if place >= self.watched.len() {
                self.watched.resize_with(place + 1, || None);
            }
            self.watched[place] = Some(watched);
        }
        Ok(self.watched_mut(number).expect("just looked up"))
    }

    fn rearm(&mut self, number: i32) {
        if let Some(watched) = self.watched(number) {
            let awaits = |wait| {
                watched.waiting.iter().any(|(_, request)| [wait, Wait::Asked].contains(&request.form.wait))
            };
            let (readable, writable) = (awaits(Wait::Readable), awaits(Wait::Writable));
            self.poller.watch_again(watched.name, readable, writable);
        }
    }

    pub(crate) fn cancel(&mut self, token: Token, fd: i32) {
        self.counters.cancels += 1;
        let withdrawn = self.helpers.as_ref().is_some_and(|helpers| helpers.withdraw(token));
        let stopped = match self.stop_waiting(token, fd) {
            _ if withdrawn => Some(Completion::cancelled()),
            Some(request) => Some(self.last_look(&request).unwrap_or(Completion::cancelled())),
            // A helper runs it, or its answer is under way: that will come.
            None => None,
        };
        match stopped == Some(Completion::cancelled()) {
            true => self.counters.cancels_stopped += 1,
            false => self.counters.cancels_late += 1,
        }
        self.answers.extend(stopped.map(|answer| (token, answer)));
    }

    fn stop_waiting(&mut self, token: Token, fd: i32) -> Option<Request> {
        let watched = self.watched_mut(fd)?;
        let place = watched.waiting.iter().position(|(waiting, _)| *waiting == token)?;
        let (_, request) = watched.waiting.remove(place)?;
        self.waiting -= 1;
        Some(request)
    }

    /// Of what is stopped in the very poll in which it began, again and again (a read that is raced against something that is always
    /// ready), nothing waits whenever it is time to ask who is ready. So it is tried itself then.
    fn last_look(&mut self, request: &Request) -> Option<Completion> {
        if !self.owes_a_look || request.form.wait != Wait::Readable {
            return None;
        }
        self.owes_a_look = false;
        // SAFETY: it has waited, and is not answered: its operation is in flight.
        let answer = unsafe { request.attempt_with(self.pool.as_deref()) };
        (answer.result != -libc::EAGAIN).then_some(answer)
    }

    pub(crate) fn close(&mut self, number: i32) {
        self.forget(number);
        sys::close(number);
    }

    /// Nothing waits for the number any more, and it is about to be closed: the next file of that number is another.
    pub(crate) fn forget(&mut self, number: i32) {
        if self.watched.get_mut(number as usize).and_then(Option::take).is_some() {
            self.poller.forget(number);
        }
    }

    pub(crate) fn reap(&mut self, mut found: impl FnMut(Token, Completion)) {
        let helped = self.helpers.as_ref().map(Helpers::take).unwrap_or_default();
        self.answers.extend(helped.into_iter().map(|(token, answer)| (token, Completion::of(answer))));
        self.counters.completed += self.answers.len() as u64;
        for (token, answer) in self.answers.drain(..) {
            found(token, answer);
        }
    }

    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty() || self.helpers.as_ref().is_some_and(Helpers::has_answers)
    }

    pub(crate) fn closing(&self) -> usize {
        0
    }

    /// Something waits for readiness, so a busy loop must look now and then.
    pub(crate) fn queued(&self) -> usize {
        self.waiting
    }

    pub(crate) fn announces_by(&self) -> i32 {
        self.poller.number()
    }

    /// False if there is something to reap; if not, the poller will tell.
    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        // A poller that had more to report than there was room for tells nobody so.
        while self.poller.may_have_more() {
            self.collect(Some(Duration::ZERO))?;
        }
        Ok(!self.has_answers())
    }

    pub(crate) fn counters(&self) -> Counters {
        self.helpers.as_ref().map_or(self.counters, |helpers| helpers.counted(self.counters))
    }

    pub(crate) fn flush(&mut self, due: bool) -> io::Result<()> {
        self.owes_a_look |= due;
        match self.owes_a_look && self.waiting > 0 {
            true => self.collect(Some(Duration::ZERO)),
            false => Ok(()),
        }
    }

    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let ready = !self.answers.is_empty();
        self.collect(if ready { Some(Duration::ZERO) } else { limit })
    }

    /// Waits for events and attempts what waited for them.
    fn collect(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.counters.enters += 1;
        self.owes_a_look = false;
        let waited = self.poller.wait(limit);
        let mut place = 0;
        while let Some(event) = self.poller.event(place) {
            self.ready(event);
            place += 1;
        }
        waited
    }

    /// Attempts what waits for a descriptor, in the order in which it came.
    fn ready(&mut self, event: Event) {
        let number = event.name.number;
        let Some(watched) = self.watched_mut(number).filter(|watched| watched.name == event.name) else {
            return;
        };
        watched.readable |= event.readable;
        watched.writable |= event.writable;
        watched.empties &= !event.special;
        // Those that have to wait on go to the end, so each is looked at once.
        for _ in 0..watched.waiting.len() {
            let Some((token, request)) = self.next_waiting(number) else { return };
            if request.form.wait != Wait::Asked && self.knows_not_ready(&request) {
                self.wait_for(token, &request);
            } else {
                self.attempt(token, &request);
            }
        }
    }

    fn next_waiting(&mut self, number: i32) -> Option<(Token, Request)> {
        let waiting = self.watched_mut(number)?.waiting.pop_front()?;
        self.waiting -= 1;
        Some(waiting)
    }
}
