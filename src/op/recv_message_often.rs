//! Receives datagrams again and again, each into a buffer that is picked when one has come. recvmsg(2), IORING_OP_RECVMSG
//! with IORING_RECV_MULTISHOT (6.0)
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;

use bytes::Buf;
use socket2::SockAddr;

use super::{Repeat, orphan};
use crate::buf::Lease;
use crate::driver::{Completion, Form, Hold, LeftMessage, Leftover, Operation, Request, Way, ability, form};
use crate::sys::control::Ancillary;
use crate::sys::message::{self, Asked, FRONT};

/// Receives datagrams into leases.
pub struct RecvMessageOften {
    hold: Hold,
    asked: Box<Asked>,
}

/// A datagram in a lease.
pub struct Packed {
    /// Its bytes.
    pub bytes: Lease,
    /// Who sent it.
    pub from: Option<SockAddr>,
    /// MSG_TRUNC.
    pub flags: i32,
}

const FORM: &Form = &form! {
    name: "recv_message_often",
    wait: Readable,
    code: RecvMsgMulti,
    entry: |request| opcode::RecvMsgMulti::new(
        types::Fd(request.fd),
        request.other_pointer.cast_const().cast(),
        crate::driver::GROUP,
    ),
    // SAFETY: the operation is in flight: the buffer was picked for it, the descriptor is open (I1, I4).
    attempt: |request| unsafe { message::receive_packed(request.fd, request.pointer, request.length as usize) },
    simulated: |request, kernel| kernel.receive_packed(request.fd),
}
.picking(ability::PICK_OFTEN)
.repeating(ability::PICK_OFTEN);

impl RecvMessageOften {
    /// The pool's buffers have more room than a message's front: who makes one sees to that.
    pub(crate) fn new(hold: Hold) -> Self {
        RecvMessageOften { hold, asked: Asked::new() }
    }

    /// How large the pool's buffers have to be at least.
    pub(crate) const SIZE_MIN: usize = FRONT + 1;

    fn unpacked(&self, answer: Completion) -> io::Result<Packed> {
        let mut bytes = orphan::leased(&self.hold, answer)?;
        let Some((from, length, flags)) = message::unpack(&bytes) else {
            return Err(io::Error::other("the kernel's answer is no packed message"));
        };
        bytes.advance(FRONT);
        bytes.truncate(length);
        Ok(Packed { bytes, from, flags })
    }

    /// Keeps what nobody waits for any more, for the next receive of any kind.
    fn leave(&self, answer: Completion) {
        match self.unpacked(answer) {
            Ok(Packed { bytes, from, flags }) if !self.hold.discards() => {
                let left = LeftMessage { bytes: (&*bytes).into(), name: from, control: Ancillary::new(), flags };
                let left = Leftover::Messages(VecDeque::from([left]));
                self.hold.direction(Way::Read).leave_behind(left);
            }
            Ok(_) => {}
            Err(_) if answer.result == -libc::ENOBUFS => {}
            Err(_) => orphan::leave_error(&self.hold, Way::Read, answer),
        }
    }
}

impl Operation for RecvMessageOften {
    type Output = Option<io::Result<Packed>>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let length = self.hold.port().pool().bytes() as u32;
        Request { length, other_pointer: self.asked.pointer(), ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        let direction = self.hold.direction(Way::Read);
        let packed = match direction.take_leftover()? {
            Leftover::Messages(mut messages) => {
                let first = messages.pop_front()?;
                if !messages.is_empty() {
                    direction.put_back(Leftover::Messages(messages));
                }
                message::pack(first.name.as_ref(), &first.bytes, first.flags)
            }
            Leftover::Error(errno) => return Some(Completion::of(-errno)),
            other => {
                debug_assert!(false, "{other:?} was left where datagrams come");
                return None;
            }
        };
        let count = packed.len() as i32;
        Some(Completion::into_buffer((count, Some(self.hold.port().pool().adopt(packed)))))
    }

    fn complete(mut self, answer: Completion) -> Self::Output {
        self.one(answer)
    }

    fn salvage(self, answer: Completion) {
        self.leave(answer);
    }

    fn salvage_one(&mut self, answer: Completion) {
        self.leave(answer);
    }
}

impl Repeat for RecvMessageOften {
    type Item = io::Result<Packed>;

    fn one(&mut self, answer: Completion) -> Option<io::Result<Packed>> {
        Some(self.unpacked(answer))
    }
}
