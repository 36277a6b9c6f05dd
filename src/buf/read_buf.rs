//! Borrowed room that is filled before a poll returns: what the world of borrowed buffers reads into.
//!
//! Only what was written counts as filled, so that who lent the room may rely on the count without having it zeroed before.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::task::Poll;
#[cfg(feature = "futures-io")]
use std::task::ready;

use super::IoBufMut;

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
    ///
    /// # Examples
    /// ```
    /// use std::mem::MaybeUninit;
    /// use annulus::buf::ReadBuf;
    ///
    /// let mut room = [MaybeUninit::uninit(); 8];
    /// let mut buffer = ReadBuf::uninit(&mut room);
    /// buffer.put_slice(b"tea");
    /// assert_eq!((buffer.filled_len(), buffer.remaining()), (3, 5));
    /// assert_eq!(buffer.into_filled(), b"tea");
    /// ```
    pub fn uninit(room: &'a mut [MaybeUninit<u8>]) -> ReadBuf<'a> {
        ReadBuf { room, filled: 0 }
    }

    /// Has room filled, and says how many bytes of it were.
    ///
    /// # Panics
    /// If `read` puts another buffer in the place of the one it is given: the count of that says nothing of this room.
    #[inline]
    pub(crate) fn lend<T>(
        room: &mut [MaybeUninit<u8>],
        read: impl FnOnce(&mut ReadBuf<'_>) -> T,
    ) -> (T, usize) {
        let place = (room.as_ptr(), room.len());
        let mut buffer = ReadBuf::uninit(room);
        let answer = read(&mut buffer);
        let now = (buffer.room.as_ptr(), buffer.room.len());
        assert_eq!(now, place, "a read has replaced the buffer that it was given");
        (answer, buffer.filled)
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
    ///
    /// # Examples
    /// As [`uninit`](Self::uninit).
    pub fn into_filled(self) -> &'a [u8] {
        // SAFETY: so many bytes were written.
        unsafe { std::slice::from_raw_parts(self.room.as_ptr().cast(), self.filled) }
    }

    /// How many bytes were filled.
    ///
    /// # Examples
    /// As [`uninit`](Self::uninit).
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
    pub(crate) fn rest(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.room[self.filled..]
    }

    /// Has some of the room filled by what wants it to be initialised: so many bytes at most, which are zeroed before.
    ///
    /// # Panics
    /// If more bytes are said to be filled than there is room for.
    #[cfg(feature = "futures-io")]
    pub(crate) fn fill_zeroed(
        &mut self,
        at_most: usize,
        read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        let rest = self.rest();
        let length = rest.len().min(at_most);
        let room = &mut rest[..length];
        room.fill(MaybeUninit::new(0));
        // SAFETY: as many bytes, of which each was just initialised.
        let room = unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u8>(), length) };
        let count = ready!(read(room))?;
        assert!(count <= length, "a read says that it has filled {count} bytes of {length}");
        self.filled += count;
        Poll::Ready(Ok(()))
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

/// Has an owned buffer filled from its beginning, and its length set to what was read: if something was, which no error and no
/// `Pending` says.
#[inline]
pub(crate) fn fill_owned<B: IoBufMut>(
    buffer: &mut B,
    read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
) -> Poll<io::Result<usize>> {
    let (pointer, length) = (buffer.stable_mut_ptr(), buffer.bytes_total());
    // SAFETY: so many bytes from there may be written, and nobody else reaches them: the buffer is borrowed alone until its own
    // methods are called again, below.
    let room = unsafe { std::slice::from_raw_parts_mut(pointer.cast(), length) };
    let (answer, count) = ReadBuf::lend(room, read);
    if let Poll::Ready(Ok(())) = answer {
        // SAFETY: so many bytes were filled, from the first on, and no more than there are.
        unsafe { buffer.set_init(count) };
    }
    answer.map_ok(|()| count)
}

impl fmt::Debug for ReadBuf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuf").field("filled", &self.filled).field("remaining", &self.remaining()).finish()
    }
}
