//! Receives as many datagrams as there are, with one call. recvmmsg(2)
//!
//! Not as entries of a ring: as many entries would wait each for itself, and have to be stopped each for itself when
//! fewer come. One call takes what is there, and where nothing is, one wait is enough for all.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;

use super::arrival::{self, Arrival, Bounds};
use super::{Tells, envelopes, orphan, vectors};
use crate::buf::IoBufMut;
use crate::driver::{Completion, Form, Hold, Leftover, Lends, Operation, Request, Way, form};
use crate::sys::message::{self, Batch};

/// Linux takes no more with one call (UIO_MAXIOV).
const MESSAGES_MAX: usize = 1024;

/// Receives as many datagrams as there are, with one call.
pub struct RecvMany<B, T> {
    hold: Hold,
    buffers: Vec<B>,
    batch: Box<Batch>,
    /// What was left for it by another.
    left: Vec<Arrival>,
    tells: PhantomData<T>,
}

const FORM: &Form = &form! {
    name: "recv_many",
    wait: Readable,
    entry: none,
    // SAFETY: the operation is in flight: batch and buffers are lent, the descriptor open (I1, I4).
    attempt: |request| unsafe { message::receive_many(request.fd, request.pointer.cast()) },
    // SAFETY: as above.
    simulated: |request, kernel| kernel.receive_many(request.fd, unsafe { &mut *request.pointer.cast::<Batch>() }),
}
.lending(Lends::ManyToFill);

impl<B: IoBufMut, T: Tells> RecvMany<B, T> {
    /// With so many bytes of room for the control data of each.
    pub(crate) fn new(hold: Hold, mut buffers: Vec<B>, control_bytes: usize) -> Self {
        let parts = buffers.iter_mut().map(|buffer| (buffer.stable_mut_ptr(), buffer.bytes_total()));
        let vectors: Vec<_> =
            parts.take(MESSAGES_MAX).flat_map(|part| vectors::bounded(std::iter::once(part))).collect();
        let envelope = |_: &libc::iovec| {
            let mut envelope = envelopes::take();
            envelope.expect(true, control_bytes);
            envelope
        };
        let envelopes = vectors.iter().map(envelope).collect();
        let batch = Box::new(Batch::new(vectors, envelopes));
        RecvMany { hold, buffers, batch, left: Vec::new(), tells: PhantomData }
    }

    /// Of those that were received, the one of that number.
    ///
    /// # Safety
    /// The receive has just succeeded with more than that, and this was not asked of it since.
    unsafe fn arrival(&mut self, index: usize) -> Arrival {
        let length = self.batch.length(index).min(self.batch.vector(index).iov_len);
        // SAFETY: passed on to the caller.
        unsafe { Arrival::of(self.batch.envelope(index), length) }
    }
}

impl<B: IoBufMut, T: Tells> Operation for RecvMany<B, T> {
    type Output = (io::Result<Vec<T::Message>>, Vec<B>);

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let rest = self.batch.rest();
        Request {
            other_pointer: rest.as_mut_ptr().cast(),
            length: rest.len() as u32,
            pointer: (&raw mut *self.batch).cast(),
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        if self.batch.len() == 0 {
            return orphan::empty(0);
        }
        let direction = self.hold.direction(Way::Read);
        while direction.has_leftover() && self.left.len() < self.batch.len() {
            let vector = self.batch.vector(self.left.len());
            // SAFETY: the buffer is the operation's, which is not in flight, and lent to be filled.
            let found =
                unsafe { arrival::take(direction, Bounds::Kept, false, std::slice::from_ref(vector)) };
            match found {
                Some((_, Some(arrival))) => self.left.push(arrival),
                // An error, which is told before anything else comes.
                Some((error, None)) => return Some(error),
                None => break,
            }
        }
        (!self.left.is_empty()).then(|| Completion::of(self.left.len() as i32))
    }

    fn complete(mut self, answer: Completion) -> Self::Output {
        let buffers = std::mem::take(&mut self.buffers);
        let count = match answer.checked() {
            Ok(count) => count as usize,
            Err(error) => return (Err(error), buffers),
        };
        let was_left = !self.left.is_empty();
        let mut left = std::mem::take(&mut self.left).into_iter();
        let mut messages = Vec::with_capacity(count);
        let mut bytes = 0;
        let mut buffers = buffers;
        for (index, buffer) in buffers.iter_mut().enumerate().take(count) {
            // SAFETY: so many were received.
            let arrival = left.next().unwrap_or_else(|| unsafe { self.arrival(index) });
            // SAFETY: so many bytes were written to it.
            unsafe { buffer.set_init(arrival.count) };
            bytes += arrival.count as u64;
            messages.push(T::of(arrival));
        }
        // What another left was counted when it came.
        if !was_left {
            self.hold.port().tally().moved(FORM.kind, bytes);
        }
        (messages.into_iter().collect(), buffers)
    }

    fn salvage(mut self, answer: Completion) {
        let Ok(count) = usize::try_from(answer.result) else {
            return orphan::leave_error(&self.hold, Way::Read, answer);
        };
        let bytes = (0..count).map(|index| self.batch.length(index) as u64).sum();
        self.hold.port().tally().moved(FORM.kind, bytes);
        if count == 0 || self.hold.discards() {
            // Descriptors that came have to be closed.
            // SAFETY: so many were received.
            return (0..count).for_each(|index| drop(unsafe { self.arrival(index) }));
        }
        let mut messages = VecDeque::with_capacity(count);
        for index in 0..count {
            // SAFETY: so many were received, and of each so many bytes.
            messages.push_back(unsafe {
                let arrival = self.arrival(index);
                let bytes = vectors::gather(std::slice::from_ref(self.batch.vector(index)), arrival.count);
                arrival.left(bytes)
            });
        }
        self.hold.direction(Way::Read).leave_behind(Leftover::Messages(messages));
    }
}

impl<B, T> Drop for RecvMany<B, T> {
    fn drop(&mut self) {
        self.batch.take_envelopes().into_iter().for_each(envelopes::give_back);
    }
}
