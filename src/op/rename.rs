//! Gives a file another name. renameat(2), IORING_OP_RENAMEAT (5.11)
#![allow(unsafe_code)]

use std::io;

use std::ffi::CString;

use super::path::pointer_to;
use crate::driver::{Completion, Form, Operation, Request, form};
use crate::sys;

/// Gives a file another name.
pub struct Rename {
    from: CString,
    to: CString,
}

const FORM: &Form = &form! {
    name: "renameat",
    wait: Helper,
    code: RenameAt,
    entry: |request| opcode::RenameAt::new(
        types::Fd(libc::AT_FDCWD),
        request.pointer.cast_const().cast(),
        types::Fd(libc::AT_FDCWD),
        request.other_pointer.cast_const().cast(),
    ),
    // SAFETY: the operation is in flight: what the request points to is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::file::rename(request.pointer.cast_const().cast(), request.other_pointer.cast_const().cast()) },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.rename(request.path(), request.other_path()) },
};

impl Rename {
    pub(crate) fn new(from: CString, to: CString) -> Self {
        Rename { from, to }
    }
}

impl Operation for Rename {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: pointer_to(&self.from),
            other_pointer: pointer_to(&self.to),
            ..Request::new(FORM)
        }
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
