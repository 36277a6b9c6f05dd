//! TCP. See tcp(7).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockAddr;

use super::addresses::{ToSocketAddrs, resolve};
use super::family::Inet;
use super::listener::Listener;
use super::socket;
use super::stream::Stream;
use crate::driver::{Descriptor, Property, Setting};
use crate::op::{Connect, Submitted};

/// How many connections may wait to be accepted, unless asked for otherwise. The system's own limit
/// (net.core.somaxconn) holds as well.
const BACKLOG: u32 = 1024;

/// A TCP connection.
///
/// What every [`Stream`] does, reading and writing among it, and below that what only TCP knows.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///
///     client.write_all("hello").await.0?;
///     let (result, buffer) = server.read(Vec::with_capacity(64)).await;
///     assert_eq!(result?, 5);
///     assert_eq!(buffer, b"hello");
///     Ok(())
/// })?
/// # }
/// ```
pub type TcpStream = Stream<Inet>;

/// Listens for TCP connections.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let client = annulus::spawn(TcpStream::connect(address));
///     let (stream, peer) = listener.accept().await?;
///     assert_eq!(stream.peer_addr()?, peer);
///     client.await??;
///     Ok(())
/// })?
/// # }
/// ```
pub type TcpListener = Listener<Inet>;

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Errors
    /// Those of connect(2), of the last address that was tried; those of resolving a name.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let mut last = None;
        for address in resolve(address).await? {
            let socket = socket::tcp(&address).await?;
            match Submitted::new(Connect::new(socket.hold(), SockAddr::from(address))).await {
                Ok(()) => return Ok(Stream::new(socket)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("resolving gives at least one address"))
    }

    /// Sends small writes at once instead of gathering them (Nagle's algorithm off).
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        socket::set(self.socket(), Setting::Nodelay(on))
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        socket::flag(self.socket(), Property::Nodelay)
    }

    /// Lets the system find out by itself that a silent peer is gone.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_keepalive(&self, on: bool) -> io::Result<()> {
        socket::set(self.socket(), Setting::Keepalive(on))
    }

    /// Whether the system looks after a silent peer.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn keepalive(&self) -> io::Result<bool> {
        socket::flag(self.socket(), Property::Keepalive)
    }

    /// How long closing may take to send what was written; zero resets the connection instead.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_linger(&self, span: Option<Duration>) -> io::Result<()> {
        socket::set(self.socket(), Setting::Linger(span))
    }

    /// How long closing may take to send what was written.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        socket::span(self.socket(), Property::Linger)
    }

    /// Sets the time to live of packets, in hops.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        socket::set(self.socket(), Setting::Ttl(hops))
    }

    /// The time to live of packets, in hops.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(socket::number(self.socket(), Property::Ttl)? as u32)
    }
}

impl TcpListener {
    /// Listens at the first of the addresses that can be bound. Port 0 lets the system choose; ask
    /// [`local_addr`](Self::local_addr).
    ///
    /// SO_REUSEADDR is set, so that a server can be started again at once.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2), with the remedy in the text where there is one; those of resolving a name.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind_with_backlog(address, BACKLOG).await
    }

    /// As [`bind`](Self::bind), with a length of the queue of connections that wait to be accepted.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    /// As [`bind`](Self::bind).
    pub async fn bind_with_backlog(address: impl ToSocketAddrs, backlog: u32) -> io::Result<TcpListener> {
        let mut last = None;
        for address in resolve(address).await? {
            match listen(address, backlog).await {
                Ok(socket) => return Ok(Listener::new(socket)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("resolving gives at least one address"))
    }

    /// Sets the time to live of packets, in hops, also of connections that are accepted.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        socket::set(self.socket(), Setting::Ttl(hops))
    }

    /// The time to live of packets, in hops.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(socket::number(self.socket(), Property::Ttl)? as u32)
    }
}

async fn listen(address: SocketAddr, backlog: u32) -> io::Result<Descriptor> {
    let socket = socket::tcp(&address).await?;
    socket::set(&socket, Setting::ReuseAddress(true))?;
    socket::bind(&socket, address)?;
    socket::listen(&socket, backlog)?;
    Ok(socket)
}
