//! Sockets between two loops.

use std::fmt;
use std::io;
use std::marker::PhantomData;

use super::family::Family;
use super::handover::NotHandedOver;
use super::listener::Listener;
use super::stream::Stream;
use crate::driver::{Descriptor, Traveller};
use crate::engine::current_port;
use crate::op;

/// A socket between two loops: it belongs to none, and any thread may have it.
///
/// Made by [`Stream::detach`] and [`Listener::detach`]; [`attach`](Detached::attach) makes a stream or a listener of the
/// calling thread's loop of it. It carries what dropped operations had received, and errors that they met: on the other
/// loop the next operation is told first what it would have been told on this one. What nobody attaches is closed when it
/// is dropped, connections that it carries included.
///
/// So one loop can accept, and others serve. A connection that is handed on fresh costs no system call here and none
/// there.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{Detached, TcpListener, TcpStream};
/// use annulus::sync::across::{mpsc, oneshot};
///
/// // A loop on another thread, which serves the connections that it is given.
/// let (connections, mut given) = mpsc::channel::<Detached<TcpStream>>(16);
/// let server = std::thread::spawn(move || {
///     annulus::run(async move {
///         while let Some(connection) = given.recv().await {
///             let stream = connection.attach()?;
///             annulus::spawn(async move { stream.write_all("hello").await.0 });
///         }
///         std::io::Result::Ok(())
///     })
/// });
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (stream, _) = listener.accept().await?;
///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
///     connections.send(stream.detach().await?).await.expect("the other loop is there");
///
///     let (result, heard) = client.read_exact(Vec::with_capacity(5)).await;
///     result?;
///     assert_eq!(heard, b"hello");
///     drop(connections);
///     std::io::Result::Ok(())
/// })??;
/// server.join().unwrap()??;
/// # Ok(())
/// # }
/// ```
pub struct Detached<S> {
    traveller: Traveller,
    /// It makes one of these, and has none: so it is `Send`, which they are not.
    makes: PhantomData<fn() -> S>,
}

impl<S> Detached<S> {
    fn new(traveller: Traveller) -> Detached<S> {
        Detached { traveller, makes: PhantomData }
    }

    /// Makes it a socket of the loop that runs on this thread.
    fn arrive(self, make: impl FnOnce(Descriptor) -> S) -> Result<S, NotHandedOver<Self>> {
        let port = current_port();
        let error = if port.is_simulated() {
            op::simulated()
        } else if port.has_ended() {
            io::Error::other("the loop of this thread has ended: attach the socket to one that runs")
        } else {
            return Ok(make(self.traveller.arrive(&port)));
        };
        Err(NotHandedOver { error, socket: self })
    }
}

impl<F: Family> Detached<Stream<F>> {
    /// Makes it a stream of the loop that runs on the calling thread. No system call.
    ///
    /// What dropped reads had received comes first, in order and once, whatever way of reading is used: `read`, `recv`,
    /// `recv_stream`, `splice`. An error that a dropped operation met is told to the next of its direction.
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose sockets are no descriptors. What was to be attached is given back.
    ///
    /// # Panics
    /// Outside of a running loop. The connection is then closed.
    ///
    /// # Examples
    /// As [`Stream::detach`].
    pub fn attach(self) -> Result<Stream<F>, NotHandedOver<Self>> {
        self.arrive(Stream::new)
    }
}

impl<F: Family> Detached<Listener<F>> {
    /// Makes it a listener of the loop that runs on the calling thread. No system call.
    ///
    /// Connections that dropped accepts had accepted come first, in order and once. An error that a dropped accept met is
    /// told to the next.
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose sockets are no descriptors. What was to be attached is given back.
    ///
    /// # Panics
    /// Outside of a running loop. The listener is then closed.
    ///
    /// # Examples
    /// As [`Listener::detach`].
    pub fn attach(self) -> Result<Listener<F>, NotHandedOver<Self>> {
        self.arrive(Listener::new)
    }
}

