//! Makes a directory. mkdirat(2), IORING_OP_MKDIRAT (5.15)
#![allow(unsafe_code)]

use std::io;

use std::ffi::CString;

use super::path::pointer_to;
use crate::driver::{Completion, Form, Operation, Request, form};
use crate::sys;

/// Makes a directory.
pub struct Mkdir {
    path: CString,
    mode: u32,
}

const FORM: &Form = &form! {
    name: "mkdirat",
    wait: Helper,
    code: MkDirAt,
    entry: |request| opcode::MkDirAt::new(types::Fd(libc::AT_FDCWD), request.pointer.cast_const().cast()).mode(request.length),
    // SAFETY: the operation is in flight: what the request points to is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::file::mkdir(request.pointer.cast_const().cast(), request.length) },
    // SAFETY: as above.
    simulated: |request, kernel| kernel.make_directory(unsafe { request.path() }, request.length),
};

impl Mkdir {
    pub(crate) fn new(path: CString, mode: u32) -> Self {
        Mkdir { path, mode }
    }
}

impl Operation for Mkdir {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { pointer: pointer_to(&self.path), length: self.mode, ..Request::new(FORM) }
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
