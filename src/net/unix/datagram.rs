//! Datagrams of Unix sockets. See unix(7).

use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Type};

use super::SocketAddr;
use super::listener::bind;
use crate::buf::IoBuf;
use crate::driver::{PacketOption, Property, Setting};
use crate::engine::current_port;
use crate::net::datagram::Datagram;
use crate::net::family::Unix;
use crate::net::handover::{NotHandedOver, adopt};
use crate::net::message::LeftMessage;
use crate::net::socket;
use crate::op::{self, Attempted, Connect, Load, Many, One, SendMessage, Socket, Submitted};
use crate::sys::control::Ancillary;
use crate::time::sleep;

/// How long a send waits that nobody will wake, at first and at last.
const PAUSE: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// A Unix socket of datagrams.
///
/// What every [`Datagram`] socket does, receiving among it, and below that what only Unix sockets know. None is lost,
/// and they arrive in order: where the receiver's queue is full, the sender waits.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::UnixDatagram;
///
/// annulus::run(async {
///     let (one, other) = UnixDatagram::pair()?;
///     one.send("hello").await.0?;
///     let (received, buffer) = other.recv(Vec::with_capacity(100)).await;
///     assert_eq!((received?.len, &buffer[..]), (5, &b"hello"[..]));
///     Ok(())
/// })?
/// # }
/// ```
pub type UnixDatagram = Datagram<Unix>;

