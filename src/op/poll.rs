//! Waits until a descriptor is ready. poll(2), IORING_OP_POLL_ADD (5.1)

use std::io;

use crate::driver::{Completion, Form, Hold, Operation, Request, Way, form};
use crate::sys;

/// Waits until a descriptor is ready.
pub struct Poll {
    hold: Hold,
    events: i16,
}

const FORM: &Form = &form! {
    name: "poll",
    wait: Asked,
    code: PollAdd,
    entry: |request| opcode::PollAdd::new(types::Fd(request.fd), request.flags as u32),
    attempt: |request| sys::poll_now(request.fd, request.flags as i16),
    simulated: |request, kernel| kernel.poll(request.fd, request.flags as i16),
};

impl Poll {
    pub(crate) fn new(hold: Hold, events: i16) -> Self {
        Poll { hold, events }
    }
}

impl Operation for Poll {
    type Output = io::Result<u32>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { flags: i32::from(self.events), ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    /// What an abandoned read left can be read.
    fn answer_at_hand(&mut self) -> Option<Completion> {
        let left = self.events & libc::POLLIN != 0 && self.hold.direction(Way::Read).has_leftover();
        left.then_some(Completion::of(i32::from(libc::POLLIN)))
    }

    fn complete(self, answer: Completion) -> io::Result<u32> {
        answer.checked()
    }
}
