//! Tells how a file will be used. posix_fadvise(2), IORING_OP_FADVISE (5.6)

use std::io;

use crate::driver::{Completion, Form, Hold, Operation, Request, form};
use crate::sys;

/// Tells how a file will be used.
pub struct Fadvise {
    hold: Hold,
    offset: u64,
    length: u64,
    advice: i32,
}

const FORM: &Form = &form! {
    name: "fadvise",
    wait: Helper,
    entry: none,
    attempt: |request| {
        sys::attributes::advise(request.fd, request.offset, request.other_pointer as u64, request.flags)
    },
    simulated: |request, kernel| kernel.advise(request.fd),
};

impl Fadvise {
    pub(crate) fn new(hold: Hold, offset: u64, length: u64, advice: i32) -> Self {
        Fadvise { hold, offset, length, advice }
    }
}

impl Operation for Fadvise {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { 
            // A length may need 64 bits, for which the ring's entry has no place before 6.11: so a helper tells it.
            other_pointer: self.length as *mut u8,
            offset: self.offset,
            flags: self.advice,
            ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(drop)
    }
}
