//! Reading and writing with borrowed buffers: what other crates' traits are made of.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::buf::ReadBuf;

/// Gives bytes into borrowed room, which it touches only until it returns.
///
/// The traits of tokio, futures-io and hyper are this by other names, and by the features `tokio-io`, `futures-io` and `hyper` the types
/// of this crate that are `PollRead` have those as well. What owns its buffers is [`AsyncRead`](super::AsyncRead): it needs no copy
/// and no readiness, so it is the one to use where there is a choice.
///
/// # Examples
/// As [`PollStream`](crate::net::PollStream), which is one.
pub trait PollRead {
    /// Reads some bytes, behind what is filled. None, with room left, are the end. `Pending`: nothing was read, and the task is
    /// woken when it is worth another try.
    ///
    /// # Cancel safety
    /// There is nothing to drop: a poll has read, or it has not.
    ///
    /// # Errors
    /// Those of the source.
    ///
    /// # Examples
    /// As [`PollStream`](crate::net::PollStream).
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
}

/// Takes bytes from borrowed memory, which it touches only until it returns.
///
/// The traits of tokio, futures-io and hyper by other names: see [`PollRead`].
///
/// # Examples
/// As [`PollStream`](crate::net::PollStream), which is one.
pub trait PollWrite {
    /// Writes some of the bytes, and says how many. `Pending`: none were written, and the task is woken when it is worth another
    /// try.
    ///
    /// # Errors
    /// Those of the sink.
    ///
    /// # Examples
    /// As [`PollStream`](crate::net::PollStream).
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// As [`poll_write`](Self::poll_write), of several parts, one after the other. The default implementation writes some of the first that
    /// is not empty.
    ///
    /// # Errors
    /// As [`poll_write`](Self::poll_write).
    ///
    /// # Examples
    /// As [`poll_write`](Self::poll_write), with several pieces.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
        self.poll_write(cx, first)
    }

    /// Whether [`poll_write_vectored`](Self::poll_write_vectored) takes more than the first part, so that gathering them before would be a copy for
    /// nothing.
    ///
    /// # Examples
    /// As [`poll_flush`](Self::poll_flush).
    fn is_write_vectored(&self) -> bool {
        false
    }

    /// Ready when all that was written is on its way.
    ///
    /// # Errors
    /// Those of the sink.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::future::poll_fn;
    /// use annulus::io::PollWrite;
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, _other) = UnixStream::pair()?;
    ///     let mut one = one.into_poll();
    ///     assert!(one.is_write_vectored());
    ///     poll_fn(|cx| one.poll_flush(cx)).await?;
    ///     poll_fn(|cx| one.poll_shutdown(cx)).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends what is written: the other side is told, after all that was written before.
    ///
    /// # Errors
    /// Those of the sink.
    ///
    /// # Examples
    /// As [`poll_flush`](Self::poll_flush).
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl<R: PollRead + ?Sized> PollRead for &mut R {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        (**self).poll_read(cx, buffer)
    }
}

impl<W: PollWrite + ?Sized> PollWrite for &mut W {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        (**self).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        (**self).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        (**self).is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_shutdown(cx)
    }
}
