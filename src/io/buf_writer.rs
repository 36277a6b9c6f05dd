//! Writing with a buffer in between.

use std::fmt;
use std::future::Future;
use std::io;

use bytes::BytesMut;

use super::outgoing::Outgoing;
use super::{AsyncBufRead, AsyncRead, AsyncWrite};
use crate::buf::{IoBuf, IoBufMut};

/// How much is gathered, in bytes, unless asked for otherwise.
const CAPACITY: usize = 8 * 1024;

/// Gathers small writes, and writes much at once.
///
/// **Say [`flush`](AsyncWrite::flush) or [`shutdown`](AsyncWrite::shutdown) at the end**: dropping it cannot wait, so
/// that drops what was not flushed. [`into_inner`](Self::into_inner) gives it.
///
/// A flush may be dropped half-way, and the next one takes it up where it was, if the sink can say how much it has written
/// ([`AsyncWrite::settle`]): sockets, pipes, files and what is in memory can. Of another sink the next write or flush is an
/// error that says so, rather than that bytes are written twice or not at all. What writes to the sink directly and is
/// dropped half-way would be counted among it, so [`get_mut`](Self::get_mut) is no good for that.
///
/// What can be read from can be read through it, too, and is not buffered.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncWrite, BufWriter};
///
/// annulus::run(async {
///     let (reader, writer) = annulus::io::pipe().await?;
///     let mut writer = BufWriter::new(writer);
///     for word in ["one ", "two ", "three"] {
///         writer.write_all(word).await.0?;
///     }
///     assert_eq!(writer.buffered(), 13, "nothing was written yet");
///     writer.flush().await?;
///     assert_eq!(reader.read(Vec::with_capacity(100)).await.1, b"one two three");
///     Ok(())
/// })?
/// # }
/// ```
pub struct BufWriter<W> {
    inner: W,
    outgoing: Outgoing,
    capacity: usize,
}

impl<W> BufWriter<W> {
    /// With room for 8 KiB.
    pub fn new(inner: W) -> BufWriter<W> {
        BufWriter::with_capacity(CAPACITY, inner)
    }

    /// With so much room, in bytes.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::{AsyncWrite, BufWriter};
    ///
    /// annulus::run(async {
    ///     let mut writer = BufWriter::with_capacity(16, Vec::new());
    ///     assert_eq!(writer.capacity(), 16);
    ///     writer.write_all("few").await.0?;
    ///     assert_eq!(writer.get_ref(), b"", "it waits for more");
    ///     writer.flush().await?;
    ///     writer.get_mut().push(b'!');
    ///     let (target, gathered) = writer.into_inner();
    ///     assert_eq!((&target[..], &gathered[..]), (&b"few!"[..], &b""[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn with_capacity(bytes: usize, inner: W) -> BufWriter<W> {
        BufWriter { inner, outgoing: Outgoing::new(), capacity: bytes }
    }

    /// How much is gathered before it is written, in bytes.
    ///
    /// # Examples
    /// As [`with_capacity`](Self::with_capacity).
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many bytes were gathered and are not known to be written.
    pub fn buffered(&self) -> usize {
        self.outgoing.len()
    }

    /// What it writes to.
    ///
    /// # Examples
    /// As [`with_capacity`](Self::with_capacity).
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// What it writes to. Who writes to it directly writes in front of what was gathered.
    ///
    /// # Examples
    /// As [`with_capacity`](Self::with_capacity).
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// What it writes to, and the bytes that were gathered and not flushed.
    ///
    /// # Examples
    /// As [`with_capacity`](Self::with_capacity).
    pub fn into_inner(self) -> (W, BytesMut) {
        (self.inner, self.outgoing.into_bytes())
    }
}

/// A buffer that is as long as the room for gathering, or longer, is written directly.
impl<W: AsyncWrite> AsyncWrite for BufWriter<W> {
    /// # Cancel safety
    /// A buffer that fits is taken without waiting. Dropped while it waits for what was gathered before, it has taken
    /// nothing.
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        let length = buffer.bytes_init();
        if self.outgoing.len() + length > self.capacity {
            if let Err(error) = self.flush_gathered().await {
                return (Err(error), buffer);
            }
        }
        if length >= self.capacity {
            return self.outgoing.pass(&mut self.inner, buffer).await;
        }
        self.outgoing.gathered().extend_from_slice(buffer.as_init());
        (Ok(length), buffer)
    }

    async fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> (io::Result<usize>, Vec<B>) {
        let length = buffers.iter().map(B::bytes_init).sum::<usize>();
        if self.outgoing.len() + length > self.capacity {
            if let Err(error) = self.flush_gathered().await {
                return (Err(error), buffers);
            }
        }
        if length >= self.capacity {
            return super::transfer::first_to_send(buffers, async |buffer| self.write(buffer).await).await;
        }
        for buffer in &buffers {
            self.outgoing.gathered().extend_from_slice(buffer.as_init());
        }
        (Ok(length), buffers)
    }

    /// # Cancel safety
    /// The next flush takes it up, or says that it cannot: see [`BufWriter`].
    async fn flush(&mut self) -> io::Result<()> {
        self.flush_gathered().await?;
        self.inner.flush().await
    }

    /// # Cancel safety
    /// As [`flush`](Self::flush).
    async fn shutdown(&mut self) -> io::Result<()> {
        self.flush_gathered().await?;
        self.inner.shutdown().await
    }

    fn settle(&mut self) -> impl Future<Output = io::Result<Option<usize>>> {
        self.outgoing.settle(&mut self.inner)
    }
}

impl<W: AsyncWrite> BufWriter<W> {
    fn flush_gathered(&mut self) -> impl Future<Output = io::Result<()>> {
        self.outgoing.write(&mut self.inner)
    }
}

/// Reads pass it by.
impl<S: AsyncRead> AsyncRead for BufWriter<S> {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        self.inner.read(buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        self.inner.read_exact(buffer)
    }

    fn readv<B: IoBufMut>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        self.inner.readv(buffers)
    }

    fn read_to_end(&mut self, buffer: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> {
        self.inner.read_to_end(buffer)
    }

    fn read_to_string(&mut self, text: String) -> impl Future<Output = (io::Result<usize>, String)> {
        self.inner.read_to_string(text)
    }
}

impl<S: AsyncBufRead> AsyncBufRead for BufWriter<S> {
    fn buffer(&self) -> &[u8] {
        self.inner.buffer()
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }

    fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>> {
        self.inner.fill_more()
    }
}

impl<W: fmt::Debug> fmt::Debug for BufWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufWriter")
            .field("inner", &self.inner)
            .field("buffer", &format_args!("{} of {}", self.outgoing.len(), self.capacity))
            .finish()
    }
}
