//! Connections: two directions of bytes, whatever the family of the addresses.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::Shutdown;
use std::panic::Location;

use super::buffered_stream::BufferedStream;
use super::family::Family;
use super::poll_stream::PollStream;
use super::recv_stream::RecvStream;
use super::socket;
use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::buf::{IoBuf, IoBufMut};
use crate::driver::{Descriptor, Way};
use crate::engine;
use crate::executor::Plan;
use crate::op::{self, Peek, Recv, RecvLease, Recvmsg, Send, Sendmsg, Settle, Submitted, Whole};

/// A connection: a [`TcpStream`](super::TcpStream) is one.
///
/// Reading and writing take `&self`: each direction lets one operation at a time through, first come first
/// served, and the two directions do not wait for each other. Dropping the stream ends what is in flight on it
/// and closes it, without waiting; the peer then sees the end.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::net::Shutdown;
/// use annulus::net::UnixStream;
///
/// annulus::run(async {
///     let (one, other) = UnixStream::pair()?;
///     // Some bytes, or all of a buffer, or several buffers.
///     one.write("some ").await.0?;
///     one.write_all("bytes, ").await.0?;
///     one.writev(vec!["and ", "more"]).await.0?;
///
///     other.readable().await?;
///     let (result, buffer) = other.read(Vec::with_capacity(5)).await;
///     assert_eq!((result?, &buffer[..]), (5, &b"some "[..]));
///     let (result, buffer) = other.read_exact(buffer).await;
///     result?;
///     assert_eq!(buffer, b"bytes");
///     let (result, buffers) = other.readv(vec![Vec::with_capacity(2), Vec::with_capacity(64)]).await;
///     assert!(result? > 2 && buffers[0] == b", ");
///     println!("{} bytes more", buffers[1].len());
///
///     one.writable().await?;
///     one.shutdown(Shutdown::Write).await?;
///     assert!(other.recv().await?.is_empty(), "the end");
///     assert!(other.take_error()?.is_none());
///     other.close().await?;
///     Ok(())
/// })?
/// # }
/// ```
pub struct Stream<F> {
    socket: Descriptor,
    family: PhantomData<fn() -> F>,
}

impl<F: Family> Stream<F> {
    pub(super) fn new(socket: Descriptor) -> Stream<F> {
        Stream { socket: socket.seen_as(F::STREAM, "socket"), family: PhantomData }
    }

    pub(super) fn socket(&self) -> &Descriptor {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Descriptor {
        self.socket
    }

    /// Reads some bytes into the buffer, from its beginning up to all the room that it has, and sets its length to
    /// what was read. 0 is the end, unless the buffer has no room.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: bytes that come all the same are given to the next read. To get the buffer
    /// back, [`cancel`](Submitted::cancel).
    ///
    /// # Errors
    /// Those of recv(2).
    pub fn read<B: IoBufMut>(&self, buffer: B) -> Submitted<Recv<B>> {
        Submitted::new(Recv::new(self.socket.hold(), buffer))
    }

    /// Waits for bytes, and gives them in a buffer of the runtime's: see [`Lease`](crate::buf::Lease). An empty one is the end. While it waits it
    /// holds no buffer, so an idle connection costs none.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: bytes that come all the same are given to the next read.
    ///
    /// # Errors
    /// Those of recv(2).
    pub fn recv(&self) -> Submitted<RecvLease> {
        Submitted::new(RecvLease::new(self.socket.hold()))
    }

    /// All that comes, in leases, until the end. Where the kernel can do so, it is asked once and answers as often as
    /// something has come. As long as the stream of leases is there the reading direction is its own: other reads wait.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what has come and was not taken is given to the next read.
    ///
    /// # Errors
    /// An item that is an error is one of recv(2)'s; the next item says whether there is more.
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
    ///     client.write_all("all that comes").await.0?;
    ///     drop(client);
    ///
    ///     let mut came = Vec::new();
    ///     let mut leases = server.recv_stream();
    ///     while let Some(lease) = leases.next().await {
    ///         came.extend_from_slice(&lease?);
    ///     }
    ///     assert_eq!(came, b"all that comes");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn recv_stream(&self) -> RecvStream {
        RecvStream::new(&self.socket)
    }

