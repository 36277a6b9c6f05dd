//! The families of addresses, which tell sockets apart that otherwise do the same.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use socket2::SockAddr;

use super::unix;

/// A family of addresses: what a socket's ends are called, and what it is itself called when it is one of that family.
///
/// A stream, a listener or a datagram socket does the same whatever its family is, and so is written once:
/// [`TcpStream`](super::TcpStream) is `Stream<Inet>`. Only this crate implements it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::fmt::Debug;
/// use annulus::net::{Family, Listener, Stream, TcpListener, TcpStream};
///
/// annulus::run(async {
///     // For whatever family there is.
///     async fn greet<F: Family<Address: Debug>>(listener: &Listener<F>) -> std::io::Result<Stream<F>> {
///         let (stream, peer) = listener.accept().await?;
///         stream.write_all(format!("hello {peer:?}")).await.0?;
///         Ok(stream)
///     }
///
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     drop(greet(&listener).await?);
///     assert!(client.recv().await?.starts_with(b"hello 127.0.0.1"));
///     Ok(())
/// })?
/// # }
/// ```
pub trait Family: sealed::Sealed + Sized + 'static {
    /// The name of an end.
    type Address: fmt::Debug + Clone + 'static;

    #[doc(hidden)]
    const STREAM: &'static str;
    #[doc(hidden)]
    const LISTENER: &'static str;
    #[doc(hidden)]
    const DATAGRAM: &'static str;
    /// Whether a datagram that finds no room may wait for it, whoever it goes to.
    #[doc(hidden)]
    const WAKES_SENDERS: bool;

    /// What the system calls an end, as users see it.
    #[doc(hidden)]
    fn address(name: SockAddr) -> io::Result<Self::Address>;

    /// What the system calls an end.
    #[doc(hidden)]
    fn name(address: &Self::Address) -> SockAddr;

    /// Who sent a message, as the system tells it; without a name where the sender has none.
    #[doc(hidden)]
    fn sender(name: Option<SockAddr>) -> io::Result<Self::Address>;
}

/// The internet's: IPv4 and IPv6. See ip(7), ipv6(7).
///
/// # Examples
/// As [`TcpStream`](super::TcpStream), which is a [`Stream`](super::Stream) of it.
#[derive(Debug)]
pub enum Inet {}

impl Family for Inet {
    type Address = SocketAddr;

    const STREAM: &'static str = "TcpStream";
    const LISTENER: &'static str = "TcpListener";
    const DATAGRAM: &'static str = "UdpSocket";
    const WAKES_SENDERS: bool = true;

    fn address(name: SockAddr) -> io::Result<SocketAddr> {
        name.as_socket().ok_or_else(|| io::Error::other("the socket is not one of the internet's"))
    }

    fn name(address: &SocketAddr) -> SockAddr {
        SockAddr::from(*address)
    }

    fn sender(name: Option<SockAddr>) -> io::Result<SocketAddr> {
        name.map_or_else(|| Err(io::Error::other("the system did not say who sent it")), Self::address)
    }
}

/// This machine's: names in the file system, or in the abstract namespace. See unix(7).
///
/// # Examples
/// As [`UnixStream`](super::UnixStream), which is a [`Stream`](super::Stream) of it.
#[derive(Debug)]
pub enum Unix {}

impl Family for Unix {
    type Address = unix::SocketAddr;

    const STREAM: &'static str = "UnixStream";
    const LISTENER: &'static str = "UnixListener";
    const DATAGRAM: &'static str = "UnixDatagram";
    const WAKES_SENDERS: bool = false;

    fn address(name: SockAddr) -> io::Result<unix::SocketAddr> {
        unix::SocketAddr::of(&name)
    }

    fn name(address: &unix::SocketAddr) -> SockAddr {
        address.name()
    }

    fn sender(name: Option<SockAddr>) -> io::Result<unix::SocketAddr> {
        name.map_or_else(|| Ok(unix::SocketAddr::unnamed()), Self::address)
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Unix {}

    impl Sealed for super::Inet {}
}
