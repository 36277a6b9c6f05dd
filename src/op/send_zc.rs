//! Sends one buffer to a socket without copying it, where that pays. send(2), IORING_OP_SEND_ZC (6.0; used from 6.2 on)
//!
//! The kernel answers twice: what became of the sending, and later that it has let go of the buffer, when the peer has
//! acknowledged the bytes or they were copied after all. In between the operation still owns the buffer (I2), but it names
//! the socket no more: the next write begins, and the socket may be closed. Where nothing can be sent so (no such entry,
//! a kind of socket, no memory to lock) a plain send is made of it, whose buffer is free at once.
#![allow(unsafe_code)]

use std::io;

use super::rest::Rest;
use super::{Lender, incomplete, orphan};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Way, form};
use crate::sys;

/// Sends one buffer to a socket without copying it, where that pays.
pub struct SendZc<B> {
    socket: Hold,
    /// Until it is known what became of the sending.
    names_socket: bool,
    rest: Rest<B>,
    /// Whether the whole buffer is to be sent.
    is_whole: bool,
    /// Whether it is to be copied.
    is_plain: bool,
}

const FORM: &Form = &form! {
    name: "send_zc",
    wait: Writable,
    code: SendZc,
    entry: |request| opcode::SendZc::new(types::Fd(request.fd), request.pointer, request.length)
        .flags(libc::MSG_NOSIGNAL | request.flags)
        .zc_flags(super::lender::REPORT_USAGE),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::send(request.fd, request.pointer, request.length as usize, 0) },
    simulated: |request, kernel| kernel.send(request.fd),
}
.lending(Lends::ToSend)
.releasing_later();

const PLAIN: &Form = &form! {
    name: "send_zc, copied",
    wait: Writable,
    code: Send,
    entry: |request| opcode::Send::new(types::Fd(request.fd), request.pointer, request.length).flags(libc::MSG_NOSIGNAL),
    // SAFETY: as above.
    attempt: |request| unsafe { sys::socket::send(request.fd, request.pointer, request.length as usize, 0) },
    simulated: |request, kernel| kernel.send(request.fd),
}
.lending(Lends::ToSend);

impl<B: IoBuf> SendZc<B> {
    pub(crate) fn new(socket: Hold, buffer: B, is_whole: bool) -> SendZc<B> {
        let rest = Rest::of(buffer);
        let is_plain = !socket.zero_copy().pays(rest.to_send());
        SendZc { socket, names_socket: true, rest, is_whole, is_plain }
    }
}

impl<B: IoBuf> Operation for SendZc<B> {
    type Output = B;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let (pointer, length) = self.rest.send();
        let form = if self.is_plain { PLAIN } else { FORM };
        // The kernel goes on by itself, so that there is one release and not one for each part.
        let flags = if self.is_whole { libc::MSG_WAITALL } else { 0 };
        Request { pointer, length, flags, ..Request::on(form, &self.socket) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        self.names_socket.then_some(&self.socket)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_error(self.socket.direction(Way::Write)).or_else(|| orphan::empty(self.rest.to_send()))
    }

    /// The buffer is free.
    fn complete(self, answer: Completion) -> B {
        self.note_release(answer);
        self.rest.into_buffer()
    }

    fn salvage_one(&mut self, answer: Completion) {
        if self.names_socket && !answer.is_release() {
            orphan::leave_outcome(&self.socket, self.rest.done(), answer);
        }
    }

    fn salvage(mut self, answer: Completion) {
        self.salvage_one(answer);
        self.note_release(answer);
    }
}

impl<B: IoBuf> Lender for SendZc<B> {
    fn socket(&self) -> &Hold {
        &self.socket
    }

    fn leave_socket(&mut self) {
        self.names_socket = false;
    }

    fn copy_instead(&mut self) -> bool {
        !std::mem::replace(&mut self.is_plain, true)
    }

    fn sent(&mut self, result: io::Result<usize>) -> Option<io::Result<usize>> {
        if !self.is_whole {
            return Some(result);
        }
        self.rest.advance(*result.as_ref().unwrap_or(&0));
        let (done, wanted) = (self.rest.done(), self.rest.to_send());
        match result {
            Ok(_) if done >= wanted => Some(Ok(done)),
            Ok(0) => Some(Err(incomplete(done, Some(wanted), io::ErrorKind::WriteZero.into()))),
            Ok(_) => None,
            Err(error) => Some(Err(incomplete(done, Some(wanted), error))),
        }
    }
}
