//! Sets the length of a file. ftruncate(2), IORING_OP_FTRUNCATE (6.9)

use std::io;

use super::orphan;
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Sets the length of a file.
pub struct Ftruncate {
    hold: Hold,
    length: u64,
}

const FORM: &Form = &form! {
    name: "ftruncate",
    wait: Helper,
    code: Ftruncate,
    entry: |request| opcode::Ftruncate::new(types::Fd(request.fd), request.offset),
    attempt: |request| sys::file::truncate(request.fd, request.offset),
    simulated: |request, kernel| kernel.truncate(request.fd, request.offset),
};

impl Ftruncate {
    pub(crate) fn new(hold: Hold, length: u64) -> Self {
        Ftruncate { hold, length }
    }
}

impl Operation for Ftruncate {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { offset: self.length, ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn writes_file(&self) -> bool {
        true
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_outcome(&self.hold, 0, answer);
    }
}
