//! The readiness view of a connection: borrowed buffers, a call now, a poll when it would block.
//!
//! The kernel touches what is borrowed during the call alone, so nothing has to be owned or copied. What that costs is a call a
//! transfer, where the completion view has none of its own.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::family::Family;
use super::socket;
use super::stream::Stream;
use crate::buf::ReadBuf;
use crate::driver::Way;
use crate::engine::poll_turn;
use crate::io::{PollRead, PollWrite};
use crate::op::{self, Entering, Now, Submitted, Turn};

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
        PollStream { reading: Waiting::Nothing, writing: Waiting::Nothing, drained: false, stream }
    }

    /// The connection as it was.
    pub fn into_stream(self) -> Stream<F> {
        self.stream
    }

    /// The connection, for options and names. What reads or writes through it takes turns with this.
    pub fn get_ref(&self) -> &Stream<F> {
        &self.stream
    }

    /// The address of this end.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<F::Address> {
        self.stream.local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// Those of getpeername(2).
    pub fn peer_addr(&self) -> io::Result<F::Address> {
        self.stream.peer_addr()
    }

    /// Reads what is there, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, or another read is under way; those of recv(2).
    pub fn try_read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        now(op::recv_now(&self.stream.socket().hold(), &mut ReadBuf::new(room)))
    }

    /// Writes what there is room for, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room, or another write is under way; those of send(2).
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(op::send_now(&self.stream.socket().hold(), bytes))
    }

    /// Waits until a read would find something: bytes, the end, or an error.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reading.wait_for(&self.stream, Way::Read);
        self.reading.poll(cx)
    }

    /// Waits until a write would find room, or an error.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing.wait_for(&self.stream, Way::Write);
        self.writing.poll(cx)
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
            if self.drained {
                // Asking would be a call for nothing. If something has come meanwhile, the poll says so at once.
                self.drained = false;
                self.reading.wait_for(&self.stream, Way::Read);
                continue;
            }
            ready!(poll_turn(cx));
            let room = buffer.remaining();
            match op::recv_now(&self.stream.socket().hold(), buffer)? {
                Now::Done(count) => {
                    self.drained = 0 < count && count < room;
                    return Poll::Ready(Ok(()));
                }
                Now::NotReady => self.reading.wait_for(&self.stream, Way::Read),
                Now::NotInTurn => self.reading.queue_for(&self.stream, Way::Read),
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

/// What one direction waits for, until a call is worth a try.
pub(super) enum Waiting {
    Nothing,
    Ready(Submitted<op::Poll>),
    Turn(Entering),
}

impl Waiting {
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Waiting::Nothing => Poll::Ready(Ok(())),
            _ => self.poll_what_it_is(cx),
        }
    }

    fn poll_what_it_is(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = match self {
            Waiting::Nothing => Ok(()),
            Waiting::Ready(poll) => ready!(Pin::new(poll).poll(cx)).map(drop),
            // It is this one's turn; whatever was before it is done. The call needs it for no longer than itself.
            Waiting::Turn(entering) => {
                let turn: Turn = ready!(Pin::new(entering).poll(cx));
                drop(turn);
                Ok(())
            }
        };
        *self = Waiting::Nothing;
        Poll::Ready(ended)
    }

    pub(super) fn wait_for<F: Family>(&mut self, stream: &Stream<F>, way: Way) {
        if matches!(self, Waiting::Nothing) {
            let events = match way {
                Way::Read => libc::POLLIN,
                Way::Write => libc::POLLOUT,
            };
            *self = Waiting::Ready(Submitted::new(op::Poll::new(stream.socket().hold(), events)));
        }
    }

    pub(super) fn queue_for<F: Family>(&mut self, stream: &Stream<F>, way: Way) {
        *self = Waiting::Turn(Turn::of(stream.socket().hold(), way));
    }

    /// Writes now, or when there is room.
    pub(super) fn write<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.until_written(cx, stream, || op::send_now(&stream.socket().hold(), bytes))
    }

    /// The same of several parts.
    pub(super) fn write_parts<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if parts.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.until_written(cx, stream, || op::send_parts_now(&stream.socket().hold(), parts))
    }

    #[inline]
    fn until_written<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
        send: impl Fn() -> io::Result<Now<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll(cx))?;
            ready!(poll_turn(cx));
            match send()? {
                Now::Done(count) => return Poll::Ready(Ok(count)),
                Now::NotReady => self.wait_for(stream, Way::Write),
                Now::NotInTurn => self.queue_for(stream, Way::Write),
            }
        }
    }

    /// Ends what is sent, after all that is being written.
    pub(super) fn shutdown<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll(cx))?;
            if !stream.socket().is_busy(Way::Write) {
                break;
            }
            self.queue_for(stream, Way::Write);
        }
        match socket::end_sending(stream.socket()) {
            // The peer has gone first: there is nobody to be told.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }
}
