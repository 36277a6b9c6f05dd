//! Operations that the ring does not know: each is done in its other form, and no ring is thrown away for it.
//!
//! Attempt, wait for readiness by a poll entry, attempt again; or a helper thread. The same serves operations
//! whose completion said EAGAIN: a descriptor that we did not create may be non-blocking in ways that the
//! kernel's own waiting does not cover.
#![allow(unsafe_code)]

use std::collections::HashMap;

use io_uring::{opcode, types};

use super::{Kind, Ring, mark};
use crate::driver::completion::Completion;
use crate::driver::helpers::Helpers;
use crate::driver::operation::{Begin, Request, Wait};
use crate::driver::slots::Token;

/// What waits for a descriptor to be ready.
#[derive(Default)]
pub(super) struct Waits {
    waiting: HashMap<Token, Waiting>,
}

#[derive(Clone, Copy)]
struct Waiting {
    request: Request,
    /// Asked to end. The request to end the poll may come too late for it, and must not be forgotten then.
    cancelled: bool,
}

impl Waits {
    /// Asks a wait to end. False if there is none of that token.
    pub(super) fn cancel(&mut self, token: Token) -> bool {
        let waiting = if self.waiting.is_empty() { None } else { self.waiting.get_mut(&token) };
        waiting.map(|waiting| waiting.cancelled = true).is_some()
    }

    /// The wait will never begin.
    pub(super) fn forget(&mut self, token: Token) {
        self.waiting.remove(&token);
    }
}

impl Ring {
    #[cold]
    pub(super) fn push_otherwise(&mut self, token: Token, request: &Request, begin: Begin) {
        // What has no ring form at all is done as it is always done.
        self.counters.fallbacks += u64::from(request.form.entry.is_some());
        if request.form.wait == Wait::Helper {
            let (inbox, plan) = (self.inbox, &self.helper_plan);
            self.helpers.get_or_insert_with(|| Helpers::new(inbox, plan)).submit(token, request);
        } else if begin == Begin::WhenReady {
            self.wait_for(token, request);
        } else {
            self.attempt(token, request);
        }
    }

    /// Tries; waits where that says that it has to.
    fn attempt(&mut self, token: Token, request: &Request) {
        // SAFETY: the request was just pushed, so its operation is in flight.
        let answer = unsafe { request.attempt_with(self.pool()) };
        match must_wait(answer, request) {
            true => self.wait_for(token, request),
            false => self.answers.push_back((token, answer)),
        }
    }

    fn wait_for(&mut self, token: Token, request: &Request) {
        let events = request.poll_events().unwrap_or_default();
        let entry = opcode::PollAdd::new(types::Fd(request.fd), events).build();
        match self.queue(&entry.user_data(mark(Kind::Wait, token))) {
            Ok(()) => {
                let waiting = Waiting { request: *request, cancelled: false };
                self.waits.waiting.insert(token, waiting);
            }
            Err(errno) => self.answers.push_back((token, Completion::of(-errno))),
        }
    }

    /// The wait is over: tries again, or tells why it ended.
    pub(super) fn after_wait(&mut self, token: Token, waited: Completion) -> Option<Completion> {
        let Waiting { request, cancelled } = self.waits.waiting.remove(&token)?;
        if waited.result < 0 {
            return Some(waited);
        }
        // SAFETY: the request waited here, so its operation is in flight.
        let answer = unsafe { request.attempt_with(self.pool()) };
        match must_wait(answer, &request) {
            true if cancelled => Some(Completion::cancelled()),
            true => {
                self.wait_for(token, &request);
                None
            }
            false => Some(answer),
        }
    }
}

fn must_wait(answer: Completion, request: &Request) -> bool {
    answer.result == -libc::EAGAIN && request.poll_events().is_some()
}
