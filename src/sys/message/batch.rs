//! Many messages with one call: recvmmsg(2) and sendmmsg(2), and one message where these are not.
#![allow(unsafe_code)]
#![allow(clippy::vec_box, reason = "an envelope is lent from a store of boxes, and goes back there")]

use std::os::fd::RawFd;

use super::Envelope;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::{QUIET, RECEIVE, answer};

/// A header, and how many bytes were received or sent by it: mmsghdr, where the system has that.
#[repr(C)]
struct Letter {
    header: libc::msghdr,
    length: u32,
}

/// Messages, each in one buffer and with an envelope of its own.
pub(crate) struct Batch {
    letters: Vec<Letter>,
    vectors: Vec<libc::iovec>,
    envelopes: Vec<Box<Envelope>>,
    /// So many of them are done.
    done: usize,
}

impl Batch {
    /// Of as many buffers as there are envelopes.
    pub(crate) fn new(vectors: Vec<libc::iovec>, envelopes: Vec<Box<Envelope>>) -> Batch {
        debug_assert_eq!(vectors.len(), envelopes.len());
        Batch { letters: Vec::with_capacity(vectors.len()), vectors, envelopes, done: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.vectors.len()
    }

    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// So many more are done.
    pub(crate) fn advance(&mut self, count: usize) {
        self.done += count;
    }

    /// The buffers of those that are not done.
    pub(crate) fn rest(&mut self) -> &mut [libc::iovec] {
        &mut self.vectors[self.done..]
    }

    /// The buffer of one.
    pub(crate) fn vector(&self, index: usize) -> &libc::iovec {
        &self.vectors[index]
    }

    pub(crate) fn envelope(&mut self, index: usize) -> &mut Envelope {
        &mut self.envelopes[index]
    }

    /// How many bytes one got.
    pub(crate) fn length(&self, index: usize) -> usize {
        self.letters[index].length as usize
    }

    pub(crate) fn take_envelopes(&mut self) -> Vec<Box<Envelope>> {
        std::mem::take(&mut self.envelopes)
    }

    /// Has the headers of those that are not done say what the rest is: before each call, for a call writes to them.
    #[allow(clippy::unnecessary_cast, reason = "the widths differ from one system to the next")]
    fn prepare(&mut self) {
        self.letters.truncate(self.done);
        for (vector, envelope) in self.vectors[self.done..].iter_mut().zip(&mut self.envelopes[self.done..]) {
            envelope.prepare();
            let mut header = envelope.header;
            header.msg_iov = vector;
            header.msg_iovlen = 1 as _;
            self.letters.push(Letter { header, length: 0 });
        }
    }

    /// So many more were received.
    fn received(&mut self, count: i32) {
        let count = usize::try_from(count).unwrap_or(0);
        let letters = self.letters[self.done..].iter().take(count);
        for (letter, envelope) in letters.zip(&mut self.envelopes[self.done..]) {
            envelope.written(&letter.header);
        }
    }
}

/// The simulated kernel's side of it.
#[cfg(feature = "sim")]
impl Batch {
    /// What is to be done.
    pub(crate) fn ready(&mut self) {
        self.prepare();
    }

    /// One was received, so long.
    pub(crate) fn set_length(&mut self, index: usize, length: usize) {
        self.letters[index].length = length as u32;
    }
}

/// recvmmsg(2): how many messages came.
///
/// # Safety
/// The batch, and the memory that its parts name, may be written until the call returns.
pub(crate) unsafe fn receive_many(fd: RawFd, batch: *mut Batch) -> i32 {
    // SAFETY: the caller's promise.
    let batch = unsafe { &mut *batch };
    batch.prepare();
    let letters = &mut batch.letters[batch.done..];
    // SAFETY: so many headers, each of memory that may be written to.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let count = unsafe {
        let flags = RECEIVE | libc::MSG_DONTWAIT;
        answer(libc::recvmmsg(
            fd,
            letters.as_mut_ptr().cast(),
            letters.len() as _,
            flags as _,
            std::ptr::null_mut(),
        ) as isize)
    };
    // SAFETY: as above, of one.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let count = unsafe {
        let flags = super::RECEIVE | libc::MSG_DONTWAIT;
        match super::answer(libc::recvmsg(fd, &raw mut letters[0].header, flags)) {
            length if length >= 0 => {
                letters[0].length = length as u32;
                1
            }
            error => error,
        }
    };
    batch.received(count);
    count
}

/// sendmmsg(2): how many messages were sent.
///
/// # Safety
/// The batch, and the memory that its parts name, may be read until the call returns.
pub(crate) unsafe fn send_many(fd: RawFd, batch: *mut Batch) -> i32 {
    // SAFETY: the caller's promise.
    let batch = unsafe { &mut *batch };
    batch.prepare();
    let letters = &mut batch.letters[batch.done..];
    // SAFETY: so many headers, each of memory that may be read.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let count = unsafe {
        answer(libc::sendmmsg(fd, letters.as_mut_ptr().cast(), letters.len() as _, QUIET as _) as isize)
    };
    // SAFETY: as above, of one.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let count =
        unsafe { super::answer(libc::sendmsg(fd, &raw const letters[0].header, super::QUIET)).min(1) };
    count
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const _: () = assert!(size_of::<Letter>() == size_of::<libc::mmsghdr>());
