//! Makes a symbolic link. symlinkat(2), IORING_OP_SYMLINKAT (5.15)
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

use super::path::{At, pointer_to};
use crate::driver::{Completion, Form, Operation, Request, form};
use crate::sys;

/// Makes a symbolic link.
pub struct Symlink {
    target: CString,
    at: At,
}

const FORM: &Form = &form! {
    name: "symlinkat",
    wait: Helper,
    code: SymlinkAt,
    entry: |request| opcode::SymlinkAt::new(
        types::Fd(request.fd),
        request.other_pointer.cast_const().cast(),
        request.pointer.cast_const().cast(),
    ),
    // SAFETY: the operation is in flight: what the request points to is lent, the directories open (I1, I4).
    attempt: |request| unsafe {
        sys::names::symlink(request.other_pointer.cast_const().cast(), request.fd, request.pointer.cast_const().cast())
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.make_link(request.other_path(), request.fd, request.path()) },
}
.by_number();

impl Symlink {
    pub(crate) fn new(target: CString, at: At) -> Self {
        Symlink { target, at }
    }
}

impl Operation for Symlink {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { fd: self.at.number(), pointer: self.at.pointer(), other_pointer: pointer_to(&self.target), ..Request::new(FORM) }
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
