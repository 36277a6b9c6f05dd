//! Reads where a symbolic link points to. readlinkat(2)
#![allow(unsafe_code)]

use std::io;

use super::path::At;
use crate::driver::{Completion, Form, Lends, Operation, Request, form};
use crate::sys::names::{self, PATH_MAX};

/// Reads where a symbolic link points to.
pub struct Readlink {
    at: At,
    place: Vec<u8>,
}

const FORM: &Form = &form! {
    name: "readlinkat",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: path and buffer are lent, the directory open (I1, I4).
    attempt: |request| unsafe {
        let path = request.other_pointer.cast_const().cast();
        names::read_link(request.fd, path, request.pointer, request.length as usize)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.read_link(request.fd, request.other_path()) },
}
.lending(Lends::ToFill);

impl Readlink {
    pub(crate) fn new(at: At) -> Self {
        Readlink { at, place: vec![0; PATH_MAX] }
    }
}

impl Operation for Readlink {
    type Output = io::Result<Vec<u8>>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            fd: self.at.number(),
            other_pointer: self.at.pointer(),
            pointer: self.place.as_mut_ptr(),
            length: self.place.len() as u32,
            ..Request::new(FORM)
        }
    }

    fn complete(mut self, answer: Completion) -> io::Result<Vec<u8>> {
        self.place.truncate(answer.checked()? as usize);
        Ok(self.place)
    }
}