    /// As [`read`](Self::read), but what it finds stays there: the next read finds it again.
    ///
    /// It may see less than a read would find afterwards: when a read was dropped and bytes came for it all the same,
    /// a peek sees those alone. 0 is the end, unless the buffer has no room.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// Those of recv(2). An error stays there too: the next read is told what the peek was told.
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
    ///     client.write_all("PROXY ...").await.0?;
    ///     let (result, seen) = server.peek(Vec::with_capacity(5)).await;
    ///     assert_eq!((result?, &seen[..]), (5, &b"PROXY"[..]));
    ///     let (result, got) = server.read(Vec::with_capacity(64)).await;
    ///     assert_eq!((result?, &got[..]), (9, &b"PROXY ..."[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn peek<B: IoBufMut>(&self, buffer: B) -> Submitted<Peek<B>> {
        Submitted::new(Peek::new(self.socket.hold(), buffer))
    }

    /// Reads some bytes into several buffers, filling one after the other; each one's length is set to what it got.
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    ///
    /// # Errors
    /// Those of recvmsg(2).
    pub fn readv<B: IoBufMut>(&self, buffers: Vec<B>) -> Submitted<Recvmsg<B>> {
        Submitted::new(Recvmsg::new(self.socket.hold(), buffers))
    }

    /// Reads until the buffer's whole room is full: for a `Vec`, its capacity; for less, a `slice` of it.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what was read so far is given to the next read.
    ///
    /// # Errors
    /// `UnexpectedEof` if the end comes before, and those of [`read`](Self::read); the buffer then has what was read,
    /// and [`Incomplete`](crate::io::Incomplete) says how much that is.
    pub fn read_exact<B: IoBufMut>(&self, buffer: B) -> Submitted<Whole<Recv<B>>> {
        Submitted::new(Whole::new(Recv::new(self.socket.hold(), buffer)))
    }

    /// Writes some bytes of the buffer, from its beginning, and says how many. Never raises SIGPIPE.
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been sent, or none; a later write begins when that is settled.
    /// To know, [`cancel`](Submitted::cancel) instead, or ask [`settle_writes`](Self::settle_writes) afterwards.
    ///
    /// # Errors
    /// Those of send(2).
    pub fn write<B: IoBuf>(&self, buffer: B) -> Submitted<Send<B>> {
        Submitted::new(Send::new(self.socket.hold(), buffer))
    }

    /// Writes some bytes of several buffers, one after the other, and says how many in all.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Errors
    /// Those of sendmsg(2).
    pub fn writev<B: IoBuf>(&self, buffers: Vec<B>) -> Submitted<Sendmsg<B>> {
        Submitted::new(Sendmsg::new(self.socket.hold(), buffers))
    }

    /// Writes the whole buffer. Nothing that others write to the stream comes in between.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Errors
    /// Those of [`write`](Self::write). [`Incomplete`](crate::io::Incomplete) says how much was written before.
    pub fn write_all<B: IoBuf>(&self, buffer: B) -> Submitted<Whole<Send<B>>> {
        Submitted::new(Whole::new(Send::new(self.socket.hold(), buffer)))
    }

    /// Waits until writes whose futures were dropped are settled, and says how many bytes they sent after all, since
    /// this was last asked.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// The one that a dropped write met, which otherwise the next write is told.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::net::{TcpListener, TcpStream};
    /// use annulus::time::timeout;
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (_server, _) = listener.accept().await?;
    ///
    ///     static LARGE: [u8; 32 << 20] = [7; 32 << 20];
    ///     let write = client.write_all(&LARGE[..]);
    ///     assert!(timeout(Duration::from_millis(20), write).await.is_err(), "nobody reads");
    ///     let sent = client.settle_writes().await?;
    ///     assert!(0 < sent && sent < LARGE.len());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn settle_writes(&self) -> Submitted<Settle> {
        Submitted::new(Settle::new(self.socket.hold()))
    }

    /// Waits until a read would find something: bytes, the end, or an error.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of poll(2).
    pub async fn readable(&self) -> io::Result<()> {
        Submitted::new(op::Poll::new(self.socket.hold(), libc::POLLIN)).await.map(drop)
    }

    /// Waits until a write would find room, or an error.
    ///
    /// It may also end when the peer has ended what it sends, which a ring tells without being asked; a write then waits for
    /// room as ever.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of poll(2).
    pub async fn writable(&self) -> io::Result<()> {
        Submitted::new(op::Poll::new(self.socket.hold(), libc::POLLOUT)).await.map(drop)
    }

    /// Ends one direction, or both: the peer sees the end of what is written here after all that was written
    /// before.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Errors
    /// Those of shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> Submitted<op::Shutdown> {
        let how = match how {
            Shutdown::Read => libc::SHUT_RD,
            Shutdown::Write => libc::SHUT_WR,
            Shutdown::Both => libc::SHUT_RDWR,
        };
        Submitted::new(op::Shutdown::new(self.socket.hold(), how))
    }

    /// Ends what is in flight, closes, and says how that went. Dropping the stream does the same without waiting.
    ///
    /// # Errors
    /// Those of close(2).
    ///
    /// # Cancel safety
    /// Dropping it closes all the same.
    pub async fn close(self) -> io::Result<()> {
        op::close(self.socket).await
    }

    /// Two halves that borrow the stream, for reading and writing in one task.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, other) = UnixStream::pair()?;
    ///     let (reading, writing) = one.split();
    ///     writing.write_all("ping").await.0?;
    ///     other.write_all(other.recv().await?).await.0?;
    ///     assert_eq!(reading.read_exact(vec![0; 4]).await.1, b"ping");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn split(&self) -> (ReadHalf<'_, Self>, WriteHalf<'_, Self>) {
        split::borrowed(self)
    }

    /// Two halves for two tasks. The stream is closed when both are dropped.
    ///
    /// Dropping the writing half alone ends what is sent, as [`shutdown`](Self::shutdown) does: nobody can write any more,
    /// so the peer is told. It does not wait, and comes after all that is being written. Dropping the reading half alone
    /// does nothing.
    ///
    /// # Examples
    /// As [`OwnedWriteHalf`].
    pub fn into_split(self) -> (OwnedReadHalf<Self>, OwnedWriteHalf<Self>) {
        split::owned(self, Stream::end_writing)
    }

    /// The connection as the world of borrowed buffers wants it: calls are tried at once, with the caller's memory, and what
    /// would block waits until the socket is ready. See [`PollStream`].
    ///
    /// # Examples
    /// As [`PollStream`].
    pub fn into_poll(self) -> PollStream<F> {
        PollStream::new(self)
    }

    /// The same, but what comes is received as by [`recv_stream`](Self::recv_stream), without a call for each read, and copied
    /// once. See [`BufferedStream`].
    ///
    /// # Examples
    /// As [`BufferedStream`].
    pub fn into_buffered(self) -> BufferedStream<F> {
        BufferedStream::new(self)
    }

    /// Ends what is sent when all that is being written is settled. Does not wait for it.
    fn end_writing(&self) {
        if !self.socket.is_busy(Way::Write) {
            // Refused where the connection is gone already.
            return drop(socket::end_sending(&self.socket));
        }
        let (shutdown, runtime) = (self.shutdown(Shutdown::Write), self.socket.port().runtime());
        // Outside of its loop nothing that is being written is settled: then the end comes when the stream is closed.
        engine::with_current(|engine| {
            if engine.executor.id() == runtime {
                drop(engine.executor.spawn(shutdown, Plan::at(Location::caller())));
            }
        });
    }

    /// Whether two are the same.
    pub(super) fn is(&self, other: &Stream<F>) -> bool {
        self.socket.is(&other.socket)
    }
}

impl<F: Family> fmt::Debug for Stream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(F::STREAM)
            .field("local_addr", &self.local_addr().ok())
            .field("peer_addr", &self.peer_addr().ok())
            .finish()
    }
}
