//! Connects a socket. connect(2), IORING_OP_CONNECT (5.5)
#![allow(unsafe_code)]

use std::io;

use socket2::SockAddr;

use crate::driver::{Completion, Form, Hold, Operation, Request, Wait, Way, form};
use crate::sys;

/// Connects a socket.
pub struct Connect {
    hold: Hold,
    address: Box<SockAddr>,
    form: &'static Form,
}

const WAITING: Form = form! {
    name: "connect",
    wait: Writable,
    code: Connect,
    entry: |request| opcode::Connect::new(
        types::Fd(request.fd),
        request.pointer.cast_const().cast(),
        request.length,
    ),
    // SAFETY: the operation is in flight: what the request points to is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::connect(request.fd, &*request.other_pointer.cast::<SockAddr>()) },
    // SAFETY: as above.
    simulated: |request, kernel| kernel.connect(request.fd, unsafe { &*request.other_pointer.cast::<SockAddr>() }),
};

const FORM: &Form = &WAITING;
/// That a listener's queue is full is an answer: there is nothing to wait for that would say when it is not any more.
const AT_ONCE: &Form = &WAITING.waiting(Wait::Never);

impl Connect {
    pub(crate) fn new(hold: Hold, address: SockAddr) -> Self {
        Connect { hold, address: Box::new(address), form: FORM }
    }

    /// Of a Unix socket, which is connected at once or not at all: EAGAIN means that the listener's queue is full.
    pub(crate) fn at_once(hold: Hold, address: SockAddr) -> Self {
        Connect { form: AT_ONCE, ..Connect::new(hold, address) }
    }
}

impl Operation for Connect {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn wait(&self) -> Wait {
        self.form.wait
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.address.as_ptr().cast::<u8>().cast_mut(),
            length: self.address.len(),
            other_pointer: (&raw mut *self.address).cast(),
            ..Request::on(self.form, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
