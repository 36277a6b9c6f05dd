//! What a descriptor is asked about, and what it answers.

use std::ops::{BitOr, BitOrAssign};

/// That the peer will write no more. Apple's systems do not tell.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const HALF_HANG_UP: i16 = libc::POLLRDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const HALF_HANG_UP: i16 = 0;

/// What to wait for. See poll(2).
///
/// # Examples
/// ```
/// use annulus::io::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interest(i16);

impl Interest {
    /// That a read would not wait: there is something to read, or the end, or an error.
    pub const READABLE: Interest = Interest(libc::POLLIN);
    /// That a write would not wait: there is room, or an error.
    pub const WRITABLE: Interest = Interest(libc::POLLOUT);

    /// Whether it has [`READABLE`](Self::READABLE) in it.
    pub fn is_readable(self) -> bool {
        self.0 & libc::POLLIN != 0
    }

    /// Whether it has [`WRITABLE`](Self::WRITABLE) in it.
    pub fn is_writable(self) -> bool {
        self.0 & libc::POLLOUT != 0
    }

    /// As poll(2) is asked.
    pub(super) fn events(self) -> i16 {
        let half = if self.is_readable() { HALF_HANG_UP } else { 0 };
        self.0 | half
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        self.0 |= other.0;
    }
}

/// What a descriptor was ready for at the moment when it was asked. See poll(2).
///
/// # Examples
/// As [`AsyncFd::ready`](super::AsyncFd::ready).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ready(i16);

impl Ready {
    pub(super) fn told(events: u32) -> Ready {
        Ready(events as i16)
    }

    fn has(self, events: i16) -> bool {
        self.0 & events != 0
    }

    /// A read would not wait.
    ///
    /// # Examples
    /// As [`AsyncFd::ready`](super::AsyncFd::ready).
    pub fn is_readable(self) -> bool {
        self.has(libc::POLLIN | libc::POLLHUP | libc::POLLERR | HALF_HANG_UP)
    }

    /// A write would not wait.
    ///
    /// # Examples
    /// As [`AsyncFd::ready`](super::AsyncFd::ready).
    pub fn is_writable(self) -> bool {
        self.has(libc::POLLOUT | libc::POLLERR)
    }

    /// The other end will write no more. There may still be something to read. Told only to who waits to read.
    ///
    /// # Examples
    /// As [`AsyncFd::ready`](super::AsyncFd::ready).
    pub fn is_read_closed(self) -> bool {
        self.has(libc::POLLHUP | HALF_HANG_UP)
    }

    /// There is an error, which the next call tells. Of a pipe's writing end: nobody reads any more.
    ///
    /// # Examples
    /// As [`AsyncFd::ready`](super::AsyncFd::ready).
    pub fn is_error(self) -> bool {
        self.has(libc::POLLERR | libc::POLLNVAL)
    }
}
