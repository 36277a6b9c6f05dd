//! Gives a file another name. renameat2(2), IORING_OP_RENAMEAT (5.11)
#![allow(unsafe_code)]

use std::io;

use super::path::At;
use crate::driver::{Completion, Form, Operation, Request, form};
use crate::sys;

/// Gives a file another name.
pub struct Rename {
    from: At,
    to: At,
    flags: i32,
}

const FORM: &Form = &form! {
    name: "renameat",
    wait: Helper,
    code: RenameAt,
    entry: |request| opcode::RenameAt::new(
        types::Fd(request.fd),
        request.pointer.cast_const().cast(),
        types::Fd(request.offset as i32),
        request.other_pointer.cast_const().cast(),
    )
    .flags(request.flags as u32),
    // SAFETY: the operation is in flight: what the request points to is lent, the directories open (I1, I4).
    attempt: |request| unsafe {
        let old = (request.fd, request.pointer.cast_const().cast());
        let new = (request.offset as i32, request.other_pointer.cast_const().cast());
        sys::names::rename(old, new, request.flags as u32)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        let new = (request.offset as i32, request.other_path());
        kernel.rename((request.fd, request.path()), new, request.flags as u32)
    },
}
.by_number();

impl Rename {
    pub(crate) fn new(from: At, to: At, flags: i32) -> Self {
        Rename { from, to, flags }
    }
}

impl Operation for Rename {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { fd: self.from.number(), pointer: self.from.pointer(), other_pointer: self.to.pointer(), offset: self.to.number() as u64, flags: self.flags, ..Request::new(FORM) }
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
