//! Listening for connections.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::family::{Family, Inet};
use super::incoming::Incoming;
use super::socket;
use super::stream::Stream;
use crate::cancel::{CancelToken, Cancelled};
#[cfg(feature = "sim")]
use crate::driver::Faults;
use crate::driver::{Descriptor, Hold};
use crate::op::{self, CancelWhen, Cancellable, Stop, Submitted};
use crate::time::{Sleep, sleep};

/// Listens for connections: a [`TcpListener`](super::TcpListener) is one.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::CancelToken;
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (_stream, peer) = listener.accept().await?;
///     assert_eq!(peer, client.local_addr()?);
///
///     // Nobody else comes.
///     let stop = CancelToken::new();
///     stop.cancel();
///     assert!(listener.accept().timeout(Duration::from_millis(2)).await.is_err());
///     assert!(listener.accept().cancel_on(&stop).await.is_err());
///     listener.close().await?;
///     Ok(())
/// })?
/// # }
/// ```
pub struct Listener<F> {
    socket: Descriptor,
    family: PhantomData<F>,
}

impl<F: Family> Listener<F> {
    pub(super) fn new(socket: Descriptor) -> Listener<F> {
        Listener { socket: socket.seen_as(F::LISTENER, "listener"), family: PhantomData }
    }

    pub(super) fn socket(&self) -> &Descriptor {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Descriptor {
        self.socket
    }

    /// Waits for a connection: its stream, and who connected.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: a connection that is accepted all the same is given to the next accept.
    ///
    /// # Errors
    /// Those of accept(2). EMFILE and ENFILE mean that descriptors are used up: wait a little and go on, the
    /// connection waits as well.
    ///
    /// # Examples
    /// As [`Listener`].
    pub fn accept(&self) -> Accept<F> {
        Accept {
            accept: Submitted::new(op::Accept::new(self.socket.hold())),
            listener: self.socket.hold(),
            family: PhantomData,
        }
    }

    /// Connections as they come. Where the kernel can do so, it is asked once and answers as often as somebody has connected.
    /// As long as this is there, other accepts wait.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: connections that were accepted and not taken are given to the next accept.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let mut incoming = listener.incoming();
    ///     while let Some(connection) = incoming.next().await {
    ///         let (stream, peer) = connection?;
    ///         assert_eq!(peer, client.local_addr()?);
    /// #       drop(stream);
    ///         break;
    ///     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<F> {
        Incoming::new(&self.socket)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<F::Address> {
        F::address(socket::local_name(&self.socket)?)
    }

    /// What may go wrong with this listener in a simulation from now on, and how often, instead of what may go wrong on its
    /// host.
    ///
    /// # Errors
    /// `Unsupported` on the drivers of a real kernel.
    ///
    /// # Examples
    /// As [`Stream::plan_faults`].
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

impl<F: Family> fmt::Debug for Listener<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(F::LISTENER).field("local_addr", &self.local_addr().ok()).finish()
    }
}

/// The future of [`Listener::accept`].
///
/// # Cancel safety
/// Nothing is lost by dropping it: a connection that is accepted all the same is given to the next accept.
///
/// # Examples
/// As [`Listener`].
#[must_use = "an accept does nothing until it is awaited"]
pub struct Accept<F = Inet> {
    accept: Submitted<op::Accept>,
    /// To ask again. Not a handle: an accept that waits ends when the listener is dropped.
    listener: Hold,
    family: PhantomData<F>,
}

/// The family is only a name.
impl<F> Unpin for Accept<F> {}

impl<F> fmt::Debug for Accept<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.accept.fmt(f)
    }
}

impl<F: Family> Accept<F> {
    /// Asks the kernel to stop; await the future afterwards. See [`Submitted::cancel`].
    ///
    /// # Examples
    /// As [`Submitted::cancel`].
    pub fn cancel(&mut self) {
        self.accept.cancel();
    }

    /// Asks the kernel to stop when `signal` is ready. See [`Submitted::cancel_when`].
    ///
    /// # Examples
    /// As [`Submitted::cancel_when`].
    pub fn cancel_when<S: Future>(self, signal: S) -> CancelWhen<Self, S> {
        CancelWhen::new(self, Stop::Cancelled, signal)
    }

    /// Asks the kernel to stop when the token is cancelled. See [`Submitted::cancel_on`].
    ///
    /// # Examples
    /// As [`Listener`].
    pub fn cancel_on(self, token: &CancelToken) -> CancelWhen<Self, Cancelled> {
        self.cancel_when(token.cancelled())
    }

    /// Asks the kernel to stop when `span` is over. See [`Submitted::timeout`].
    ///
    /// # Examples
    /// As [`Listener`].
    #[cfg_attr(feature = "tracing", track_caller)]
    pub fn timeout(self, span: Duration) -> CancelWhen<Self, Sleep> {
        CancelWhen::new(self, Stop::TimedOut, sleep(span))
    }
}

impl<F: Family> Cancellable for Accept<F> {
    fn stop(&mut self, why: Stop) {
        self.accept.stop(why);
    }
}

impl<F: Family> Future for Accept<F> {
    type Output = Accepted<F>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let stream = Stream::new(ready!(Pin::new(&mut self.accept).poll(cx))?);
            if let Some(connection) = accepted(stream) {
                return Poll::Ready(connection);
            }
            self.accept = Submitted::new(op::Accept::new(self.listener.clone()));
        }
    }
}

/// A connection, and who connected.
pub(super) type Accepted<F> = io::Result<(Stream<F>, <F as Family>::Address)>;

/// A connection with its peer's name. None if it was reset before anybody could look at it: there is nobody to talk to, and
/// an error would end servers that stop at the first one, at any peer's whim.
pub(super) fn accepted<F: Family>(stream: Stream<F>) -> Option<Accepted<F>> {
    match stream.peer_addr() {
        Ok(peer) => Some(Ok((stream, peer))),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
        Err(error) => Some(Err(error)),
    }
}
