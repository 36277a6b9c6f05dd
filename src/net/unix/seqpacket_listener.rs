//! Listening for connections of sequenced packets.

use std::fmt;
use std::io;
use std::path::Path;

use super::SocketAddr;
use super::listener::bind;
use super::seqpacket::{UnixSeqpacket, seqpacket};
use crate::driver::Descriptor;
use crate::net::family::{Family, Unix};
use crate::net::socket;
use crate::op::{self, Submitted};

/// How many connections may wait to be accepted, unless asked for otherwise. The system's own limit
/// (net.core.somaxconn) holds as well.
const BACKLOG: u32 = 1024;

/// Listens for connections of sequenced packets.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{UnixSeqpacket, UnixSeqpacketListener};
///
/// # if cfg!(target_os = "linux") {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("server");
/// annulus::run(async {
///     let listener = UnixSeqpacketListener::bind(&path).await?;
///     let client = UnixSeqpacket::connect(&path).await?;
///     let (server, _) = listener.accept().await?;
///     server.send("welcome").await.0?;
///     assert_eq!(client.recv(Vec::with_capacity(100)).await.1, b"welcome");
///     assert_eq!(client.peer_addr()?, listener.local_addr()?);
///     listener.close().await?;
///     std::io::Result::Ok(())
/// })??;
/// # }
/// # Ok(())
/// # }
/// ```
pub struct UnixSeqpacketListener {
    socket: Descriptor,
}

impl UnixSeqpacketListener {
    /// Listens at a name in the file system. The file stays when the listener is closed: remove it.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2). EADDRINUSE: there is a file of that name, be it one that a socket has left.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn bind(path: impl AsRef<Path>) -> io::Result<UnixSeqpacketListener> {
        UnixSeqpacketListener::bind_addr(&SocketAddr::from_pathname(path)?).await
    }

    /// Listens at a name of any kind.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`UnixStream::connect_addr`](super::UnixStream::connect_addr).
    pub async fn bind_addr(address: &SocketAddr) -> io::Result<UnixSeqpacketListener> {
        let socket = seqpacket().await?;
        bind(&socket, address)?;
        socket::listen(&socket, BACKLOG)?;
        Ok(UnixSeqpacketListener { socket: socket.seen_as("UnixSeqpacketListener", "listener") })
    }

    /// Waits for a connection, and gives it with the name of who connected, who mostly has none.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: a connection that is accepted all the same is given to the next accept.
    ///
    /// # Errors
    /// Those of accept(2). EMFILE and ENFILE mean that descriptors are used up: wait a little and go on, the
    /// connection waits as well.
    pub async fn accept(&self) -> io::Result<(UnixSeqpacket, SocketAddr)> {
        let socket = Submitted::new(op::Accept::new(self.socket.hold())).await?;
        let connection = UnixSeqpacket::of(socket);
        let peer = connection.peer_addr()?;
        Ok((connection, peer))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_name(&self.socket).and_then(Unix::address)
    }

    /// Ends a pending accept, closes, and says how that went. Dropping the listener does the same without waiting.
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

impl fmt::Debug for UnixSeqpacketListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixSeqpacketListener").field("local_addr", &self.local_addr().ok()).finish()
    }
}
