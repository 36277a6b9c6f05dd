//! Finds the path without dots and links. realpath(3)
#![allow(unsafe_code)]

use std::io;

use super::path::At;
use crate::driver::{Completion, Form, Lends, Operation, Request, form};
use crate::sys::names::{self, PATH_MAX};

/// Finds the path without dots and links.
pub struct Realpath {
    at: At,
    place: Vec<u8>,
}

const FORM: &Form = &form! {
    name: "realpath",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: path and buffer, of PATH_MAX bytes, are lent (I1).
    attempt: |request| unsafe { names::real_path(request.other_pointer.cast_const().cast(), request.pointer) },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.real_path(request.fd, request.other_path()) },
}
.lending(Lends::ToFill);

impl Realpath {
    pub(crate) fn new(at: At) -> Self {
        Realpath { at, place: vec![0; PATH_MAX] }
    }
}

impl Operation for Realpath {
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
