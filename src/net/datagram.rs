//! Sockets of datagrams: messages, each whole and for itself, whatever the family of the addresses.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::datagram_stream::DatagramStream;
use super::family::Family;
use super::handover::{NotHandedOver, show};
use super::message::{
    CONTROL_ROOM, CONTROL_ROOM_OF_MANY, Everything, LeftMessage, Length, Outgoing, Sender, left,
};
use crate::buf::{IoBuf, IoBufMut};
use crate::driver::Descriptor;
use crate::op::{
    self, Bounds, Load, Many, One, RecvMany, RecvMessage, Room, SendMany, SendMessage, Submitted, Tells,
};
use crate::sys::control::Ancillary;

/// A descriptor that was given away, with what was left in it; or why not.
pub(super) type HandedOver<S, M> = Result<(OwnedFd, Vec<M>), NotHandedOver<S>>;

/// A socket of datagrams: a [`UdpSocket`](super::UdpSocket) is one.
///
/// A datagram arrives whole or not at all; several may arrive in another order than they were sent in, or twice, where
/// the family has it so. One that is longer than the buffer it is received into is cut off, and
/// [`Received::truncated`](super::Received::truncated) says so. An empty one is a datagram as well: 0 bytes are not an
/// end.
///
/// All take `&self`: each direction lets one operation at a time through, first come first served, so a socket may be
/// shared by tasks. Dropping it ends what is in flight on it and closes it, without waiting.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::UdpSocket;
///
/// annulus::run(async {
///     let one = UdpSocket::bind("127.0.0.1:0").await?;
///     let other = UdpSocket::bind("127.0.0.1:0").await?;
///     one.connect(other.local_addr()?).await?;
///     other.connect(one.local_addr()?).await?;
///     assert_eq!(one.peer_addr()?, other.local_addr()?);
///
///     one.writable().await?;
///     one.send("first").await.0?;
///     one.send_vectored(vec!["sec", "ond"]).await.0?;
///     other.readable().await?;
///
///     // A look leaves it where it is.
///     let (seen, buffer) = other.peek(Vec::with_capacity(64)).await;
///     assert_eq!((seen?.len, &buffer[..]), (5, &b"first"[..]));
///     let (seen, buffer) = other.peek_from(buffer).await;
///     assert_eq!(seen?.from, one.local_addr()?);
///     let (received, buffer) = other.recv(buffer).await;
///     assert_eq!((received?.len, &buffer[..]), (5, &b"first"[..]));
///     let (received, buffers) = other.recv_vectored(vec![Vec::with_capacity(3), Vec::with_capacity(9)]).await;
///     assert_eq!((received?.len, &buffers[..]), (6, &[b"sec".to_vec(), b"ond".to_vec()][..]));
///     assert!(other.take_error()?.is_none());
///     other.close().await?;
///     Ok(())
/// })?
/// # }
/// ```
pub struct Datagram<F> {
    socket: Descriptor,
    family: PhantomData<F>,
}

impl<F: Family> Datagram<F> {
    pub(super) fn new(socket: Descriptor) -> Datagram<F> {
        Datagram { socket: socket.seen_as(F::DATAGRAM, "socket"), family: PhantomData }
    }

    pub(super) fn socket(&self) -> &Descriptor {
        &self.socket
    }

    fn receive<P: Room, T: Tells>(&self, room: P, control_bytes: usize) -> RecvMessage<P, T> {
        RecvMessage::new(self.socket.hold(), Bounds::Kept, room, control_bytes)
    }

    pub(super) fn message<P: Load>(
        &self,
        load: P,
        to: Option<&F::Address>,
        ancillary: Ancillary,
    ) -> SendMessage<P> {
        let to = to.map(F::name);
        SendMessage::new(self.socket.hold(), Bounds::Kept, load, to.as_ref(), ancillary)
    }

    /// Receives a datagram into the buffer, from its beginning up to all the room that it has, and sets its length to
    /// what was received. Does not ask who sent it.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: a datagram that comes all the same is given to the next receive, with its bounds,
    /// its sender and its control data. What the dropped one had no room for is gone. To get the buffer back,
    /// [`cancel`](Submitted::cancel).
    ///
    /// # Errors
    /// Those of recvmsg(2). A connected UDP socket is told ECONNREFUSED, once, when nobody takes what it sent.
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
    pub fn recv_vectored<B: IoBufMut>(&self, buffers: Vec<B>) -> Submitted<RecvMessage<Many<B>, Length>> {
        Submitted::new(self.receive(Many(buffers), 0))
    }

