//! UDP. See udp(7).

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, SockAddr, Type};

use super::addresses::{ToSocketAddrs, resolve};
use super::datagram::Datagram;
use super::family::Inet;
use super::handover::{NotHandedOver, adopt};
use super::message::LeftMessage;
use super::socket;
use crate::buf::IoBuf;
use crate::driver::Setting;
use crate::engine::current_port;
use crate::op::{Connect, Many, One, SendMessage, Socket, Submitted};
use crate::sys::control::Ancillary;

/// A UDP socket.
///
/// What every [`Datagram`] socket does, receiving among it, and below that what only UDP knows.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::UdpSocket;
///
/// annulus::run(async {
///     let server = UdpSocket::bind("127.0.0.1:0").await?;
///     let client = UdpSocket::bind("127.0.0.1:0").await?;
///
///     client.send_to("hello", server.local_addr()?).await.0?;
///     let (received, buffer) = server.recv_from(Vec::with_capacity(1500)).await;
///     let received = received?;
///     assert_eq!((&buffer[..], received.truncated), (&b"hello"[..], false));
///     assert_eq!(received.from, client.local_addr()?);
///     Ok(())
/// })?
/// # }
/// ```
pub type UdpSocket = Datagram<Inet>;

impl UdpSocket {
    /// A socket at the first of the addresses that can be bound. Port 0 lets the system choose; ask
    /// [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    /// Those of bind(2), with the remedy in the text where there is one; those of resolving a name.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`UdpSocket`].
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let mut last = None;
        for address in resolve(address).await? {
            let socket = UdpSocket::of(Domain::for_address(address)).await?;
            match socket.bind_to(address) {
                Ok(()) => return Ok(socket),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("resolving gives at least one address"))
    }

