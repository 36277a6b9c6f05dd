//! Reads an extended attribute of what a path leads to. getxattr(2), IORING_OP_GETXATTR (5.19)
#![allow(unsafe_code)]

#[cfg(feature = "sim")]
use std::ffi::CStr;
use std::ffi::CString;
use std::io;

use super::path::Pair;
use crate::driver::{Completion, Form, Lends, Operation, Request, form};
use crate::sys;

/// Reads an extended attribute of what a path leads to.
pub struct GetXattrAt {
    name_and_path: Pair,
    place: Vec<u8>,
}

const FORM: &Form = &form! {
    name: "getxattr",
    wait: Helper,
    code: GetXattr,
    entry: |request| opcode::GetXattr::new(
        request.other_pointer.cast_const().cast(),
        request.pointer.cast(),
        Pair::second(request),
        request.length,
    ),
    // SAFETY: the operation is in flight: name, path and place are lent (I1).
    attempt: |request| unsafe {
        let name = request.other_pointer.cast_const().cast();
        sys::attributes::attribute_at(Pair::second(request), name, request.pointer, request.length as usize)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        kernel.attribute((libc::AT_FDCWD, CStr::from_ptr(Pair::second(request))), request.other_path())
    },
}
.lending(Lends::ToFill);

impl GetXattrAt {
    pub(crate) fn new(path: CString, name: CString, place: Vec<u8>) -> Self {
        GetXattrAt { name_and_path: Pair::of(&name, &path), place }
    }
}

impl Operation for GetXattrAt {
    type Output = io::Result<Vec<u8>>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.place.as_mut_ptr(),
            length: self.place.len() as u32,
            other_pointer: self.name_and_path.pointer(),
            offset: self.name_and_path.second_at(),
            ..Request::new(FORM)
        }
    }

    fn complete(self, answer: Completion) -> Self::Output {
        let mut value = self.place;
        value.truncate(answer.checked()? as usize);
        Ok(value)
    }
}
