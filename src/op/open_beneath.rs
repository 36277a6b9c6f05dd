//! Opens or creates a file without leaving a directory on the way. openat2(2), IORING_OP_OPENAT2 (5.6)
#![allow(unsafe_code)]

use std::io;
use std::rc::Rc;

use super::path::At;
use crate::driver::{Completion, Descriptor, Form, Operation, Port, Request, form};
use crate::sys::names::{self, How, RESOLVE_BENEATH};

/// Opens or creates a file without leaving a directory on the way.
pub struct OpenBeneath {
    /// Whose the descriptor will be.
    port: Rc<Port>,
    at: At,
    how: Box<How>,
}

const FORM: &Form = &form! {
    name: "openat2",
    wait: Helper,
    code: OpenAt2,
    entry: |request| opcode::OpenAt2::new(
        types::Fd(request.fd),
        request.pointer.cast_const().cast(),
        request.other_pointer.cast_const().cast(),
    ),
    // SAFETY: the operation is in flight: what the request points to is lent, the directory open (I1, I4).
    attempt: |request| unsafe {
        names::open_how(request.fd, request.pointer.cast_const().cast(), request.other_pointer.cast_const().cast())
    },
    simulated: |request, kernel| {
        // SAFETY: as above.
        let (how, path) = unsafe { (*request.other_pointer.cast_const().cast::<How>(), request.path()) };
        kernel.open_beneath(request.fd, path, how.flags as i32, how.mode as u32)
    },
}
.by_number();

impl OpenBeneath {
    pub(crate) fn new(port: Rc<Port>, at: At, flags: i32, mode: u32) -> Self {
        // Unlike openat(2) it refuses a mode where nothing is made.
        let flags = flags | libc::O_CLOEXEC;
        let makes = flags & libc::O_CREAT != 0;
        let how = How {
            flags: flags as u64,
            mode: if makes { u64::from(mode & 0o7777) } else { 0 },
            resolve: RESOLVE_BENEATH,
        };
        OpenBeneath { port, at, how: Box::new(how) }
    }
}

impl Operation for OpenBeneath {
    type Output = io::Result<Descriptor>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            fd: self.at.number(),
            pointer: self.at.pointer(),
            other_pointer: (&raw mut *self.how).cast(),
            ..Request::new(FORM)
        }
    }

    fn complete(self, answer: Completion) -> io::Result<Descriptor> {
        answer.checked().map(|number| Descriptor::new(number as i32, &self.port))
    }
}
