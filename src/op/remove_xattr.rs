//! Removes an extended attribute of an open file. fremovexattr(2)
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

use super::path::pointer_to;
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Removes an extended attribute of an open file.
pub struct RemoveXattr {
    hold: Hold,
    name: CString,
}

const FORM: &Form = &form! {
    name: "fremovexattr",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: the name is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        sys::attributes::remove_attribute(request.fd, request.pointer.cast_const().cast())
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.remove_attribute(request.fd, request.path()) },
};

impl RemoveXattr {
    pub(crate) fn new(hold: Hold, name: CString) -> Self {
        RemoveXattr { hold, name }
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
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(drop)
    }
}
