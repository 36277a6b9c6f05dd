//! Reads from a file at an offset, or at its cursor. pread(2), read(2), IORING_OP_READ (5.6)
#![allow(unsafe_code)]

use std::io;

use super::cursor::Cursor;
use super::rest::Rest;
use super::{Transfer, direct_io, orphan};
use crate::buf::IoBufMut;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Trial, Wait, Way, form};
use crate::sys::file::{self, CURSOR};

/// Reads from a file at an offset, or at its cursor.
pub struct Read<B> {
    hold: Hold,
    rest: Rest<B>,
    offset: u64,
    cursor: Cursor,
    form: &'static Form,
}

const FILE: Form = form! {
    name: "read",
    wait: Helper,
    code: Read,
    entry: |request| opcode::Read::new(types::Fd(request.fd), request.pointer, request.length).offset(request.offset),
    registered: |place| opcode::ReadFixed::new(types::Fd(request.fd), request.pointer, request.length, place)
        .offset(request.offset),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { file::read(request.fd, request.pointer, request.length as usize, request.offset) },
    simulated: |request, kernel| kernel.read(request.fd, request.offset),
}
.lending(Lends::ToFill)
// SAFETY: as above.
.trying_at_once(|request| unsafe {
    file::read_at_once(request.fd, request.pointer, request.length as usize, request.offset)
});

const FORM: &Form = &FILE;
/// Of a pipe, which has readiness: no helper is needed.
const PIPE: &Form = &FILE.waiting(Wait::Readable);

impl<B: IoBufMut> Read<B> {
    pub(crate) fn new(hold: Hold, buffer: B, offset: u64) -> Self {
        Read { hold, rest: Rest::of(buffer), offset, cursor: Cursor::NOT_WATCHED, form: FORM }
    }

    /// Reads from a pipe that does not block.
    pub(crate) fn of_pipe(hold: Hold, buffer: B) -> Self {
        Read { form: PIPE, ..Read::new(hold, buffer, CURSOR) }
    }
}

impl<B: IoBufMut> Operation for Read<B> {
    type Output = (io::Result<usize>, B);

    fn form() -> &'static Form {
        FORM
    }

    #[inline]
    fn wait(&self) -> Wait {
        self.form.wait
    }

    fn request(&mut self) -> Request {
        let (pointer, length) = self.rest.fill();
        if self.offset == CURSOR && self.form.wait == Wait::Helper {
            self.cursor = Cursor::before(&self.hold, length);
        }
        let offset = self.rest.offset(self.offset);
        Request { pointer, length, offset, flags: self.rest.known_as(&self.hold), ..Request::on(self.form, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    /// At the cursor operations take turns, for they share it; at an offset they run side by side.
    fn way(&self) -> Option<Way> {
        (self.offset == CURSOR).then_some(Way::Read)
    }

    /// At the cursor nobody would know where a part of it left that.
    #[inline]
    fn trial(&self) -> Trial {
        if self.offset == CURSOR { Trial::Never } else { Trial::OfAll }
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        if self.offset != CURSOR {
            return orphan::empty(self.rest.to_fill());
        }
        orphan::take_bytes(self.hold.direction(Way::Read), &mut self.rest)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        if self.offset == CURSOR {
            self.cursor.settle(&self.hold, answer.result.max(0) as usize);
        }
        // SAFETY: the kernel has written that many bytes to where the rest began.
        let (result, buffer) = unsafe { self.rest.filled(answer) };
        (result.map_err(|error| direct_io::explained(error, &self.hold)), buffer)
    }

    fn salvage(self, answer: Completion) {
        if self.offset == CURSOR {
            self.cursor.settle(&self.hold, answer.result.max(0) as usize);
            orphan::leave_bytes(&self.hold, Way::Read, answer, self.rest);
        }
    }
}

impl<B: IoBufMut> Transfer for Read<B> {
    type Buffer = B;

    const ENDED: io::ErrorKind = io::ErrorKind::UnexpectedEof;

    fn progress(&self) -> (usize, usize) {
        (self.rest.done(), self.rest.to_fill())
    }

    fn advance(&mut self, count: usize) {
        if self.offset == CURSOR {
            self.cursor.settle(&self.hold, count);
        }
        self.rest.advance(count);
    }
}
