//! Calls on other processes.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

/// A descriptor that is readable when the process has ended. pidfd_open(2), Linux 5.3
#[cfg(target_os = "linux")]
pub(crate) fn watch(process: u32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, process as libc::pid_t, 0) };
    super::checked(super::answer(number as isize)).map(|number| super::owned(number as i32))
}

/// There is no such call here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn watch(_: u32) -> io::Result<OwnedFd> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Sends a signal to a process. kill(2)
pub(crate) fn send_signal(process: u32, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    let answer = unsafe { libc::kill(process as libc::pid_t, signal) };
    super::checked(super::answer(answer as isize)).map(drop)
}

/// Waits for the end of a child, and leaves it to be reaped. waitid(2)
pub(crate) fn wait_for_end(process: u32) -> io::Result<()> {
    loop {
        // SAFETY: plain numbers: all zeroes is a value.
        let mut told: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: a place on this stack.
        let answer = unsafe {
            libc::waitid(libc::P_PID, process as libc::id_t, &mut told, libc::WEXITED | libc::WNOWAIT)
        };
        match answer {
            0 => return Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}
