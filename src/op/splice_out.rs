//! Moves the bytes of a pipe on to a socket or another pipe, the second half of a splice. splice(2)
//!
//! It has no ring form: on the ring a splice is done by a thread of the kernel's, which would wait for the peer.
#![allow(unsafe_code)]

use std::io;
use std::rc::Rc;

use super::conduit::Conduit;
use super::orphan;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way, form};
use crate::sys;
use crate::sys::file::CURSOR;

/// Moves all bytes of a pipe on to a socket or another pipe. Nothing that others write comes in between.
pub struct SpliceOut {
    target: Hold,
    conduit: Rc<Conduit>,
    /// How many bytes have gone.
    done: usize,
}

const FORM: &Form = &form! {
    name: "splice_out",
    wait: Writable,
    entry: none,
    // The pipe's number is in the flags.
    attempt: |request| sys::splice::splice(request.flags, CURSOR, request.fd, request.length as usize),
    simulated: |request, kernel| kernel.splice(request.flags, CURSOR, request.fd, request.length as usize),
};

impl SpliceOut {
    pub(crate) fn new(target: Hold, conduit: Rc<Conduit>) -> SpliceOut {
        SpliceOut { target, conduit, done: 0 }
    }
}

impl Operation for SpliceOut {
    /// How many bytes have gone, and what kept the others.
    type Output = (usize, io::Result<()>);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let pipe = &self.conduit.pipe;
        Request { length: pipe.held() as u32, flags: pipe.read_end(), ..Request::on(FORM, &self.target) }
    }

    /// The pipe is kept open by a share of it.
    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.target)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_error(self.target.direction(Way::Write))
    }

    fn goes_on(&mut self, answer: Completion) -> bool {
        let count = usize::try_from(answer.result).unwrap_or(0);
        self.conduit.pipe.emptied(count);
        self.done += count;
        count > 0 && self.conduit.pipe.held() > 0
    }

    fn complete(self, answer: Completion) -> Self::Output {
        let result = match answer.checked() {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        (self.done, result)
    }

    fn salvage(self, answer: Completion) {
        self.conduit.pipe.emptied(usize::try_from(answer.result).unwrap_or(0));
        orphan::leave_outcome(&self.target, self.done, answer);
    }
}
