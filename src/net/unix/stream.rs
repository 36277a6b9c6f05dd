//! Streams within this machine.

use std::io;
use std::path::Path;

use socket2::{Domain, Type};

use super::connect::connect;
use super::{PeerCredentials, SocketAddr};
use crate::driver::Descriptor;
use crate::engine::current_port;
use crate::net::family::Unix;
use crate::net::socket;
use crate::net::stream::Stream;
use crate::op::{Socket, Submitted};

/// A connection within this machine.
///
/// What every [`Stream`] does, reading and writing among it, and below that what only Unix sockets know. There is no
/// `set_nodelay` because there is nothing to gather: what is written is at once in the peer's queue.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{UnixListener, UnixStream};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("server");
/// annulus::run(async {
///     # drop(annulus::fs::create_dir(directory.path()).await);
///     let listener = UnixListener::bind(&path).await?;
///     let client = UnixStream::connect(&path).await?;
///     let (server, _) = listener.accept().await?;
///
///     client.write_all("hello").await.0?;
///     let (result, buffer) = server.read(Vec::with_capacity(64)).await;
///     assert_eq!(result?, 5);
///     assert_eq!(buffer, b"hello");
///     std::io::Result::Ok(())
/// })??;
/// # Ok(())
/// # }
/// ```
pub type UnixStream = Stream<Unix>;

/// A stream socket without a name.
pub(super) async fn unix() -> io::Result<Descriptor> {
    Submitted::new(Socket::new(current_port(), Domain::UNIX.into(), Type::STREAM.into(), 0)).await
}

impl UnixStream {
    /// Connects to a listener, by its path.
    ///
    /// If the listener has as many connections waiting to be accepted as it lets wait, this waits as well, for as long as it
    /// takes: put it into a [`timeout`](crate::time::timeout) to give up sooner. (Only Linux has clients wait; elsewhere they
    /// are refused.)
    ///
    /// # Errors
    /// Those of connect(2), with the remedy in the text where there is one. `NotFound`: there is no such path.
    /// `ConnectionRefused`: nobody listens there any more. EPROTOTYPE: who is there takes datagrams or packets. `InvalidInput`: the path cannot be a socket's name, mostly because
    /// it is too long.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`UnixStream`].
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_pathname(path)?).await
    }

    /// Connects to a listener that has a name of any kind.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::unix::SocketAddr;
    /// use annulus::net::{UnixListener, UnixStream};
    ///
    /// # if cfg!(target_os = "linux") {
    /// annulus::run(async {
    ///     // Linux has names that are no files, and are gone with their socket.
    ///     let name = SocketAddr::from_abstract_name(format!("example-{}", std::process::id()))?;
    ///     let listener = UnixListener::bind_addr(&name).await?;
    ///     let client = UnixStream::connect_addr(&name).await?;
    ///     assert_eq!(client.peer_addr()?, name);
    /// #   drop(listener);
    ///     std::io::Result::Ok(())
    /// })??;
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let socket = unix().await?;
        connect(&socket, address).await?;
        Ok(Stream::new(socket))
    }

    /// Two ends of a connection, without names: for two tasks, or for a child process that inherits one.
    ///
    /// # Errors
    /// Those of socketpair(2): EMFILE and ENFILE mean that descriptors are used up.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, other) = UnixStream::pair()?;
    ///     one.write_all("across").await.0?;
    ///     let (result, bytes) = other.read_exact(Vec::with_capacity(6)).await;
    ///     result?;
    ///     assert_eq!(bytes, b"across");
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = socket::pair(Type::STREAM.into())?;
        Ok((Stream::new(one), Stream::new(other)))
    }

    /// Who is at the other end: the process that connected; of a client, the one that began to listen; of a
    /// [`pair`](Self::pair), the one that made it. See SO_PEERCRED of unix(7).
    ///
    /// All processes of a simulated world are 1000, of the user and the group 1000.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, _other) = UnixStream::pair()?;
    ///     let peer = one.peer_cred()?;
    ///     println!("user {} of group {}", peer.uid, peer.gid);
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_cred(&self) -> io::Result<PeerCredentials> {
        socket::peer_credentials(self.socket())
    }
}
