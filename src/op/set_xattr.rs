//! Sets an extended attribute of an open file. fsetxattr(2), IORING_OP_FSETXATTR (5.19)
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

use super::path::pointer_to;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, form};
use crate::sys;

/// Sets an extended attribute of an open file.
pub struct SetXattr {
    hold: Hold,
    name: CString,
    value: Vec<u8>,
    flags: i32,
}

const FORM: &Form = &form! {
    name: "fsetxattr",
    wait: Helper,
    code: FSetXattr,
    entry: |request| opcode::FSetXattr::new(
        types::Fd(request.fd),
        request.other_pointer.cast_const().cast(),
        request.pointer.cast_const().cast(),
        request.length,
    )
    .flags(request.flags),
    // SAFETY: the operation is in flight: name and value are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        let name = request.other_pointer.cast_const().cast();
        sys::attributes::set_attribute(request.fd, name, request.pointer, request.length as usize, request.flags)
    },
    // SAFETY: as above.
    simulated: |request, kernel| unsafe {
        kernel.set_attribute((request.fd, c""), request.other_path(), request.flags)
    },
}
.lending(Lends::ToSend);

impl SetXattr {
    pub(crate) fn new(hold: Hold, name: CString, value: Vec<u8>, flags: i32) -> Self {
        SetXattr { hold, name, value, flags }
    }
}

impl Operation for SetXattr {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.value.as_mut_ptr(),
            length: self.value.len() as u32,
            other_pointer: pointer_to(&self.name),
            flags: self.flags,
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(drop)
    }
}
