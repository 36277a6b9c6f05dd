//! Copies from one file to another without coming up here. copy_file_range(2), Linux 4.5
#![allow(unsafe_code)]

use std::io;

use super::orphan;
use crate::driver::{Completion, Descriptor, Form, Hold, Operation, Request, form};
use crate::sys;

/// Copies from one file to another without coming up here.
pub struct CopyRange {
    /// A handle: so it stays open as long as the operation lives (I4).
    from: Descriptor,
    to: Hold,
    /// Where each begins.
    offsets: Box<(u64, u64)>,
    length: u32,
}

const FORM: &Form = &form! {
    name: "copy_file_range",
    wait: Helper,
    entry: none,
    attempt: |request| {
        // SAFETY: the operation is in flight: the offsets are lent, the descriptors open (I1, I4).
        let (read_at, write_at) = unsafe { *request.pointer.cast_const().cast::<(u64, u64)>() };
        sys::attributes::copy_range((request.flags, read_at), (request.fd, write_at), request.length as usize)
    },
    simulated: |request, kernel| {
        // SAFETY: as above.
        let (read_at, write_at) = unsafe { *request.pointer.cast_const().cast::<(u64, u64)>() };
        kernel.copy_range((request.flags, read_at), (request.fd, write_at), request.length as usize)
    },
};

impl CopyRange {
    pub(crate) fn new((from, read_at): (Descriptor, u64), (to, write_at): (Hold, u64), length: u32) -> Self {
        CopyRange { from, to, offsets: Box::new((read_at, write_at)), length }
    }
}

impl Operation for CopyRange {
    /// How many bytes were copied; 0 is the end.
    type Output = io::Result<usize>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: (&raw mut *self.offsets).cast(),
            length: self.length,
            // Only the other one is the driver's to translate. Where that fails, so does the call.
            flags: self.from.plain_number(),
            ..Request::on(FORM, &self.to)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.to)
    }

    fn writes_file(&self) -> bool {
        true
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(|count| count as usize)
    }

    fn salvage(self, answer: Completion) {
        let count = answer.checked().unwrap_or(0) as usize;
        orphan::leave_outcome(&self.to, count, answer);
    }
}
