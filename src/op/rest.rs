//! A buffer on its way: how much of it is done, and where the rest begins.
//!
//! What the four transfers of one buffer share. A transfer that is whole moves on in here from one submission to the
//! next ([`Whole`](super::Whole)); any other begins and ends at the buffer's beginning.
#![allow(unsafe_code)]

use std::io;

use crate::buf::{IoBuf, IoBufMut};
use crate::driver::{Completion, Hold};
use crate::sys::TRANSFER_MAX;

pub(super) struct Rest<B> {
    buffer: B,
    /// How many bytes from the beginning are transferred.
    done: usize,
}

impl<B> Rest<B> {
    #[inline]
    pub(super) fn of(buffer: B) -> Rest<B> {
        Rest { buffer, done: 0 }
    }

    #[inline]
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// So many more are transferred.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        self.done += count;
    }

    pub(super) fn into_buffer(self) -> B {
        self.buffer
    }

    /// The offset of the rest, of a transfer that began at `offset`.
    #[inline]
    pub(super) fn offset(&self, offset: u64) -> u64 {
        match offset {
            crate::sys::file::CURSOR => offset,
            _ => offset + self.done as u64,
        }
    }
}

impl<B: IoBuf> Rest<B> {
    /// How many bytes there are to send, from the beginning.
    #[inline]
    pub(super) fn to_send(&self) -> usize {
        self.buffer.bytes_init()
    }

    /// Where the bytes that are still to be sent begin, and how many one request takes.
    #[inline]
    pub(super) fn send(&self) -> (*mut u8, u32) {
        let left = self.buffer.bytes_init() - self.done;
        (self.buffer.stable_ptr().cast_mut().wrapping_add(self.done), clamped(left))
    }

    /// As a request's flags carry it: by which number the ring of `hold` knows the buffer, plus one; or zero.
    #[inline]
    pub(super) fn known_as(&self, hold: &Hold) -> i32 {
        match self.buffer.registration() {
            Some(known) if known.ring == hold.port().runtime().number() => i32::from(known.place) + 1,
            _ => 0,
        }
    }

    /// The last answer of a transfer out of the buffer.
    #[inline]
    pub(super) fn sent(self, answer: Completion) -> (io::Result<usize>, B) {
        (answer.checked().map(|count| count as usize), self.buffer)
    }
}

impl<B: IoBufMut> Rest<B> {
    /// How many bytes there is room for, from the beginning.
    #[inline]
    pub(super) fn to_fill(&self) -> usize {
        self.buffer.bytes_total()
    }

    /// Where the room that is still to be filled begins, and how much of it one request takes.
    #[inline]
    pub(super) fn fill(&mut self) -> (*mut u8, u32) {
        let left = self.buffer.bytes_total() - self.done;
        (self.buffer.stable_mut_ptr().wrapping_add(self.done), clamped(left))
    }

    /// The last answer of a transfer into the buffer, which learns how much it holds.
    ///
    /// # Safety
    /// As many bytes as the answer says were written behind those that are done.
    #[inline]
    pub(super) unsafe fn filled(mut self, answer: Completion) -> (io::Result<usize>, B) {
        let result = answer.checked().map(|count| count as usize);
        let got = self.done + *result.as_ref().unwrap_or(&0);
        // What an error left as it was stays as it was.
        if got > 0 || result.is_ok() {
            // SAFETY: written: `done` by earlier answers, the rest by the caller's promise.
            unsafe { self.buffer.set_init(got) };
        }
        (result, self.buffer)
    }

    /// Copies bytes to where the rest begins; says how many there was room for.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> usize {
        let (pointer, room) = self.fill();
        let count = bytes.len().min(room as usize);
        // SAFETY: there is room for that many, and the buffer is not in flight. The two do not overlap: one is ours.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), pointer, count) };
        count
    }

    /// What was filled so far, and `more` bytes behind it.
    ///
    /// # Safety
    /// That many more bytes were written.
    pub(super) unsafe fn gather(&mut self, more: usize) -> Box<[u8]> {
        // SAFETY: written: `done` by earlier answers, the rest by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.buffer.stable_mut_ptr(), self.done + more) }.into()
    }
}

/// A transfer's length as a request carries it: what is more is left for the next request.
#[inline]
fn clamped(length: usize) -> u32 {
    length.min(TRANSFER_MAX) as u32
}
