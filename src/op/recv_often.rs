//! Receives from a socket again and again, each time into a buffer that is picked when something has come. recv(2),
//! IORING_OP_RECV with IORING_RECV_MULTISHOT (6.0)
#![allow(unsafe_code)]

use std::io;

use super::{Repeat, orphan};
use crate::buf::Lease;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way, ability, form};
use crate::sys;

/// Receives from a socket into leases, until the end.
pub struct RecvOften {
    hold: Hold,
}

const FORM: &Form = &form! {
    name: "recv_often",
    wait: Readable,
    code: RecvMulti,
    entry: |request| opcode::RecvMulti::new(types::Fd(request.fd), crate::driver::GROUP),
    // SAFETY: the operation is in flight: the buffer was picked for it, the descriptor is open (I1, I4).
    attempt: |request| unsafe { sys::socket::recv(request.fd, request.pointer, request.length as usize, 0) },
    simulated: |request, kernel| kernel.receive(request.fd),
}
.picking(ability::PICK_OFTEN)
.repeating(ability::PICK_OFTEN)
.emptying();

impl RecvOften {
    pub(crate) fn new(hold: Hold) -> Self {
        RecvOften { hold }
    }
}

impl Operation for RecvOften {
    type Output = Option<io::Result<Lease>>;

    #[inline]
    fn form() -> &'static Form {
        FORM
    }

    #[inline]
    fn request(&mut self) -> Request {
        // The pool is offered before the first request. The ring takes the buffers' own size for the length.
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

    fn complete(mut self, answer: Completion) -> Self::Output {
        self.one(answer)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_lease(&self.hold, answer);
    }

    fn salvage_one(&mut self, answer: Completion) {
        orphan::leave_lease(&self.hold, answer);
    }
}

impl Repeat for RecvOften {
    type Item = io::Result<Lease>;

    #[inline]
    fn one(&mut self, answer: Completion) -> Option<io::Result<Lease>> {
        let lease = orphan::leased(&self.hold, answer);
        if matches!(&lease, Ok(lease) if lease.is_empty()) { None } else { Some(lease) }
    }
}
