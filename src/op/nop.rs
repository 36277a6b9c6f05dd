//! Nothing, there and back: the driver's own cost. IORING_OP_NOP (5.1).
use std::io;

use super::Submitted;
use crate::driver::{Completion, Form, Operation, Request, form};

/// Does nothing.
pub struct Nop;

const FORM: &Form = &form! {
    name: "nop",
    wait: Never,
    code: Nop,
    entry: |_request| opcode::Nop::new(),
    attempt: |_request| 0,
    simulated: |_request, _kernel| 0,
};

impl Operation for Nop {
    type Output = io::Result<()>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request::new(FORM)
    }

    fn complete(self, answer: Completion) -> io::Result<()> {
        answer.checked().map(drop)
    }
}

/// Goes to the driver and back: what a trip costs.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(annulus::nop())?
/// # }
/// ```
///
/// # Errors
/// ECANCELED if it was cancelled.
///
/// # Cancel safety
/// Dropping it is harmless.
pub fn nop() -> Submitted<Nop> {
    Submitted::new(Nop)
}
