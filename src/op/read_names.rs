//! Reads names of an open directory. getdents64(2)
#![allow(unsafe_code)]

use std::io;

use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Way, form};
use crate::sys;

/// Reads names of an open directory, as many as there is room for.
pub struct ReadNames {
    hold: Hold,
    place: Vec<u8>,
    /// How many entries were read before, for systems that keep no cursor.
    first: u64,
}

const FORM: &Form = &form! {
    name: "getdents64",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        sys::names::read_names(request.fd, request.pointer, request.length as usize, request.offset)
    },
    simulated: |request, kernel| kernel.read_names(request.fd),
}
.lending(Lends::ToFill);

impl ReadNames {
    pub(crate) fn new(hold: Hold, place: Vec<u8>, first: u64) -> Self {
        ReadNames { hold, place, first }
    }
}

impl Operation for ReadNames {
    /// How many bytes of entries there are; 0 is the end.
    type Output = (io::Result<usize>, Vec<u8>);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request { 
            pointer: self.place.as_mut_ptr(),
            length: self.place.len() as u32,
            offset: self.first,
            ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    /// They share the directory's cursor.
    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        (answer.checked().map(|count| count as usize), self.place)
    }
}
