//! What reads and writes with borrowed buffers, as what does so with owned ones.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use super::transfer::drain;
use super::{AsyncRead, AsyncWrite, PollRead, PollWrite};
use crate::buf::{IoBuf, IoBufMut, ReadBuf, fill_owned};

/// Makes anything that is [`PollRead`] and [`PollWrite`] an [`AsyncRead`] and [`AsyncWrite`], so that
/// [`BufReader`](super::BufReader), [`codec`](super::codec), [`copy()`](super::copy()) and the like take it: a TLS connection, for example.
///
/// A buffer is filled where it is, without a copy, and never zeroed before. Streams of other crates: `compat::FromTokio` and
/// `compat::FromFutures`.
///
/// One task uses it at a time. Both directions at once: by `tokio::io::split` before, and one of these for each half.
///
/// # Cancel safety
/// A poll has read, or it has not, and so has one that writes. So a dropped [`read`](AsyncRead::read) loses its buffer and no byte, and a dropped
/// [`write`](AsyncWrite::write) has written nothing. A dropped [`write_all`](AsyncWrite::write_all) may have written a part, and
/// [`settle`](AsyncWrite::settle) says how much. A dropped [`read_exact`](AsyncRead::read_exact) loses what it had read: a
/// [`BufReader`](super::BufReader) around this keeps it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncRead, AsyncWrite, Owning};
/// use annulus::net::UnixStream;
///
/// annulus::run(async {
///     let (one, other) = UnixStream::pair()?;
///     // As if it were borrowed from some other crate.
///     let mut one = Owning::new(one.into_buffered());
///     other.write_all("there").await.0?;
///     let (result, heard) = one.read_exact(Vec::with_capacity(5)).await;
///     result?;
///     assert_eq!(heard, b"there");
///     one.write_all("and back").await.0?;
///     assert_eq!(other.read(Vec::with_capacity(64)).await.1, b"and back");
///     Ok(())
/// })?
/// # }
/// ```
pub struct Owning<T> {
    inner: T,
    /// What dropped transfers of whole buffers have written, since this was last asked.
    written: usize,
}

impl<T> Owning<T> {
    /// Wraps it.
    pub fn new(inner: T) -> Owning<T> {
        Owning { inner, written: 0 }
    }

    /// What is wrapped.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::Owning;
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, _other) = UnixStream::pair()?;
    ///     let mut one = Owning::new(one.into_poll());
    ///     assert!(one.get_ref().get_ref().take_error()?.is_none());
    ///     assert!(one.get_mut().try_read(&mut [0; 8]).is_err(), "nothing is there");
    ///     let _as_it_was = one.into_inner().into_stream();
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What is wrapped. Nothing is kept here, so it may be read from and written to as well.
    ///
    /// # Examples
    /// As [`get_ref`](Self::get_ref).
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives it back.
    ///
    /// # Examples
    /// As [`get_ref`](Self::get_ref).
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: PollRead> AsyncRead for Owning<T> {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        if buffer.bytes_total() == 0 {
            return (Ok(0), buffer);
        }
        let read = poll_fn(|cx| fill_owned(&mut buffer, |room| self.inner.poll_read(cx, room))).await;
        (read, buffer)
    }
}

impl<T: PollWrite> AsyncWrite for Owning<T> {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        let written = poll_fn(|cx| self.inner.poll_write(cx, buffer.as_init())).await;
        (written, buffer)
    }

    async fn write_all<B: IoBuf>(&mut self, buffer: B) -> (io::Result<()>, B) {
        let before = self.written;
        let outcome = drain(buffer, async |rest, _| {
            let (written, rest) = self.write(rest).await;
            self.written += *written.as_ref().unwrap_or(&0);
            (written, rest)
        });
        let outcome = outcome.await;
        // Who waited is told; who did not asks.
        self.written = before;
        outcome
    }

    async fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> (io::Result<usize>, Vec<B>) {
        let written = poll_fn(|cx| {
            let parts: Vec<_> = buffers.iter().map(|buffer| IoSlice::new(buffer.as_init())).collect();
            self.inner.poll_write_vectored(cx, &parts)
        });
        let written = written.await;
        (written, buffers)
    }

    async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.inner.poll_flush(cx)).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.inner.poll_shutdown(cx)).await
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        Ok(Some(std::mem::take(&mut self.written)))
    }
}

impl<T: PollRead> PollRead for Owning<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_read(cx, buffer)
    }
}

impl<T: PollWrite> PollWrite for Owning<T> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown(cx)
    }
}

impl<T: fmt::Debug> fmt::Debug for Owning<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Owning").field(&self.inner).finish()
    }
}
