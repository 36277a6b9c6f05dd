//! Receives from a socket into a buffer that is picked when something has come. recv(2), IORING_OP_RECV (5.19)
#![allow(unsafe_code)]

use std::io;

use super::orphan;
use crate::buf::Lease;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way, ability, form};
use crate::sys;

/// Receives from a socket into a lease.
pub struct RecvLease {
    hold: Hold,
}

const FORM: &Form = &form! {
    name: "recv_lease",
    wait: Readable,
    code: Recv,
    entry: |request| opcode::Recv::new(types::Fd(request.fd), std::ptr::null_mut(), request.length)
        .buf_group(crate::driver::GROUP),
    flags: BUFFER_SELECT,
    // SAFETY: the operation is in flight: the buffer was picked for it, the descriptor is open (I1, I4).
    attempt: |request| unsafe { sys::socket::recv(request.fd, request.pointer, request.length as usize, 0) },
    simulated: |request, kernel| kernel.receive(request.fd),
}
.picking(ability::PICK)
.emptying();

impl RecvLease {
    pub(crate) fn new(hold: Hold) -> Self {
        RecvLease { hold }
    }
}

impl Operation for RecvLease {
    type Output = io::Result<Lease>;

    #[inline]
    fn form() -> &'static Form {
        FORM
    }

    /// As much as a buffer holds.
    #[inline]
    fn request(&mut self) -> Request {
        let length = self.hold.port().pool().bytes() as u32;
        Request { length, ..Request::on(FORM, &self.hold) }
    }

    #[inline]
    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    #[inline]
    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    #[inline]
    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_lease(&self.hold)
    }

    #[inline]
    fn complete(self, answer: Completion) -> io::Result<Lease> {
        orphan::leased(&self.hold, answer)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_lease(&self.hold, answer);
    }
}
