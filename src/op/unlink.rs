//! Removes a name, or an empty directory. unlinkat(2), IORING_OP_UNLINKAT (5.11)
#![allow(unsafe_code)]

use std::io;

use super::path::At;
use crate::driver::{Completion, Form, Operation, Request, form};
use crate::sys;

/// Removes a name, or an empty directory.
pub struct Unlink {
    at: At,
    flags: i32,
}

const FORM: &Form = &form! {
    name: "unlinkat",
    wait: Helper,
    code: UnlinkAt,
    entry: |request| opcode::UnlinkAt::new(types::Fd(request.fd), request.pointer.cast_const().cast()).flags(request.flags),
    // SAFETY: the operation is in flight: what the request points to is lent, the directories open (I1, I4).
    attempt: |request| unsafe { sys::names::unlink(request.fd, request.pointer.cast_const().cast(), request.flags) },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.unlink(request.fd, request.path(), request.flags) },
}
.by_number();

impl Unlink {
    pub(crate) fn new(at: At, flags: i32) -> Self {
        Unlink { at, flags }
    }
}

impl Operation for Unlink {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { fd: self.at.number(), pointer: self.at.pointer(), flags: self.flags, ..Request::new(FORM) }
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
