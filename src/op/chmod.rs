//! Sets the permissions of a file. fchmodat(2), fchmod(2)
#![allow(unsafe_code)]

use std::io;

use super::path::Subject;
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Sets the permissions of a file.
pub struct Chmod {
    subject: Subject,
    mode: u32,
}

const FORM: &Form = &form! {
    name: "fchmodat",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: the path is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        sys::names::set_mode(request.fd, request.pointer.cast_const().cast(), request.length)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.set_mode(request.fd, request.path(), request.length) },
};

impl Chmod {
    pub(crate) fn new(subject: Subject, mode: u32) -> Self {
        Chmod { subject, mode }
    }
}

impl Operation for Chmod {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            fd: self.subject.number(),
            pointer: self.subject.pointer(),
            length: self.mode,
            ..Request::new(FORM)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        self.subject.hold()
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
