//! Makes a directory. mkdirat(2), IORING_OP_MKDIRAT (5.15)
#![allow(unsafe_code)]

use std::io;

use super::path::At;
use crate::driver::{Completion, Form, Operation, Request, form};
use crate::sys;

/// Makes a directory.
pub struct Mkdir {
    at: At,
    mode: u32,
}

const FORM: &Form = &form! {
    name: "mkdirat",
    wait: Helper,
    code: MkDirAt,
    entry: |request| opcode::MkDirAt::new(types::Fd(request.fd), request.pointer.cast_const().cast()).mode(request.length),
    // SAFETY: the operation is in flight: what the request points to is lent, the directories open (I1, I4).
    attempt: |request| unsafe { sys::names::mkdir(request.fd, request.pointer.cast_const().cast(), request.length) },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.make_directory(request.fd, request.path(), request.length) },
}
.by_number();

impl Mkdir {
    pub(crate) fn new(at: At, mode: u32) -> Self {
        Mkdir { at, mode }
    }
}

impl Operation for Mkdir {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { fd: self.at.number(), pointer: self.at.pointer(), length: self.mode, ..Request::new(FORM) }
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
