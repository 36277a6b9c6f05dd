//! Opens or creates a file. openat(2), IORING_OP_OPENAT (5.6)
#![allow(unsafe_code)]

use std::io;
use std::rc::Rc;

use super::path::At;
use crate::driver::{Brings, Completion, Descriptor, Form, Operation, Port, Request, form};
use crate::sys;

/// Opens or creates a file.
pub struct Open {
    /// Whose the descriptor will be.
    port: Rc<Port>,
    at: At,
    flags: i32,
    mode: u32,
    form: &'static Form,
}

const FILE: Form = form! {
    name: "openat",
    wait: Helper,
    code: OpenAt,
    entry: |request| opcode::OpenAt::new(types::Fd(request.fd), request.pointer.cast_const().cast())
        .flags(request.flags | libc::O_CLOEXEC)
        .mode(request.length),
    // SAFETY: the operation is in flight: what the request points to is lent, the directory open (I1, I4).
    attempt: |request| unsafe {
        sys::names::open(request.fd, request.pointer.cast_const().cast(), request.flags, request.length)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.open(request.fd, request.path(), request.flags, request.length) },
}
.by_number();

const FORM: &Form = &FILE;

/// Into the ring's own table, if there is a place.
const INTO_TABLE: &Form = &FILE.bringing(Brings::File);

impl Open {
    pub(crate) fn new(port: Rc<Port>, at: At, flags: i32, mode: u32) -> Self {
        Open { port, at, flags, mode, form: FORM }
    }

    pub(crate) fn into_table(self) -> Self {
        Open { form: INTO_TABLE, ..self }
    }
}

impl Operation for Open {
    type Output = io::Result<Descriptor>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            fd: self.at.number(),
            pointer: self.at.pointer(),
            flags: self.flags,
            length: self.mode,
            ..Request::new(self.form)
        }
    }

    fn complete(self, answer: Completion) -> io::Result<Descriptor> {
        answer.checked().map(|number| Descriptor::new(number as i32, &self.port))
    }
}
