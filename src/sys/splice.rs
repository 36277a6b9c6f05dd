//! Bytes that move between descriptors without passing through the program: splice(2), and the pipes that it needs.
//!
//! Linux alone has it. Elsewhere the calls say ENOSYS, and who asks copies.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;

use super::checked;
use super::file::CURSOR;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use super::offsets;
#[cfg(target_os = "linux")]
use super::{TRANSFER_MAX, answer};

/// splice(2) without waiting for a pipe, nor for a socket that is non-blocking. `offset` is of a file that is read from,
/// or [`CURSOR`](super::file::CURSOR), which is the only one that a socket or a pipe has.
///
/// A socket whose peer is gone raises SIGPIPE, for the call cannot say otherwise; Rust programs ignore it.
///
/// <https://man7.org/linux/man-pages/man2/splice.2.html>
#[cfg(target_os = "linux")]
pub(crate) fn splice(from: RawFd, offset: u64, to: RawFd, length: usize) -> i32 {
    let mut place = offset as libc::loff_t;
    let place = if offset == CURSOR { std::ptr::null_mut() } else { &raw mut place };
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    // SAFETY: the offset lives on this stack for the time of the call; no other memory is passed.
    answer(unsafe { libc::splice(from, place, to, std::ptr::null_mut(), length.min(TRANSFER_MAX), flags) })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn splice(_from: RawFd, _offset: u64, _to: RawFd, _length: usize) -> i32 {
    -libc::ENOSYS
}

/// splice(2) from a file, if its pages seem to be in memory: the first and the last are looked at, for the call itself
/// would wait for the disk. -EAGAIN otherwise, and where that cannot be known.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn splice_from_memory(from: RawFd, offset: u64, to: RawFd, length: usize) -> i32 {
    let first = match offset {
        // SAFETY: no memory is passed.
        CURSOR => unsafe { offsets::lseek(from, 0, libc::SEEK_CUR) },
        offset => offset as offsets::off_t,
    };
    let last = first.saturating_add(length.min(TRANSFER_MAX) as offsets::off_t - 1);
    let in_memory = |place: offsets::off_t| {
        let mut byte = 0_u8;
        // SAFETY: room for one byte on this stack, for the time of the call. Behind the end it says 0.
        unsafe { super::file::read_at_once(from, &raw mut byte, 1, place as u64) >= 0 }
    };
    // Of what has no places, a terminal, nothing is known either.
    if first < 0 || !in_memory(first) || !in_memory(last) {
        return -libc::EAGAIN;
    }
    splice(from, offset, to, length)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn splice_from_memory(_from: RawFd, _offset: u64, _to: RawFd, _length: usize) -> i32 {
    -libc::EAGAIN
}

/// pipe2(2): an end to read from and one to write to, both non-blocking, and how many bytes there is room for between
/// them. F_SETPIPE_SZ asks for more than usual, where `bytes` says so; if the system refuses, it stays as it was.
///
/// <https://man7.org/linux/man-pages/man7/pipe.7.html>
#[cfg(target_os = "linux")]
pub(crate) fn pipe(bytes: usize) -> io::Result<([RawFd; 2], usize)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two numbers on this stack, for the time of the call.
    checked(unsafe { super::pipe(ends.as_mut_ptr()) })?;
    // SAFETY: no memory is passed.
    let room = unsafe {
        match libc::fcntl(ends[1], libc::F_SETPIPE_SZ, bytes as libc::c_int) {
            given if bytes > 0 && given > 0 => given,
            _ => libc::fcntl(ends[1], libc::F_GETPIPE_SZ),
        }
    };
    Ok((ends, usize::try_from(room).unwrap_or(4096)))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pipe(_bytes: usize) -> io::Result<([RawFd; 2], usize)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes that are in a pipe, by read(2) without waiting.
pub(crate) fn take_out(end: RawFd, bytes: usize) -> io::Result<Vec<u8>> {
    let mut taken = vec![0; bytes];
    let mut count = 0;
    while count < bytes {
        let room = &mut taken[count..];
        // SAFETY: the room is ours until the call returns.
        match checked(unsafe { super::file::read(end, room.as_mut_ptr(), room.len(), CURSOR) })? {
            0 => break,
            more => count += more as usize,
        }
    }
    taken.truncate(count);
    Ok(taken)
}
