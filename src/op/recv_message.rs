//! Receives a message: its bytes, who sent it, and what came with it. recvmsg(2), IORING_OP_RECVMSG (5.3)
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;

use super::arrival::{self, Arrival, Bounds};
use super::envelopes::Lent;
use super::{Room, Tells, orphan, vectors};
use crate::driver::{Completion, Form, Hold, Lends, Operation, Request, Way, form};
use crate::sys::message;

/// Receives a message: its bytes, who sent it, and what came with it.
pub struct RecvMessage<P, T> {
    hold: Hold,
    room: P,
    envelope: Lent,
    bounds: Bounds,
    peek: bool,
    /// What is to be told of what was left for it by another.
    left: Option<Arrival>,
    tells: PhantomData<T>,
}

const FORM: &Form = &form! {
    name: "recv_message",
    wait: Readable,
    code: RecvMsg,
    entry: |request| opcode::RecvMsg::new(types::Fd(request.fd), request.pointer.cast())
        .flags((request.flags | message::RECEIVE) as u32),
    // SAFETY: the operation is in flight: envelope and buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { message::receive(request.fd, request.pointer.cast(), request.flags) },
    simulated: |request, kernel| {
        // SAFETY: as above.
        kernel.receive_message(request.fd, request.flags, unsafe { &mut *request.pointer.cast::<message::Envelope>() })
    },
}
.lending(Lends::ManyToFill);

impl<P: Room, T: Tells> RecvMessage<P, T> {
    /// With so many bytes of room for control data.
    pub(crate) fn new(hold: Hold, bounds: Bounds, mut room: P, control_bytes: usize) -> Self {
        let mut envelope = Lent::new();
        // Also where nobody asks: if this one is dropped, the next may.
        envelope.expect(bounds == Bounds::Kept, control_bytes);
        room.lend(envelope.vectors_mut());
        RecvMessage { hold, room, envelope, bounds, peek: false, left: None, tells: PhantomData }
    }

    /// The message stays for the next receive.
    pub(crate) fn peeking(mut self) -> Self {
        self.peek = true;
        self
    }
}

impl<P: Room, T: Tells> Operation for RecvMessage<P, T> {
    type Output = (io::Result<T::Message>, P::Buffers);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: self.envelope.pointer(),
            other_pointer: self.envelope.vectors_mut().as_mut_ptr().cast(),
            length: self.envelope.vectors().len() as u32,
            flags: if self.peek { libc::MSG_PEEK } else { 0 },
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    /// An empty datagram is one, too, so with bounds also a receive without room goes out.
    fn answer_at_hand(&mut self) -> Option<Completion> {
        if self.bounds == Bounds::None && vectors::bytes(self.envelope.vectors()) == 0 {
            return orphan::empty(0);
        }
        let direction = self.hold.direction(Way::Read);
        if !direction.has_leftover() {
            return None;
        }
        // SAFETY: the buffers are the operation's, which is not in flight, and lent to be filled.
        let (answer, left) =
            unsafe { arrival::take(direction, self.bounds, self.peek, self.envelope.vectors()) }?;
        // Without anything to tell besides, it is as if nothing had been told.
        self.left = Some(left.unwrap_or_else(|| Arrival::of_bytes(answer)));
        Some(answer)
    }

    fn complete(mut self, answer: Completion) -> Self::Output {
        let count = match answer.checked() {
            Ok(count) => count as usize,
            Err(error) => {
                // SAFETY: nothing was written.
                return (Err(error), unsafe { self.room.filled(&[], None) });
            }
        };
        let arrival = match self.left.take() {
            Some(left) => left,
            // A transfer of nothing never went out, and the envelope knows nothing of it.
            None if self.bounds == Bounds::None && count == 0 => Arrival::of_bytes(answer),
            // SAFETY: the kernel has just filled it.
            None => unsafe { Arrival::of(&mut self.envelope, count) },
        };
        // SAFETY: so many bytes were written, filling one buffer after the other.
        let buffers = unsafe { self.room.filled(self.envelope.vectors(), Some(count)) };
        (T::of(arrival), buffers)
    }

    fn salvage(mut self, answer: Completion) {
        match usize::try_from(answer.result) {
            // What is only looked at is still there.
            Ok(_) if self.peek => {
                // SAFETY: the kernel has just filled it. Descriptors that were looked at are duplicates, and closed here.
                drop(unsafe { Arrival::of(&mut self.envelope, 0) });
            }
            Ok(count) => {
                // SAFETY: the kernel has just filled it, and written so many bytes.
                unsafe {
                    let arrival = Arrival::of(&mut self.envelope, count);
                    arrival::leave(&self.hold, self.bounds, arrival, self.envelope.vectors());
                }
            }
            Err(_) => orphan::leave_error(&self.hold, Way::Read, answer),
        }
    }
}
