//! Brings a part of a file's data to the disk. sync_file_range(2), IORING_OP_SYNC_FILE_RANGE (5.2)

use std::io;

use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Brings a part of a file's data to the disk.
pub struct SyncRange {
    hold: Hold,
    offset: u64,
    length: u32,
    flags: u32,
}

const FORM: &Form = &form! {
    name: "sync_file_range",
    wait: Helper,
    code: SyncFileRange,
    entry: |request| opcode::SyncFileRange::new(types::Fd(request.fd), request.length)
        .offset(request.offset)
        .flags(request.flags as u32),
    attempt: |request| {
        sys::attributes::sync_range(request.fd, request.offset, u64::from(request.length), request.flags as u32)
    },
    simulated: |request, kernel| kernel.sync(request.fd, true),
};

impl SyncRange {
    pub(crate) fn new(hold: Hold, offset: u64, length: u32, flags: u32) -> Self {
        SyncRange { hold, offset, length, flags }
    }
}

impl Operation for SyncRange {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { 
            offset: self.offset,
            length: self.length,
            flags: self.flags as i32,
            ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn follows_writes(&self) -> bool {
        true
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(drop)
    }
}
