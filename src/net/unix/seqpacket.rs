//! Sequenced packets of Unix sockets: connections whose messages keep their bounds. See unix(7).

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::path::Path;

use socket2::{Domain, Type};

use super::SocketAddr;
use super::connect::connect;
use crate::buf::{IoBuf, IoBufMut};
use crate::driver::{Descriptor, PacketOption, Property, Setting};
use crate::engine::current_port;
use crate::net::family::{Family, Unix};
use crate::net::message::{CONTROL_ROOM, Control, Length};
use crate::net::socket;
use crate::op::{self, Bounds, Load, Many, One, RecvMessage, Room, SendMessage, Socket, Submitted, Tells};
use crate::sys::control::Ancillary;

/// A Unix connection whose messages keep their bounds: what one send sends one receive receives.
///
/// None is lost, and they arrive in order. A receive whose buffer is too short says so
/// ([`Received::truncated`](crate::net::Received::truncated)); the rest of the message is gone.
///
/// A receive of 0 bytes is the end: the peer has closed, or shut down its writing. An empty message looks the same, so
/// do not send one. Linux, FreeBSD and others have it, Apple's systems do not: there it is an error.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::UnixSeqpacket;
///
/// # if cfg!(target_os = "linux") {
/// annulus::run(async {
///     let (one, other) = UnixSeqpacket::pair()?;
///     one.send("first").await.0?;
///     one.send("second").await.0?;
///     one.close().await?;
///     let (received, buffer) = other.recv(Vec::with_capacity(100)).await;
///     assert_eq!((received?.len, &buffer[..]), (5, &b"first"[..]));
///     assert_eq!(other.recv(buffer).await.1, b"second");
///     assert_eq!(other.recv(Vec::with_capacity(100)).await.0?.len, 0);
///     std::io::Result::Ok(())
/// })??;
/// # }
/// # Ok(())
/// # }
/// ```
pub struct UnixSeqpacket {
    socket: Descriptor,
}

pub(super) async fn seqpacket() -> io::Result<Descriptor> {
    Submitted::new(Socket::new(current_port(), Domain::UNIX.into(), Type::SEQPACKET.into(), 0)).await
}

impl UnixSeqpacket {
    pub(super) fn of(socket: Descriptor) -> UnixSeqpacket {
        UnixSeqpacket { socket: socket.seen_as("UnixSeqpacket", "socket") }
    }

    /// Connects to a listener, by its path. While as many connections wait to be accepted as it lets wait, this waits as well.
    ///
    /// # Errors
    /// Those of connect(2). ECONNREFUSED: nobody listens there any more. EPROTOTYPE: who listens there is of another
    /// type.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`UnixSeqpacketListener`](super::UnixSeqpacketListener).
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixSeqpacket> {
        UnixSeqpacket::connect_addr(&SocketAddr::from_pathname(path)?).await
    }

    /// Connects to a listener that has a name of any kind.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`UnixStream::connect_addr`](super::UnixStream::connect_addr).
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixSeqpacket> {
        let socket = seqpacket().await?;
        connect(&socket, address).await?;
        Ok(UnixSeqpacket::of(socket))
    }

    /// Two ends without names.
    ///
    /// # Errors
    /// Those of socketpair(2).
    ///
    /// # Panics
    /// Outside of a running loop.
    pub fn pair() -> io::Result<(UnixSeqpacket, UnixSeqpacket)> {
        let (one, other) = socket::pair(libc::SOCK_SEQPACKET)?;
        Ok((UnixSeqpacket::of(one), UnixSeqpacket::of(other)))
    }

    fn receive<P: Room, T: Tells>(&self, room: P, control_bytes: usize) -> RecvMessage<P, T> {
        RecvMessage::new(self.socket.hold(), Bounds::Kept, room, control_bytes)
    }

    fn message<P: Load>(&self, load: P, ancillary: Ancillary) -> SendMessage<P> {
        SendMessage::new(self.socket.hold(), Bounds::Kept, load, None, ancillary)
    }

