//! Accepts a connection. accept4(2), IORING_OP_ACCEPT (5.5)

use std::io;

use super::orphan;
use crate::driver::{Completion, Descriptor, Form, Hold, Operation, Request, Way, form};
use crate::sys;

/// Accepts a connection.
pub struct Accept {
    hold: Hold,
}

const FORM: &Form = &form! {
    name: "accept",
    wait: Readable,
    code: Accept,
    entry: |request| opcode::Accept::new(types::Fd(request.fd), std::ptr::null_mut(), std::ptr::null_mut())
        .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK),
    attempt: |request| sys::socket::accept(request.fd),
    simulated: |request, kernel| kernel.accept(request.fd),
};

impl Accept {
    pub(crate) fn new(hold: Hold) -> Self {
        Accept { hold }
    }
}

impl Operation for Accept {
    type Output = io::Result<Descriptor>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request::on(FORM, &self.hold)
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_descriptor(self.hold.direction(Way::Read))
    }

    /// A connection that nobody waits for any more waits for the next accept (pitfall 8).
    fn salvage(self, answer: Completion) {
        orphan::leave_descriptor(&self.hold, Way::Read, answer);
    }

    fn complete(self, answer: Completion) -> io::Result<Descriptor> {
        answer.checked().map(|number| Descriptor::new(number as i32, self.hold.port()))
    }
}
