//! What has futures-io's AsyncRead and AsyncWrite, as a stream of this crate's.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::from::from_foreign;
use crate::buf::ReadBuf;
use crate::engine::poll_turn;
use crate::io::{PollRead, PollWrite};

/// The most bytes that are zeroed for one poll.
const ROOM_MAX: usize = 16 * 1024;

from_foreign! {
    /// Makes a stream that has futures-io's `AsyncRead` or `AsyncWrite` one of this crate's: [`AsyncRead`](crate::io::AsyncRead) and
    /// [`AsyncWrite`](crate::io::AsyncWrite), with owned buffers, and [`PollRead`] and [`PollWrite`].
    ///
    /// A buffer is filled where it is, without a copy, and at most 16 KiB of it by one read: futures-io lends initialised bytes, so
    /// those are zeroed before. What never waits gives way to other tasks now and then, as everything here.
    ///
    /// # Cancel safety
    /// As [`Owning`](crate::io::Owning): a dropped read loses its buffer and no byte; a dropped `write` has written nothing; a dropped `write_all` may
    /// have written a part, and [`settle`](crate::io::AsyncWrite::settle) says how much; a dropped `read_exact` loses what it had read. That is what
    /// futures-io's traits ask of the stream; one that breaks them may lose more.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::compat::FromFutures;
    /// use annulus::io::{AsyncRead, AsyncWrite};
    ///
    /// annulus::run(async {
    ///     let mut both = FromFutures::new(futures_util::io::Cursor::new(vec![0; 8]));
    ///     both.write_all("borrowed").await.0?;
    ///     both.get_mut().set_position(6);
    ///     assert_eq!(both.read(Vec::with_capacity(64)).await.1, b"ed");
    ///     assert_eq!(both.get_ref().position(), 8);
    ///     assert_eq!(both.into_inner().into_inner(), b"borrowed");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    FromFutures, Foreign, ::futures_io::AsyncRead, ::futures_io::AsyncWrite
}

/// Its bytes by futures-io's traits.
struct Foreign<T>(T);

impl<T: ::futures_io::AsyncRead + Unpin> PollRead for Foreign<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(poll_turn(cx));
        buffer.fill_zeroed(ROOM_MAX, |room| Pin::new(&mut self.0).poll_read(cx, room))
    }
}

impl<T: ::futures_io::AsyncWrite + Unpin> PollWrite for Foreign<T> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(poll_turn(cx));
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(poll_turn(cx));
        Pin::new(&mut self.0).poll_write_vectored(cx, parts)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
