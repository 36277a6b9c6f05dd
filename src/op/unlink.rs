//! Removes a name, or an empty directory. unlinkat(2), IORING_OP_UNLINKAT (5.11)
#![allow(unsafe_code)]

use std::io;

use std::ffi::CString;

use super::path::pointer_to;
use crate::driver::{Completion, Form, Operation, Request, form};
use crate::sys;

/// Removes a name, or an empty directory.
pub struct Unlink {
    path: CString,
    flags: i32,
}

const FORM: &Form = &form! {
    name: "unlinkat",
    wait: Helper,
    code: UnlinkAt,
    entry: |request| opcode::UnlinkAt::new(types::Fd(libc::AT_FDCWD), request.pointer.cast_const().cast()).flags(request.flags),
    // SAFETY: the operation is in flight: what the request points to is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::file::unlink(request.pointer.cast_const().cast(), request.flags) },
    // SAFETY: as above.
    simulated: |request, kernel| kernel.unlink(unsafe { request.path() }, request.flags),
};

impl Unlink {
    pub(crate) fn new(path: CString, flags: i32) -> Self {
        Unlink { path, flags }
    }
}

impl Operation for Unlink {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { pointer: pointer_to(&self.path), flags: self.flags, ..Request::new(FORM) }
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
