//! Asks what the file system knows of a file. statx(2), IORING_OP_STATX (5.6).
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;

use super::path::{At, Subject};
use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys::file::{self, RawStat, Stat};

/// Asks what the file system knows of a path, or of an open file.
pub struct Statx {
    subject: Subject,
    flags: i32,
    /// The kernel writes here when it completes.
    place: Box<MaybeUninit<RawStat>>,
}

const FORM: &Form = &form! {
    name: "statx",
    wait: Helper,
    code: Statx,
    entry: |request| opcode::Statx::new(
        types::Fd(request.fd),
        request.pointer.cast_const().cast(),
        request.other_pointer.cast(),
    )
    .flags(request.flags)
    .mask(file::STATX_MASK),
    // SAFETY: the operation is in flight: path and place are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        file::stat(
            request.fd,
            request.pointer.cast_const().cast(),
            request.flags,
            request.other_pointer.cast(),
        )
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        match kernel.stat(request.fd, request.path(), request.flags) {
            Ok(stat) => stat.to_place(request.other_pointer.cast()),
            Err(error) => error,
        }
    },
}
.by_number();

impl Statx {
    /// Of an open file.
    pub(crate) fn of_descriptor(hold: Hold) -> Self {
        Statx { subject: Subject::Open(hold), flags: file::EMPTY_PATH, place: Stat::place() }
    }

    /// Of a path; `flags` are AT_SYMLINK_NOFOLLOW or 0.
    pub(crate) fn of_path(at: At, flags: i32) -> Self {
        Statx { subject: Subject::Path(at), flags, place: Stat::place() }
    }
}

impl Operation for Statx {
    type Output = io::Result<Stat>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            fd: self.subject.number(),
            pointer: self.subject.pointer(),
            other_pointer: (&raw mut *self.place).cast(),
            flags: self.flags,
            ..Request::new(FORM)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        self.subject.hold()
    }

    fn complete(self, answer: Completion) -> io::Result<Stat> {
        answer.checked().map(|_| Stat::from_place(&self.place))
    }
}
