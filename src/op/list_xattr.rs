//! Lists the extended attributes of an open file. flistxattr(2)
#![allow(unsafe_code)]

use std::io;

use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, form};
use crate::sys;

/// Lists the extended attributes of an open file: names, each with a zero at its end.
pub struct ListXattr {
    hold: Hold,
    place: Vec<u8>,
}

const FORM: &Form = &form! {
    name: "flistxattr",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: the place is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        sys::attributes::attributes(request.fd, request.pointer, request.length as usize)
    },
    simulated: |request, kernel| kernel.attributes(request.fd),
}
.lending(Lends::ToFill);

impl ListXattr {
    pub(crate) fn new(hold: Hold, place: Vec<u8>) -> Self {
        ListXattr { hold, place }
    }
}

impl Operation for ListXattr {
    type Output = io::Result<Vec<u8>>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.place.as_mut_ptr(),
            length: self.place.len() as u32,
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        let mut names = self.place;
        names.truncate(answer.checked()? as usize);
        Ok(names)
    }
}
