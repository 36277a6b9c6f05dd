//! Receives from a socket into several buffers, one after the other. recvmsg(2), IORING_OP_RECVMSG (5.3)
#![allow(unsafe_code)]

use std::io;

use super::orphan;
use super::vectors::{Header, Vectors};
use crate::buf::IoBufMut;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Way, form};
use crate::sys;

/// Receives from a socket into several buffers, one after the other.
pub struct Recvmsg<B> {
    hold: Hold,
    buffers: Vec<B>,
    vectors: Vectors,
    header: Header,
}

const FORM: &Form = &form! {
    name: "recvmsg",
    wait: Readable,
    code: RecvMsg,
    entry: |request| opcode::RecvMsg::new(types::Fd(request.fd), request.pointer.cast()),
    // SAFETY: the operation is in flight: the buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::receive_vectored(request.fd, request.other_pointer.cast(), request.length) },
    simulated: |request, kernel| kernel.receive(request.fd),
}
.lending(Lends::ManyToFill);

impl<B: IoBufMut> Recvmsg<B> {
    pub(crate) fn new(hold: Hold, mut buffers: Vec<B>) -> Self {
        let mut vectors = Vectors::to_fill(&mut buffers);
        let header = vectors.header();
        Recvmsg { hold, buffers, vectors, header }
    }
}

impl<B: IoBufMut> Operation for Recvmsg<B> {
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
        Some(Way::Read)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_scattered(self.hold.direction(Way::Read), &mut self.vectors)
    }

    fn complete(mut self, answer: Completion) -> Self::Output {
        let result = answer.checked().map(|count| count as usize);
        if let Ok(count) = result {
            // SAFETY: the kernel has written that many bytes, filling one buffer after the other.
            unsafe { self.vectors.set_init(&mut self.buffers, count) };
        }
        (result, self.buffers)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_scattered(&self.hold, Way::Read, answer, &self.vectors);
    }
}
