//! Reads an extended attribute of an open file. fgetxattr(2), IORING_OP_FGETXATTR (5.19)
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

use super::path::pointer_to;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, form};
use crate::sys;

/// Reads an extended attribute of an open file.
pub struct GetXattr {
    hold: Hold,
    name: CString,
    place: Vec<u8>,
}

const FORM: &Form = &form! {
    name: "fgetxattr",
    wait: Helper,
    code: FGetXattr,
    entry: |request| opcode::FGetXattr::new(
        types::Fd(request.fd),
        request.other_pointer.cast_const().cast(),
        request.pointer.cast(),
        request.length,
    ),
    // SAFETY: the operation is in flight: name and place are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        let name = request.other_pointer.cast_const().cast();
        sys::attributes::attribute(request.fd, name, request.pointer, request.length as usize)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe { kernel.attribute((request.fd, c""), request.other_path()) },
}
.lending(Lends::ToFill);

impl GetXattr {
    pub(crate) fn new(hold: Hold, name: CString, place: Vec<u8>) -> Self {
        GetXattr { hold, name, place }
    }
}

impl Operation for GetXattr {
    type Output = io::Result<Vec<u8>>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.place.as_mut_ptr(),
            length: self.place.len() as u32,
            other_pointer: pointer_to(&self.name),
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        let mut value = self.place;
        value.truncate(answer.checked()? as usize);
        Ok(value)
    }
}
