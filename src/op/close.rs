//! Closes a descriptor, and says how that went. close(2), IORING_OP_CLOSE (5.6).

use std::io;

use crate::driver::{Completion, Descriptor, Form, Operation, Request, form};
use crate::sys;

/// Closes a descriptor. Submitted only when nothing else is in flight on it.
pub struct Close {
    descriptor: Descriptor,
}

const FORM: &Form = &form! {
    name: "close",
    wait: Never,
    code: Close,
    entry: |request| opcode::Close::new(types::Fd(request.fd)),
    attempt: |request| sys::close(request.fd),
    simulated: |request, kernel| kernel.close(request.fd),
};

impl Close {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Close { descriptor }
    }
}

impl Operation for Close {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { fd: self.descriptor.number(), ..Request::new(FORM) }
    }

    /// Unless it was stopped before it began, the number is not ours any more, whatever the answer; otherwise
    /// dropping the descriptor closes it.
    fn complete(self, answer: Completion) -> io::Result<()> {
        if answer != Completion::cancelled() {
            self.descriptor.forget_number();
        }
        answer.checked().map(drop)
    }
}
