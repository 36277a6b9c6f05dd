//! A message that has come, what is told of it, and what becomes of one that nobody waits for any more.
//!
//! A datagram keeps its bounds, its sender and its control data, wherever it waits. Of a stream only control data has a
//! place, before the bytes that it came with.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;

use socket2::SockAddr;

use super::{orphan, vectors};
use crate::driver::{Completion, Direction, Hold, LeftMessage, Leftover, Way};
use crate::sys::control::Ancillary;
use crate::sys::message::Envelope;

/// A message, but for its bytes.
pub struct Arrival {
    /// How many bytes are in the buffers.
    pub(crate) count: usize,
    pub(crate) name: Option<SockAddr>,
    pub(crate) control: Ancillary,
    flags: i32,
}

/// What of a message the caller of a receive is told.
pub trait Tells: 'static {
    /// What it is told.
    type Message;

    #[doc(hidden)]
    fn of(arrival: Arrival) -> io::Result<Self::Message>;
}

/// How many bytes, and nothing else.
impl Tells for () {
    type Message = usize;

    fn of(arrival: Arrival) -> io::Result<usize> {
        Ok(arrival.count)
    }
}

/// Whether messages have bounds: then an empty one is one as well, and what does not fit is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// Datagrams, sequenced packets.
    Kept,
    /// Streams.
    None,
}

impl Arrival {
    /// What an envelope tells of a receive.
    ///
    /// # Safety
    /// The receive has just succeeded with so many bytes, and the envelope was not asked since.
    pub(super) unsafe fn of(envelope: &mut Envelope, count: usize) -> Arrival {
        Arrival {
            count,
            name: envelope.sender(),
            flags: envelope.flags(),
            // SAFETY: passed on to the caller.
            control: unsafe { envelope.take_control() },
        }
    }

    /// Bytes, and nothing to tell of them.
    pub(super) fn of_bytes(answer: Completion) -> Arrival {
        let count = usize::try_from(answer.result).unwrap_or(0);
        Arrival { count, name: None, control: Ancillary::new(), flags: 0 }
    }

    /// Whether bytes were cut off, for want of room.
    pub(crate) fn is_truncated(&self) -> bool {
        self.flags & libc::MSG_TRUNC != 0
    }

    /// Whether control data was cut off, for want of room.
    pub(crate) fn is_control_truncated(&self) -> bool {
        self.flags & libc::MSG_CTRUNC != 0
    }

    /// A message that was left, and its bytes.
    pub(crate) fn of_left(left: LeftMessage) -> (Arrival, Box<[u8]>) {
        let LeftMessage { bytes, name, control, flags } = left;
        (Arrival { count: bytes.len(), name, control, flags }, bytes)
    }

    pub(super) fn left(self, bytes: Box<[u8]>) -> LeftMessage {
        LeftMessage { bytes, name: self.name, control: self.control, flags: self.flags }
    }
}

/// Keeps a message, of which these were the buffers, for the next receive.
///
/// # Safety
/// As many bytes as it counts were written to the vectors, filling one after the other.
pub(super) unsafe fn leave(hold: &Hold, bounds: Bounds, arrival: Arrival, vectors: &[libc::iovec]) {
    // Of a descriptor that is being closed nobody will receive. Descriptors that came are closed here.
    if hold.discards() || (bounds == Bounds::None && arrival.count == 0) {
        return;
    }
    // SAFETY: passed on to the caller.
    let bytes = unsafe { vectors::gather(vectors, arrival.count) };
    let leftover = match bounds {
        Bounds::None if arrival.control.is_empty() => Leftover::Bytes { bytes, taken: 0, then: None },
        _ => Leftover::Messages(VecDeque::from([arrival.left(bytes)])),
    };
    hold.direction(Way::Read).leave_behind(leftover);
}

/// What was left, as the answer of a receive into these buffers, and what there is to tell of it.
///
/// # Safety
/// The vectors are of buffers that may be written to, and that are not in flight.
#[cold]
pub(super) unsafe fn take(
    direction: &Direction,
    bounds: Bounds,
    peek: bool,
    vectors: &[libc::iovec],
) -> Option<(Completion, Option<Arrival>)> {
    let mut messages = match direction.take_leftover()? {
        Leftover::Messages(messages) => messages,
        // Bytes of a stream, or an error.
        other => {
            if let (true, Leftover::Bytes { bytes, taken, .. }) = (peek, &other) {
                // SAFETY: passed on to the caller.
                let given = unsafe { vectors::scatter(vectors, &bytes[*taken..]) };
                direction.put_back(other);
                return Some((Completion::of(given as i32), None));
            }
            direction.put_back(other);
            // SAFETY: as above.
            return orphan::take(direction, |bytes| unsafe { vectors::scatter(vectors, bytes) })
                .map(|answer| (answer, None));
        }
    };
    let first = messages.front_mut()?;
    // SAFETY: as above.
    let count = unsafe { vectors::scatter(vectors, &first.bytes) };
    let is_cut = count < first.bytes.len();
    let arrival = match peek {
        // Descriptors are only for who receives.
        true => Arrival { count, name: first.name.clone(), control: Ancillary::new(), flags: first.flags },
        false => {
            let control = std::mem::take(&mut first.control);
            Arrival { count, name: first.name.take(), control, flags: first.flags }
        }
    };
    let flags = arrival.flags | if is_cut && bounds == Bounds::Kept { libc::MSG_TRUNC } else { 0 };
    if !peek {
        let first = messages.pop_front()?;
        if is_cut && bounds == Bounds::None {
            direction.put_back(Leftover::Bytes { bytes: first.bytes, taken: count, then: None });
            return Some((Completion::of(count as i32), Some(Arrival { flags, ..arrival })));
        }
    }
    if !messages.is_empty() {
        direction.put_back(Leftover::Messages(messages));
    }
    Some((Completion::of(count as i32), Some(Arrival { flags, ..arrival })))
}
