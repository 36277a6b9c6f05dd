//! The queue pair in user space, where there is no io_uring.
//!
//! A submission is attempted at once; if it would block it waits until its descriptor is ready, and is
//! attempted again. A descriptor is registered once, for both directions, when it first has to wait, in edge
//! mode where the system has that: a bit for each direction says "may be ready" and is cleared by EAGAIN, and
//! while it is clear nothing is attempted. What can only block goes to helper threads.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use super::completion::Completion;
use super::helpers::Helpers;
use super::operation::{Begin, Request, Wait};
use super::slots::Token;
use super::{Counters, Settings};
use crate::buf::Pool;
use crate::executor::{Doorbell, Inbox};
use crate::sys;

pub(crate) struct Readiness {
    poller: Arc<Poller>,
    /// Absent only while its events are gone through.
    events: Option<Events>,
    mode: PollMode,
    /// By number: the system gives the lowest that is free, so few places are empty.
    watched: Vec<Option<Watched>>,
    generation: usize,
    /// How many operations wait for a descriptor.
    waiting: usize,
    answers: VecDeque<(Token, Completion)>,
    helpers: Option<Helpers>,
    helpers_max: usize,
    inbox: &'static Inbox,
    /// What is received into, where that is asked for.
    pool: Option<Rc<Pool>>,
    counters: Counters,
}

/// A registered descriptor.
struct Watched {
    /// Which registration of this number it is; an event of an earlier one is not for us.
    key: usize,
    readable: bool,
    writable: bool,
    waiting: VecDeque<(Token, Request)>,
}

struct Notifier(Arc<Poller>);

impl Doorbell for Notifier {
    fn ring(&self) {
        // Refused only if the poller is gone, and then there is nobody to wake.
        let _ = self.0.notify();
    }
}

impl Readiness {
    pub(crate) fn new(settings: &Settings, inbox: &'static Inbox) -> io::Result<Readiness> {
        let poller = Arc::new(Poller::new()?);
        inbox.set_doorbell(Some(Arc::new(Notifier(Arc::clone(&poller)))));
        Ok(Readiness {
            mode: if poller.supports_edge() { PollMode::Edge } else { PollMode::Oneshot },
            poller,
            events: Some(Events::new()),
            watched: Vec::new(),
            generation: 0,
            waiting: 0,
            answers: VecDeque::new(),
            helpers: None,
            helpers_max: settings.helpers_max,
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
        let (inbox, threads_max) = (self.inbox, self.helpers_max);
        self.helpers.get_or_insert_with(|| Helpers::new(inbox, threads_max)).submit(token, request);
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
            _ => self.answers.push_back((token, answer)),
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
                if self.mode == PollMode::Oneshot {
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
            self.generation += 1;
            // 32 bits of generation, 31 of number: never the poller's own key, usize::MAX.
            let key = (self.generation & 0xffff_ffff) << 31 | number as usize;
            // SAFETY: deregistered by `forget` before the number is closed, be it by `close` or by an operation (I4).
            unsafe { self.poller.add_with_mode(number, Event::all(key), self.mode) }?;
            // Whatever was ready before is reported by the next wait, so nothing is missed.
            // Nearly always one operation waits: by itself the queue would make room for four, 256 bytes a connection.
            let waiting = VecDeque::with_capacity(1);
            let watched = Watched { key, readable: true, writable: true, waiting };
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
            let interest = Event::new(watched.key, awaits(Wait::Readable), awaits(Wait::Writable));
            // SAFETY: open while an operation waits on it (I4).
            let descriptor = unsafe { sys::borrow(number) };
            let _ = self.poller.modify_with_mode(descriptor, interest, self.mode);
        }
    }

    pub(crate) fn cancel(&mut self, token: Token, fd: i32) {
        self.counters.cancels += 1;
        let withdrawn = self.helpers.as_ref().is_some_and(|helpers| helpers.withdraw(token));
        if withdrawn || self.stop_waiting(token, fd) {
            self.answers.push_back((token, Completion::cancelled()));
        }
        // Otherwise a helper runs it, or its answer is under way: that will come.
    }

    fn stop_waiting(&mut self, token: Token, fd: i32) -> bool {
        let Some(watched) = self.watched_mut(fd) else { return false };
        let place = watched.waiting.iter().position(|(waiting, _)| *waiting == token);
        let found = place.and_then(|place| watched.waiting.remove(place)).is_some();
        self.waiting -= usize::from(found);
        found
    }

    pub(crate) fn close(&mut self, number: i32) {
        self.forget(number);
        sys::close(number);
    }

    /// Nothing waits for the number any more, and it is about to be closed: the next file of that number is another.
    pub(crate) fn forget(&mut self, number: i32) {
        if self.watched.get_mut(number as usize).and_then(Option::take).is_some() {
            // SAFETY: still open; its closing comes after this.
            let descriptor = unsafe { sys::borrow(number) };
            let _ = self.poller.delete(descriptor);
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

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) fn flush(&mut self, due: bool) -> io::Result<()> {
        if due && self.waiting > 0 { self.collect(Some(Duration::ZERO)) } else { Ok(()) }
    }

    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let ready = !self.answers.is_empty();
        self.collect(if ready { Some(Duration::ZERO) } else { limit })
    }

    /// Waits for events and attempts what waited for them.
    fn collect(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.counters.enters += 1;
        let mut events = self.events.take().unwrap_or_default();
        events.clear();
        let waited = self.poller.wait(&mut events, limit);
        for event in events.iter() {
            self.ready((event.key & 0x7fff_ffff) as i32, event);
        }
        self.events = Some(events);
        match waited {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Attempts what waits for a descriptor, in the order in which it came.
    fn ready(&mut self, number: i32, event: Event) {
        let Some(watched) = self.watched_mut(number).filter(|watched| watched.key == event.key) else {
            return;
        };
        watched.readable |= event.readable;
        watched.writable |= event.writable;
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
