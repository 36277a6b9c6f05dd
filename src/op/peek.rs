//! Looks at what can be received, and leaves it there. recv(2) with MSG_PEEK, IORING_OP_RECV (5.6)
#![allow(unsafe_code)]

use std::io;

use super::orphan;
use super::rest::Rest;
use crate::buf::IoBufMut;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Way, form};
use crate::sys;

/// Looks at what can be received, and leaves it there.
pub struct Peek<B> {
    hold: Hold,
    rest: Rest<B>,
}

const FORM: &Form = &form! {
    name: "peek",
    wait: Readable,
    code: Recv,
    entry: |request| opcode::Recv::new(types::Fd(request.fd), request.pointer, request.length).flags(request.flags),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        sys::socket::recv(request.fd, request.pointer, request.length as usize, request.flags)
    },
    simulated: |request, kernel| kernel.peek(request.fd),
}
.lending(Lends::ToFill);

impl<B: IoBufMut> Peek<B> {
    pub(crate) fn new(hold: Hold, buffer: B) -> Self {
        Peek { hold, rest: Rest::of(buffer) }
    }
}

impl<B: IoBufMut> Operation for Peek<B> {
    type Output = (io::Result<usize>, B);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let (pointer, length) = self.rest.fill();
        Request { pointer, length, flags: libc::MSG_PEEK, ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::look_at_bytes(self.hold.direction(Way::Read), &mut self.rest)
    }

    /// The kernel tells an error once, to a peek as well. Who only looks takes nothing, so the next read is told too:
    /// a clean end in the place of a reset would be a lie.
    fn goes_on(&mut self, answer: Completion) -> bool {
        orphan::leave_error(&self.hold, Way::Read, answer);
        false
    }

    fn complete(self, answer: Completion) -> Self::Output {
        // SAFETY: the kernel has written that many bytes to where the rest began.
        unsafe { self.rest.filled(answer) }
    }

    /// What it saw is still there, but for an error.
    fn salvage(self, answer: Completion) {
        orphan::leave_error(&self.hold, Way::Read, answer);
    }
}
