//! Sends a request and receives the beginning of the reply. send(2), then recv(2) or IORING_OP_RECV (5.6)
//!
//! Two entries that are linked would need one trip to the kernel, and were not used, for two reasons. If the kernel runs out of memory
//! between the two it takes the first alone, which then has no completion, and nobody knows when its buffer is free. And a
//! request to stop finds neither of them while the second is about to begin. So the request is sent at once, by a system
//! call, and only the reply is waited for.
#![allow(unsafe_code)]

use std::io;

use super::rest::Rest;
use super::turn::Turn;
use super::{incomplete, orphan};
use crate::buf::{IoBuf, IoBufMut};
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Wait, Way, form};
use crate::sys;

/// Sends a request and receives the beginning of the reply.
pub struct Exchange<Q, P> {
    hold: Hold,
    request: Rest<Q>,
    reply: Rest<P>,
    /// Both directions are its own until it is done.
    _turns: [Turn; 2],
}

const SEND: &Form = &form! {
    name: "exchange",
    wait: Writable,
    entry: none,
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::send(request.fd, request.pointer, request.length as usize, 0) },
    simulated: |request, kernel| kernel.send(request.fd),
}
.lending(Lends::ToSend);

const RECEIVE: &Form = &form! {
    name: "exchange",
    wait: Readable,
    code: Recv,
    entry: |request| opcode::Recv::new(types::Fd(request.fd), request.pointer, request.length),
    // SAFETY: as above.
    attempt: |request| unsafe { sys::socket::recv(request.fd, request.pointer, request.length as usize, 0) },
    simulated: |request, kernel| kernel.receive(request.fd),
}
.lending(Lends::ToFill)
.emptying();

impl<Q: IoBuf, P: IoBufMut> Exchange<Q, P> {
    pub(crate) fn new(hold: Hold, request: Q, reply: P, turns: [Turn; 2]) -> Self {
        Exchange { hold, request: Rest::of(request), reply: Rest::of(reply), _turns: turns }
    }

    fn is_sent(&self) -> bool {
        self.request.done() >= self.request.to_send()
    }
}

impl<Q: IoBuf, P: IoBufMut> Operation for Exchange<Q, P> {
    /// How many bytes of the reply came.
    type Output = (io::Result<usize>, Q, P);

    fn form() -> &'static Form {
        SEND
    }

    fn wait(&self) -> Wait {
        if self.is_sent() { Wait::Readable } else { Wait::Writable }
    }

    fn request(&mut self) -> Request {
        let ((pointer, length), form) = match self.is_sent() {
            false => (self.request.send(), SEND),
            true => (self.reply.fill(), RECEIVE),
        };
        Request { pointer, length, ..Request::on(form, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        match self.is_sent() {
            false => orphan::take_error(self.hold.direction(Way::Write)),
            true => orphan::take_bytes(self.hold.direction(Way::Read), &mut self.reply),
        }
    }

    fn goes_on(&mut self, answer: Completion) -> bool {
        match usize::try_from(answer.result) {
            Ok(count) if !self.is_sent() => {
                self.request.advance(count);
                count > 0
            }
            Ok(_) => false,
            Err(_) => answer.result == -libc::EINTR,
        }
    }

    fn complete(self, answer: Completion) -> Self::Output {
        let (done, wanted) = (self.request.done(), self.request.to_send());
        let (_, request) = self.request.sent(answer);
        if done < wanted {
            let why = answer.checked().err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
            return (Err(incomplete(done, Some(wanted), why)), request, self.reply.into_buffer());
        }
        // SAFETY: the request is sent, so the answer is about the reply: the kernel has written that many bytes there.
        let (result, reply) = unsafe { self.reply.filled(answer) };
        (result, request, reply)
    }

    fn salvage(self, answer: Completion) {
        match self.is_sent() {
            false => orphan::leave_outcome(&self.hold, self.request.done(), answer),
            true => {
                orphan::leave_outcome(&self.hold, self.request.done(), Completion::of(0));
                orphan::leave_bytes(&self.hold, Way::Read, answer, self.reply);
            }
        }
    }
}
