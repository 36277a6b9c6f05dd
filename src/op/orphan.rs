//! What an operation leaves when nobody waits for its answer any more, and how the next one takes it.
//!
//! Nothing is lost: bytes, connections and errors go to the direction of the descriptor that they came by, and
//! the next operation in that direction is answered with them, without a trip through the driver.
#![allow(unsafe_code)]

use super::rest::Rest;
use super::vectors::Vectors;
use std::io;

use crate::buf::{IoBufMut, Lease};
use crate::driver::{Completion, Hold, Leftover, Way};
use crate::sys;

type Direction = crate::driver::Direction;

/// A transfer of nothing is answered here, so that a 0 from the kernel always means the end.
pub(super) fn empty(length: usize) -> Option<Completion> {
    (length == 0).then_some(Completion::of(0))
}

/// Keeps an error that says something of the stream. The kernel tells such a thing once: after ECONNRESET it
/// says 0, so an error that is swallowed turns a torn stream into a clean end (measured).
pub(super) fn leave_error(hold: &Hold, way: Way, answer: Completion) {
    if let Some(errno) = lasting(answer).filter(|_| !hold.discards()) {
        hold.direction(way).leave_behind(Leftover::Error(errno));
    }
}

/// The `errno` of an answer that says something of the stream, and not only of the operation.
fn lasting(answer: Completion) -> Option<i32> {
    let passing = [-libc::ECANCELED, -libc::EINTR, -libc::EAGAIN];
    (answer.result < 0 && !passing.contains(&answer.result)).then_some(-answer.result)
}

/// Keeps what was received: by this answer, and by those before it of a transfer that is whole.
pub(super) fn leave_bytes<B: IoBufMut>(hold: &Hold, way: Way, answer: Completion, mut rest: Rest<B>) {
    let count = usize::try_from(answer.result).unwrap_or(0);
    if rest.done() + count == 0 {
        return leave_error(hold, way, answer);
    }
    // SAFETY: the kernel has written that many bytes to where the rest began.
    leave(hold, way, unsafe { rest.gather(count) }, lasting(answer));
}

/// Keeps what became of a write that nobody waited for: who asks is told, and an error is told to the next.
pub(super) fn leave_outcome(hold: &Hold, done: usize, answer: Completion) {
    let written = done + usize::try_from(answer.result).unwrap_or(0);
    let errno = lasting(answer);
    if (written > 0 || errno.is_some()) && !hold.discards() {
        hold.direction(Way::Write).record(written, errno);
    }
}

/// Keeps what was received into several buffers.
pub(super) fn leave_scattered(hold: &Hold, way: Way, answer: Completion, vectors: &Vectors) {
    match usize::try_from(answer.result) {
        Ok(0) => {}
        // SAFETY: the kernel has written that many bytes, filling one buffer after the other.
        Ok(count) => leave(hold, way, unsafe { vectors.gather(count) }, None),
        Err(_) => leave_error(hold, way, answer),
    }
}

/// Keeps what was taken out of a stream and went nowhere: it comes before what was left already. Whoever says so has the
/// direction's turn.
pub(crate) fn leave_in_front(hold: &Hold, way: Way, bytes: Vec<u8>) {
    if !bytes.is_empty() && !hold.is_closing() {
        hold.direction(way).put_back(Leftover::Bytes { bytes: bytes.into(), taken: 0, then: None });
    }
}

fn leave(hold: &Hold, way: Way, bytes: Box<[u8]>, then: Option<i32>) {
    // Of a descriptor that is being closed nobody will read.
    if !hold.discards() {
        hold.direction(way).leave_behind(Leftover::Bytes { bytes, taken: 0, then });
    }
}

/// Keeps an accepted connection for the next accept; closes it if there will be none.
pub(super) fn leave_descriptor(hold: &Hold, way: Way, answer: Completion) {
    match answer.result {
        error if error < 0 => leave_error(hold, way, answer),
        number if hold.discards() => hold.port().close(number),
        number => hold.direction(way).leave_behind(Leftover::Descriptor(number)),
    }
}

/// What was left, as the answer of a receive into `buffer`.
#[inline]
pub(super) fn take_bytes<B: IoBufMut>(direction: &Direction, rest: &mut Rest<B>) -> Option<Completion> {
    if rest.to_fill() == 0 {
        return empty(0);
    }
    if !direction.has_leftover() {
        return None;
    }
    take(direction, |bytes| rest.copy(bytes))
}

/// What was left, as the answer of a peek: bytes stay where they are. An error is taken, and left again by the peek.
#[inline]
pub(super) fn look_at_bytes<B: IoBufMut>(direction: &Direction, rest: &mut Rest<B>) -> Option<Completion> {
    if rest.to_fill() == 0 {
        return empty(0);
    }
    if direction.has_leftover() { look(direction, rest) } else { None }
}

