//! Unix sockets that come from the standard library, or go to it.

use std::io;
use std::os::unix::net as std_net;

use super::{UnixListener, UnixStream};
use crate::net::handover::{NotHandedOver, adopt};
use crate::net::listener::Listener;
use crate::net::stream::Stream;

impl UnixStream {
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
    /// use annulus::net::UnixStream;
    ///
    /// let (blocking, mut peer) = std::os::unix::net::UnixStream::pair()?;
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let stream = UnixStream::from_std(blocking)?;
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
    pub fn from_std(stream: std_net::UnixStream) -> io::Result<UnixStream> {
        adopt(stream).map(Stream::new)
    }

    /// Makes a connection of the standard library's of this one, in blocking mode as those are, unless it came by
    /// [`from_std`](Self::from_std) in another. With it come the bytes that were received for reads that had been
    /// dropped: they are to be read before what the connection has.
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
    pub async fn into_std(self) -> Result<(std_net::UnixStream, Vec<u8>), NotHandedOver<UnixStream>> {
        let (descriptor, rest) = self.hand_over().await?;
        Ok((descriptor.into(), rest))
    }
}

impl UnixListener {
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
    /// use annulus::net::{UnixListener, UnixStream};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("door");
    /// let listener = std::os::unix::net::UnixListener::bind(&path)?;
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let listener = UnixListener::from_std(listener)?;
    ///     let client = UnixStream::connect(&path).await?;
    ///     let (_stream, peer) = listener.accept().await?;
    ///     assert_eq!(peer, client.local_addr()?);
    ///     let (_listener, accepted) = listener.into_std().await?;
    ///     assert!(accepted.is_empty(), "no accept was dropped");
    ///     std::io::Result::Ok(())
    /// })?
    /// # }
    /// ```
    pub fn from_std(listener: std_net::UnixListener) -> io::Result<UnixListener> {
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
    ) -> Result<(std_net::UnixListener, Vec<std_net::UnixStream>), NotHandedOver<UnixListener>> {
        let (descriptor, accepted) = self.hand_over().await?;
        let streams = accepted.into_iter().map(std_net::UnixStream::from);
        // Made here, so non-blocking. Refused only of what is no descriptor.
        let streams = streams.inspect(|stream| drop(stream.set_nonblocking(false)));
        Ok((descriptor.into(), streams.collect()))
    }
}
