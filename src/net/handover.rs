//! Sockets that come from the standard library, go to it, or are shown to somebody who wants a descriptor.
//!
//! There is no `AsFd`: in a simulated world a socket's number is not a descriptor of the operating system's, so the
//! trait's promise could not be kept.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};

use socket2::SockRef;

use super::family::{Family, Inet};
use super::listener::Listener;
use super::stream::Stream;
use crate::driver::Descriptor;
use crate::engine::current_port;
use crate::op::{self, Bounds};
use crate::sys;

/// Why something was not handed over, and what: it is given back, and can be used on.
///
/// `?` makes an [`io::Error`] of it, and drops what was given back.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::UdpSocket;
///
/// annulus::run(async {
/// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
///     match socket.into_std().await {
///         Ok((socket, _left)) => println!("{socket:?} is the standard library's"),
///         // The socket is given back, and is as it was.
///         Err(refused) => println!("{}: {:?}", refused.error, refused.socket),
///     }
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct NotHandedOver<S> {
    /// Why.
    pub error: io::Error,
    /// What stays.
    pub socket: S,
}

impl<S> fmt::Display for NotHandedOver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the socket was not handed over: {}", self.error)
    }
}

impl<S: fmt::Debug> std::error::Error for NotHandedOver<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<S> From<NotHandedOver<S>> for io::Error {
    fn from(not: NotHandedOver<S>) -> io::Error {
        not.error
    }
}

/// Takes a socket in that somebody else made.
///
/// It is set to non-blocking mode, which its duplicates share: accept(2), sendfile(2) and splice(2) cannot be told not to
/// wait otherwise, and the loop must not. [`op::hand_over`] sets it back.
pub(super) fn adopt(socket: impl AsFd + Into<OwnedFd>) -> io::Result<Descriptor> {
    let port = current_port();
    if port.is_simulated() {
        return Err(op::simulated());
    }
    let blocks = !SockRef::from(&socket).nonblocking()?;
    if blocks {
        SockRef::from(&socket).set_nonblocking(true)?;
    }
    Ok(Descriptor::adopted(socket.into().into_raw_fd(), &port, blocks))
}

/// Shows the descriptor for the time of a call.
pub(super) fn show<R>(socket: &Descriptor, ask: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
    op::check_real(socket)?;
    Ok(sys::with_descriptor(socket.port().plain(socket.number())?, ask))
}

impl<F: Family> Stream<F> {
    /// Ends what is in flight, and gives the descriptor away with the bytes that dropped reads received.
    pub(super) async fn hand_over(self) -> Result<(OwnedFd, Vec<u8>), NotHandedOver<Self>> {
        match op::hand_over(self.into_socket(), Bounds::None).await {
            Ok((descriptor, luggage)) => Ok((descriptor, luggage.bytes)),
            Err((error, socket)) => Err(NotHandedOver { error, socket: Stream::new(socket) }),
        }
    }

    /// Shows the descriptor to `ask`, for a call that this crate does not have: an option of another library's, for
    /// example `socket2::SockRef::from(&descriptor)`.
    ///
    /// The loop goes on using the descriptor afterwards. What reads from it takes bytes away from the stream, and in
    /// blocking mode it may hold up the whole loop.
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose sockets are no descriptors.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream};
    /// use std::os::fd::AsRawFd;
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let stream = TcpStream::connect(listener.local_addr()?).await?;
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let number = stream.with_fd(|descriptor| descriptor.as_raw_fd())?;
    ///     println!("see /proc/self/fd/{number}");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn with_fd<R>(&self, ask: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        show(self.socket(), ask)
    }
}

impl<F: Family> Listener<F> {
    /// Ends what is in flight, and gives the descriptor away with the connections that dropped accepts accepted.
    pub(super) async fn hand_over(self) -> Result<(OwnedFd, Vec<OwnedFd>), NotHandedOver<Self>> {
        match op::hand_over(self.into_socket(), Bounds::None).await {
            Ok((descriptor, luggage)) => Ok((descriptor, luggage.connections)),
            Err((error, socket)) => Err(NotHandedOver { error, socket: Listener::new(socket) }),
        }
    }

