//! Reads from a pipe again and again, each time into a buffer that is picked when something has come. read(2),
//! IORING_OP_READ_MULTISHOT (6.7, right from 6.12 on)
#![allow(unsafe_code)]

use std::io;

use super::{Repeat, orphan};
use crate::buf::Lease;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way, ability, form};
use crate::sys::file::{self, CURSOR};

/// Reads from a pipe into leases, until the end.
pub struct ReadOften {
    hold: Hold,
}

const FORM: &Form = &form! {
    name: "read_often",
    wait: Readable,
    code: ReadMulti,
    entry: |request| opcode::ReadMulti::new(types::Fd(request.fd), 0, crate::driver::GROUP).offset(CURSOR),
    // SAFETY: the operation is in flight: the buffer was picked for it, the descriptor is open (I1, I4).
    attempt: |request| unsafe { file::read(request.fd, request.pointer, request.length as usize, CURSOR) },
    simulated: |request, kernel| kernel.read(request.fd, CURSOR),
}
.picking(ability::READ_OFTEN)
.repeating(ability::READ_OFTEN);

impl ReadOften {
    pub(crate) fn new(hold: Hold) -> Self {
        ReadOften { hold }
    }
}

impl Operation for ReadOften {
    type Output = Option<io::Result<Lease>>;

    #[inline]
    fn form() -> &'static Form {
        FORM
    }

    #[inline]
    fn request(&mut self) -> Request {
        // The pool is offered before the first request. The ring takes the buffers' own size, and refuses another.
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

impl Repeat for ReadOften {
    type Item = io::Result<Lease>;

    #[inline]
    fn one(&mut self, answer: Completion) -> Option<io::Result<Lease>> {
        let lease = orphan::leased(&self.hold, answer);
        if matches!(&lease, Ok(lease) if lease.is_empty()) { None } else { Some(lease) }
    }
}
