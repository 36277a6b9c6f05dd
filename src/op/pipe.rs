//! Makes a pipe, close-on-exec and non-blocking. pipe(2), IORING_OP_PIPE (6.16)
#![allow(unsafe_code)]

use std::io;
use std::rc::Rc;

use crate::driver::{Completion, Descriptor, Form, Operation, Port, Request, form};
use crate::sys;

/// Makes a pipe, close-on-exec and non-blocking.
pub struct Pipe {
    /// Whose the descriptors will be.
    port: Rc<Port>,
    /// The kernel writes the two numbers here.
    ends: Box<[i32; 2]>,
}

const FORM: &Form = &form! {
    name: "pipe",
    wait: Never,
    code: Pipe,
    entry: |request| opcode::Pipe::new(request.pointer.cast()).flags((libc::O_CLOEXEC | libc::O_NONBLOCK) as u32),
    // SAFETY: the operation is in flight: the place for the numbers is lent (I1).
    attempt: |request| unsafe { sys::pipe(request.pointer.cast()) },
    simulated: |request, kernel| match kernel.pipe() {
        Ok(ends) => {
            // SAFETY: as above.
            unsafe { request.pointer.cast::<[i32; 2]>().write(ends) };
            0
        }
        Err(error) => -error,
    },
};

impl Pipe {
    pub(crate) fn new(port: Rc<Port>) -> Self {
        Pipe { port, ends: Box::new([-1; 2]) }
    }
}

impl Operation for Pipe {
    /// The end to read from, and the end to write to.
    type Output = io::Result<(Descriptor, Descriptor)>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { pointer: self.ends.as_mut_ptr().cast(), ..Request::new(FORM) }
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked()?;
        let [read, write] = *self.ends;
        Ok((Descriptor::new(read, &self.port), Descriptor::new(write, &self.port)))
    }
}
