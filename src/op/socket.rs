//! Makes a socket, close-on-exec and non-blocking. socket(2), IORING_OP_SOCKET (5.19)

use std::io;
use std::rc::Rc;

use crate::driver::{Completion, Descriptor, Form, Operation, Port, Request, form};
use crate::sys;

/// Makes a socket, close-on-exec and non-blocking.
pub struct Socket {
    /// Whose the descriptor will be.
    port: Rc<Port>,
    domain: i32,
    kind: i32,
    protocol: i32,
}

const FORM: &Form = &form! {
    name: "socket",
    wait: Never,
    code: Socket,
    entry: |request| opcode::Socket::new(
        request.flags,
        request.length as i32 | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
        request.offset as i32,
    ),
    attempt: |request| sys::socket::socket(request.flags, request.length as i32, request.offset as i32),
    simulated: |request, kernel| kernel.socket(request.flags, request.length as i32, request.offset as i32),
};

impl Socket {
    pub(crate) fn new(port: Rc<Port>, domain: i32, kind: i32, protocol: i32) -> Self {
        Socket { port, domain, kind, protocol }
    }
}

impl Operation for Socket {
    type Output = io::Result<Descriptor>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            flags: self.domain,
            length: self.kind as u32,
            offset: self.protocol as u64,
            ..Request::new(FORM)
        }
    }

    fn complete(self, answer: Completion) -> io::Result<Descriptor> {
        answer.checked().map(|number| Descriptor::new(number as i32, &self.port))
    }
}