    /// Shows the descriptor to `ask`, for a call that this crate does not have.
    ///
    /// The loop goes on using the descriptor afterwards.
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose sockets are no descriptors.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::os::fd::AsRawFd;
    /// use annulus::net::TcpListener;
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     println!("descriptor {}", listener.with_fd(|descriptor| descriptor.as_raw_fd())?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn with_fd<R>(&self, ask: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        show(self.socket(), ask)
    }
}

impl Stream<Inet> {
    /// Takes a connection of the standard library's to this loop.
    ///
    /// It may be in blocking mode: it is set to non-blocking mode here, which duplicates of it share, and back by
    /// [`into_std`](Self::into_std).
    ///
    /// # Errors
    /// Those of fcntl(2); `Unsupported` in a simulated world. The connection is then closed.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::io::Read;
    /// use annulus::net::TcpStream;
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let blocking = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let (mut peer, _) = listener.accept()?;
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let stream = TcpStream::from_std(blocking)?;
    ///     stream.write_all("hello").await.0?;
    ///     let (blocking, rest) = stream.into_std().await?;
    ///     assert!(rest.is_empty(), "no read was dropped");
    ///     drop(blocking);
    ///
    ///     let mut heard = String::new();
    ///     peer.read_to_string(&mut heard)?;
    ///     assert_eq!(heard, "hello");
    ///     std::io::Result::Ok(())
    /// })?
    /// # }
    /// ```
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        adopt(stream).map(Stream::new)
    }

    /// Makes a connection of the standard library's of this one, in blocking mode as those are, unless it came by
    /// [`from_std`](Self::from_std) in another. With it come the bytes that were received for reads that had been
    /// dropped: they are to be read before what the connection has.
    ///
    /// What is in flight is ended as by [`close`](Self::close): each operation that is still awaited somewhere resolves
    /// from its own completion. What such a read receives is its own, and not among the bytes here.
    ///
    /// # Errors
    /// The one that a dropped operation met, which would be told to nobody; those of fcntl(2); `Unsupported` in a
    /// simulated world. The stream is given back.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection.
    ///
    /// # Examples
    /// As [`from_std`](Self::from_std).
    pub async fn into_std(self) -> Result<(std::net::TcpStream, Vec<u8>), NotHandedOver<Self>> {
        let (descriptor, rest) = self.hand_over().await?;
        Ok((descriptor.into(), rest))
    }
}

impl Listener<Inet> {
    /// Takes a listener of the standard library's to this loop, for example one that another process handed down.
    ///
    /// It may be in blocking mode: it is set to non-blocking mode here, which duplicates of it share, and back by
    /// [`into_std`](Self::into_std).
    ///
    /// # Errors
    /// Those of fcntl(2); `Unsupported` in a simulated world. The listener is then closed.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let listener = TcpListener::from_std(listener)?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (_stream, peer) = listener.accept().await?;
    ///     assert_eq!(peer, client.local_addr()?);
    ///     let (_listener, accepted) = listener.into_std().await?;
    ///     assert!(accepted.is_empty(), "no accept was dropped");
    ///     std::io::Result::Ok(())
    /// })?
    /// # }
    /// ```
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        adopt(listener).map(Listener::new)
    }

    /// Makes a listener of the standard library's of this one, in blocking mode as those are, unless it came by
    /// [`from_std`](Self::from_std) in another. With it come the connections that were accepted for accepts that had been
    /// dropped.
    ///
    /// # Errors
    /// The one that a dropped accept met; those of fcntl(2); `Unsupported` in a simulated world. The listener is given
    /// back.
    ///
    /// # Cancel safety
    /// Dropping it closes the listener.
    ///
    /// # Examples
    /// As [`from_std`](Self::from_std).
    pub async fn into_std(
        self,
    ) -> Result<(std::net::TcpListener, Vec<std::net::TcpStream>), NotHandedOver<Self>> {
        let (descriptor, accepted) = self.hand_over().await?;
        let streams = accepted.into_iter().map(std::net::TcpStream::from);
        // Made here, so non-blocking. Refused only of what is no descriptor.
        let streams = streams.inspect(|stream| drop(stream.set_nonblocking(false)));
        Ok((descriptor.into(), streams.collect()))
    }
}
