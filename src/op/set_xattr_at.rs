//! Sets an extended attribute of what a path leads to. setxattr(2), IORING_OP_SETXATTR (5.19)
#![allow(unsafe_code)]

#[cfg(feature = "sim")]
use std::ffi::CStr;
use std::ffi::CString;
use std::io;

use super::path::Pair;
use crate::driver::{Completion, Form, Lends, Operation, Request, form};
use crate::sys;

/// Sets an extended attribute of what a path leads to.
pub struct SetXattrAt {
    name_and_path: Pair,
    value: Vec<u8>,
    flags: i32,
}

const FORM: &Form = &form! {
    name: "setxattr",
    wait: Helper,
    code: SetXattr,
    entry: |request| opcode::SetXattr::new(
        request.other_pointer.cast_const().cast(),
        request.pointer.cast_const().cast(),
        Pair::second(request),
        request.length,
    )
    .flags(request.flags),
    // SAFETY: the operation is in flight: name, path and value are lent (I1).
    attempt: |request| unsafe {
        let (path, name) = (Pair::second(request), request.other_pointer.cast_const().cast());
        sys::attributes::set_attribute_at(path, name, request.pointer, request.length as usize, request.flags)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        let at = (libc::AT_FDCWD, CStr::from_ptr(Pair::second(request)));
        kernel.set_attribute(at, request.other_path(), request.flags)
    },
}
.lending(Lends::ToSend);

impl SetXattrAt {
    pub(crate) fn new(path: CString, name: CString, value: Vec<u8>, flags: i32) -> Self {
        SetXattrAt { name_and_path: Pair::of(&name, &path), value, flags }
    }
}

impl Operation for SetXattrAt {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.value.as_mut_ptr(),
            length: self.value.len() as u32,
            other_pointer: self.name_and_path.pointer(),
            offset: self.name_and_path.second_at(),
            flags: self.flags,
            ..Request::new(FORM)
        }
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(drop)
    }
}
