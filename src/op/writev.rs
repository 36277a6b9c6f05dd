//! Writes several buffers to a file, one after the other. pwritev(2), IORING_OP_WRITEV (5.1)
#![allow(unsafe_code)]

use std::io;

use super::cursor::Cursor;
use super::vectors::Vectors;
use super::{direct_io, orphan};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Wait, Way, form};
use crate::sys::file::{self, CURSOR};

/// Writes several buffers to a file, one after the other.
pub struct Writev<B> {
    hold: Hold,
    buffers: Vec<B>,
    vectors: Vectors,
    offset: u64,
    cursor: Cursor,
    form: &'static Form,
}

const FILE: Form = form! {
    name: "writev",
    wait: Helper,
    code: Writev,
    entry: |request| opcode::Writev::new(types::Fd(request.fd), request.other_pointer.cast(), request.length).offset(request.offset),
    // SAFETY: the operation is in flight: the buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { file::writev(request.fd, request.other_pointer.cast(), request.length, request.offset) },
    simulated: |request, kernel| kernel.write(request.fd, request.offset),
}
.lending(Lends::ManyToSend);

const FORM: &Form = &FILE;
/// Of a pipe, which has readiness: no helper is needed.
const PIPE: &Form = &FILE.waiting(Wait::Writable);

impl<B: IoBuf> Writev<B> {
    pub(crate) fn new(hold: Hold, buffers: Vec<B>, offset: u64) -> Self {
        let vectors = Vectors::to_send(&buffers);
        Writev { hold, buffers, vectors, offset, cursor: Cursor::NOT_WATCHED, form: FORM }
    }

    /// Writes to a pipe that does not block.
    pub(crate) fn to_pipe(hold: Hold, buffers: Vec<B>) -> Self {
        Writev { form: PIPE, ..Writev::new(hold, buffers, CURSOR) }
    }
}

impl<B: IoBuf> Operation for Writev<B> {
    type Output = (io::Result<usize>, Vec<B>);

    fn form() -> &'static Form {
        FORM
    }

    #[inline]
    fn wait(&self) -> Wait {
        self.form.wait
    }

    fn request(&mut self) -> Request {
        if self.offset == CURSOR && self.form.wait == Wait::Helper {
            let wanted = u32::try_from(self.vectors.bytes()).unwrap_or(u32::MAX);
            self.cursor = Cursor::before(&self.hold, wanted);
        }
        Request {
            other_pointer: self.vectors.pointer().cast(),
            length: self.vectors.count(),
            offset: self.offset,
            ..Request::on(self.form, &self.hold)
        }
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
        orphan::empty(self.vectors.bytes())
    }

    fn complete(self, answer: Completion) -> Self::Output {
        self.cursor.settle(&self.hold, answer.result.max(0) as usize);
        let result = answer.checked().map(|count| count as usize);
        (result.map_err(|error| direct_io::explained(error, &self.hold)), self.buffers)
    }

    fn salvage(self, answer: Completion) {
        self.cursor.settle(&self.hold, answer.result.max(0) as usize);
        orphan::leave_outcome(&self.hold, 0, answer);
    }
}
