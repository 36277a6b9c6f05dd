//! Event counters, which wake what waits for a descriptor: eventfd(2).
#![allow(unsafe_code)]

use std::os::fd::RawFd;

use super::answer;

/// A counter that other threads ring: close-on-exec, non-blocking.
pub(crate) fn counter() -> i32 {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } as isize)
}

/// Adds one. A full counter (2^64 - 2 rings unread) stays readable, which is all that is asked.
pub(crate) fn ring(counter: RawFd) {
    let one: u64 = 1;
    // SAFETY: eight bytes on this stack, read during the call.
    unsafe { libc::write(counter, (&raw const one).cast(), 8) };
}

/// Takes the count.
#[cfg(annulus_uring)]
pub(crate) fn take(counter: RawFd) {
    let mut count: u64 = 0;
    // SAFETY: eight bytes on this stack, written during the call.
    unsafe { libc::read(counter, (&raw mut count).cast(), 8) };
}
