//! Reads from a file at an offset into a buffer of the runtime's. pread(2), IORING_OP_READ (5.6, picking 5.7 and 5.19)
#![allow(unsafe_code)]

use std::io;

use super::{direct_io, orphan};
use crate::buf::Lease;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, ability, form};
use crate::sys::file;

/// Reads from a file into a lease.
pub struct ReadLease {
    hold: Hold,
    offset: u64,
    /// Where the kernel does not pick: what is read into.
    lease: Option<Lease>,
}

const PICKED: &Form = &form! {
    name: "read_lease",
    wait: Helper,
    code: Read,
    entry: |request| opcode::Read::new(types::Fd(request.fd), std::ptr::null_mut(), request.length)
        .offset(request.offset)
        .buf_group(crate::driver::GROUP),
    flags: BUFFER_SELECT,
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { file::read(request.fd, request.pointer, request.length as usize, request.offset) },
    simulated: |request, kernel| kernel.read(request.fd, request.offset),
}
.picking(ability::PICK);

/// Into a buffer that is known before.
const GIVEN: &Form = &form! {
    name: "read",
    wait: Helper,
    code: Read,
    entry: |request| opcode::Read::new(types::Fd(request.fd), request.pointer, request.length).offset(request.offset),
    // SAFETY: as above.
    attempt: |request| unsafe { file::read(request.fd, request.pointer, request.length as usize, request.offset) },
    simulated: |request, kernel| kernel.read(request.fd, request.offset),
}
.lending(Lends::ToFill)
// SAFETY: as above.
.trying_at_once(|request| unsafe {
    file::read_at_once(request.fd, request.pointer, request.length as usize, request.offset)
});

impl ReadLease {
    pub(crate) fn new(hold: Hold, offset: u64) -> Self {
        ReadLease { hold, offset, lease: None }
    }
}

impl Operation for ReadLease {
    type Output = io::Result<Lease>;

    fn form() -> &'static Form {
        PICKED
    }

    fn request(&mut self) -> Request {
        let port = self.hold.port();
        let (length, offset) = (port.pool().bytes() as u32, self.offset);
        if port.kernel_picks() {
            return Request { length, offset, ..Request::on(PICKED, &self.hold) };
        }
        let lease = self.lease.get_or_insert_with(|| port.pool().lease());
        Request { pointer: lease.as_mut_ptr(), length, offset, ..Request::on(GIVEN, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn complete(self, answer: Completion) -> io::Result<Lease> {
        let read = match self.lease {
            None => orphan::leased(&self.hold, answer),
            Some(mut lease) => answer.checked().map(|count| {
                lease.truncate(count as usize);
                lease
            }),
        };
        read.map_err(|error| direct_io::explained(error, &self.hold))
    }
}
