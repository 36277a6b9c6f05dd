//! Sends several buffers to a socket without copying them, where that pays. sendmsg(2), IORING_OP_SENDMSG_ZC (6.1; used from
//! 6.2 on)
//!
//! Answered twice, as [`send_zc`](super::send_zc).
#![allow(unsafe_code)]

use std::io;

use super::vectors::{Header, Vectors};
use super::{Lender, orphan};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Way, form};
use crate::sys;

/// Sends several buffers to a socket without copying them, where that pays.
pub struct SendmsgZc<B> {
    socket: Hold,
    /// Until it is known what became of the sending.
    names_socket: bool,
    buffers: Vec<B>,
    vectors: Vectors,
    header: Header,
    /// Whether it is to be copied.
    is_plain: bool,
}

const FORM: &Form = &form! {
    name: "sendmsg_zc",
    wait: Writable,
    code: SendMsgZc,
    entry: |request| opcode::SendMsgZc::new(types::Fd(request.fd), request.pointer.cast_const().cast())
        .flags(libc::MSG_NOSIGNAL as u32)
        .ioprio(super::lender::REPORT_USAGE),
    // SAFETY: the operation is in flight: the buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::send_vectored(request.fd, request.other_pointer.cast(), request.length) },
    simulated: |request, kernel| kernel.send(request.fd),
}
.lending(Lends::ManyToSend)
.releasing_later();

const PLAIN: &Form = &form! {
    name: "sendmsg_zc, copied",
    wait: Writable,
    code: SendMsg,
    entry: |request| opcode::SendMsg::new(types::Fd(request.fd), request.pointer.cast_const().cast()).flags(libc::MSG_NOSIGNAL as u32),
    // SAFETY: as above.
    attempt: |request| unsafe { sys::socket::send_vectored(request.fd, request.other_pointer.cast(), request.length) },
    simulated: |request, kernel| kernel.send(request.fd),
}
.lending(Lends::ManyToSend);

impl<B: IoBuf> SendmsgZc<B> {
    pub(crate) fn new(socket: Hold, buffers: Vec<B>) -> SendmsgZc<B> {
        let mut vectors = Vectors::to_send(&buffers);
        let header = vectors.header();
        let is_plain = !socket.zero_copy().pays(vectors.bytes());
        SendmsgZc { socket, names_socket: true, buffers, vectors, header, is_plain }
    }
}

impl<B: IoBuf> Operation for SendmsgZc<B> {
    type Output = Vec<B>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.header.pointer(),
            other_pointer: self.vectors.pointer().cast(),
            length: self.vectors.count(),
            ..Request::on(if self.is_plain { PLAIN } else { FORM }, &self.socket)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        self.names_socket.then_some(&self.socket)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_error(self.socket.direction(Way::Write)).or_else(|| orphan::empty(self.vectors.bytes()))
    }

    /// The buffers are free.
    fn complete(self, answer: Completion) -> Vec<B> {
        self.note_release(answer);
        self.buffers
    }

    fn salvage_one(&mut self, answer: Completion) {
        if self.names_socket && !answer.is_release() {
            orphan::leave_outcome(&self.socket, 0, answer);
        }
    }

    fn salvage(mut self, answer: Completion) {
        self.salvage_one(answer);
        self.note_release(answer);
    }
}

impl<B: IoBuf> Lender for SendmsgZc<B> {
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
        Some(result)
    }
}
