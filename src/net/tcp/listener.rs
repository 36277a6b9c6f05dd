//! Listeners of TCP: how they are made.

use std::io;
use std::net::SocketAddr;

use super::{BACKLOG, TcpListener};
use crate::driver::{Descriptor, Setting};
use crate::net::addresses::{ToSocketAddrs, resolve};
use crate::net::listener::Listener;
use crate::net::socket;

impl TcpListener {
    /// Listens at the first of the addresses that can be bound. Port 0 lets the system choose; ask
    /// [`local_addr`](Self::local_addr).
    ///
    /// SO_REUSEADDR is set, so that a server can be started again at once. To set other options before,
    /// [`TcpSocket`](super::TcpSocket).
    ///
    /// # Errors
    /// Those of bind(2) and listen(2), with the remedy in the text where there is one; those of resolving a name.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// As [`TcpListener`].
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind_with_backlog(address, BACKLOG).await
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
    /// use annulus::net::TcpListener;
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind_with_backlog("127.0.0.1:0", 16).await?;
    ///     println!("at {}", listener.local_addr()?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn bind_with_backlog(address: impl ToSocketAddrs, backlog: u32) -> io::Result<TcpListener> {
        let mut last = None;
        for address in resolve(address).await? {
            match listen(address, backlog).await {
                Ok(socket) => return Ok(Listener::new(socket)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("resolving gives at least one address"))
    }
}

async fn listen(address: SocketAddr, backlog: u32) -> io::Result<Descriptor> {
    let socket = socket::tcp(&address).await?;
    socket::set(&socket, Setting::ReuseAddress(true))?;
    socket::bind(&socket, address)?;
    socket::listen(&socket, backlog)?;
    Ok(socket)
}
