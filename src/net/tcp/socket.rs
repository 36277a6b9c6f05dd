//! A TCP socket before it is a connection or a listener.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use socket2::{Domain, SockAddr};

use super::{TcpListener, TcpStream};
use crate::driver::Descriptor;
use crate::net::family::{Family, Inet};
use crate::net::handover;
use crate::net::listener::Listener;
use crate::net::socket;
use crate::net::stream::Stream;
use crate::op::{Connect, Submitted};

/// A TCP socket that is neither connected nor listens yet: to set its options, and to bind it, before it does.
///
/// For most, [`TcpStream::connect`] and [`TcpListener::bind`] do. Nothing is set on a socket that is made here,
/// SO_REUSEADDR neither, which [`TcpListener::bind`] sets.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::TcpSocket;
///
/// annulus::run(async {
///     let socket = TcpSocket::new_v4().await?;
///     socket.set_reuseaddr(true)?;
///     socket.set_recv_buffer_size(1 << 16)?;
///     socket.bind("127.0.0.1:0".parse().unwrap())?;
///     let listener = socket.listen(128)?;
///
///     let socket = TcpSocket::new_v4().await?;
///     socket.set_nodelay(true)?;
///     let stream = socket.connect(listener.local_addr()?).await?;
///     assert!(stream.nodelay()?);
///     Ok(())
/// })?
/// # }
/// ```
pub struct TcpSocket {
    socket: Descriptor,
}

impl TcpSocket {
    /// A socket for addresses of version 4.
    ///
    /// # Errors
    /// Those of socket(2).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`TcpSocket`].
    pub async fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::of(Domain::IPV4).await
    }

    /// A socket for addresses of version 6, and of version 4 as well unless [`set_only_v6`](Self::set_only_v6) says
    /// otherwise.
    ///
    /// # Errors
    /// Those of socket(2): EAFNOSUPPORT where the system has no version 6.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpSocket, TcpStream};
    ///
    /// annulus::run(async {
    ///     let socket = TcpSocket::new_v6().await?;
    ///     socket.bind("[::1]:0".parse().unwrap())?;
    ///     assert!(socket.local_addr()?.is_ipv6());
    ///     assert!(socket.take_error()?.is_none());
    ///     let listener = socket.listen(16)?;
    /// #     drop(TcpStream::connect(listener.local_addr()?).await?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::of(Domain::IPV6).await
    }

    async fn of(domain: Domain) -> io::Result<TcpSocket> {
        Ok(TcpSocket { socket: socket::tcp_of(domain).await? })
    }

    pub(super) fn socket(&self) -> &Descriptor {
        &self.socket
    }

    /// Gives the socket an address of this machine. Port 0 lets the system choose.
    ///
    /// # Errors
    /// Those of bind(2), with the remedy in the text where there is one.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        socket::bind(&self.socket, address)
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// Those of connect(2). The socket is then closed.
    ///
    /// # Cancel safety
    /// Dropping it closes the socket.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        Submitted::new(Connect::new(self.socket.hold(), SockAddr::from(address))).await?;
        Ok(Stream::new(self.socket))
    }

    /// Listens. At most `backlog` connections wait to be accepted, and no more than the system's own limit
    /// (net.core.somaxconn).
    ///
    /// # Errors
    /// Those of listen(2): EADDRINUSE if another socket listens at the same address.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        socket::listen(&self.socket, backlog)?;
        Ok(Listener::new(self.socket))
    }

    /// The address of this end: unspecified, with port 0, until it is bound.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Inet::address(socket::local_name(&self.socket)?)
    }

    /// The error that waits on the socket, which is thereby taken.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    ///
    /// # Examples
    /// As [`new_v6`](Self::new_v6).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        socket::take_error(&self.socket)
    }

    /// Shows the descriptor to `ask`, for an option that this crate does not have: see
    /// [`TcpStream::with_fd`](crate::net::Stream::with_fd).
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose sockets are no descriptors.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::os::fd::AsRawFd;
    /// use annulus::net::TcpSocket;
    ///
    /// annulus::run(async {
    ///     let socket = TcpSocket::new_v4().await?;
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     println!("descriptor {}", socket.with_fd(|descriptor| descriptor.as_raw_fd())?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn with_fd<R>(&self, ask: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        handover::show(&self.socket, ask)
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket").field("local_addr", &self.local_addr().ok()).finish()
    }
}
