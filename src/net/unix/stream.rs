//! Streams of Unix sockets. See unix(7).

use std::io;

use crate::net::family::Unix;
use crate::net::socket;
use crate::net::stream::Stream;

/// A Unix connection.
pub type UnixStream = Stream<Unix>;

impl UnixStream {
    /// Two ends without names.
    ///
    /// # Errors
    /// Those of socketpair(2).
    ///
    /// # Panics
    /// Outside of a running loop.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        socket::pair(libc::SOCK_STREAM).map(|(one, other)| (Stream::new(one), Stream::new(other)))
    }
}
