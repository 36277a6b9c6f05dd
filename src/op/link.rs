//! Gives a file one more name. linkat(2), IORING_OP_LINKAT (5.15)
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

use super::path::{At, pointer_to};
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Gives a file one more name.
pub struct Link {
    from: From,
    to: At,
}

enum From {
    Path(At),
    /// By the name that the kernel has for it. A simulated one looks at the descriptor, which has no such name.
    Open(Hold, CString),
}

const FORM: &Form = &form! {
    name: "linkat",
    wait: Helper,
    code: LinkAt,
    entry: |request| opcode::LinkAt::new(
        types::Fd(request.fd),
        request.pointer.cast_const().cast(),
        types::Fd(request.offset as i32),
        request.other_pointer.cast_const().cast(),
    )
    .flags(request.flags),
    // SAFETY: the operation is in flight: what the request points to is lent, the descriptors open (I1, I4).
    attempt: |request| unsafe {
        let old = (request.fd, request.pointer.cast_const().cast());
        let new = (request.offset as i32, request.other_pointer.cast_const().cast());
        sys::names::link(old, new, request.flags)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        let new = (request.offset as i32, request.other_path());
        match request.flags {
            0 => kernel.link((request.fd, request.path()), new),
            _ => kernel.link_open(request.fd, new),
        }
    },
}
.by_number();

impl Link {
    pub(crate) fn new(from: At, to: At) -> Self {
        Link { from: From::Path(from), to }
    }

    /// Of a file that is open, and perhaps has no name.
    pub(crate) fn of_open(hold: Hold, to: At) -> Self {
        // Where it can have no number of the process's, the link is refused.
        let number = hold.port().plain(hold.number()).unwrap_or(-1);
        let name = CString::new(format!("/proc/self/fd/{number}")).expect("no zero in it");
        Link { from: From::Open(hold, name), to }
    }
}

impl Operation for Link {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let (fd, pointer, flags) = match &self.from {
            From::Path(at) => (at.number(), at.pointer(), 0),
            // The name is absolute: the number is looked at by nobody but a simulated kernel.
            From::Open(hold, name) => (hold.number(), pointer_to(name), libc::AT_SYMLINK_FOLLOW),
        };
        let (other_pointer, offset) = (self.to.pointer(), self.to.number() as u64);
        Request { fd, pointer, other_pointer, offset, flags, ..Request::new(FORM) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        match &self.from {
            From::Path(_) => None,
            From::Open(hold, _) => Some(hold),
        }
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
