//! Sends one buffer to a socket, never raising SIGPIPE. send(2), IORING_OP_SEND (5.6)
#![allow(unsafe_code)]

use std::io;

use super::rest::Rest;
use super::{Transfer, orphan};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Trial, Way, form};
use crate::sys;

/// Sends one buffer to a socket, never raising SIGPIPE.
pub struct Send<B> {
    hold: Hold,
    rest: Rest<B>,
}

/// What a socket that is not full takes at once.
const SMALL: usize = 16 << 10;

const FORM: &Form = &form! {
    name: "send",
    wait: Writable,
    code: Send,
    entry: |request| opcode::Send::new(types::Fd(request.fd), request.pointer, request.length).flags(libc::MSG_NOSIGNAL),
    // SAFETY: the operation is in flight: the buffer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { sys::socket::send(request.fd, request.pointer, request.length as usize, 0) },
    simulated: |request, kernel| kernel.send(request.fd),
}
.lending(Lends::ToSend)
// SAFETY: as above.
.trying_at_once(|request| unsafe {
    sys::socket::send(request.fd, request.pointer, request.length as usize, libc::MSG_DONTWAIT)
});

impl<B: IoBuf> Send<B> {
    pub(crate) fn new(hold: Hold, buffer: B) -> Self {
        Send { hold, rest: Rest::of(buffer) }
    }
}

impl<B: IoBuf> Operation for Send<B> {
    type Output = (io::Result<usize>, B);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let (pointer, length) = self.rest.send();
        Request { pointer, length, ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    /// A loop that has nothing else to do gains nothing by gathering: the peer has it sooner, and a turn is spared. What is
    /// large may have to wait in any case.
    #[inline]
    fn trial(&self) -> Trial {
        if self.rest.to_send() <= SMALL { Trial::OfAny } else { Trial::Never }
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_error(self.hold.direction(Way::Write)).or_else(|| orphan::empty(self.rest.to_send()))
    }

    fn complete(self, answer: Completion) -> Self::Output {
        self.rest.sent(answer)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_outcome(&self.hold, self.rest.done(), answer);
    }
}

impl<B: IoBuf> Transfer for Send<B> {
    type Buffer = B;

    const ENDED: io::ErrorKind = io::ErrorKind::WriteZero;

    fn progress(&self) -> (usize, usize) {
        (self.rest.done(), self.rest.to_send())
    }

    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
    }
}
