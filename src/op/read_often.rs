//! Reads from a pipe again and again, each time into a buffer that is picked when something has come. read(2),
//! IORING_OP_READ_MULTISHOT (6.7, right from 6.12 on)
#![allow(unsafe_code)]

use super::leased::{Leased, Source};
use crate::driver::{Form, ability, form};
use crate::sys::file::{self, CURSOR};

/// What is read from a pipe.
pub struct Pipe;

pub type ReadOften = Leased<Pipe>;

impl Source for Pipe {
    const FORM: &'static Form = &form! {
        name: "read_often",
        wait: Readable,
        code: ReadMulti,
        entry: |request| opcode::ReadMulti::new(types::Fd(request.fd), 0, crate::driver::GROUP).offset(CURSOR),
        // SAFETY: the operation is in flight: the buffer was picked for it, the descriptor is open (I1, I4).
        attempt: |request| unsafe { file::read(request.fd, request.pointer, request.length as usize, CURSOR) },
        simulated: |request, kernel| kernel.read(request.fd, CURSOR),
    }
    .picking(ability::READ_OFTEN)
    .repeating(ability::READ_OFTEN);
}
