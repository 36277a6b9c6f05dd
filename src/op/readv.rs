//! Reads from a file into several buffers, one after the other. preadv(2), IORING_OP_READV (5.1)
#![allow(unsafe_code)]

use std::io;

use super::cursor::Cursor;
use super::vectors::Vectors;
use super::{direct_io, orphan};
use crate::buf::IoBufMut;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Wait, Way, form};
use crate::sys::file::{self, CURSOR};

/// Reads from a file into several buffers, one after the other.
pub struct Readv<B> {
    hold: Hold,
    buffers: Vec<B>,
    vectors: Vectors,
    offset: u64,
    cursor: Cursor,
    form: &'static Form,
}

const FILE: Form = form! {
    name: "readv",
    wait: Helper,
    code: Readv,
    entry: |request| opcode::Readv::new(types::Fd(request.fd), request.other_pointer.cast(), request.length).offset(request.offset),
    // SAFETY: the operation is in flight: the buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { file::readv(request.fd, request.other_pointer.cast(), request.length, request.offset) },
    simulated: |request, kernel| kernel.read(request.fd, request.offset),
}
.lending(Lends::ManyToFill);

const FORM: &Form = &FILE;
/// Of a pipe, which has readiness: no helper is needed.
const PIPE: &Form = &FILE.waiting(Wait::Readable);

impl<B: IoBufMut> Readv<B> {
    pub(crate) fn new(hold: Hold, mut buffers: Vec<B>, offset: u64) -> Self {
        let vectors = Vectors::to_fill(&mut buffers);
        Readv { hold, buffers, vectors, offset, cursor: Cursor::NOT_WATCHED, form: FORM }
    }

    /// Reads from a pipe that does not block.
    pub(crate) fn of_pipe(hold: Hold, buffers: Vec<B>) -> Self {
        Readv { form: PIPE, ..Readv::new(hold, buffers, CURSOR) }
    }
}

impl<B: IoBufMut> Operation for Readv<B> {
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
        (self.offset == CURSOR).then_some(Way::Read)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        if self.offset != CURSOR {
            return orphan::empty(self.vectors.bytes());
        }
        orphan::take_scattered(self.hold.direction(Way::Read), &mut self.vectors)
    }

    fn complete(mut self, answer: Completion) -> Self::Output {
        self.cursor.settle(&self.hold, answer.result.max(0) as usize);
        let result = answer.checked().map(|count| count as usize);
        if let Ok(count) = result {
            // SAFETY: the kernel has written that many bytes, filling one buffer after the other.
            unsafe { self.vectors.set_init(&mut self.buffers, count) };
        }
        (result.map_err(|error| direct_io::explained(error, &self.hold)), self.buffers)
    }

    fn salvage(self, answer: Completion) {
        self.cursor.settle(&self.hold, answer.result.max(0) as usize);
        if self.offset != CURSOR {
            return;
        }
        orphan::leave_scattered(&self.hold, Way::Read, answer, &self.vectors);
    }
}
