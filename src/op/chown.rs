//! Sets who owns a file. fchownat(2), fchown(2)
#![allow(unsafe_code)]

use std::io;

use super::path::Subject;
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Sets who owns a file.
pub struct Chown {
    subject: Subject,
    user: u32,
    group: u32,
    flags: i32,
}

/// What the system takes for "as it is": -1.
const AS_IT_IS: u32 = u32::MAX;

const FORM: &Form = &form! {
    name: "fchownat",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: the path is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        let owner = (request.length, request.offset as u32);
        sys::names::set_owner(request.fd, request.pointer.cast_const().cast(), owner, request.flags)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        let owner = [request.length, request.offset as u32].map(|id| (id != AS_IT_IS).then_some(id));
        kernel.set_owner(request.fd, request.path(), owner, request.flags)
    },
};

impl Chown {
    /// None leaves it as it is.
    pub(crate) fn new(subject: Subject, user: Option<u32>, group: Option<u32>, flags: i32) -> Self {
        let [user, group] = [user, group].map(|id| id.unwrap_or(AS_IT_IS));
        Chown { subject, user, group, flags }
    }
}

impl Operation for Chown {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            fd: self.subject.number(),
            pointer: self.subject.pointer(),
            length: self.user,
            offset: u64::from(self.group),
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
