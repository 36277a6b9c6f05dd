//! Receives from a socket into one buffer. recv(2), IORING_OP_RECV (5.6)
#![allow(unsafe_code)]

use std::io;

use super::rest::Rest;
use super::{Transfer, orphan};
use crate::buf::IoBufMut;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Way, form};
use crate::sys;

/// Receives from a socket into one buffer.
pub struct Recv<B> {
    hold: Hold,
    rest: Rest<B>,
}

const FORM: &Form = &form! {
    name: "recv",
    wait: Readable,
    code: Recv,
    entry: |request| opcode::Recv::new(types::Fd(request.fd), request.pointer, request.length),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::recv(request.fd, request.pointer, request.length as usize, 0) },
    simulated: |request, kernel| kernel.receive(request.fd),
}
.lending(Lends::ToFill)
.emptying();

impl<B: IoBufMut> Recv<B> {
    pub(crate) fn new(hold: Hold, buffer: B) -> Self {
        Recv { hold, rest: Rest::of(buffer) }
    }
}

impl<B: IoBufMut> Operation for Recv<B> {
    type Output = (io::Result<usize>, B);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let (pointer, length) = self.rest.fill();
        Request { pointer, length, ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_bytes(self.hold.direction(Way::Read), &mut self.rest)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        // SAFETY: the kernel has written that many bytes to where the rest began.
        unsafe { self.rest.filled(answer) }
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_bytes(&self.hold, Way::Read, answer, self.rest);
    }
}

impl<B: IoBufMut> Transfer for Recv<B> {
    type Buffer = B;

    const ENDED: io::ErrorKind = io::ErrorKind::UnexpectedEof;

    fn progress(&self) -> (usize, usize) {
        (self.rest.done(), self.rest.to_fill())
    }

    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
    }
}