    /// Receives a message into the buffer, from its beginning up to all the room that it has, and sets its length to
    /// what was received. 0 is the end.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: a message that comes all the same is given to the next receive, with its bounds
    /// and its control data. What the dropped one had no room for is gone. To get the buffer back,
    /// [`cancel`](Submitted::cancel).
    ///
    /// # Errors
    /// Those of recvmsg(2). ECONNRESET: the peer has closed, and left something unread.
    pub fn recv<B: IoBufMut>(&self, buffer: B) -> Submitted<RecvMessage<One<B>, Length>> {
        Submitted::new(self.receive(One(buffer), 0))
    }

    /// As [`recv`](Self::recv), into several buffers, filling one after the other.
    ///
    /// # Cancel safety
    /// As [`recv`](Self::recv).
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// As [`readable`](Self::readable).
    pub fn recv_vectored<B: IoBufMut>(&self, buffers: Vec<B>) -> Submitted<RecvMessage<Many<B>, Length>> {
        Submitted::new(self.receive(Many(buffers), 0))
    }

    /// Receives a message with the descriptors and credentials that came with it. There is room for 1280 bytes of that.
    ///
    /// # Cancel safety
    /// As [`recv`](Self::recv). Descriptors of a message that nobody receives any more are closed with the socket.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// As [`UnixStream::send_message`](super::UnixStream::send_message).
    pub fn recv_message<B: IoBufMut>(&self, buffer: B) -> Submitted<RecvMessage<One<B>, Control>> {
        Submitted::new(self.receive(One(buffer), CONTROL_ROOM))
    }

    /// As [`recv_message`](Self::recv_message), into several buffers, and with so many bytes of room for control data.
    ///
    /// # Cancel safety
    /// As [`recv_message`](Self::recv_message).
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// As [`recv_message`](Self::recv_message), with several buffers.
    pub fn recv_message_vectored<B: IoBufMut>(
        &self,
        buffers: Vec<B>,
        control_bytes: usize,
    ) -> Submitted<RecvMessage<Many<B>, Control>> {
        Submitted::new(self.receive(Many(buffers), control_bytes))
    }

    /// Looks at the next message, which stays for the next receive.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// As [`readable`](Self::readable).
    pub fn peek<B: IoBufMut>(&self, buffer: B) -> Submitted<RecvMessage<One<B>, Length>> {
        Submitted::new(self.receive(One(buffer), 0).peeking())
    }

    /// Sends the buffer as one message. Never raises SIGPIPE.
    ///
    /// # Cancel safety
    /// After dropping it, the message may have been sent, or not.
    ///
    /// # Errors
    /// Those of sendmsg(2). EPIPE: the peer has closed. EMSGSIZE: it is longer than the send buffer.
    pub fn send<B: IoBuf>(&self, buffer: B) -> Submitted<SendMessage<One<B>>> {
        Submitted::new(self.message(One(buffer), Ancillary::new()))
    }

    /// As [`send`](Self::send), of several buffers, one after the other, as one message.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Examples
    /// As [`readable`](Self::readable).
    pub fn send_vectored<B: IoBuf>(&self, buffers: Vec<B>) -> Submitted<SendMessage<Many<B>>> {
        Submitted::new(self.message(Many(buffers), Ancillary::new()))
    }

    /// Sends the buffer as one message, with descriptors or credentials.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send). Its descriptors are closed here in any case.
    ///
    /// # Errors
    /// As [`send`](Self::send). `Unsupported` in a simulated world, which has no descriptors to send.
    ///
    /// # Examples
    /// As [`UnixStream::send_message`](super::UnixStream::send_message).
    pub fn send_message<B: IoBuf>(&self, buffer: B, ancillary: Ancillary) -> Submitted<SendMessage<One<B>>> {
        Submitted::new(self.message(One(buffer), ancillary))
    }

