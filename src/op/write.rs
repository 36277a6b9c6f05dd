//! Writes to a file at an offset, or at its cursor. pwrite(2), write(2), IORING_OP_WRITE (5.6)
#![allow(unsafe_code)]

use std::io;

use super::{clamped, orphan};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way, form};
use crate::sys::file::{self, CURSOR};

/// Writes to a file at an offset, or at its cursor.
pub struct Write<B> {
    hold: Hold,
    buffer: B,
    offset: u64,
}

const FORM: &Form = &form! {
    name: "write",
    wait: Helper,
    code: Write,
    entry: |request| opcode::Write::new(types::Fd(request.fd), request.pointer, request.length).offset(request.offset),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { file::write(request.fd, request.pointer, request.length as usize, request.offset) },
}
.lending_bytes();

impl<B: IoBuf> Write<B> {
    pub(crate) fn new(hold: Hold, buffer: B, offset: u64) -> Self {
        Write { hold, buffer, offset }
    }
}

impl<B: IoBuf> Operation for Write<B> {
    type Output = (io::Result<usize>, B);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.buffer.stable_ptr().cast_mut(),
            length: clamped(self.buffer.bytes_init()),
            offset: self.offset,
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    /// At the cursor operations take turns, for they share it; at an offset they run side by side.
    fn way(&self) -> Option<Way> {
        (self.offset == CURSOR).then_some(Way::Write)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::empty(self.buffer.bytes_init())
    }

    fn complete(self, answer: Completion) -> Self::Output {
        (answer.checked().map(|count| count as usize), self.buffer)
    }
}
