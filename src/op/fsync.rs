//! Brings a file to the disk, with its metadata or with as much of it as reading the data needs. fsync(2), fdatasync(2), IORING_OP_FSYNC (5.1)

use std::io;

use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Brings a file to the disk, with its metadata or with as much of it as reading the data needs.
pub struct Fsync {
    hold: Hold,
    data_only: bool,
}

const FORM: &Form = &form! {
    name: "fsync",
    wait: Helper,
    code: Fsync,
    entry: |request| opcode::Fsync::new(types::Fd(request.fd)).flags(match request.flags {
        0 => types::FsyncFlags::empty(),
        _ => types::FsyncFlags::DATASYNC,
    }),
    attempt: |request| sys::file::sync(request.fd, request.flags != 0),
    simulated: |request, kernel| kernel.sync(request.fd, request.flags != 0),
};

impl Fsync {
    pub(crate) fn new(hold: Hold, data_only: bool) -> Self {
        Fsync { hold, data_only }
    }
}

impl Operation for Fsync {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { flags: i32::from(self.data_only), ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    /// What was dropped and written after all is to be on the disk as well.
    fn follows_writes(&self) -> bool {
        true
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}
