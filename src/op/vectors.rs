//! Arrays of buffers as the kernel reads them.
//!
//! The array is on the heap and the operation's own, like the buffers: the kernel may read it until the
//! completion, and a helper thread reads it without touching the buffers' owners.
#![allow(unsafe_code)]

use crate::buf::{IoBuf, IoBufMut};
use crate::sys::TRANSFER_MAX;
use crate::sys::socket::message;

/// IOV_MAX of Linux and the BSDs: the kernel refuses more. What is left over is left for the next transfer.
const VECTORS_MAX: usize = 1024;

pub(super) struct Vectors(Box<[libc::iovec]>);

/// A message header on the heap: the kernel writes back to it when a receive completes.
pub(super) struct Header(Box<libc::msghdr>);

impl Vectors {
    pub(super) fn to_fill<B: IoBufMut>(buffers: &mut [B]) -> Vectors {
        let parts = buffers.iter_mut().map(|buffer| (buffer.stable_mut_ptr(), buffer.bytes_total()));
        Vectors(bounded(parts).collect())
    }

    pub(super) fn to_send<B: IoBuf>(buffers: &[B]) -> Vectors {
        let parts = buffers.iter().map(|buffer| (buffer.stable_ptr().cast_mut(), buffer.bytes_init()));
        Vectors(bounded(parts).collect())
    }

    pub(super) fn pointer(&mut self) -> *mut libc::iovec {
        self.0.as_mut_ptr()
    }

    pub(super) fn count(&self) -> u32 {
        self.0.len() as u32
    }

    /// How many bytes there is room for, or are to be sent.
    pub(super) fn bytes(&self) -> usize {
        bytes(&self.0)
    }

    pub(super) fn header(&mut self) -> Header {
        let count = self.count();
        Header(Box::new(message(self.pointer(), count)))
    }

    /// As the function of this name below.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn set_init<B: IoBufMut>(&self, buffers: &mut [B], count: usize) {
        // SAFETY: passed on to the caller.
        unsafe { set_init(&self.0, buffers, count) }
    }

    /// Copies bytes in, filling one buffer after the other; says how many there was room for.
    pub(super) fn scatter(&mut self, bytes: &[u8]) -> usize {
        // SAFETY: the buffers are the operation's, which is not in flight; they are writable by `to_fill`, the only
        // maker of vectors that are scattered into.
        unsafe { scatter(&self.0, bytes) }
    }

    /// As the function of this name below.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn gather(&self, count: usize) -> Box<[u8]> {
        // SAFETY: passed on to the caller.
        unsafe { gather(&self.0, count) }
    }
}

/// How many bytes there is room for, or are to be sent.
pub(super) fn bytes(vectors: &[libc::iovec]) -> usize {
    vectors.iter().map(|vector| vector.iov_len).sum()
}

/// Each buffer learns how many of `count` bytes it got.
///
/// # Safety
/// That many bytes were written, filling one buffer after the other.
pub(super) unsafe fn set_init<B: IoBufMut>(vectors: &[libc::iovec], buffers: &mut [B], count: usize) {
    let mut left = count;
    for (buffer, vector) in buffers.iter_mut().zip(vectors) {
        let got = left.min(vector.iov_len);
        left -= got;
        // SAFETY: the caller's promise.
        unsafe { buffer.set_init(got) };
    }
}

/// Copies bytes in, filling one buffer after the other; says how many there was room for.
///
/// # Safety
/// The vectors are of buffers that may be written to, and that are not in flight.
pub(super) unsafe fn scatter(vectors: &[libc::iovec], bytes: &[u8]) -> usize {
    let mut rest = bytes;
    for vector in vectors {
        let (now, later) = rest.split_at(rest.len().min(vector.iov_len));
        // SAFETY: the caller's promise; the two do not overlap, one is ours.
        unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), vector.iov_base.cast(), now.len()) };
        rest = later;
    }
    bytes.len() - rest.len()
}

/// Copies the first `count` bytes out.
///
/// # Safety
/// That many bytes were written, filling one buffer after the other.
pub(super) unsafe fn gather(vectors: &[libc::iovec], count: usize) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(count);
    for vector in vectors {
        let got = vector.iov_len.min(count - bytes.len());
        // SAFETY: written, by the caller's promise, and the operation's own.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(vector.iov_base.cast(), got) });
    }
    bytes.into()
}

/// As many vectors as one call may carry, of as many bytes.
pub(super) fn bounded(parts: impl Iterator<Item = (*mut u8, usize)>) -> impl Iterator<Item = libc::iovec> {
    let mut room = TRANSFER_MAX;
    parts.take(VECTORS_MAX).map(move |(pointer, length)| {
        let length = length.min(room);
        room -= length;
        libc::iovec { iov_base: pointer.cast(), iov_len: length }
    })
}

impl Header {
    pub(super) fn pointer(&mut self) -> *mut u8 {
        (&raw mut *self.0).cast()
    }
}
