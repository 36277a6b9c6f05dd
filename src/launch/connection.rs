//! A connection: of a shard, and on its way to one.

use std::net::SocketAddr;
use std::ops::Deref;

use super::load::Counted;
use crate::net::{Detached, TcpStream};

/// A connection of a shard. It is a [`TcpStream`], and counts as one of the shard's connections for as long as it lives.
///
/// # Examples
/// As [`Incoming`](super::Incoming).
#[derive(Debug)]
pub struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) _counted: Counted,
}

impl Connection {
    /// Who connected.
    ///
    /// # Examples
    /// As [`Incoming`](super::Incoming).
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The stream, and what makes it count.
    #[cfg_attr(not(feature = "http-serve"), allow(dead_code, reason = "for servers that this crate has"))]
    pub(crate) fn into_parts(self) -> (TcpStream, Counted) {
        (self.stream, self._counted)
    }

    /// The stream alone: it counts no longer.
    ///
    /// # Examples
    /// As [`Incoming`](super::Incoming).
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl Deref for Connection {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

/// A connection on its way to another shard.
pub(super) struct Arrival {
    pub(super) stream: Detached<TcpStream>,
    pub(super) peer: SocketAddr,
    pub(super) counted: Counted,
}
