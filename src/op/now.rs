//! Transfers with borrowed memory: made by one call, now, or not at all.
//!
//! They take part in the turns of a direction all the same: they come after what was begun before, and what an abandoned
//! operation left goes first.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};

use super::{Operation, Recv, Send, Sendmsg, Turn, orphan};
use crate::buf::ReadBuf;
use crate::driver::{Completion, Hold, Request, Way};

/// What became of it.
#[derive(Debug)]
pub(crate) enum Now<T> {
    Done(T),
    /// It would have to wait for the descriptor.
    NotReady,
    /// It has to wait for its turn: an operation is in flight in the same direction.
    NotInTurn,
}

/// Receives what is there. `Done(0)` is the end, if there is room. Who has waited for its turn shows it.
#[inline]
pub(crate) fn recv_now(hold: &Hold, buffer: &mut ReadBuf<'_>, turn: Option<&Turn>) -> io::Result<Now<usize>> {
    if let Some(found) = before(hold, Way::Read, turn)? {
        return Ok(found);
    }
    let direction = hold.direction(Way::Read);
    if direction.has_leftover() {
        let left = orphan::take(direction, |bytes| {
            let bytes = &bytes[..bytes.len().min(buffer.remaining())];
            buffer.put_slice(bytes);
            bytes.len()
        });
        hold.port().tally().begun(Recv::<Vec<u8>>::form().kind);
        return left.map_or(Ok(Now::NotReady), answered);
    }
    let rest = buffer.rest();
    let (pointer, length) = (rest.as_mut_ptr().cast(), u32::try_from(rest.len()).unwrap_or(u32::MAX));
    let request = Request { pointer, length, ..Request::on(Recv::<Vec<u8>>::form(), hold) };
    // SAFETY: the room is borrowed until after the call; the caller's handle keeps the descriptor open.
    let answer = Completion::of(unsafe { hold.port().attempt(&request) });
    let received = answered(answer)?;
    if let Now::Done(count) = received {
        // SAFETY: so many bytes were received into it.
        unsafe { buffer.advance(count) };
    }
    Ok(received)
}

/// Sends what there is room for.
#[inline]
pub(crate) fn send_now(hold: &Hold, bytes: &[u8], turn: Option<&Turn>) -> io::Result<Now<usize>> {
    if let Some(found) = before_sending(hold, turn)? {
        return Ok(found);
    }
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let pointer = bytes.as_ptr().cast_mut();
    let request = Request { pointer, length, ..Request::on(Send::<Vec<u8>>::form(), hold) };
    // SAFETY: the bytes are borrowed until after the call, which only reads them; the caller's handle keeps the descriptor open.
    answered(Completion::of(unsafe { hold.port().attempt(&request) }))
}

/// The most parts that one call takes (UIO_MAXIOV).
const PARTS_MAX: usize = 1024;

/// Sends what there is room for, of several parts.
#[inline]
pub(crate) fn send_parts_now(
    hold: &Hold,
    parts: &[IoSlice<'_>],
    turn: Option<&Turn>,
) -> io::Result<Now<usize>> {
    if let Some(found) = before_sending(hold, turn)? {
        return Ok(found);
    }
    // `IoSlice` is the system's iovec, as std promises.
    let other_pointer = parts.as_ptr().cast_mut().cast();
    let length = parts.len().min(PARTS_MAX) as u32;
    let request = Request { other_pointer, length, ..Request::on(Sendmsg::<Vec<u8>>::form(), hold) };
    // SAFETY: as above.
    answered(Completion::of(unsafe { hold.port().attempt(&request) }))
}

/// Whether there is something in the way of a transfer.
#[inline]
fn before(hold: &Hold, way: Way, turn: Option<&Turn>) -> io::Result<Option<Now<usize>>> {
    if hold.is_closing() || hold.port().has_ended() {
        return Err(io::Error::from_raw_os_error(libc::ECANCELED));
    }
    Ok((turn.is_none() && hold.direction(way).is_busy()).then_some(Now::NotInTurn))
}

#[inline]
fn before_sending(hold: &Hold, turn: Option<&Turn>) -> io::Result<Option<Now<usize>>> {
    let found = before(hold, Way::Write, turn)?;
    if found.is_none() {
        // An error that an abandoned write met.
        orphan::take_error(hold.direction(Way::Write)).map_or(Ok(0), Completion::checked)?;
    }
    Ok(found)
}

#[inline]
fn answered(answer: Completion) -> io::Result<Now<usize>> {
    match answer.result {
        would_wait if would_wait == -libc::EAGAIN => Ok(Now::NotReady),
        _ => answer.checked().map(|count| Now::Done(count as usize)),
    }
}