    /// A socket of IPv4 without an address: to set what has to be set before it gets one, by
    /// [`bind_to`](Self::bind_to), or by the first send.
    ///
    /// # Errors
    /// Those of socket(2).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// Two sockets that share a port:
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let first = UdpSocket::unbound_v4().await?;
    ///     first.set_reuse_port(true)?;
    ///     first.bind_to("127.0.0.1:0".parse().unwrap())?;
    ///     let second = UdpSocket::unbound_v4().await?;
    ///     second.set_reuse_port(true)?;
    ///     second.bind_to(first.local_addr()?)?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn unbound_v4() -> io::Result<UdpSocket> {
        UdpSocket::of(Domain::IPV4).await
    }

    /// As [`unbound_v4`](Self::unbound_v4), of IPv6, and of IPv4 as well unless it is told otherwise:
    /// [`set_only_v6`](Self::set_only_v6).
    ///
    /// # Errors
    /// Those of socket(2).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`set_only_v6`](Self::set_only_v6).
    pub async fn unbound_v6() -> io::Result<UdpSocket> {
        UdpSocket::of(Domain::IPV6).await
    }

    async fn of(domain: Domain) -> io::Result<UdpSocket> {
        let socket = Socket::new(current_port(), domain.into(), Type::DGRAM.into(), 0);
        Submitted::new(socket).await.map(Datagram::new)
    }

    /// Gives an unbound socket its address.
    ///
    /// # Errors
    /// Those of bind(2), with the remedy in the text where there is one. EINVAL: it has one already.
    ///
    /// # Examples
    /// As [`unbound_v4`](Self::unbound_v4).
    pub fn bind_to(&self, address: SocketAddr) -> io::Result<()> {
        socket::bind(self.socket(), address)
    }

    /// Connects to the first of the addresses that can be: from now on [`send`](Self::send) goes there, and only what
    /// comes from there is received. It may be connected again, to another peer. Nothing is sent by it.
    ///
    /// # Errors
    /// Those of connect(2), of the last address that was tried; those of resolving a name.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let server = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let client = UdpSocket::bind("127.0.0.1:0").await?;
    ///     client.connect(server.local_addr()?).await?;
    ///     client.send("hello").await.0?;
    ///     let (received, buffer) = server.recv(Vec::with_capacity(1500)).await;
    ///     assert_eq!(received?.len, buffer.len());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        let mut last = None;
        for address in resolve(address).await? {
            match Submitted::new(Connect::new(self.socket().hold(), SockAddr::from(address))).await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("resolving gives at least one address"))
    }

    /// Sends the buffer as one datagram to an address.
    ///
    /// # Cancel safety
    /// After dropping it, the datagram may have been sent, or not.
    ///
    /// # Errors
    /// Those of sendmsg(2). EMSGSIZE: it is longer than a datagram can be, 65507 bytes by IPv4. EACCES: the address is for
    /// all, and the socket may not send to all: [`set_broadcast`](Self::set_broadcast).
    ///
    /// # Examples
    /// As [`recv_from`](Self::recv_from).
    pub fn send_to<B: IoBuf>(&self, buffer: B, to: SocketAddr) -> Submitted<SendMessage<One<B>>> {
        Submitted::new(self.message(One(buffer), Some(&to), Ancillary::new()))
    }

    /// As [`send_to`](Self::send_to), of several buffers, one after the other, as one datagram.
    ///
    /// # Cancel safety
    /// As [`send_to`](Self::send_to).
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    ///     one.send_to_vectored(vec!["head", "body"], other.local_addr()?).await.0?;
    ///     let (received, buffers) = other.recv_from_vectored(vec![Vec::with_capacity(4), Vec::with_capacity(4)]).await;
    ///     assert_eq!(received?.len, 8);
    ///     assert_eq!(buffers, [b"head", b"body"]);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn send_to_vectored<B: IoBuf>(
        &self,
        buffers: Vec<B>,
        to: SocketAddr,
    ) -> Submitted<SendMessage<Many<B>>> {
        Submitted::new(self.message(Many(buffers), Some(&to), Ancillary::new()))
    }

    /// Sends the buffer with control data, to an address or to the peer: from a certain address of this host, with a
    /// traffic class, or as several datagrams with one call.
    ///
    /// # Cancel safety
    /// As [`send_to`](Self::send_to).
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to). EINVAL: the control data is not for this socket. `Unsupported` where the system
    /// does not know it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{Ancillary, UdpSocket};
    ///
    /// annulus::run(async {
    ///     let server = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let client = UdpSocket::bind("127.0.0.1:0").await?;
    ///     # if cfg!(target_os = "linux") {
    ///     server.set_receive_traffic_class(true)?;
    ///
    ///     let with = Ancillary::new().with_traffic_class(0b10);
    ///     client.send_message("careful", Some(server.local_addr()?), with).await.0?;
    ///     let (message, _buffer) = server.recv_message(Vec::with_capacity(1500)).await;
    ///     assert_eq!(message?.control.congestion(), Some(0b10));
    ///     # }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn send_message<B: IoBuf>(
        &self,
        buffer: B,
        to: Option<SocketAddr>,
        ancillary: Ancillary,
    ) -> Submitted<SendMessage<One<B>>> {
        Submitted::new(self.message(One(buffer), to.as_ref(), ancillary))
    }

    /// As [`send_message`](Self::send_message), of several buffers, one after the other.
    ///
    /// # Cancel safety
    /// As [`send_to`](Self::send_to).
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{Ancillary, UdpSocket};
    ///
    /// annulus::run(async {
    ///     let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    ///     let to = other.local_addr()?;
    ///     one.send_message_vectored(vec!["head", "body"], Some(to), Ancillary::new()).await.0?;
    ///     let (message, buffers) = other.recv_message_vectored(vec![Vec::with_capacity(64)], 512).await;
    ///     assert_eq!((message?.from, &buffers[0][..]), (one.local_addr()?, &b"headbody"[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn send_message_vectored<B: IoBuf>(
        &self,
        buffers: Vec<B>,
        to: Option<SocketAddr>,
        ancillary: Ancillary,
    ) -> Submitted<SendMessage<Many<B>>> {
        Submitted::new(self.message(Many(buffers), to.as_ref(), ancillary))
    }

    /// Ends what is in flight and gives the socket to the standard library, with the datagrams that dropped receives have
    /// received, in their order. It blocks, as std's own do, unless it came here non-blocking.
    ///
    /// # Cancel safety
    /// Dropping it closes the socket.
    ///
    /// # Errors
    /// `Unsupported` in a simulated world. The error that a dropped operation met, which otherwise the next one is told. The
    /// socket is given back with it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// # if std::env::var("ANNULUS_DRIVER").is_ok_and(|driver| driver.starts_with("sim")) {
    /// #     return Ok(());
    /// # }
    /// annulus::run(async {
    ///     let std = std::net::UdpSocket::bind("127.0.0.1:0")?;
    ///     let socket = UdpSocket::from_std(std)?;
    ///     let address = socket.local_addr()?;
    ///     let (std, left) = socket.into_std().await?;
    ///     assert_eq!(std.local_addr()?, address);
    ///     assert!(left.is_empty());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn into_std(
        self,
    ) -> Result<(std::net::UdpSocket, Vec<LeftMessage<SocketAddr>>), NotHandedOver<Self>> {
        let (descriptor, left) = self.hand_over().await?;
        Ok((descriptor.into(), left))
    }

    /// Takes a socket of the standard library into the running loop, and makes it non-blocking.
    ///
    /// # Errors
    /// Those of ioctl(2). `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let socket = UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    ///     socket.send_to("to myself", socket.local_addr()?).await.0?;
    ///     let (socket, left) = socket.into_std().await?;
    ///     assert!(left.is_empty(), "no receive was dropped");
    ///     assert_eq!(socket.recv(&mut [0; 64])?, 9);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        adopt(socket).map(Datagram::new)
    }

    /// Lets the socket be bound to an address that another one has, which allows it as well. Of several the last that was
    /// bound gets what comes; of a group, all do. Before it is bound.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    ///
    /// # Examples
    /// As [`set_reuse_port`](Self::set_reuse_port).
    pub fn set_reuse_address(&self, on: bool) -> io::Result<()> {
        socket::set(self.socket(), Setting::ReuseAddress(on))
    }
}
