//! Lists the extended attributes of a file. listxattr(2), flistxattr(2)
#![allow(unsafe_code)]

use std::io;

use super::path::Subject;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, form};
use crate::sys;

/// Lists the extended attributes of a file: names, each with a zero at its end.
pub struct ListXattr {
    subject: Subject,
    place: Vec<u8>,
}

const FORM: &Form = &form! {
    name: "flistxattr",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: path and place are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        let path = request.other_pointer.cast_const().cast();
        sys::attributes::attributes(request.fd, path, request.pointer, request.length as usize)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.attributes((request.fd, request.other_path())) },
}
.lending(Lends::ToFill);

impl ListXattr {
    pub(crate) fn new(subject: Subject, place: Vec<u8>) -> Self {
        ListXattr { subject, place }
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
            fd: self.subject.number(),
            other_pointer: self.subject.pointer(),
            ..Request::new(FORM)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        self.subject.hold()
    }

    fn complete(self, answer: Completion) -> Self::Output {
        let mut names = self.place;
        names.truncate(answer.checked()? as usize);
        Ok(names)
    }
}
