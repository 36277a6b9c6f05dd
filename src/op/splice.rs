//! Moves bytes out of a descriptor into a pipe, the first half of a splice. splice(2), IORING_OP_SPLICE (5.7)
//!
//! The ring does a splice on a thread of the kernel's, which then waits for a socket that has nothing. So of sockets and
//! pipes the call is made at once, and who is told EAGAIN waits until the source is readable; the pipe is always empty, so
//! it is never the pipe that is waited for. A file is the other way round: there the call waits for the disk, whatever its
//! flags say. So it is made at once only if the file's pages are in memory, and else by the ring, or by a helper.
#![allow(unsafe_code)]

use std::io;
use std::rc::Rc;

use super::conduit::Conduit;
use super::orphan;
use crate::driver::{Completion, Form, Hold, Leftover, Lends, Operation, Request, Way, form};
use crate::sys;
use crate::sys::file::CURSOR;

/// Moves bytes out of a descriptor into a pipe.
pub struct Splice {
    source: Hold,
    offset: u64,
    /// How many bytes at most.
    limit: u64,
    conduit: Rc<Conduit>,
    form: &'static Form,
    /// What was left in the source, and how much of it has been handed out. It goes first.
    left: Option<(Box<[u8]>, usize, Option<i32>)>,
}

/// By a thread that may wait.
const WAITING: &Form = &form! {
    name: "splice",
    wait: Helper,
    code: Splice,
    // CURSOR is -1 there, "no offset". The pipe's number is in the flags. A pipe that was taken over as a file is not
    // waited for there, either.
    entry: |request| opcode::Splice::new(
        types::Fd(request.fd), request.offset as i64, types::Fd(request.flags), -1, request.length,
    )
    .flags(libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE),
    attempt: |request| sys::splice::splice(request.fd, request.offset, request.flags, request.length as usize),
    simulated: |request, kernel| kernel.splice(request.fd, request.offset, request.flags, request.length as usize),
}
.by_number();

/// Of a socket or a pipe, if it has something.
const READY: &Form = &form! {
    name: "splice at once",
    wait: Never,
    entry: none,
    attempt: |request| sys::splice::splice(request.fd, CURSOR, request.flags, request.length as usize),
    simulated: |request, kernel| kernel.splice(request.fd, CURSOR, request.flags, request.length as usize),
};

/// Of a file, if it is in memory.
const IN_MEMORY: &Form = &form! {
    name: "splice from memory",
    wait: Never,
    entry: none,
    attempt: |request| {
        sys::splice::splice_from_memory(request.fd, request.offset, request.flags, request.length as usize)
    },
    simulated: |request, kernel| {
        kernel.splice_from_memory(request.fd, request.offset, request.flags, request.length as usize)
    },
};

/// What was left in the source, written to the pipe.
const LEFT: &Form = &form! {
    name: "splice of a leftover",
    wait: Never,
    entry: none,
    // SAFETY: the operation is in flight: what was left is lent, and the pipe open (I1, I4).
    attempt: |request| unsafe { sys::file::write(request.fd, request.pointer, request.length as usize, CURSOR) },
    simulated: |request, kernel| kernel.write(request.fd, CURSOR),
}
.lending(Lends::ToSend);

impl Splice {
    /// Of a socket or a pipe: what it has now, or EAGAIN.
    pub(crate) fn ready(source: Hold, conduit: Rc<Conduit>, limit: u64) -> Splice {
        Splice { source, offset: CURSOR, limit, conduit, form: READY, left: None }
    }

    /// Of a file, at an offset or at its cursor: if it is in memory, or EAGAIN.
    pub(crate) fn from_memory(source: Hold, offset: u64, conduit: Rc<Conduit>, limit: u64) -> Splice {
        Splice { offset, form: IN_MEMORY, ..Splice::ready(source, conduit, limit) }
    }

    /// Of a file, at an offset or at its cursor, by a thread that waits for the disk.
    pub(crate) fn from_disk(source: Hold, offset: u64, conduit: Rc<Conduit>, limit: u64) -> Splice {
        Splice { offset, form: WAITING, ..Splice::ready(source, conduit, limit) }
    }

    /// Puts back what there was no room for.
    fn put_back(&mut self, count: usize) {
        let Some((bytes, taken, then)) = self.left.take() else { return };
        let direction = self.source.direction(Way::Read);
        match (taken + count < bytes.len(), then) {
            (true, then) => direction.put_back(Leftover::Bytes { bytes, taken: taken + count, then }),
            (false, Some(errno)) => direction.put_back(Leftover::Error(errno)),
            (false, None) => {}
        }
    }
}

impl Operation for Splice {
    /// How many bytes are in the pipe now. 0 is the end.
    type Output = io::Result<usize>;

    fn form() -> &'static Form {
        WAITING
    }

    fn wait(&self) -> crate::driver::Wait {
        self.form.wait
    }

    fn request(&mut self) -> Request {
        let pipe = &self.conduit.pipe;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if let Some((bytes, taken, _)) = &self.left {
            let rest = &bytes[*taken..];
            let length = rest.len().min(limit).min(sys::TRANSFER_MAX) as u32;
            let pointer = rest.as_ptr().cast_mut();
            return Request { fd: pipe.write_end(), pointer, length, ..Request::new(LEFT) };
        }
        Request {
            length: limit.min(pipe.room()) as u32,
            offset: self.offset,
            flags: pipe.write_end(),
            ..Request::on(self.form, &self.source)
        }
    }

    /// The pipe is kept open by a share of it.
    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.source)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        // The turn is the conduit's.
        if self.offset != CURSOR {
            return None;
        }
        match self.source.direction(Way::Read).take_leftover()? {
            Leftover::Bytes { bytes, taken, then } => {
                self.left = Some((bytes, taken, then));
                None
            }
            // Of a stream it is the bytes that count: what came with them is nobody's.
            Leftover::Messages(messages) => {
                let bytes: Vec<u8> = messages.iter().flat_map(|message| message.bytes.iter().copied()).collect();
                self.left = Some((bytes.into(), 0, None));
                None
            }
            Leftover::Error(errno) => Some(Completion::of(-errno)),
            Leftover::Descriptor(number) => {
                debug_assert!(false, "a connection was left in a stream");
                sys::close(number);
                None
            }
        }
    }

    fn complete(mut self, answer: Completion) -> io::Result<usize> {
        let count = usize::try_from(answer.result).unwrap_or(0);
        self.conduit.pipe.filled(count);
        self.put_back(count);
        answer.checked().map(|count| count as usize)
    }

    fn salvage(self, answer: Completion) {
        let source = (self.offset == CURSOR).then(|| self.source.clone());
        if self.complete(answer).is_err() {
            source.into_iter().for_each(|source| orphan::leave_error(&source, Way::Read, answer));
        }
    }
}
