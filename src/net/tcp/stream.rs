//! Connections of TCP: how they are made.

use std::io;
use std::time::Duration;

use super::TcpStream;
use super::connect;
use crate::net::addresses::ToSocketAddrs;
use crate::net::stream::Stream;

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// Where there are several, as behind a name, they are tried one after the other, versions 6 and 4 by turns, the
    /// first as it comes. The next attempt begins when one has failed, or after 250 ms without an answer, beside those
    /// that go on; the first that succeeds is taken and the others are closed (RFC 8305, "Happy Eyeballs"). So an
    /// address that is not reached costs a quarter of a second and not minutes.
    ///
    /// # Errors
    /// Those of connect(2) and socket(2); those of resolving a name. Of several addresses [`ConnectFailure`] says what
    /// became of each, and the kind is the most telling one.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// [`ConnectFailure`]: super::ConnectFailure
    ///
    /// # Examples
    /// As [`TcpStream`].
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        connect::connect(address).await.map(Stream::new)
    }

    /// As [`connect`](Self::connect), for at most `span`, which counts for all that has to be done: resolving a name,
    /// and each of its addresses.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); of kind `TimedOut` when the time is up, and the text says which addresses did
    /// not answer. [`ConnectFailure`] has them.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let address = listener.local_addr()?;
    ///     let stream = TcpStream::connect_timeout(address, Duration::from_secs(5)).await?;
    ///     assert_eq!(stream.peer_addr()?, address);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    ///
    /// [`ConnectFailure`]: super::ConnectFailure
    pub async fn connect_timeout(address: impl ToSocketAddrs, span: Duration) -> io::Result<TcpStream> {
        connect::connect_within(address, span).await.map(Stream::new)
    }
}
