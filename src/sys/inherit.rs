//! Descriptors that go from one program to the next: over fork(2) and execve(2).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::{answer, checked};

/// The number of the first descriptor that a program is given. sd_listen_fds(3)
pub(crate) const FIRST: RawFd = 3;

/// fcntl(2), of a command whose argument is a number.
fn control(number: RawFd, command: i32, argument: i32) -> io::Result<i32> {
    // SAFETY: no memory is passed.
    checked(answer(unsafe { libc::fcntl(number, command, argument) } as isize)).map(|value| value as i32)
}

/// Whether a descriptor came with this program: what is open and not close-on-exec has lived through execve(2), for std and
/// this crate open nothing that way. The error is EBADF where nothing is open.
pub(crate) fn came_with_the_program(number: RawFd) -> io::Result<bool> {
    Ok(control(number, libc::F_GETFD, 0)? & libc::FD_CLOEXEC == 0)
}

/// Takes a descriptor that [came with the program](came_with_the_program): from now on it is close-on-exec. Once for each
/// number.
pub(crate) fn take(number: RawFd) -> io::Result<OwnedFd> {
    control(number, libc::F_SETFD, libc::FD_CLOEXEC)?;
    // It came with the program, and nobody else takes it: the caller asks once.
    Ok(super::owned(number))
}

/// Who a descriptor says that it is for: a process or, negative, a group of them; 0 for nobody. F_GETOWN
pub(crate) fn owner(number: RawFd) -> io::Result<i32> {
    // SAFETY: no memory is passed. Not by `control`: a group is a negative number, and no error.
    match unsafe { libc::fcntl(number, libc::F_GETOWN) } {
        -1 => Err(io::Error::last_os_error()),
        owner => Ok(owner),
    }
}

/// A duplicate, close-on-exec, of at least that number. F_DUPFD_CLOEXEC
pub(crate) fn duplicate_from(descriptor: BorrowedFd<'_>, lowest: RawFd) -> io::Result<OwnedFd> {
    control(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest).map(super::owned)
}

/// Has the program that `command` starts find these descriptors, and no other, at 3, 4 and so on. The last one says whom it is
/// for: that process.
///
/// Their own numbers are above those, so that none is overwritten before it was moved. Elsewhere than on Linux, what
/// this process has that is not close-on-exec reaches the program as well.
pub(crate) fn give(command: &mut Command, descriptors: Vec<OwnedFd>) {
    let end = FIRST + descriptors.len() as RawFd;
    debug_assert!(descriptors.iter().all(|descriptor| descriptor.as_raw_fd() >= end));
    let settle = move || {
        for (place, descriptor) in (FIRST..).zip(&descriptors) {
            // SAFETY: no memory is passed; what had that number is the child's copy, which no code of this process uses.
            checked(answer(unsafe { libc::dup2(descriptor.as_raw_fd(), place) } as isize))?;
        }
        // SAFETY: no memory is passed, and it cannot fail.
        let own = unsafe { libc::getpid() };
        control(end - 1, libc::F_SETOWN, own)?;
        #[cfg(target_os = "linux")]
        close_on_exec_from(end);
        Ok(())
    };
    // SAFETY: between fork(2) and execve(2) it calls dup2, getpid, fcntl and close_range alone, which are async-signal-safe; it
    // allocates nothing and takes no lock.
    unsafe { command.pre_exec(settle) };
}

/// Marks all descriptors from that number on: close_range(2), Linux 5.11. Before, what was opened without close-on-exec stays.
#[cfg(target_os = "linux")]
fn close_on_exec_from(number: RawFd) {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: no memory is passed, and nothing is closed before execve(2).
    unsafe { libc::syscall(libc::SYS_close_range, number as u32, u32::MAX, flags) };
}
