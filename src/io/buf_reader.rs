//! Reading with a buffer in between.

use std::fmt;
use std::future::Future;
use std::io;

use bytes::BytesMut;

use super::intake::Intake;
use super::{AsyncBufRead, AsyncRead, AsyncWrite, Incomplete};
use crate::buf::{IoBuf, IoBufMut};
use crate::op::incomplete;

/// How much is read at once, in bytes, unless asked for otherwise.
const CAPACITY: usize = 8 * 1024;

/// Reads much at once, and gives it out as it is asked for: a line, some bytes, a byte.
///
/// Nothing that it does loses a byte when it is dropped half-way, provided that its reader keeps the promise of
/// [`AsyncRead::read`]: what has come is in here. Dropping the reader itself drops what is in it:
/// [`into_inner`](Self::into_inner) gives it.
///
/// What can be written to can be written to through it, too, and is not buffered; for that put it around a
/// [`BufWriter`](super::BufWriter).
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncBufRead, BufReader};
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///     client.write_all("one\ntwo\nthr").await.0?;
///
///     let mut reader = BufReader::new(server);
///     let (result, text) = reader.read_line(String::new()).await;
///     assert_eq!((result?, text.as_str()), (4, "one\n"));
///     // A line that does not come in time costs nothing.
///     reader.read_line(text).await.0?;
///     let late = annulus::time::timeout(std::time::Duration::from_millis(5), reader.read_line(String::new()));
///     assert!(late.await.is_err());
///     client.write_all("ee\n").await.0?;
///     assert_eq!(reader.read_line(String::new()).await.1, "three\n");
///     Ok(())
/// })?
/// # }
/// ```
pub struct BufReader<R> {
    inner: R,
    intake: Intake,
}

impl<R> BufReader<R> {
    /// With room for 8 KiB.
    pub fn new(inner: R) -> BufReader<R> {
        BufReader::with_capacity(CAPACITY, inner)
    }

    /// With so much room, in bytes, at least one. A line that is longer makes its own room.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::{AsyncBufRead, BufReader};
    ///
    /// annulus::run(async {
    ///     let mut reader = BufReader::with_capacity(4, &b"one two"[..]);
    ///     assert_eq!(reader.capacity(), 4);
    ///     reader.fill_more().await?;
    ///     assert!(reader.buffer().starts_with(b"one "));
    ///     assert_eq!(reader.get_ref().len(), reader.get_mut().len());
    ///     // With what was read and not taken.
    ///     let (rest, read) = reader.into_inner();
    ///     assert_eq!(read.len() + rest.len(), 7);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn with_capacity(bytes: usize, inner: R) -> BufReader<R> {
        BufReader { inner, intake: Intake::new(bytes) }
    }

    /// How much is read at once, in bytes.
    ///
    /// # Examples
    /// As [`with_capacity`](Self::with_capacity).
    pub fn capacity(&self) -> usize {
        self.intake.capacity()
    }

    /// What it reads from.
    ///
    /// # Examples
    /// As [`with_capacity`](Self::with_capacity).
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// What it reads from. Who reads from it directly reads behind what is in the buffer.
    ///
    /// # Examples
    /// As [`with_capacity`](Self::with_capacity).
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// What it reads from, and the bytes that have come and were not taken.
    ///
    /// # Examples
    /// As [`with_capacity`](Self::with_capacity).
    pub fn into_inner(self) -> (R, BytesMut) {
        (self.inner, self.intake.into_bytes())
    }
}

impl<R: AsyncRead> AsyncBufRead for BufReader<R> {
    #[inline]
    fn buffer(&self) -> &[u8] {
        self.intake.bytes()
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        self.intake.consume(count);
    }

    fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>> {
        self.intake.more(&mut self.inner)
    }
}

/// What is in the buffer comes first. Into as much room as the buffer's, or more, is read directly.
impl<R: AsyncRead> AsyncRead for BufReader<R> {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        if self.buffer().is_empty() {
            if buffer.bytes_total() >= self.capacity() || buffer.bytes_total() == 0 {
                return self.inner.read(buffer).await;
            }
            if let Err(error) = self.fill_more().await {
                return (Err(error), buffer);
            }
        }
        let count = buffer.fill_from(self.buffer());
        self.consume(count);
        (Ok(count), buffer)
    }

    /// What is in here already stays until all has come, so that dropping it loses nothing, if the reader's own
    /// `read_exact` does not.
    async fn read_exact<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<()>, B) {
        let wanted = buffer.bytes_total();
        // What fits in here is gathered in here: fewer reads, and the next bytes come along.
        while self.buffer().len() < wanted && wanted < self.capacity() {
            match self.fill_more().await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return (Err(error), buffer),
            }
        }
        let at_hand = buffer.fill_from(self.buffer());
        if at_hand == wanted {
            self.consume(at_hand);
            return (Ok(()), buffer);
        }
        let (result, slice) = self.inner.read_exact(buffer.slice(at_hand..wanted)).await;
        self.consume(at_hand);
        let result = result.map_err(|error| {
            let done = Incomplete::of(&error).map_or(0, Incomplete::done);
            incomplete(at_hand + done, Some(wanted), error)
        });
        (result, slice.into_inner())
    }

    /// What is in here comes first, and by itself, for the reader may have to be waited for.
    async fn readv<B: IoBufMut>(&mut self, mut buffers: Vec<B>) -> (io::Result<usize>, Vec<B>) {
        if self.buffer().is_empty() {
            return self.inner.readv(buffers).await;
        }
        let mut done = 0;
        for buffer in &mut buffers {
            done += buffer.fill_from(&self.buffer()[done..]);
        }
        self.consume(done);
        (Ok(done), buffers)
    }

    /// Gathers in here, so that dropping it loses nothing.
    async fn read_to_end(&mut self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let result = self.gather_all().await;
        let count = self.buffer().len();
        buffer.extend_from_slice(self.buffer());
        self.consume(count);
        (result.map(|()| count), buffer)
    }

    /// Gathers in here, so that dropping it loses nothing. What is no text stays in here.
    async fn read_to_string(&mut self, mut text: String) -> (io::Result<usize>, String) {
        if let Err(error) = self.gather_all().await {
            return (Err(error), text);
        }
        let count = self.buffer().len();
        match std::str::from_utf8(self.buffer()) {
            Ok(more) => text.push_str(more),
            Err(error) => return (Err(io::Error::new(io::ErrorKind::InvalidData, error)), text),
        }
        self.consume(count);
        (Ok(count), text)
    }
}

impl<R: AsyncRead> BufReader<R> {
    async fn gather_all(&mut self) -> io::Result<()> {
        while self.fill_more().await? > 0 {}
        Ok(())
    }
}

/// Writes pass it by.
impl<S: AsyncWrite> AsyncWrite for BufReader<S> {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        self.inner.write(buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        self.inner.write_all(buffer)
    }

    fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        self.inner.writev(buffers)
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> {
        self.inner.flush()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> {
        self.inner.shutdown()
    }

    fn settle(&mut self) -> impl Future<Output = io::Result<Option<usize>>> {
        self.inner.settle()
    }
}

impl<R: fmt::Debug> fmt::Debug for BufReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufReader")
            .field("inner", &self.inner)
            .field("buffer", &format_args!("{} of {}", self.intake.bytes().len(), self.intake.capacity()))
            .finish()
    }
}