    /// Waits until a receive would find something: a message, the end, or an error.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::net::Shutdown;
    /// use annulus::net::UnixSeqpacket;
    ///
    /// annulus::run(async {
    /// #     if !cfg!(target_os = "linux") { return Ok(()); }
    ///     let (one, other) = UnixSeqpacket::pair()?;
    ///     one.writable().await?;
    ///     one.send_vectored(vec!["head", "body"]).await.0?;
    ///     other.readable().await?;
    ///     // A look leaves it where it is.
    ///     assert_eq!(other.peek(Vec::with_capacity(64)).await.0?.len, 8);
    ///     let (received, buffers) = other.recv_vectored(vec![Vec::with_capacity(4), Vec::with_capacity(4)]).await;
    ///     assert_eq!((received?.len, &buffers[1][..]), (8, &b"body"[..]));
    ///     one.shutdown(Shutdown::Write).await?;
    ///     assert_eq!(other.recv(Vec::with_capacity(64)).await.0?.len, 0);
    ///     assert!(one.local_addr()?.is_unnamed() && one.peer_addr()?.is_unnamed());
    ///     assert!(other.take_error()?.is_none());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        Submitted::new(op::Poll::new(self.socket.hold(), libc::POLLIN)).await.map(drop)
    }

    /// Waits until a send would find room, or an error.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Examples
    /// As [`readable`](Self::readable).
    pub async fn writable(&self) -> io::Result<()> {
        Submitted::new(op::Poll::new(self.socket.hold(), libc::POLLOUT)).await.map(drop)
    }

    /// Ends one direction, or both: the peer sees the end of what is sent here after all that was sent before.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Errors
    /// Those of shutdown(2).
    ///
    /// # Examples
    /// As [`readable`](Self::readable).
    pub fn shutdown(&self, how: Shutdown) -> Submitted<op::Shutdown> {
        Submitted::new(op::Shutdown::new(self.socket.hold(), socket::how(how)))
    }

    /// Has messages tell who sent them: [`Ancillary::credentials`]. Linux only.
    ///
    /// # Errors
    /// Those of setsockopt(2). `Unsupported` where the system does not know it, and in a simulated world.
    ///
    /// # Examples
    /// As [`UnixDatagram::set_pass_credentials`](super::UnixDatagram::set_pass_credentials).
    pub fn set_pass_credentials(&self, on: bool) -> io::Result<()> {
        socket::set(&self.socket, Setting::Packet(PacketOption::PassCredentials, on.into()))
    }

    /// Whether messages tell who sent them. Linux only.
    ///
    /// # Errors
    /// As [`set_pass_credentials`](Self::set_pass_credentials).
    ///
    /// # Examples
    /// As [`set_pass_credentials`](Self::set_pass_credentials).
    pub fn pass_credentials(&self) -> io::Result<bool> {
        Ok(socket::number(&self.socket, Property::Packet(PacketOption::PassCredentials))? != 0)
    }

    /// The name of this end.
    ///
    /// # Errors
    /// Those of getsockname(2).
    ///
    /// # Examples
    /// As [`readable`](Self::readable).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_name(&self.socket).and_then(Unix::address)
    }

    /// The name of the other end.
    ///
    /// # Errors
    /// Those of getpeername(2).
    ///
    /// # Examples
    /// As [`readable`](Self::readable).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        socket::peer_name(&self.socket).and_then(Unix::address)
    }

    /// The error that waits on the socket, which is thereby taken.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    ///
    /// # Examples
    /// As [`readable`](Self::readable).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        socket::take_error(&self.socket)
    }

    /// Ends what is in flight, closes, and says how that went. Dropping the connection does the same without waiting.
    ///
    /// # Errors
    /// Those of close(2).
    ///
    /// # Cancel safety
    /// Dropping it closes all the same.
    pub async fn close(self) -> io::Result<()> {
        op::close(self.socket).await
    }
}

impl fmt::Debug for UnixSeqpacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixSeqpacket")
            .field("local_addr", &self.local_addr().ok())
            .field("peer_addr", &self.peer_addr().ok())
            .finish()
    }
}
