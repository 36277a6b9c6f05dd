//! The operating system, one call at a time.
//!
//! Every function makes exactly one system call and answers as a completion would: a number that is not
//! negative, or a negated `errno`. Nothing here waits, retries or keeps state. Above this floor nobody
//! names `libc` functions; the constants are free for all. [`sync`] alone is no calls: what threads share things by.
#![allow(unsafe_code)]

pub(crate) mod affinity;
pub(crate) mod attributes;
pub(crate) mod clock;
pub(crate) mod control;
#[cfg(target_os = "linux")]
pub(crate) mod epoll;
#[cfg(target_os = "linux")]
pub(crate) mod event;
pub(crate) mod file;
pub(crate) mod inherit;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod names;
pub(crate) mod option;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod splice;
pub(crate) mod stack;
pub(crate) mod steering;
pub(crate) mod sync;
#[cfg(annulus_uring)]
pub(crate) mod uring;

/// Calls whose offsets have 64 bits everywhere. glibc's have on 32-bit machines only by these names: the plain ones would cut off
/// what lies behind 2 GiB.
mod offsets {
    #[cfg(any(all(target_os = "linux", not(target_env = "gnu")), target_os = "freebsd"))]
    pub(crate) use libc::posix_fadvise;
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    #[allow(unused_imports, reason = "not every system has all of them")]
    pub(crate) use libc::{ftruncate, lseek, off_t, openat, pread, preadv, pwrite, pwritev};
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    pub(crate) use libc::{
        ftruncate64 as ftruncate, lseek64 as lseek, off64_t as off_t, openat64 as openat,
        posix_fadvise64 as posix_fadvise, pread64 as pread, preadv64 as preadv, preadv64v2 as preadv2,
        pwrite64 as pwrite, pwritev64 as pwritev,
    };
}

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One transfer moves at most this many bytes; Linux stops there by itself, others refuse more.
///
/// <https://man7.org/linux/man-pages/man2/read.2.html>
pub(crate) const TRANSFER_MAX: usize = 0x7fff_f000;

/// The answer of a C function that says -1 and sets `errno`, in the form of a completion.
fn answer(returned: isize) -> i32 {
    // A transfer is bounded by TRANSFER_MAX and a descriptor by i32, so nothing is cut off here.
    if returned < 0 { -errno() } else { returned as i32 }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// An `io::Result` in the form of a completion.
pub(crate) fn negated(result: io::Result<()>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => -error.raw_os_error().unwrap_or(libc::EIO),
    }
}

/// A completion's number as an `io::Result`.
#[inline]
pub(crate) fn checked(result: i32) -> io::Result<u32> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result as u32) }
}

/// A descriptor for the time of a call.
///
/// # Safety
/// `number` is an open descriptor for all of `'a`.
pub(crate) unsafe fn borrow<'a>(number: RawFd) -> BorrowedFd<'a> {
    // SAFETY: passed on to the caller.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// A descriptor that leaves the crate.
pub(crate) fn owned(number: RawFd) -> OwnedFd {
    // SAFETY: the descriptor that hands it over owned the number, does not any more, and nothing names it (I4).
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Shows a descriptor to somebody for the time of a call.
pub(crate) fn with_descriptor<T>(number: RawFd, ask: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: the handle that asks holds the descriptor open (I4).
    ask(unsafe { borrow(number) })
}

/// close(2). The number is free afterwards, whatever the answer.
pub(crate) fn close(number: RawFd) -> i32 {
    // SAFETY: closing is sound for memory; that nobody else owns the number is the descriptor's invariant I4.
    answer(unsafe { libc::close(number) } as isize)
}

/// pipe2(2): both ends close-on-exec and non-blocking.
///
/// # Safety
/// There is room for two numbers at `ends` until the call returns.
#[cfg(not(target_vendor = "apple"))]
pub(crate) unsafe fn pipe(ends: *mut i32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::pipe2(ends, libc::O_CLOEXEC | libc::O_NONBLOCK) } as isize)
}

/// pipe(2), whose ends are then set: Apple has no pipe2(2). Both ends close-on-exec and non-blocking.
///
/// # Safety
/// There is room for two numbers at `ends` until the call returns.
#[cfg(target_vendor = "apple")]
pub(crate) unsafe fn pipe(ends: *mut i32) -> i32 {
    // SAFETY: passed on to the caller.
    let made = answer(unsafe { libc::pipe(ends) } as isize);
    for place in 0..2 * usize::from(made == 0) {
        // SAFETY: two numbers were written there; setting flags of a descriptor passes no memory.
        unsafe {
            let number = *ends.add(place);
            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(number, libc::F_SETFL, libc::O_NONBLOCK);
        }
    }
    made
}

/// pthread_atfork(3): has every child that fork(2) makes call `handler` before anything else. Those of vfork(2) and
/// posix_spawn(3), which only start another program, do not.
pub(crate) fn call_in_children(handler: unsafe extern "C" fn()) -> i32 {
    // SAFETY: a function that lives as long as the program.
    -unsafe { libc::pthread_atfork(None, None, Some(handler)) }
}

/// Whether a descriptor is ready now, or -EAGAIN: poll(2) without waiting.
pub(crate) fn poll_now(number: RawFd, events: i16) -> i32 {
    let mut entry = libc::pollfd { fd: number, events, revents: 0 };
    // SAFETY: one entry, on this stack, for the time of the call.
    match answer(unsafe { libc::poll(&mut entry, 1, 0) } as isize) {
        0 => -libc::EAGAIN,
        ready if ready > 0 => i32::from(entry.revents),
        error => error,
    }
}
