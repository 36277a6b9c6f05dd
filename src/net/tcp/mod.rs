//! TCP. See tcp(7).
//!
//! [`connect`]: which of several addresses. [`socket`]: what is set before a socket connects or listens. [`options`], [`keepalive`]:
//! what sockets are told and asked.

mod connect;
mod keepalive;
mod listener;
mod options;
mod socket;
mod stream;

pub use connect::ConnectFailure;
pub use keepalive::Keepalive;
pub use socket::TcpSocket;

use super::family::Inet;
use super::listener::Listener;
use super::stream::Stream;

/// How many connections may wait to be accepted, unless asked for otherwise. The system's own limit
/// (net.core.somaxconn) holds as well.
const BACKLOG: u32 = 1024;

/// A TCP connection.
///
/// What every [`Stream`] does, reading and writing among it, and below that what only TCP knows.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///
///     client.write_all("hello").await.0?;
///     let (result, buffer) = server.read(Vec::with_capacity(64)).await;
///     assert_eq!(result?, 5);
///     assert_eq!(buffer, b"hello");
///     Ok(())
/// })?
/// # }
/// ```
pub type TcpStream = Stream<Inet>;

/// Listens for TCP connections.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let client = annulus::spawn(TcpStream::connect(address));
///     let (stream, peer) = listener.accept().await?;
///     assert_eq!(stream.peer_addr()?, peer);
///     client.await??;
///     Ok(())
/// })?
/// # }
/// ```
pub type TcpListener = Listener<Inet>;
