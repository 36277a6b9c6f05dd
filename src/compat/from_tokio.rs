//! What has tokio's AsyncRead and AsyncWrite, as a stream of this crate's.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::from::from_foreign;
use crate::buf::{ReadBuf, lend_to_tokio};
use crate::engine::poll_turn;
use crate::io::{PollRead, PollWrite};

from_foreign! {
    /// Makes a stream that has tokio's `AsyncRead` or `AsyncWrite` one of this crate's: [`AsyncRead`](crate::io::AsyncRead) and
    /// [`AsyncWrite`](crate::io::AsyncWrite), with owned buffers, and [`PollRead`] and [`PollWrite`].
    ///
    /// A buffer is filled where it is, without a copy. What never waits gives way to other tasks now and then, as everything here. What
    /// needs tokio's runtime goes on to need it: its sockets, files and timers.
    ///
    /// # Cancel safety
    /// As [`Owning`](crate::io::Owning): a dropped read loses its buffer and no byte; a dropped `write` has written nothing; a dropped `write_all` may
    /// have written a part, and [`settle`](crate::io::AsyncWrite::settle) says how much; a dropped `read_exact` loses what it had read. That is what
    /// tokio's traits ask of the stream; one that breaks them may lose more.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::compat::FromTokio;
    /// use annulus::io::{AsyncBufRead, AsyncWrite, BufReader};
    ///
    /// annulus::run(async {
    ///     let (one, other) = tokio::io::duplex(64);
    ///     let (mut one, mut other) = (FromTokio::new(one), BufReader::new(FromTokio::new(other)));
    ///     one.write_all("a line\nand more").await.0?;
    ///     let (result, line) = other.read_line(String::new()).await;
    ///     assert_eq!((result?, &line[..]), (7, "a line\n"));
    ///     println!("{:?}", one.get_ref());
    ///     println!("{:?}", one.get_mut());
    ///     let _as_it_was = one.into_inner();
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    FromTokio, Foreign, ::tokio::io::AsyncRead, ::tokio::io::AsyncWrite
}

/// Its bytes by tokio's traits.
struct Foreign<T>(T);

impl<T: ::tokio::io::AsyncRead + Unpin> PollRead for Foreign<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(poll_turn(cx));
        lend_to_tokio(buffer, |buffer| Pin::new(&mut self.0).poll_read(cx, buffer))
    }
}

impl<T: ::tokio::io::AsyncWrite + Unpin> PollWrite for Foreign<T> {
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

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
