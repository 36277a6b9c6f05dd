//! Sends several buffers to a socket, one after the other. sendmsg(2), IORING_OP_SENDMSG (5.3)
#![allow(unsafe_code)]

use std::io;

use super::orphan;
use super::vectors::{Header, Vectors};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Way, form};
use crate::sys;

/// Sends several buffers to a socket, one after the other.
pub struct Sendmsg<B> {
    hold: Hold,
    buffers: Vec<B>,
    vectors: Vectors,
    header: Header,
}

const FORM: &Form = &form! {
    name: "sendmsg",
    wait: Writable,
    code: SendMsg,
    entry: |request| opcode::SendMsg::new(types::Fd(request.fd), request.pointer.cast_const().cast()).flags(libc::MSG_NOSIGNAL as u32),
    // SAFETY: the operation is in flight: the buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::send_vectored(request.fd, request.other_pointer.cast(), request.length) },
    simulated: |request, kernel| kernel.send(request.fd),
}
.lending(Lends::ManyToSend);

impl<B: IoBuf> Sendmsg<B> {
    pub(crate) fn new(hold: Hold, buffers: Vec<B>) -> Self {
        let mut vectors = Vectors::to_send(&buffers);
        let header = vectors.header();
        Sendmsg { hold, buffers, vectors, header }
    }
}

impl<B: IoBuf> Operation for Sendmsg<B> {
    type Output = (io::Result<usize>, Vec<B>);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.header.pointer(),
            other_pointer: self.vectors.pointer().cast(),
            length: self.vectors.count(),
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_error(self.hold.direction(Way::Write)).or_else(|| orphan::empty(self.vectors.bytes()))
    }

    fn complete(self, answer: Completion) -> Self::Output {
        (answer.checked().map(|count| count as usize), self.buffers)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_outcome(&self.hold, 0, answer);
    }
}
