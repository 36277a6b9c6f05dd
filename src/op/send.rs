//! Sends one buffer to a socket, never raising SIGPIPE. send(2), IORING_OP_SEND (5.6)
#![allow(unsafe_code)]

use std::io;

use super::{clamped, orphan};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way, form};
use crate::sys;

/// Sends one buffer to a socket, never raising SIGPIPE.
pub struct Send<B> {
    hold: Hold,
    buffer: B,
}

const FORM: &Form = &form! {
    name: "send",
    wait: Writable,
    code: Send,
    entry: |request| opcode::Send::new(types::Fd(request.fd), request.pointer, request.length).flags(libc::MSG_NOSIGNAL),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::send(request.fd, request.pointer, request.length as usize, 0) },
}
.lending_bytes();

impl<B: IoBuf> Send<B> {
    pub(crate) fn new(hold: Hold, buffer: B) -> Self {
        Send { hold, buffer }
    }
}

impl<B: IoBuf> Operation for Send<B> {
    type Output = (io::Result<usize>, B);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.buffer.stable_ptr().cast_mut(),
            length: clamped(self.buffer.bytes_init()),
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
        orphan::take_error(self.hold.direction(Way::Write)).or_else(|| orphan::empty(self.buffer.bytes_init()))
    }

    fn complete(self, answer: Completion) -> Self::Output {
        (answer.checked().map(|count| count as usize), self.buffer)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_error(&self.hold, Way::Write, answer);
    }
}