impl<F: Family> Stream<F> {
    /// Takes the connection off this loop, so that another one can have it: see [`Detached`].
    ///
    /// What is in flight is ended as by [`close`](Self::close), and what dropped operations had received goes along; so
    /// does an error that one of them met, and what [`settle_writes`](Self::settle_writes) would tell. A read that is
    /// still awaited somewhere, and a stream of leases that is still there, resolve from their own completions. What they
    /// receive is their own: drop them before, and it goes along.
    ///
    /// With nothing in flight it is ready at once, and makes no system call: none on the ring, and on the readiness driver
    /// one if the connection has ever waited, epoll_ctl(2). A connection in the ring's own table is made a descriptor of
    /// the process. It stays in non-blocking mode; [`into_std`](super::TcpStream::into_std) on the other loop sets it back
    /// as it would here. Options stay, and so does [`set_zero_copy`](Self::set_zero_copy).
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose sockets are no descriptors; EMFILE where a connection in the ring's own
    /// table finds no descriptor; that the loop has ended, where it has. The stream is given back.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::net::UnixStream;
    /// use annulus::time::timeout;
    ///
    /// # let world = annulus::run(async { annulus::Runtime::try_current().unwrap().driver() == "sim" })?;
    /// # if world { return Ok(()); }
    /// let detached = annulus::run(async {
    ///     let (stream, peer) = UnixStream::pair()?;
    ///     peer.write_all("half").await.0?;
    ///     // Eight bytes do not come in time. What has come waits for the next read.
    ///     let whole = stream.read_exact(Vec::with_capacity(8));
    ///     assert!(timeout(Duration::from_millis(10), whole).await.is_err());
    ///     std::io::Result::Ok(stream.detach().await?)
    /// })??;
    /// std::thread::spawn(|| {
    ///     annulus::run(async {
    ///         let stream = detached.attach()?;
    ///         let (result, heard) = stream.read(Vec::with_capacity(8)).await;
    ///         result?;
    ///         assert_eq!(heard, b"half");
    ///         std::io::Result::Ok(())
    ///     })
    /// })
    /// .join()
    /// .unwrap()??;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn detach(self) -> Result<Detached<Self>, NotHandedOver<Self>> {
        match op::detach(self.into_socket()).await {
            Ok(traveller) => Ok(Detached::new(traveller)),
            Err((error, socket)) => Err(NotHandedOver { error, socket: Stream::new(socket) }),
        }
    }
}

impl<F: Family> Listener<F> {
    /// Takes the listener off this loop, so that another one can have it: see [`Detached`].
    ///
    /// A pending accept is ended as by [`close`](Self::close). Connections that dropped accepts had accepted go along; so
    /// does an error that one of them met. An accept that is still awaited somewhere, and [`Incoming`](super::Incoming) that
    /// is still there, have what they accept: drop them before, and it goes along.
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose sockets are no descriptors; EMFILE where an accepted connection in the
    /// ring's own table finds no descriptor; that the loop has ended, where it has. The listener is given back.
    ///
    /// # Cancel safety
    /// Dropping it closes the listener.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// # let world = annulus::run(async { annulus::Runtime::try_current().unwrap().driver() == "sim" })?;
    /// # if world { return Ok(()); }
    /// let detached = annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     std::io::Result::Ok(listener.detach().await?)
    /// })??;
    /// // Another loop goes on with it.
    /// annulus::run(async {
    ///     let listener = detached.attach()?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (_stream, peer) = listener.accept().await?;
    ///     assert_eq!(peer, client.local_addr()?);
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn detach(self) -> Result<Detached<Self>, NotHandedOver<Self>> {
        match op::detach(self.into_socket()).await {
            Ok(traveller) => Ok(Detached::new(traveller)),
            Err((error, socket)) => Err(NotHandedOver { error, socket: Listener::new(socket) }),
        }
    }
}

impl<S> fmt::Debug for Detached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.traveller.fmt(f)
    }
}
