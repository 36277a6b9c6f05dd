//! Receives from a socket into one buffer. recv(2), IORING_OP_RECV (5.6)
#![allow(unsafe_code)]

use std::io;

use super::{clamped, orphan};
use crate::buf::IoBufMut;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way, form};
use crate::sys;

/// Receives from a socket into one buffer.
pub struct Recv<B> {
    hold: Hold,
    buffer: B,
}

const FORM: &Form = &form! {
    name: "recv",
    wait: Readable,
    code: Recv,
    entry: |request| opcode::Recv::new(types::Fd(request.fd), request.pointer, request.length),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::recv(request.fd, request.pointer, request.length as usize, 0) },
}
.lending_bytes();

impl<B: IoBufMut> Recv<B> {
    pub(crate) fn new(hold: Hold, buffer: B) -> Self {
        Recv { hold, buffer }
    }
}

impl<B: IoBufMut> Operation for Recv<B> {
    type Output = (io::Result<usize>, B);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.buffer.stable_mut_ptr(),
            length: clamped(self.buffer.bytes_total()),
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
        orphan::take_bytes(self.hold.direction(Way::Read), &mut self.buffer)
    }

    fn complete(mut self, answer: Completion) -> Self::Output {
        let result = answer.checked().map(|count| count as usize);
        if let Ok(count) = result {
            // SAFETY: the kernel has written that many bytes from the beginning.
            unsafe { self.buffer.set_init(count) };
        }
        (result, self.buffer)
    }

    fn salvage(mut self, answer: Completion) {
        orphan::leave_bytes(&self.hold.clone(), Way::Read, answer, &mut self.buffer);
    }
}