    /// Receives a datagram, and says who sent it.
    ///
    /// # Cancel safety
    /// As [`recv`](Self::recv).
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    ///     one.send_to("who am I?", other.local_addr()?).await.0?;
    ///     let (received, buffer) = other.recv_from(Vec::with_capacity(64)).await;
    ///     assert_eq!((received?.from, &buffer[..]), (one.local_addr()?, &b"who am I?"[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn recv_from<B: IoBufMut>(&self, buffer: B) -> Submitted<RecvMessage<One<B>, Sender<F>>> {
        Submitted::new(self.receive(One(buffer), 0))
    }

    /// As [`recv_from`](Self::recv_from), into several buffers, filling one after the other.
    ///
    /// # Cancel safety
    /// As [`recv`](Self::recv).
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// As [`UdpSocket::send_to_vectored`](super::UdpSocket::send_to_vectored).
    pub fn recv_from_vectored<B: IoBufMut>(
        &self,
        buffers: Vec<B>,
    ) -> Submitted<RecvMessage<Many<B>, Sender<F>>> {
        Submitted::new(self.receive(Many(buffers), 0))
    }

    /// Receives a datagram with everything that is told of it: who sent it, and the control data that came with it.
    /// There is room for 1280 bytes of that.
    ///
    /// # Cancel safety
    /// As [`recv`](Self::recv). Descriptors in the control data of a message that nobody receives any more are closed
    /// with the socket.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    /// #     let sim = annulus::Runtime::try_current().unwrap().driver() == "sim";
    /// #     if sim || !cfg!(target_os = "linux") { return Ok(()); }
    ///     other.set_receive_hop_limit(true)?;
    ///     one.set_ttl(9)?;
    ///     one.send_to("far", other.local_addr()?).await.0?;
    ///     let (message, _buffer) = other.recv_message(Vec::with_capacity(64)).await;
    ///     assert_eq!(message?.control.hop_limit(), Some(9));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn recv_message<B: IoBufMut>(&self, buffer: B) -> Submitted<RecvMessage<One<B>, Everything<F>>> {
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
    /// As [`UdpSocket::send_message_vectored`](super::UdpSocket::send_message_vectored).
    pub fn recv_message_vectored<B: IoBufMut>(
        &self,
        buffers: Vec<B>,
        control_bytes: usize,
    ) -> Submitted<RecvMessage<Many<B>, Everything<F>>> {
        Submitted::new(self.receive(Many(buffers), control_bytes))
    }

    /// Receives as many datagrams as there are, at least one, each into a buffer of its own, and says of each what
    /// [`recv_message`](Self::recv_message) does; with 256 bytes of room for the control data of each. One system call
    /// takes them all, where the system has recvmmsg(2). Buffers that got nothing are given back as they were.
    ///
    /// # Cancel safety
    /// As [`recv_message`](Self::recv_message).
    ///
    /// # Errors
    /// Those of recvmmsg(2), as [`recv`](Self::recv). An error that comes after a datagram is told next time.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{Outgoing, UdpSocket};
    ///
    /// annulus::run(async {
    ///     let server = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let client = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let to = server.local_addr()?;
    ///     let messages = ["one", "two", "three"].map(|text| Outgoing::new(text).to(to));
    ///     assert_eq!(client.send_many(messages).await.0?, 3);
    ///
    ///     let mut buffers: Vec<_> = (0..16).map(|_| Vec::with_capacity(1500)).collect();
    ///     let mut count = 0;
    ///     while count < 3 {
    ///         let (messages, filled) = server.recv_many(buffers).await;
    ///         for (message, bytes) in messages?.iter().zip(&filled) {
    ///             assert_eq!((message.from, message.len), (client.local_addr()?, bytes.len()));
    ///             count += 1;
    ///         }
    ///         buffers = filled;
    ///     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn recv_many<B: IoBufMut>(&self, buffers: Vec<B>) -> Submitted<RecvMany<B, Everything<F>>> {
        Submitted::new(RecvMany::new(self.socket.hold(), buffers, CONTROL_ROOM_OF_MANY))
    }

    /// Sends many datagrams, with as few system calls as there is room for, and says how many; the buffers come back in
    /// their order. It waits for room until all are sent; only where a name of a Unix socket is given it does not, for the
    /// kernel would not say when there is some: then it gives the number of those that there was room for.
    ///
    /// # Cancel safety
    /// After dropping it, some of the datagrams may have been sent, or none.
    ///
    /// # Errors
    /// Those of sendmmsg(2), as [`send`](Self::send), of the first. After some were sent, it gives their number; what is
    /// wrong with the next one is told when that is sent again. `WouldBlock`: there is no room for the first of those that
    /// go to a name of a Unix socket.
    ///
    /// # Examples
    /// See [`recv_many`](Self::recv_many).
    pub fn send_many<B: IoBuf>(
        &self,
        messages: impl IntoIterator<Item = Outgoing<B, F::Address>>,
    ) -> Submitted<SendMany<B>> {
        let mut has_names = false;
        let messages = messages.into_iter().map(|Outgoing { buffer, to, ancillary }| {
            has_names |= to.is_some();
            (buffer, to.as_ref().map(F::name), ancillary)
        });
        let send = SendMany::new(self.socket.hold(), messages);
        Submitted::new(if has_names && !F::WAKES_SENDERS { send.at_once() } else { send })
    }

    /// Looks at the next datagram, which stays for the next receive.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// As [`Datagram`].
    pub fn peek<B: IoBufMut>(&self, buffer: B) -> Submitted<RecvMessage<One<B>, Length>> {
        Submitted::new(self.receive(One(buffer), 0).peeking())
    }

    /// Looks at the next datagram, which stays for the next receive, and says who sent it.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    /// As [`Datagram`].
    pub fn peek_from<B: IoBufMut>(&self, buffer: B) -> Submitted<RecvMessage<One<B>, Sender<F>>> {
        Submitted::new(self.receive(One(buffer), 0).peeking())
    }

    /// Sends the buffer as one datagram to the peer that the socket is connected to. Never raises SIGPIPE.
    ///
    /// # Cancel safety
    /// After dropping it, the datagram may have been sent, or not.
    ///
    /// # Errors
    /// Those of sendmsg(2). EDESTADDRREQ or ENOTCONN: the socket has no peer, [`connect`](super::UdpSocket::connect) it.
    /// EMSGSIZE: it is longer than a datagram can be. A connected UDP socket is told ECONNREFUSED, once, when nobody took
    /// what it sent before.
    pub fn send<B: IoBuf>(&self, buffer: B) -> Submitted<SendMessage<One<B>>> {
        Submitted::new(self.message(One(buffer), None, Ancillary::new()))
    }

    /// As [`send`](Self::send), of several buffers, one after the other, as one datagram.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_vectored<B: IoBuf>(&self, buffers: Vec<B>) -> Submitted<SendMessage<Many<B>>> {
        Submitted::new(self.message(Many(buffers), None, Ancillary::new()))
    }

    /// Waits until a receive would find something: a datagram or an error.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of poll(2).
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
    pub async fn writable(&self) -> io::Result<()> {
        Submitted::new(op::Poll::new(self.socket.hold(), libc::POLLOUT)).await.map(drop)
    }

    /// Datagrams as they come, in buffers of the runtime's: their bytes, and who sent them. Where the kernel can do so, it is
    /// asked once and answers as often as one has come. While it waits it holds no buffer. As long as this is there, other
    /// receives wait.
    ///
    /// A buffer has room for [`Builder::lease_size`](crate::Builder::lease_size) bytes less 144, which say who sent it; what
    /// is longer is cut off, and `truncated` says so.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what has come and was not taken is given to the next receive.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let server = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let client = UdpSocket::bind("127.0.0.1:0").await?;
    ///     client.send_to("good morning", server.local_addr()?).await.0?;
    ///     let mut datagrams = server.recv_stream();
    ///     while let Some(datagram) = datagrams.next().await {
    ///         let (lease, told) = datagram?;
    ///         assert_eq!((&*lease, told.from), (&b"good morning"[..], client.local_addr()?));
    ///         break;
    ///     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn recv_stream(&self) -> DatagramStream<F> {
        DatagramStream::new(&self.socket)
    }

    /// Ends what is in flight, and gives the descriptor away, with what dropped receives have received.
    pub(super) async fn hand_over(self) -> HandedOver<Self, LeftMessage<F::Address>> {
        match op::hand_over(self.socket, Bounds::Kept).await {
            Ok((descriptor, luggage)) => Ok((descriptor, left::<F>(luggage.messages))),
            Err((error, socket)) => Err(NotHandedOver { error, socket: Datagram::new(socket) }),
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
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     println!("descriptor {}", socket.with_fd(|descriptor| descriptor.as_raw_fd())?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn with_fd<R>(&self, ask: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        show(&self.socket, ask)
    }

    /// Ends what is in flight, closes, and says how that went. Dropping the socket does the same without waiting.
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

impl<F: Family> fmt::Debug for Datagram<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(F::DATAGRAM)
            .field("local_addr", &self.local_addr().ok())
            .field("peer_addr", &self.peer_addr().ok())
            .finish()
    }
}
