//! Writes to a file at an offset, or at its cursor. pwrite(2), write(2), IORING_OP_WRITE (5.6)
#![allow(unsafe_code)]

use std::io;

use super::cursor::Cursor;
use super::rest::Rest;
use super::{Transfer, direct_io, orphan};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Wait, Way, form};
use crate::sys::file::{self, CURSOR};

/// Writes to a file at an offset, or at its cursor.
pub struct Write<B> {
    hold: Hold,
    rest: Rest<B>,
    offset: u64,
    cursor: Cursor,
    form: &'static Form,
}

const FILE: Form = form! {
    name: "write",
    wait: Helper,
    code: Write,
    entry: |request| opcode::Write::new(types::Fd(request.fd), request.pointer, request.length).offset(request.offset),
    registered: |place| opcode::WriteFixed::new(types::Fd(request.fd), request.pointer, request.length, place)
        .offset(request.offset),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { file::write(request.fd, request.pointer, request.length as usize, request.offset) },
    simulated: |request, kernel| kernel.write(request.fd, request.offset),
}
.lending(Lends::ToSend);

const FORM: &Form = &FILE;
/// Of a pipe, which has readiness: no helper is needed.
const PIPE: &Form = &FILE.waiting(Wait::Writable);

impl<B: IoBuf> Write<B> {
    pub(crate) fn new(hold: Hold, buffer: B, offset: u64) -> Self {
        Write { hold, rest: Rest::of(buffer), offset, cursor: Cursor::NOT_WATCHED, form: FORM }
    }

    /// Writes to a pipe that does not block.
    pub(crate) fn to_pipe(hold: Hold, buffer: B) -> Self {
        Write { form: PIPE, ..Write::new(hold, buffer, CURSOR) }
    }
}

impl<B: IoBuf> Operation for Write<B> {
    type Output = (io::Result<usize>, B);

    fn form() -> &'static Form {
        FORM
    }

    #[inline]
    fn wait(&self) -> Wait {
        self.form.wait
    }

    fn request(&mut self) -> Request {
        let (pointer, length) = self.rest.send();
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
        (self.offset == CURSOR).then_some(Way::Write)
    }

    fn writes_file(&self) -> bool {
        true
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::empty(self.rest.to_send())
    }

    fn complete(self, answer: Completion) -> Self::Output {
        if self.offset == CURSOR {
            self.cursor.settle(&self.hold, answer.result.max(0) as usize);
        }
        let (result, buffer) = self.rest.sent(answer);
        (result.map_err(|error| direct_io::explained(error, &self.hold)), buffer)
    }

    fn salvage(self, answer: Completion) {
        if self.offset == CURSOR {
            self.cursor.settle(&self.hold, answer.result.max(0) as usize);
        }
        orphan::leave_outcome(&self.hold, self.rest.done(), answer);
    }
}

impl<B: IoBuf> Transfer for Write<B> {
    type Buffer = B;

    const ENDED: io::ErrorKind = io::ErrorKind::WriteZero;

    fn progress(&self) -> (usize, usize) {
        (self.rest.done(), self.rest.to_send())
    }

    fn advance(&mut self, count: usize) {
        if self.offset == CURSOR {
            self.cursor.settle(&self.hold, count);
        }
        self.rest.advance(count);
    }
}
