//! Locks a file, or says that somebody else has. flock(2)

use std::io;

use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Locks a file, or says that somebody else has.
pub struct Flock {
    hold: Hold,
    operation: i32,
}

/// Somebody else has it.
const TAKEN: i32 = 1;

const FORM: &Form = &form! {
    name: "flock",
    wait: Helper,
    entry: none,
    attempt: |request| match sys::attributes::lock(request.fd, request.flags | libc::LOCK_NB) {
        // To the driver this would mean: wait, and try again.
        taken if taken == -libc::EWOULDBLOCK => TAKEN,
        answer => answer,
    },
    simulated: |request, kernel| match kernel.lock(request.fd, request.flags) {
        taken if taken == -libc::EWOULDBLOCK => TAKEN,
        answer => answer,
    },
};

impl Flock {
    pub(crate) fn new(hold: Hold, operation: i32) -> Self {
        Flock { hold, operation }
    }
}

impl Operation for Flock {
    /// Whether it is locked now.
    type Output = io::Result<bool>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { flags: self.operation, ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(|answer| answer as i32 != TAKEN)
    }
}
