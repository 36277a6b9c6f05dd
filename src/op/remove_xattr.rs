//! Removes an extended attribute of a file. removexattr(2), fremovexattr(2)
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

use super::path::{Subject, pointer_to};
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Removes an extended attribute of a file.
pub struct RemoveXattr {
    subject: Subject,
    name: CString,
}

const FORM: &Form = &form! {
    name: "fremovexattr",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: name and path are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        let path = request.other_pointer.cast_const().cast();
        sys::attributes::remove_attribute(request.fd, path, request.pointer.cast_const().cast())
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        kernel.remove_attribute((request.fd, request.other_path()), request.path())
    },
};

impl RemoveXattr {
    pub(crate) fn new(subject: Subject, name: CString) -> Self {
        RemoveXattr { subject, name }
    }
}

impl Operation for RemoveXattr {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: pointer_to(&self.name),
            fd: self.subject.number(),
            other_pointer: self.subject.pointer(),
            ..Request::new(FORM)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        self.subject.hold()
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(drop)
    }
}