impl UnixDatagram {
    /// A socket with a name in the file system. The file stays when the socket is closed: remove it.
    ///
    /// # Errors
    /// Those of bind(2). EADDRINUSE: there is a file of that name, be it one that a socket has left.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixDatagram;
    ///
    /// annulus::run(async {
    /// #     let directory = tempfile::tempdir()?;
    /// #     annulus::fs::create_dir_all(directory.path()).await?;
    /// #     let path = directory.path().join("log");
    ///
    ///     let server = UnixDatagram::bind(&path).await?;
    ///     let client = UnixDatagram::unbound().await?;
    ///     client.send_to("to a path", &path).await.0?;
    ///     client.connect(&path).await?;
    ///     client.send("to the same").await.0?;
    ///     let (received, buffer) = server.recv_from(Vec::with_capacity(64)).await;
    ///     assert!(received?.from.is_unnamed());
    ///     assert_eq!(buffer, b"to a path");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        UnixDatagram::bind_addr(&SocketAddr::from_pathname(path)?).await
    }

    /// A socket with a name of any kind.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixDatagram;
    /// use annulus::net::unix::SocketAddr;
    ///
    /// annulus::run(async {
    /// #     if !cfg!(target_os = "linux") { return Ok(()); }
    ///     let name = SocketAddr::from_abstract_name(format!("log-{}", std::process::id()))?;
    ///     let server = UnixDatagram::bind_addr(&name).await?;
    ///     let client = UnixDatagram::unbound().await?;
    ///     client.send_to_addr("to a name", &name).await.0?;
    ///     client.connect_addr(&name).await?;
    ///     client.send("to the same").await.0?;
    ///     assert_eq!(server.recv(Vec::with_capacity(64)).await.1, b"to a name");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        let address = address.clone();
        let socket = UnixDatagram::unbound().await?;
        bind(socket.socket(), &address)?;
        Ok(socket)
    }

    /// A socket without a name. What it sends cannot be answered, but by who it is connected to.
    ///
    /// # Errors
    /// Those of socket(2).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`bind`](Self::bind).
    pub async fn unbound() -> io::Result<UnixDatagram> {
        let socket = Socket::new(current_port(), Domain::UNIX.into(), Type::DGRAM.into(), 0);
        Submitted::new(socket).await.map(Datagram::new)
    }

    /// Two sockets without names that are connected to each other.
    ///
    /// # Errors
    /// Those of socketpair(2).
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// As [`UnixDatagram`].
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        socket::pair(libc::SOCK_DGRAM).map(|(one, other)| (Datagram::new(one), Datagram::new(other)))
    }

    /// Connects to a socket by its path: from now on [`send`](Self::send) goes there, and only what comes from there is
    /// received. It may be connected again, to another peer.
    ///
    /// # Errors
    /// Those of connect(2). ECONNREFUSED: nobody has that name any more. EPERM: the other one is connected to somebody
    /// else.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// As [`bind`](Self::bind).
    pub async fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?).await
    }

    /// As [`connect`](Self::connect), to a name of any kind.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    ///
    /// # Examples
    /// As [`bind_addr`](Self::bind_addr).
    pub async fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        Submitted::new(Connect::new(self.socket().hold(), address.name())).await
    }

    /// Sends the buffer as one datagram to a socket, by its path.
    ///
    /// Where the receiver's queue is full it tries again after a while, ever longer, 10 ms at most: the kernel tells only
    /// who is connected that there is room again. So to send much, [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// After dropping it, the datagram may have been sent, or not.
    ///
    /// # Errors
    /// Those of sendmsg(2). ENOENT, ECONNREFUSED: nobody has that name. EMSGSIZE: it is longer than the send buffer.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixDatagram;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("server");
    /// annulus::run(async {
    ///     let server = UnixDatagram::bind(&path).await?;
    ///     let client = UnixDatagram::unbound().await?;
    ///     client.send_to("hello", &path).await.0?;
    ///     let (received, _buffer) = server.recv_from(Vec::with_capacity(100)).await;
    ///     assert!(received?.from.is_unnamed());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn send_to<B: IoBuf>(&self, buffer: B, path: impl AsRef<Path>) -> (io::Result<usize>, B) {
        match SocketAddr::from_pathname(path) {
            Ok(address) => self.send_to_addr(buffer, &address).await,
            Err(error) => (Err(error), buffer),
        }
    }

    /// As [`send_to`](Self::send_to), to a name of any kind.
    ///
    /// # Cancel safety
    /// As [`send_to`](Self::send_to).
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to).
    ///
    /// # Examples
    /// As [`bind_addr`](Self::bind_addr).
    pub async fn send_to_addr<B: IoBuf>(&self, buffer: B, address: &SocketAddr) -> (io::Result<usize>, B) {
        self.send_message_to(buffer, address, Ancillary::new()).await
    }

    /// Sends the buffer with descriptors or credentials to the socket that this one is connected to.
    ///
    /// # Cancel safety
    /// After dropping it, the datagram may have been sent, or not. Its descriptors are closed here in any case.
    ///
    /// # Errors
    /// Those of sendmsg(2). `Unsupported` in a simulated world, which has no descriptors to send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::fs::File;
    /// use std::io::Read;
    /// use annulus::net::{Ancillary, UnixDatagram};
    ///
    /// # let path = tempfile::NamedTempFile::new()?;
    /// # std::fs::write(&path, "what is in the file")?;
    /// # let opened = File::open(&path)?;
    /// annulus::run(async move {
    ///     let (one, other) = UnixDatagram::pair()?;
    ///     let with = Ancillary::new().with_descriptors([opened.into()]);
    ///     # if !std::env::var("ANNULUS_DRIVER").is_ok_and(|driver| driver.starts_with("sim")) {
    ///     one.send_message("a file", with).await.0?;
    ///
    ///     let (message, _buffer) = other.recv_message(Vec::with_capacity(100)).await;
    ///     let mut file = File::from(message?.control.take_descriptors().remove(0));
    ///     let mut text = String::new();
    ///     file.read_to_string(&mut text)?;
    ///     assert_eq!(text, "what is in the file");
    ///     # }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn send_message<B: IoBuf>(&self, buffer: B, ancillary: Ancillary) -> Submitted<SendMessage<One<B>>> {
        Submitted::new(self.message(One(buffer), None, ancillary))
    }

    /// As [`send_message`](Self::send_message), of several buffers, one after the other.
    ///
    /// # Cancel safety
    /// As [`send_message`](Self::send_message).
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message).
    ///
    /// # Examples
    /// As [`send_message`](Self::send_message), with several buffers.
    pub fn send_message_vectored<B: IoBuf>(
        &self,
        buffers: Vec<B>,
        ancillary: Ancillary,
    ) -> Submitted<SendMessage<Many<B>>> {
        Submitted::new(self.message(Many(buffers), None, ancillary))
    }

    /// As [`send_message`](Self::send_message), to a name. It waits as [`send_to`](Self::send_to) does.
    ///
    /// # Cancel safety
    /// As [`send_message`](Self::send_message).
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message), and those of [`send_to`](Self::send_to).
    ///
    /// # Examples
    /// As [`send_message`](Self::send_message), with a name.
    pub async fn send_message_to<B: IoBuf>(
        &self,
        buffer: B,
        address: &SocketAddr,
        ancillary: Ancillary,
    ) -> (io::Result<usize>, B) {
        self.when_there_is_room(self.message(One(buffer), Some(address), ancillary)).await
    }

    /// Tries until there is room.
    async fn when_there_is_room<P: Load>(&self, mut send: SendMessage<P>) -> (io::Result<usize>, P::Buffers) {
        let mut pause = PAUSE;
        loop {
            match Submitted::new(send.attempt()).await {
                Attempted::Done(result, buffers) => return (result, buffers),
                Attempted::Full(again) => send = again,
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
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
    /// As [`from_std`](Self::from_std).
    pub async fn into_std(
        self,
    ) -> Result<(std::os::unix::net::UnixDatagram, Vec<LeftMessage<SocketAddr>>), NotHandedOver<Self>> {
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
    /// use annulus::net::UnixDatagram;
    ///
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let (one, other) = std::os::unix::net::UnixDatagram::pair()?;
    ///     let one = UnixDatagram::from_std(one)?;
    ///     other.send(b"from a thread")?;
    ///     assert_eq!(one.recv(Vec::with_capacity(64)).await.1, b"from a thread");
    ///     let (_one, left) = one.into_std().await?;
    ///     assert!(left.is_empty(), "no receive was dropped");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        adopt(socket).map(Datagram::new)
    }

    /// Has messages tell who sent them: [`Ancillary::credentials`]. Linux only.
    ///
    /// # Errors
    /// Those of setsockopt(2). `Unsupported` where the system does not know it, and in a simulated world.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixDatagram;
    ///
    /// annulus::run(async {
    /// #     let sim = annulus::Runtime::try_current().unwrap().driver() == "sim";
    /// #     if sim || !cfg!(target_os = "linux") { return Ok(()); }
    ///     let (one, other) = UnixDatagram::pair()?;
    ///     other.set_pass_credentials(true)?;
    ///     assert!(other.pass_credentials()?);
    ///     one.send("who am I?").await.0?;
    ///     let (message, _buffer) = other.recv_message(Vec::with_capacity(64)).await;
    ///     assert_eq!(message?.control.credentials().unwrap().pid as u32, std::process::id());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn set_pass_credentials(&self, on: bool) -> io::Result<()> {
        socket::set(self.socket(), Setting::Packet(PacketOption::PassCredentials, on.into()))
    }

    /// Whether messages tell who sent them. Linux only.
    ///
    /// # Errors
    /// As [`set_pass_credentials`](Self::set_pass_credentials).
    ///
    /// # Examples
    /// As [`set_pass_credentials`](Self::set_pass_credentials).
    pub fn pass_credentials(&self) -> io::Result<bool> {
        Ok(socket::number(self.socket(), Property::Packet(PacketOption::PassCredentials))? != 0)
    }

    /// Ends one direction, or both: who sends to a socket that reads no more is told EPIPE. A receive that waits, or
    /// comes later, does not end by it on every driver: end it by [`Submitted::cancel`], or close the socket.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Errors
    /// Those of shutdown(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::net::Shutdown;
    /// use annulus::net::UnixDatagram;
    ///
    /// annulus::run(async {
    ///     let (one, _other) = UnixDatagram::pair()?;
    ///     one.shutdown(Shutdown::Write).await?;
    ///     assert!(one.send("too late").await.0.is_err());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> Submitted<op::Shutdown> {
        Submitted::new(op::Shutdown::new(self.socket().hold(), socket::how(how)))
    }
}
