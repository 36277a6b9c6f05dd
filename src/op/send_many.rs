//! Sends many datagrams, with as few calls as the room allows. sendmmsg(2)
#![allow(unsafe_code)]

use std::io;

use super::{envelopes, orphan, send_message, vectors};
use crate::buf::IoBuf;
use crate::driver::{Completion, Form, Hold, Leftover, Lends, Operation, Request, Wait, Way, form};
use crate::sys::control::Ancillary;
use crate::sys::message::{self, Batch, Envelope};

/// Sends many datagrams, with as few calls as the room allows.
pub struct SendMany<B> {
    hold: Hold,
    buffers: Vec<B>,
    batch: Box<Batch>,
    /// The descriptors in them are open until they are sent.
    ancillaries: Vec<Ancillary>,
    form: &'static Form,
}

const WAITS: Form = form! {
    name: "send_many",
    wait: Writable,
    entry: none,
    // SAFETY: the operation is in flight: batch and buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { message::send_many(request.fd, request.pointer.cast()) },
    // SAFETY: as above.
    simulated: |request, kernel| kernel.send_many(request.fd, unsafe { &mut *request.pointer.cast::<Batch>() }),
}
.lending(Lends::ManyToSend);

const FORM: &Form = &WAITS;
/// What cannot be done at once is answered with EAGAIN.
const AT_ONCE: &Form = &WAITS.waiting(Wait::Never);

impl<B: IoBuf> SendMany<B> {
    /// Each with the name that it goes to, and what goes with it.
    pub(crate) fn new(
        hold: Hold,
        messages: impl Iterator<Item = (B, Option<socket2::SockAddr>, Ancillary)>,
    ) -> Self {
        let (mut buffers, mut ancillaries, mut parcels) = (Vec::new(), Vec::new(), Vec::new());
        for (buffer, to, ancillary) in messages {
            let mut envelope: Box<Envelope> = envelopes::take();
            envelope.address(to.as_ref(), &ancillary);
            parcels.push(envelope);
            buffers.push(buffer);
            ancillaries.push(ancillary);
        }
        let parts = buffers.iter().map(|buffer: &B| (buffer.stable_ptr().cast_mut(), buffer.bytes_init()));
        let vectors = parts.flat_map(|part| vectors::bounded(std::iter::once(part))).collect();
        let batch = Box::new(Batch::new(vectors, parcels));
        SendMany { hold, buffers, batch, ancillaries, form: FORM }
    }

    /// Does not wait for room, where nobody would wake it.
    pub(crate) fn at_once(mut self) -> Self {
        self.form = AT_ONCE;
        self
    }
}

impl<B: IoBuf> Operation for SendMany<B> {
    type Output = (io::Result<usize>, Vec<B>);

    fn form() -> &'static Form {
        FORM
    }

    fn wait(&self) -> Wait {
        self.form.wait
    }

    fn request(&mut self) -> Request {
        let rest = self.batch.rest();
        Request {
            other_pointer: rest.as_mut_ptr().cast(),
            length: rest.len() as u32,
            pointer: (&raw mut *self.batch).cast(),
            ..Request::on(self.form, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        if self.batch.done() > 0 {
            return None;
        }
        if let Some(errno) = self.ancillaries.iter().find_map(Ancillary::refusal) {
            return Some(Completion::of(-errno));
        }
        let carries = |ancillary: &Ancillary| !ancillary.descriptors().is_empty();
        if send_message::is_simulated(&self.hold) && self.ancillaries.iter().any(carries) {
            return Some(Completion::of(-libc::EOPNOTSUPP));
        }
        orphan::take_error(self.hold.direction(Way::Write)).or_else(|| orphan::empty(self.batch.len()))
    }

    /// The rest is sent when there is room again.
    fn goes_on(&mut self, answer: Completion) -> bool {
        let Ok(count) = usize::try_from(answer.result) else { return false };
        self.count(count);
        self.batch.advance(count);
        count > 0 && self.batch.done() < self.batch.len()
    }

    fn complete(mut self, answer: Completion) -> Self::Output {
        let buffers = std::mem::take(&mut self.buffers);
        let result = match (answer.checked(), self.batch.done()) {
            (Err(error), 0) => Err(error),
            // Some were sent. What is wrong with the next one its own send will say; but what is told of the socket is
            // told once.
            (Err(_), sent) => {
                self.leave_error(answer);
                Ok(sent)
            }
            (Ok(_), sent) => Ok(sent),
        };
        (result, buffers)
    }

    fn salvage(self, answer: Completion) {
        self.count(usize::try_from(answer.result).unwrap_or(0));
        self.leave_error(answer);
    }
}

impl<B> SendMany<B> {
    /// So many more messages were sent, each of them whole.
    fn count(&self, count: usize) {
        let sent = self.batch.done()..self.batch.done() + count;
        let bytes = sent.map(|index| self.batch.vector(index).iov_len as u64).sum();
        self.hold.port().tally().moved(FORM.kind, bytes);
    }

    fn leave_error(&self, answer: Completion) {
        if send_message::is_told_once(answer) && !self.hold.discards() {
            self.hold.direction(Way::Write).leave_behind(Leftover::Error(-answer.result));
        }
    }
}

impl<B> Drop for SendMany<B> {
    fn drop(&mut self) {
        self.batch.take_envelopes().into_iter().for_each(envelopes::give_back);
    }
}