#[cold]
fn look<B: IoBufMut>(direction: &Direction, rest: &mut Rest<B>) -> Option<Completion> {
    match direction.take_leftover()? {
        Leftover::Bytes { bytes, taken, then } => {
            let seen = rest.copy(&bytes[taken..]);
            direction.put_back(Leftover::Bytes { bytes, taken, then });
            Some(Completion::of(seen as i32))
        }
        Leftover::Error(errno) => Some(Completion::of(-errno)),
        other => {
            debug_assert!(false, "{other:?} was left in a stream");
            None
        }
    }
}

/// What was left, as the answer of a receive into several buffers.
pub(super) fn take_scattered(direction: &Direction, vectors: &mut Vectors) -> Option<Completion> {
    if vectors.bytes() == 0 {
        return empty(0);
    }
    take(direction, |bytes| vectors.scatter(bytes))
}

/// Keeps what was received into a lease. Its bytes are copied, so that its buffer serves somebody else meanwhile.
pub(super) fn leave_lease(hold: &Hold, answer: Completion) {
    match leased(hold, answer) {
        Ok(lease) if lease.is_empty() => {}
        Ok(lease) => leave(hold, Way::Read, (&*lease).into(), None),
        // There was no buffer to pick, which says nothing of the stream.
        Err(_) if answer.result == -libc::ENOBUFS => {}
        Err(_) => leave_error(hold, Way::Read, answer),
    }
}

/// What an answer has brought, as a lease. An empty one is the end.
#[inline]
pub(super) fn leased(hold: &Hold, answer: Completion) -> io::Result<Lease> {
    let pool = hold.port().pool();
    let count = answer.checked()? as usize;
    let id = match answer.buffer() {
        Some(id) => id,
        None => pool.adopt(Box::default()),
    };
    Ok(pool.take(id, count))
}

/// What was left, as the answer of a receive that gives a lease.
#[inline]
pub(super) fn take_lease(hold: &Hold) -> Option<Completion> {
    if hold.direction(Way::Read).has_leftover() { take_left_lease(hold) } else { None }
}

#[cold]
fn take_left_lease(hold: &Hold) -> Option<Completion> {
    let direction = hold.direction(Way::Read);
    let mut found: Box<[u8]> = Box::default();
    let limit = hold.port().pool().bytes();
    let answer = take(direction, |bytes| {
        found = bytes[..bytes.len().min(limit)].into();
        found.len()
    })?;
    Some(if answer.result > 0 { answer.with_buffer(Some(hold.port().pool().adopt(found))) } else { answer })
}

/// Hands out what was left; what there is no room for stays.
#[cold]
pub(super) fn take(direction: &Direction, hand_out: impl FnOnce(&[u8]) -> usize) -> Option<Completion> {
    match direction.take_leftover()? {
        Leftover::Bytes { bytes, taken, then } => {
            let given = hand_out(&bytes[taken..]);
            let taken = taken + given;
            if taken < bytes.len() {
                direction.put_back(Leftover::Bytes { bytes, taken, then });
            } else if let Some(errno) = then {
                direction.put_back(Leftover::Error(errno));
            }
            Some(Completion::of(given as i32))
        }
        // Of a stream, with control data, which is lost to who does not ask for it: so it is in the kernel, too.
        Leftover::Messages(mut messages) => {
            let bytes = messages.pop_front()?.bytes;
            debug_assert!(messages.is_empty(), "datagrams were left in a stream");
            direction.put_back(Leftover::Bytes { bytes, taken: 0, then: None });
            take(direction, hand_out)
        }
        Leftover::Error(errno) => Some(Completion::of(-errno)),
        Leftover::Descriptor(number) => {
            debug_assert!(false, "a connection was left in a stream");
            sys::close(number);
            None
        }
    }
}

/// An error that was left, as the answer of a send.
#[inline]
pub(super) fn take_error(direction: &Direction) -> Option<Completion> {
    if direction.has_leftover() { take_left_error(direction) } else { None }
}

#[cold]
fn take_left_error(direction: &Direction) -> Option<Completion> {
    match direction.take_leftover()? {
        Leftover::Error(errno) => Some(Completion::of(-errno)),
        other => {
            debug_assert!(false, "{other:?} was left where things are sent");
            None
        }
    }
}

/// A connection or an error that was left, as the answer of an accept.
pub(super) fn take_descriptor(direction: &Direction) -> Option<Completion> {
    match direction.take_leftover()? {
        Leftover::Descriptor(number) => Some(Completion::of(number)),
        Leftover::Error(errno) => Some(Completion::of(-errno)),
        Leftover::Bytes { .. } | Leftover::Messages(_) => {
            debug_assert!(false, "bytes were left in a listener");
            None
        }
    }
}
