//! Options of sockets that are plain numbers or short names. setsockopt(2), getsockopt(2)
#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;

use super::{answer, checked};

/// Sets an option that is an `int`.
pub(crate) fn set_number(fd: RawFd, (level, name): (i32, i32), value: i32) -> io::Result<()> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value is on this stack for the time of the call, and its size is said.
    checked(answer(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size) } as isize))
        .map(drop)
}

/// An option that is an `int`.
pub(crate) fn number(fd: RawFd, (level, name): (i32, i32)) -> io::Result<i32> {
    let (mut value, mut size) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: value and size are on this stack for the time of the call, and the size is the value's.
    let got = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &mut size) };
    checked(answer(got as isize)).map(|_| value)
}

/// Sets an option that is text.
pub(crate) fn set_name(fd: RawFd, (level, name): (i32, i32), value: &[u8]) -> io::Result<()> {
    let size = value.len() as libc::socklen_t;
    // SAFETY: so many bytes may be read for the time of the call.
    checked(answer(unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), size) } as isize))
        .map(drop)
}

/// An option that is text, without the zeroes at its end.
pub(crate) fn name(fd: RawFd, (level, name): (i32, i32)) -> io::Result<Vec<u8>> {
    let mut room = [0u8; 16];
    let mut size = room.len() as libc::socklen_t;
    // SAFETY: room and size are on this stack for the time of the call, and the size is the room's.
    let got = unsafe { libc::getsockopt(fd, level, name, room.as_mut_ptr().cast(), &mut size) };
    checked(answer(got as isize))?;
    let text = &room[..(size as usize).min(room.len())];
    Ok(text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
}
