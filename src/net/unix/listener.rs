//! Listening for connections within this machine.

use std::io;
use std::path::Path;

use super::SocketAddr;
use super::stream::unix;
use crate::driver::Descriptor;
use crate::net::family::Unix;
use crate::net::listener::Listener;
use crate::net::socket;

/// How many connections may wait to be accepted, unless asked for otherwise. The system's own limit
/// (net.core.somaxconn) holds as well.
const BACKLOG: u32 = 1024;

/// Listens for connections within this machine.
///
/// A path at which it listens is a file, and stays there when the listener is gone: remove it, before the next
/// [`bind`](Self::bind) or after the end.
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
///     let client = annulus::spawn(UnixStream::connect(path.clone()));
///     let (stream, peer) = listener.accept().await?;
///     assert!(peer.is_unnamed(), "a client has no name unless it asks for one");
///     assert_eq!(stream.local_addr()?.as_pathname(), Some(path.as_path()));
///     client.await??;
///     annulus::fs::remove_file(&path).await?;
///     std::io::Result::Ok(())
/// })??;
/// # Ok(())
/// # }
/// ```
pub type UnixListener = Listener<Unix>;

impl UnixListener {
    /// Listens at a path, which is made. Who may connect is who may write to that file.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2), with the remedy in the text where there is one. `AddrInUse`: there is a file of that
    /// name, perhaps of a server that has ended.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened. The file may have been made.
    ///
    /// # Examples
    /// As [`UnixListener`].
    pub async fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        UnixListener::bind_with_backlog(path, BACKLOG).await
    }

    /// As [`bind`](Self::bind), with a length of the queue of connections that wait to be accepted.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    /// As [`bind`](Self::bind).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixListener;
    ///
    /// annulus::run(async {
    /// #     let directory = tempfile::tempdir()?;
    /// #     let path = directory.path().join("server");
    /// #     annulus::fs::create_dir_all(directory.path()).await?;
    ///
    ///     let listener = UnixListener::bind_with_backlog(&path, 16).await?;
    ///     assert_eq!(listener.local_addr()?.as_pathname(), Some(path.as_path()));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn bind_with_backlog(path: impl AsRef<Path>, backlog: u32) -> io::Result<UnixListener> {
        UnixListener::bind_addr_with_backlog(&SocketAddr::from_pathname(path)?, backlog).await
    }

    /// Listens at a name of any kind. Of no name at all Linux makes one in the abstract namespace: ask
    /// [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    /// As [`bind`](Self::bind).
    ///
    /// # Examples
    /// As [`UnixStream::connect_addr`](super::UnixStream::connect_addr).
    pub async fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        UnixListener::bind_addr_with_backlog(address, BACKLOG).await
    }

    /// As [`bind_addr`](Self::bind_addr), with a length of the queue of connections that wait to be accepted.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    /// As [`bind`](Self::bind).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixListener;
    /// use annulus::net::unix::SocketAddr;
    ///
    /// annulus::run(async {
    /// #     if !cfg!(target_os = "linux") { return Ok(()); }
    ///     // Linux makes a name.
    ///     let listener = UnixListener::bind_addr_with_backlog(&SocketAddr::unnamed(), 16).await?;
    ///     assert!(!listener.local_addr()?.is_unnamed());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn bind_addr_with_backlog(address: &SocketAddr, backlog: u32) -> io::Result<UnixListener> {
        let socket = unix().await?;
        bind(&socket, address)?;
        socket::listen(&socket, backlog)?;
        Ok(Listener::new(socket))
    }
}

/// Gives a Unix socket a name.
pub(super) fn bind(socket: &Descriptor, address: &SocketAddr) -> io::Result<()> {
    socket::bind_name(socket, &address.name()).map_err(|error| told(address, error))
}

fn told(address: &SocketAddr, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse if address.as_abstract_name().is_some() => {
            "another socket has it: choose another name, or end its owner"
        }
        io::ErrorKind::AddrInUse => {
            "there is a file of that name: remove it if no server uses it, or choose another path"
        }
        io::ErrorKind::NotFound => "its directory is not there: make it first",
        io::ErrorKind::PermissionDenied => "making it needs the permission to write to its directory",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{address:?}: {error}; {remedy}"))
}
