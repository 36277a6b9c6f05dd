//! Where a server's connections come from.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream as _;

use crate::net::{Family, Incoming, Inet, Listener, TcpListener, Unix, UnixListener};

/// What connections come from: a [`TcpListener`], a [`UnixListener`], or the [`Incoming`](crate::launch::Incoming) of a shard.
///
/// Only this crate implements it.
///
/// # Examples
/// As [`serve`](super::serve), of a listener, which is one.
pub trait Connections: sealed::Sealed + 'static {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "it is sealed")]
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>>;

    /// Accepts no more, and waits until the address is free.
    #[doc(hidden)]
    fn end(self) -> Pin<Box<dyn Future<Output = ()>>>;
}

/// What makes [`Connections`]: a listener, as it is.
///
/// # Examples
/// As [`serve`](super::serve), of a listener, which is one.
pub trait IntoConnections {
    /// What they come from.
    type Connections: Connections;

    /// Begins to accept.
    fn into_connections(self) -> Self::Connections;
}

/// A connection that was accepted, and whose.
pub(super) struct Accepted {
    pub(super) stream: Accept,
    /// None of a Unix socket.
    pub(super) peer: Option<SocketAddr>,
}

pub(super) enum Accept {
    Tcp(crate::net::TcpStream),
    Unix(crate::net::UnixStream),
    Shards(crate::launch::Connection),
}

mod sealed {
    pub trait Sealed {}
}

/// How much of an answer waits in the kernel. Without it a socket tells of room when a third of its buffer is free, which is more than a megabyte, and a client
/// that takes some kilobytes a second seems to take nothing at all.
#[cfg(target_os = "linux")]
const UNSENT_MAX: u32 = 128 << 10;

/// A listener that accepts.
#[doc(hidden)]
pub struct Listening<F: Family> {
    incoming: Incoming<F>,
    /// Open as long as it is accepted from.
    listener: Listener<F>,
}

impl<F: Family> sealed::Sealed for Listening<F> {}
impl sealed::Sealed for crate::launch::Incoming {}

impl Connections for Listening<Inet> {
    #[allow(private_interfaces, reason = "it is sealed")]
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        let next = ready!(Pin::new(&mut self.incoming).poll_next(cx));
        Poll::Ready(next.map(|next| {
            next.map(|(stream, peer)| Accepted { stream: Accept::Tcp(stream), peer: Some(peer) })
        }))
    }

    fn end(self) -> Pin<Box<dyn Future<Output = ()>>> {
        self.close()
    }
}

impl Connections for Listening<Unix> {
    #[allow(private_interfaces, reason = "it is sealed")]
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        let next = ready!(Pin::new(&mut self.incoming).poll_next(cx));
        Poll::Ready(
            next.map(|next| next.map(|(stream, _)| Accepted { stream: Accept::Unix(stream), peer: None })),
        )
    }

    fn end(self) -> Pin<Box<dyn Future<Output = ()>>> {
        self.close()
    }
}

impl Connections for crate::launch::Incoming {
    #[allow(private_interfaces, reason = "it is sealed")]
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        let next = ready!(self.poll_next(cx));
        Poll::Ready(next.map(|next| {
            next.map(|connection| Accepted {
                peer: Some(connection.peer()),
                stream: Accept::Shards(connection),
            })
        }))
    }

    fn end(self) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move { drop(self) })
    }
}

impl<F: Family> Listening<F> {
    fn close(self) -> Pin<Box<dyn Future<Output = ()>>> {
        let Listening { incoming, listener } = self;
        drop(incoming);
        // What close(2) says of a listener concerns nobody.
        Box::pin(async move { drop(listener.close().await) })
    }
}

impl IntoConnections for TcpListener {
    type Connections = Listening<Inet>;

    fn into_connections(self) -> Listening<Inet> {
        // Its connections have it from the listener. Refused, they are as they were.
        #[cfg(target_os = "linux")]
        let _ = self.set_notsent_lowat(UNSENT_MAX);
        Listening { incoming: self.incoming(), listener: self }
    }
}

impl IntoConnections for UnixListener {
    type Connections = Listening<Unix>;

    fn into_connections(self) -> Listening<Unix> {
        Listening { incoming: self.incoming(), listener: self }
    }
}

impl IntoConnections for crate::launch::Incoming {
    type Connections = crate::launch::Incoming;

    fn into_connections(self) -> crate::launch::Incoming {
        self
    }
}
