//! Sets when a file was read and changed. utimensat(2), futimens(2)
#![allow(unsafe_code)]

use std::io;

use super::path::Subject;
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys::{self, names::Stamp};

/// Sets when a file was read and changed.
pub struct Utimens {
    subject: Subject,
    times: Box<[Stamp; 2]>,
    flags: i32,
}

const FORM: &Form = &form! {
    name: "utimensat",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: path and times are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        let times = *request.other_pointer.cast_const().cast::<[Stamp; 2]>();
        sys::names::set_times(request.fd, request.pointer.cast_const().cast(), times, request.flags)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        let times = *request.other_pointer.cast_const().cast::<[Stamp; 2]>();
        kernel.set_times(request.fd, request.path(), times, request.flags)
    },
};

impl Utimens {
    pub(crate) fn new(subject: Subject, times: Box<[Stamp; 2]>, flags: i32) -> Self {
        Utimens { subject, times, flags }
    }
}

impl Operation for Utimens {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            fd: self.subject.number(),
            pointer: self.subject.pointer(),
            other_pointer: (&raw mut *self.times).cast(),
            flags: self.flags,
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
