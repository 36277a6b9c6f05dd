//! Receives from a socket again and again, each time into a buffer that is picked when something has come. recv(2),
//! IORING_OP_RECV with IORING_RECV_MULTISHOT (6.0)
#![allow(unsafe_code)]

use super::leased::{Leased, Source};
use crate::driver::{Form, ability, form};
use crate::sys;

/// What is received on a socket.
pub struct Socket;

pub type RecvOften = Leased<Socket>;

impl Source for Socket {
    const FORM: &'static Form = &form! {
        name: "recv_often",
        wait: Readable,
        code: RecvMulti,
        entry: |request| opcode::RecvMulti::new(types::Fd(request.fd), crate::driver::GROUP),
        // SAFETY: the operation is in flight: the buffer was picked for it, the descriptor is open (I1, I4).
        attempt: |request| unsafe { sys::socket::recv(request.fd, request.pointer, request.length as usize, 0) },
        simulated: |request, kernel| kernel.receive(request.fd),
    }
    .picking(ability::PICK_OFTEN)
    .repeating(ability::PICK_OFTEN)
    .emptying();
}
