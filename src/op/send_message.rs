//! Sends a message: its bytes, to whom, and what goes with it. sendmsg(2), IORING_OP_SENDMSG (5.3)
#![allow(unsafe_code)]

use std::io;

use socket2::SockAddr;

use super::arrival::Bounds;
use super::envelopes::Lent;
use super::{Load, orphan, vectors};
use crate::driver::{Completion, Form, Hold, Lends, Leftover, Operation, Request, Wait, Way, form};
use crate::sys::control::Ancillary;
use crate::sys::message;

/// Sends a message: its bytes, to whom, and what goes with it.
pub struct SendMessage<P> {
    hold: Hold,
    load: P,
    envelope: Lent,
    /// The descriptors in it are open until the message is sent.
    ancillary: Ancillary,
    bounds: Bounds,
    form: &'static Form,
}

const WAITS: Form = form! {
    name: "send_message",
    wait: Writable,
    code: SendMsg,
    entry: |request| opcode::SendMsg::new(types::Fd(request.fd), request.pointer.cast_const().cast())
        .flags((request.flags | libc::MSG_NOSIGNAL) as u32),
    // SAFETY: the operation is in flight: envelope and buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { message::send(request.fd, request.pointer.cast(), 0) },
    simulated: |request, kernel| {
        // SAFETY: as above.
        kernel.send_message(request.fd, unsafe { &mut *request.pointer.cast::<message::Envelope>() })
    },
}
.lending(Lends::ManyToSend);

const FORM: &Form = &WAITS;
/// What cannot be done at once is answered with EAGAIN.
const AT_ONCE: &Form = &WAITS.waiting(Wait::Never);

impl<P: Load> SendMessage<P> {
    pub(crate) fn new(
        hold: Hold,
        bounds: Bounds,
        load: P,
        to: Option<&SockAddr>,
        ancillary: Ancillary,
    ) -> Self {
        let mut envelope = Lent::new();
        envelope.address(to, &ancillary);
        load.lend(envelope.vectors_mut());
        SendMessage { hold, load, envelope, ancillary, bounds, form: FORM }
    }

    /// Does not wait, where nobody would wake it.
    pub(crate) fn attempt(mut self) -> Attempt<P> {
        self.form = AT_ONCE;
        Attempt(self)
    }
}

/// Sends a message if there is room now.
pub struct Attempt<P>(SendMessage<P>);

/// What became of an [`Attempt`].
pub enum Attempted<P: Load> {
    /// It was sent, or cannot be.
    Done(io::Result<usize>, P::Buffers),
    /// There is no room now. Here it is again.
    Full(SendMessage<P>),
}

impl<P: Load> Operation for Attempt<P> {
    type Output = Attempted<P>;

    fn form() -> &'static Form {
        FORM
    }

    fn wait(&self) -> Wait {
        self.0.wait()
    }

    fn request(&mut self) -> Request {
        self.0.request()
    }

    fn descriptor(&self) -> Option<&Hold> {
        self.0.descriptor()
    }

    fn way(&self) -> Option<Way> {
        self.0.way()
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        self.0.answer_at_hand()
    }

    fn complete(self, answer: Completion) -> Attempted<P> {
        if answer.result == -libc::EAGAIN {
            return Attempted::Full(self.0);
        }
        let (result, buffers) = self.0.complete(answer);
        Attempted::Done(result, buffers)
    }

    fn salvage(self, answer: Completion) {
        self.0.salvage(answer);
    }
}

impl<P: Load> Operation for SendMessage<P> {
    type Output = (io::Result<usize>, P::Buffers);

    fn form() -> &'static Form {
        FORM
    }

    fn wait(&self) -> Wait {
        self.form.wait
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.envelope.pointer(),
            other_pointer: self.envelope.vectors_mut().as_mut_ptr().cast(),
            length: self.envelope.vectors().len() as u32,
            // A ring that waits by itself begins anew with what the first attempt of a Unix datagram left of the bytes,
            // none, and sends an empty one (Linux 6.18). So it is not to wait: EAGAIN comes back, and the attempt after
            // the wait is a call that has all of them.
            flags: if self.bounds == Bounds::Kept { libc::MSG_DONTWAIT } else { 0 },
            ..Request::on(self.form, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    /// An empty datagram is sent. On a stream nothing is nothing, and can carry nothing.
    fn answer_at_hand(&mut self) -> Option<Completion> {
        if let Some(errno) = self.ancillary.refusal() {
            return Some(Completion::of(-errno));
        }
        if let Some(error) = orphan::take_error(self.hold.direction(Way::Write)) {
            return Some(error);
        }
        if !self.ancillary.descriptors().is_empty() && is_simulated(&self.hold) {
            return Some(Completion::of(-libc::EOPNOTSUPP));
        }
        if self.bounds == Bounds::Kept || vectors::bytes(self.envelope.vectors()) > 0 {
            return None;
        }
        Some(Completion::of(if self.ancillary.is_empty() { 0 } else { -libc::EINVAL }))
    }

    fn complete(self, answer: Completion) -> Self::Output {
        let result = answer.checked().map(|count| count as usize).map_err(|error| self.explained(error));
        (result, self.load.into_buffers())
    }

    fn salvage(self, answer: Completion) {
        match self.bounds {
            Bounds::None => orphan::leave_outcome(&self.hold, 0, answer),
            // What is wrong with a message that nobody waits for is nobody's business. What is told of the socket, once,
            // is the next one's.
            Bounds::Kept => {
                if is_told_once(answer) && !self.hold.discards() {
                    self.hold.direction(Way::Write).leave_behind(Leftover::Error(-answer.result));
                }
            }
        }
    }
}

/// Whether the descriptor is of a simulated world, which has no descriptors to pass.
pub(super) fn is_simulated(hold: &Hold) -> bool {
    hold.port().driver_name() == "sim"
}

/// Whether an error is of the socket, and not of what was sent.
pub(super) fn is_told_once(answer: Completion) -> bool {
    [libc::ECONNREFUSED, libc::ECONNRESET, libc::EHOSTUNREACH].contains(&-answer.result)
}

impl<P> SendMessage<P> {
    /// An error that says what is in the way, where that is known.
    fn explained(&self, error: io::Error) -> io::Error {
        let carries_descriptors = !self.ancillary.descriptors().is_empty();
        let text = match error.raw_os_error() {
            Some(libc::EOPNOTSUPP) if carries_descriptors && is_simulated(&self.hold) => {
                "a simulated world has no descriptors to send: use a real driver for what passes them"
            }
            Some(libc::EINVAL) if self.bounds == Bounds::None && !self.ancillary.is_empty() => {
                "a stream carries control data only with a byte at least: send one"
            }
            _ => return error,
        };
        io::Error::new(error.kind(), text)
    }
}
