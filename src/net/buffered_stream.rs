//! The completion view of a connection for the world of borrowed buffers: received without a call for each read, copied once.

use std::fmt;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::family::Family;
use super::stream::Stream;
use super::waiting::Waiting;
use crate::buf::{Lease, ReadBuf};
use crate::driver::Way;
use crate::engine::poll_turn;
use crate::io::{PollRead, PollWrite};
use crate::op::{self, RecvOften, Submitted};

/// A connection for the world of borrowed buffers, whose reads are completions: made by [`Stream::into_buffered`].
///
/// What comes is received into buffers of the runtime's, as by [`Stream::recv_stream`]: where the kernel can do so it is asked once and
/// answers as often as something has come, so that a read makes no system call. It is copied once, to where the reader wants it, and the
/// buffer goes back; an idle connection holds none. What is written goes as with [`PollStream`](super::PollStream): at once, with the
/// caller's memory, or when there is room, so a write that was said to be done is the kernel's.
///
/// It implements the same traits as `PollStream`. Which of the two is better for what: docs/ecosystem.md.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::future::poll_fn;
/// use annulus::net::UnixStream;
///
/// annulus::run(async {
///     let (one, other) = UnixStream::pair()?;
///     let mut one = one.into_buffered();
///     other.write_all("GET / HTTP/1.1").await.0?;
///
///     // A look at what has come, which stays for the next read.
///     assert!(poll_fn(|cx| one.poll_fill_buf(cx).map_ok(|bytes| bytes.starts_with(b"GET "))).await?);
///     one.consume(4);
///     // What was not taken is the stream's again.
///     let (result, rest) = one.into_stream().read(Vec::with_capacity(64)).await;
///     result?;
///     assert_eq!(rest, b"/ HTTP/1.1");
///     Ok(())
/// })?
/// # }
/// ```
pub struct BufferedStream<F> {
    receiving: Submitted<RecvOften>,
    /// What has come, and was not taken yet.
    lease: Option<Lease>,
    writing: Waiting,
    /// Last, so that what waits ends first.
    stream: Stream<F>,
}

impl<F: Family> BufferedStream<F> {
    pub(super) fn new(stream: Stream<F>) -> BufferedStream<F> {
        let receiving = Submitted::new(RecvOften::new(stream.socket().hold()));
        BufferedStream { receiving, lease: None, writing: Waiting::new(), stream }
    }

    /// The connection as it was. What has come and was not read is given to its next read.
    pub fn into_stream(self) -> Stream<F> {
        let BufferedStream { receiving, lease, writing, stream } = self;
        // Behind this one comes what the receive leaves.
        lease
            .into_iter()
            .for_each(|lease| op::leave_in_front(&stream.socket().hold(), Way::Read, lease.to_vec()));
        drop((receiving, writing));
        stream
    }

    /// The connection, for options and names. It is received by this as long as it is there: reads by the stream itself wait.
    ///
    /// # Examples
    /// As [`PollStream::try_read`](super::PollStream::try_read).
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

    /// What has come, without taking it: [`consume`](Self::consume) does. Nothing is the end.
    ///
    /// # Errors
    /// Those of recv(2).
    pub fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.lease.is_none() {
            self.lease = ready!(self.receiving.poll_next_item(cx)).transpose()?;
        }
        Poll::Ready(Ok(self.lease.as_deref().unwrap_or_default()))
    }

    /// So many bytes of what has come are taken.
    ///
    /// # Panics
    /// If so many have not come.
    pub fn consume(&mut self, count: usize) {
        let Some(lease) = &mut self.lease else {
            return assert_eq!(count, 0, "more bytes are consumed than have come");
        };
        if count == lease.len() {
            self.lease = None;
        } else {
            drop(lease.split_to(count));
        }
    }
}

impl<F: Family> PollRead for BufferedStream<F> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.lease.is_some() {
            // The receive has a turn of its own.
            ready!(poll_turn(cx));
        }
        let bytes = ready!(self.poll_fill_buf(cx))?;
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..count]);
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl<F: Family> PollWrite for BufferedStream<F> {
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

impl<F: Family> fmt::Debug for BufferedStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BufferedStream").field(&self.stream).finish()
    }
}
