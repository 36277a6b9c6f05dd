//! The families of addresses, which tell sockets apart that otherwise do the same.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use socket2::SockAddr;

/// A family of addresses: what a socket's ends are called, and what it is itself called when it is one of that family.
///
/// A stream, a listener or a datagram socket does the same whatever its family is, and so is written once:
/// [`TcpStream`](super::TcpStream) is `Stream<Inet>`. Only this crate implements it.
pub trait Family: sealed::Sealed + Sized + 'static {
    /// The name of an end.
    type Address: fmt::Debug + Clone + 'static;

    #[doc(hidden)]
    const STREAM: &'static str;
    #[doc(hidden)]
    const LISTENER: &'static str;

    /// What the system calls an end, as users see it.
    #[doc(hidden)]
    fn address(name: SockAddr) -> io::Result<Self::Address>;
}

/// The internet's: IPv4 and IPv6. See ip(7), ipv6(7).
#[derive(Debug)]
pub enum Inet {}

impl Family for Inet {
    type Address = SocketAddr;

    const STREAM: &'static str = "TcpStream";
    const LISTENER: &'static str = "TcpListener";

    fn address(name: SockAddr) -> io::Result<SocketAddr> {
        name.as_socket().ok_or_else(|| io::Error::other("the socket is not one of the internet's"))
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Inet {}
}
