//! The readiness view of a connection: borrowed buffers, a call now, a poll when it would block.
//!
//! The kernel touches what is borrowed during the call alone, so nothing has to be owned or copied. What that costs is a call a
//! transfer, where the completion view has none of its own.

use std::fmt;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::family::Family;
use super::stream::Stream;
use super::waiting::Waiting;
use crate::buf::ReadBuf;
use crate::driver::Way;
use crate::engine::poll_turn;
use crate::io::{PollRead, PollWrite};
use crate::op::{self, Now};

/// A connection for the world of borrowed buffers: made by [`Stream::into_poll`].
///
/// A read or write is tried at once, by recv(2) or send(2) with the caller's own memory. If that would block, the loop is asked to say
/// when the socket is ready (poll(2) by the ring, without a call of its own), and the task waits. Nothing is copied, nothing is written
/// later than it is said to be, and an idle connection holds no buffer.
///
/// It is [`PollRead`] and [`PollWrite`]; by features it is tokio's `AsyncRead` and `AsyncWrite` (`tokio-io`), those of futures-io
/// (`futures-io`), and hyper's `rt::Read` and `rt::Write` (`hyper`). So it goes wherever those are wanted: TLS, HTTP, databases. Where
/// [`BufferedStream`](super::BufferedStream) is the better one: docs/ecosystem.md.
///
/// What was received for dropped reads before comes first, and what was being written before is finished first, as everywhere.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::future::poll_fn;
/// use annulus::buf::ReadBuf;
/// use annulus::io::{PollRead, PollWrite};
/// use annulus::net::UnixStream;
///
/// annulus::run(async {
///     let (mut one, mut other) = {
///         let (one, other) = UnixStream::pair()?;
///         (one.into_poll(), other.into_poll())
///     };
///     let sent = poll_fn(|cx| one.poll_write(cx, b"borrowed")).await?;
///
///     let mut room = [0; 64];
///     let mut buffer = ReadBuf::new(&mut room);
///     poll_fn(|cx| other.poll_read(cx, &mut buffer)).await?;
///     assert_eq!((sent, buffer.filled()), (8, &b"borrowed"[..]));
///     Ok(())
/// })?
/// # }
/// ```
pub struct PollStream<F> {
    reading: Waiting,
    writing: Waiting,
    /// The last read left room: it has emptied the socket, most likely.
    drained: bool,
    /// Last, so that what waits ends first.
    stream: Stream<F>,
}

impl<F: Family> PollStream<F> {
    pub(super) fn new(stream: Stream<F>) -> PollStream<F> {
        PollStream { reading: Waiting::new(), writing: Waiting::new(), drained: false, stream }
    }

    /// The connection as it was.
    ///
    /// # Examples
    /// As [`try_read`](Self::try_read).
    pub fn into_stream(self) -> Stream<F> {
        self.stream
    }

    /// The connection, for options and names. What reads or writes through it takes turns with this: a poll of this that found
    /// the direction taken has its place in the line, and those behind it wait until it is polled again.
    ///
    /// # Examples
    /// As [`try_read`](Self::try_read).
    pub fn get_ref(&self) -> &Stream<F> {
        &self.stream
    }

    /// The address of this end.
    ///
    /// # Errors
    /// Those of getsockname(2).
    ///
    /// # Examples
    /// As [`TcpListener`](super::TcpListener).
    pub fn local_addr(&self) -> io::Result<F::Address> {
        self.stream.local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// Those of getpeername(2).
    ///
    /// # Examples
    /// As [`TcpListener`](super::TcpListener).
    pub fn peer_addr(&self) -> io::Result<F::Address> {
        self.stream.peer_addr()
    }

    /// Reads what is there, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, or another read is under way; those of recv(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::future::poll_fn;
    /// use std::io::ErrorKind;
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, other) = UnixStream::pair()?;
    ///     let (mut one, mut other) = (one.into_poll(), other.into_poll());
    ///     let mut room = [0; 64];
    ///     assert_eq!(one.try_read(&mut room).unwrap_err().kind(), ErrorKind::WouldBlock);
    ///
    ///     poll_fn(|cx| other.poll_write_ready(cx)).await?;
    ///     assert_eq!(other.try_write(b"now")?, 3);
    ///     poll_fn(|cx| one.poll_read_ready(cx)).await?;
    ///     assert_eq!(one.try_read(&mut room)?, 3);
    ///     assert!(one.get_ref().take_error()?.is_none());
    ///     let _completions_again = one.into_stream();
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn try_read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        now(op::recv_now(&self.stream.socket().hold(), &mut ReadBuf::new(room), self.reading.turn()))
    }

    /// Writes what there is room for, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room, or another write is under way; those of send(2).
    ///
    /// # Examples
    /// As [`try_read`](Self::try_read).
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(op::send_now(&self.stream.socket().hold(), bytes, self.writing.turn()))
    }

    /// Waits until a read would find something: bytes, the end, or an error.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Examples
    /// As [`try_read`](Self::try_read).
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reading.poll_ready(cx, &self.stream, Way::Read)
    }

    /// Waits until a write would find room, or an error.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Examples
    /// As [`try_read`](Self::try_read).
    pub fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing.poll_ready(cx, &self.stream, Way::Write)
    }
}

fn now(transferred: io::Result<Now<usize>>) -> io::Result<usize> {
    match transferred? {
        Now::Done(count) => Ok(count),
        Now::NotReady | Now::NotInTurn => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<F: Family> PollRead for PollStream<F> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.reading.poll(cx))?;
            if std::mem::take(&mut self.drained) && self.reading.turn().is_none() {
                // Asking would be a call for nothing. If something has come meanwhile, the poll says so at once.
                self.reading.wait_for(&self.stream, Way::Read);
                continue;
            }
            ready!(poll_turn(cx));
            let room = buffer.remaining();
            let received = op::recv_now(&self.stream.socket().hold(), buffer, self.reading.turn());
            self.reading.end_turn();
            match received? {
                Now::Done(count) => {
                    self.drained = 0 < count && count < room;
                    return Poll::Ready(Ok(()));
                }
                Now::NotReady | Now::NotInTurn => self.reading.wait_for(&self.stream, Way::Read),
            }
        }
    }
}

impl<F: Family> PollWrite for PollStream<F> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writing.write(cx, &self.stream, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing.write_parts(cx, &self.stream, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is the kernel's by then.
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing.shutdown(cx, &self.stream)
    }
}

impl<F: Family> fmt::Debug for PollStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PollStream").field(&self.stream).finish()
    }
}
