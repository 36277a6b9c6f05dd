//! Pipes; `std::io::pipe` came after the oldest compiler that the crate is for.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A pipe's end to read from, and its end to write to, which closes it when it is dropped.
pub(crate) fn pipe() -> (OwnedFd, std::fs::File) {
    let mut ends = [-1; 2];
    // SAFETY: room for two numbers.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both were just opened, and nobody else has them.
    let ends = ends.map(|number| unsafe { OwnedFd::from_raw_fd(number) });
    for end in &ends {
        // SAFETY: an open descriptor; no memory is passed.
        assert_eq!(unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }, 0);
    }
    let [reader, writer] = ends;
    (reader, writer.into())
}
