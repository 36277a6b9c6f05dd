//! Gives a file room, or takes it. fallocate(2), IORING_OP_FALLOCATE (5.6)

use std::io;

use super::orphan;
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Gives a file room, or takes it.
pub struct Fallocate {
    hold: Hold,
    mode: i32,
    offset: u64,
    length: u64,
}

const FORM: &Form = &form! {
    name: "fallocate",
    wait: Helper,
    code: Fallocate,
    entry: |request| opcode::Fallocate::new(types::Fd(request.fd), request.other_pointer as u64)
        .offset(request.offset)
        .mode(request.flags),
    attempt: |request| {
        sys::attributes::allocate(request.fd, request.flags, request.offset, request.other_pointer as u64)
    },
    simulated: |request, kernel| {
        kernel.allocate(request.fd, request.flags, request.offset, request.other_pointer as u64)
    },
};

impl Fallocate {
    pub(crate) fn new(hold: Hold, mode: i32, offset: u64, length: u64) -> Self {
        Fallocate { hold, mode, offset, length }
    }
}

impl Operation for Fallocate {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { 
            // A length may need 64 bits.
            other_pointer: self.length as *mut u8,
            offset: self.offset,
            flags: self.mode,
            ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn writes_file(&self) -> bool {
        true
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_outcome(&self.hold, 0, answer);
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(drop)
    }
}
