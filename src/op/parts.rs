//! What a message's bytes are in: one buffer, or several, one after the other.
#![allow(unsafe_code)]

use super::vectors;
use crate::buf::{IoBuf, IoBufMut};

/// One buffer.
#[derive(Debug)]
pub struct One<B>(pub(crate) B);

/// Several buffers, filled or sent one after the other.
#[derive(Debug)]
pub struct Many<B>(pub(crate) Vec<B>);

/// What a message is received into.
///
/// # Safety
/// `lend` names memory that the value owns, all of it to be written to, and that stays where it is when it is moved.
pub unsafe trait Room: 'static {
    /// What is handed back.
    type Buffers;

    #[doc(hidden)]
    fn lend(&mut self, vectors: &mut Vec<libc::iovec>);

    /// Hands back the buffers, which learn how much they hold.
    ///
    /// # Safety
    /// As many bytes were written to what `lend` named, filling one buffer after the other; None leaves all as it is.
    #[doc(hidden)]
    unsafe fn filled(self, vectors: &[libc::iovec], count: Option<usize>) -> Self::Buffers;
}

/// What a message is sent from.
///
/// # Safety
/// `lend` names memory that the value owns, all of it initialised, and that stays where it is when it is moved.
pub unsafe trait Load: 'static {
    /// What is handed back.
    type Buffers;

    #[doc(hidden)]
    fn lend(&self, vectors: &mut Vec<libc::iovec>);

    #[doc(hidden)]
    fn into_buffers(self) -> Self::Buffers;
}

// SAFETY: the buffer's own promise.
unsafe impl<B: IoBufMut> Room for One<B> {
    type Buffers = B;

    fn lend(&mut self, vectors: &mut Vec<libc::iovec>) {
        let part = (self.0.stable_mut_ptr(), self.0.bytes_total());
        vectors.extend(vectors::bounded(std::iter::once(part)));
    }

    unsafe fn filled(mut self, _: &[libc::iovec], count: Option<usize>) -> B {
        if let Some(count) = count {
            // SAFETY: the caller's promise.
            unsafe { self.0.set_init(count) };
        }
        self.0
    }
}

// SAFETY: as above, of each.
unsafe impl<B: IoBufMut> Room for Many<B> {
    type Buffers = Vec<B>;

    fn lend(&mut self, vectors: &mut Vec<libc::iovec>) {
        let parts = self.0.iter_mut().map(|buffer| (buffer.stable_mut_ptr(), buffer.bytes_total()));
        vectors.extend(vectors::bounded(parts));
    }

    unsafe fn filled(mut self, vectors: &[libc::iovec], count: Option<usize>) -> Vec<B> {
        if let Some(count) = count {
            // SAFETY: the caller's promise.
            unsafe { vectors::set_init(vectors, &mut self.0, count) };
        }
        self.0
    }
}

// SAFETY: the buffer's own promise.
unsafe impl<B: IoBuf> Load for One<B> {
    type Buffers = B;

    fn lend(&self, vectors: &mut Vec<libc::iovec>) {
        let part = (self.0.stable_ptr().cast_mut(), self.0.bytes_init());
        vectors.extend(vectors::bounded(std::iter::once(part)));
    }

    fn into_buffers(self) -> B {
        self.0
    }
}

// SAFETY: as above, of each.
unsafe impl<B: IoBuf> Load for Many<B> {
    type Buffers = Vec<B>;

    fn lend(&self, vectors: &mut Vec<libc::iovec>) {
        let parts = self.0.iter().map(|buffer| (buffer.stable_ptr().cast_mut(), buffer.bytes_init()));
        vectors.extend(vectors::bounded(parts));
    }

    fn into_buffers(self) -> Vec<B> {
        self.0
    }
}
