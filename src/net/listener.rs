//! Listening for TCP connections.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::addresses::{ToSocketAddrs, resolve};
use super::{TcpStream, socket};
use crate::cancel::{CancelToken, Cancelled};
#[cfg(feature = "sim")]
use crate::driver::Faults;
use crate::driver::{Descriptor, Hold, Property, Setting};
use crate::op::{self, CancelWhen, Cancellable, Stop, Submitted};
use crate::time::{Sleep, sleep};

/// How many connections may wait to be accepted, unless asked for otherwise. The system's own limit
/// (net.core.somaxconn) holds as well.
const BACKLOG: u32 = 1024;

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
pub struct TcpListener {
    socket: Descriptor,
}

impl TcpListener {
    /// Listens at the first of the addresses that can be bound. Port 0 lets the system choose; ask
    /// [`local_addr`](Self::local_addr).
    ///
    /// SO_REUSEADDR is set, so that a server can be started again at once.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2), with the remedy in the text where there is one; those of resolving a name.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
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
    pub async fn bind_with_backlog(address: impl ToSocketAddrs, backlog: u32) -> io::Result<TcpListener> {
        let mut last = None;
        for address in resolve(address).await? {
            match listen(address, backlog).await {
                Ok(socket) => return Ok(TcpListener { socket }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("resolving gives at least one address"))
    }

    /// Waits for a connection: its stream, and who connected.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: a connection that is accepted all the same is given to the next accept.
    ///
    /// # Errors
    /// Those of accept(2). EMFILE and ENFILE mean that descriptors are used up: wait a little and go on, the
    /// connection waits as well.
    pub fn accept(&self) -> Accept {
        Accept { accept: Submitted::new(op::Accept::new(self.socket.hold())), listener: self.socket.hold() }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_name(&self.socket)
    }

    /// Sets the time to live of packets, in hops, also of connections that are accepted.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        socket::set(&self.socket, Setting::Ttl(hops))
    }

    /// The time to live of packets, in hops.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(socket::number(&self.socket, Property::Ttl)? as u32)
    }

    /// What may go wrong with this listener in a simulation from now on, and how often, instead of what may go wrong on its
    /// host.
    ///
    /// # Errors
    /// `Unsupported` on the drivers of a real kernel.
    #[cfg(feature = "sim")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sim")))]
    pub fn plan_faults(&self, faults: &Faults) -> io::Result<()> {
        socket::plan_faults(&self.socket, faults)
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

async fn listen(address: SocketAddr, backlog: u32) -> io::Result<Descriptor> {
    let socket = socket::tcp(&address).await?;
    socket::set(&socket, Setting::ReuseAddress(true))?;
    socket::bind(&socket, address)?;
    socket::listen(&socket, backlog)?;
    Ok(socket)
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("local_addr", &self.local_addr().ok()).finish()
    }
}

/// The future of [`TcpListener::accept`].
///
/// # Cancel safety
/// Nothing is lost by dropping it: a connection that is accepted all the same is given to the next accept.
#[must_use = "an accept does nothing until it is awaited"]
pub struct Accept {
    accept: Submitted<op::Accept>,
    /// To ask again. Not a handle: an accept that waits ends when the listener is dropped.
    listener: Hold,
}

impl fmt::Debug for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.accept.fmt(f)
    }
}

impl Accept {
    /// Asks the kernel to stop; await the future afterwards. See [`Submitted::cancel`].
    pub fn cancel(&mut self) {
        self.accept.cancel();
    }

    /// Asks the kernel to stop when `signal` is ready. See [`Submitted::cancel_when`].
    pub fn cancel_when<F: Future>(self, signal: F) -> CancelWhen<Accept, F> {
        CancelWhen::new(self, Stop::Cancelled, signal)
    }

    /// Asks the kernel to stop when the token is cancelled. See [`Submitted::cancel_on`].
    pub fn cancel_on(self, token: &CancelToken) -> CancelWhen<Accept, Cancelled> {
        self.cancel_when(token.cancelled())
    }

    /// Asks the kernel to stop when `span` is over. See [`Submitted::timeout`].
    pub fn timeout(self, span: Duration) -> CancelWhen<Accept, Sleep> {
        CancelWhen::new(self, Stop::TimedOut, sleep(span))
    }
}

impl Cancellable for Accept {
    fn stop(&mut self, why: Stop) {
        self.accept.stop(why);
    }
}

impl Future for Accept {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let stream = TcpStream::new(ready!(Pin::new(&mut self.accept).poll(cx))?);
            match stream.peer_addr() {
                Ok(peer) => return Poll::Ready(Ok((stream, peer))),
                // It was reset before anybody could look at it: there is nobody to talk to. An error here would end
                // servers that stop at the first one, at any peer's whim.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            self.accept = Submitted::new(op::Accept::new(self.listener.clone()));
        }
    }
}
