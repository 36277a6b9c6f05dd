//! Borrowed room that is filled before a poll returns: what the world of borrowed buffers reads into.
//!
//! Only what was written counts as filled, so that who lent the room may rely on the count without having it zeroed before.
#![allow(unsafe_code)]

use std::fmt;
use std::mem::MaybeUninit;

/// Borrowed room to read into: bytes that may not be initialised, and how many were filled, from the first on.
///
/// # Examples
/// ```
/// use annulus::buf::ReadBuf;
///
/// let mut room = [0; 8];
/// let mut buffer = ReadBuf::new(&mut room);
/// buffer.put_slice(b"bytes");
/// assert_eq!((buffer.filled(), buffer.remaining()), (&b"bytes"[..], 3));
/// ```
pub struct ReadBuf<'a> {
    room: &'a mut [MaybeUninit<u8>],
    filled: usize,
}

impl<'a> ReadBuf<'a> {
    /// All of `room`, with nothing filled.
    pub fn new(room: &'a mut [u8]) -> ReadBuf<'a> {
        let (pointer, length) = (room.as_mut_ptr(), room.len());
        // SAFETY: as many bytes, borrowed as long. Nothing that is not initialised is ever written to them: `filled` bytes come from
        // slices and from calls that wrote them.
        ReadBuf::uninit(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), length) })
    }

    /// All of `room`, which need not be initialised.
    pub fn uninit(room: &'a mut [MaybeUninit<u8>]) -> ReadBuf<'a> {
        ReadBuf { room, filled: 0 }
    }

    /// How many bytes there is room for.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.room.len() - self.filled
    }

    /// What was filled.
    pub fn filled(&self) -> &[u8] {
        // SAFETY: so many bytes were written.
        unsafe { std::slice::from_raw_parts(self.room.as_ptr().cast(), self.filled) }
    }

    /// What was filled, for as long as the room is borrowed.
    pub fn into_filled(self) -> &'a [u8] {
        // SAFETY: so many bytes were written.
        unsafe { std::slice::from_raw_parts(self.room.as_ptr().cast(), self.filled) }
    }

    /// How many bytes were filled.
    #[inline]
    pub fn filled_len(&self) -> usize {
        self.filled
    }

    /// Copies the bytes behind what was filled.
    ///
    /// # Panics
    /// If there is no room for them: ask [`remaining`](Self::remaining) before.
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        let room = &mut self.room[self.filled..][..bytes.len()];
        // SAFETY: as many bytes, which are borrowed alone, so that they are none of `bytes`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room.as_mut_ptr().cast(), bytes.len()) };
        self.filled += bytes.len();
    }

    /// The room that is left, for a call that writes to it.
    #[inline]
    pub(crate) fn rest(&mut self) -> (*mut u8, usize) {
        let rest = &mut self.room[self.filled..];
        (rest.as_mut_ptr().cast(), rest.len())
    }

    /// So many more bytes were filled.
    ///
    /// # Safety
    /// They were written, from the first of `rest` on.
    #[inline]
    pub(crate) unsafe fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.remaining());
        self.filled += count;
    }
}

impl fmt::Debug for ReadBuf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuf").field("filled", &self.filled).field("remaining", &self.remaining()).finish()
    }
}
