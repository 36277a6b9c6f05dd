//! Tells how a file will be used. posix_fadvise(2), IORING_OP_FADVISE (5.6)
#![allow(unsafe_code)]

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
    code: Fadvise,
    entry: |request| opcode::Fadvise::new(types::Fd(request.fd), length(request) as libc::off_t, request.flags)
        .offset(request.offset),
    attempt: |request| sys::attributes::advise(request.fd, request.offset, length(request), request.flags),
    simulated: |request, kernel| kernel.advise(request.fd),
}
.trying_at_once(at_once);

/// Of more than the ring's entry has a place for before 6.11: 32 bits. It would be cut off without a word.
const LONG: &Form = &form! {
    name: "fadvise, long",
    wait: Helper,
    entry: none,
    attempt: |request| sys::attributes::advise(request.fd, request.offset, length(request), request.flags),
    simulated: |request, kernel| kernel.advise(request.fd),
}
.trying_at_once(at_once);

/// A length may need 64 bits.
fn length(request: &Request) -> u64 {
    request.other_pointer as u64
}

/// Most advice is a note on the open file. To read what will be needed, or to write what will not, may wait for the disk.
///
/// # Safety
/// `Request::attempt`'s.
unsafe fn at_once(request: &Request) -> i32 {
    const WILL_NEED: i32 = 3;
    const DONT_NEED: i32 = 4;
    match request.flags {
        WILL_NEED | DONT_NEED => -libc::EAGAIN,
        advice => sys::attributes::advise(request.fd, request.offset, length(request), advice),
    }
}

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
        let form = if self.length <= u64::from(u32::MAX) { FORM } else { LONG };
        Request {
            other_pointer: self.length as *mut u8,
            offset: self.offset,
            flags: self.advice,
            ..Request::on(form, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(drop)
    }
}
