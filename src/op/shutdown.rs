//! Ends one direction of a connection, or both. shutdown(2), IORING_OP_SHUTDOWN (5.11)

use std::io;

use crate::driver::{Completion, Form, Hold, Operation, Request, Way, form};
use crate::sys;

/// Ends one direction of a connection, or both.
pub struct Shutdown {
    hold: Hold,
    how: i32,
}

const FORM: &Form = &form! {
    name: "shutdown",
    wait: Never,
    code: Shutdown,
    entry: |request| opcode::Shutdown::new(types::Fd(request.fd), request.flags),
    attempt: |request| sys::socket::shutdown(request.fd, request.flags),
    simulated: |request, kernel| kernel.shutdown(request.fd, request.flags),
};

impl Shutdown {
    pub(crate) fn new(hold: Hold, how: i32) -> Self {
        Shutdown { hold, how }
    }
}

impl Operation for Shutdown {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { flags: self.how, ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    /// The end of what is sent comes after what is being sent. Ending what is received waits for nobody: it is how a
    /// pending receive is ended.
    fn way(&self) -> Option<Way> {
        (self.how != libc::SHUT_RD).then_some(Way::Write)
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
