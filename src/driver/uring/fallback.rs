//! Operations that the ring does not know: each is done in its other form, and no ring is thrown away for it.
//!
//! Attempt, wait for readiness by a poll entry, attempt again; or a helper thread. The same serves operations
//! whose completion said EAGAIN: a descriptor that we did not create may be non-blocking in ways that the
//! kernel's own waiting does not cover.
#![allow(unsafe_code)]

use std::collections::HashMap;

use io_uring::{opcode, types};

use super::{Kind, Ring, mark};
use crate::driver::helpers::Helpers;
use crate::driver::operation::{Begin, Completion, Request, Wait};
use crate::driver::slots::Token;

/// What waits for a descriptor to be ready.
#[derive(Default)]
pub(super) struct Waits {
    waiting: HashMap<Token, Request>,
}

impl Waits {
    pub(super) fn is_waiting(&self, token: Token) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(&token)
    }
}

impl Ring {
    #[cold]
    pub(super) fn push_otherwise(&mut self, token: Token, request: &Request, begin: Begin) {
        self.counters.fallbacks += 1;
        if request.form.wait == Wait::Helper {
            let (inbox, threads_max) = (self.inbox, self.helpers_max);
            self.helpers.get_or_insert_with(|| Helpers::new(inbox, threads_max)).submit(token, request);
        } else if begin == Begin::WhenReady {
            self.wait_for(token, request);
        } else {
            self.attempt(token, request);
        }
    }

    fn attempt(&mut self, token: Token, request: &Request) {
        if let Some(answer) = self.attempted(token, request) {
            self.answers.push_back((token, answer));
        }
    }

    /// Tries; None if it has to wait.
    fn attempted(&mut self, token: Token, request: &Request) -> Option<Completion> {
        // SAFETY: the request was just pushed or waits here, so its operation is in flight.
        match unsafe { request.attempt() } {
            again if again == -libc::EAGAIN && request.poll_events().is_some() => {
                self.wait_for(token, request);
                None
            }
            answer => Some(Completion::of(answer)),
        }
    }

    fn wait_for(&mut self, token: Token, request: &Request) {
        let events = request.poll_events().unwrap_or_default();
        let entry = opcode::PollAdd::new(types::Fd(request.fd), events).build();
        match self.queue(&entry.user_data(mark(Kind::Wait, token))) {
            Ok(()) => {
                self.waits.waiting.insert(token, *request);
            }
            Err(errno) => self.answers.push_back((token, Completion::of(-errno))),
        }
    }

    /// The wait is over: tries again, or tells why it ended.
    pub(super) fn after_wait(&mut self, token: Token, waited: Completion) -> Option<Completion> {
        let request = self.waits.waiting.remove(&token)?;
        match waited.result {
            error if error < 0 => Some(waited),
            _ => self.attempted(token, &request),
        }
    }
}
