//! A reader and a writer as one stream.

use std::future::Future;
use std::io;

use super::{AsyncBufRead, AsyncRead, AsyncWrite};
use crate::buf::{IoBuf, IoBufMut};

/// Reads from one and writes to the other. Made by [`join`].
///
/// # Examples
/// As [`join`].
#[derive(Debug)]
pub struct Join<R, W> {
    reader: R,
    writer: W,
}

/// Makes one stream of a reader and a writer.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncRead, AsyncWrite};
///
/// annulus::run(async {
///     let (reader, writer) = annulus::io::pipe().await?;
///     let mut stream = annulus::io::join(reader, writer);
///     stream.write_all("to myself").await.0?;
///     assert_eq!(stream.read(Vec::with_capacity(100)).await.1, b"to myself");
///     Ok(())
/// })?
/// # }
/// ```
pub fn join<R: AsyncRead, W: AsyncWrite>(reader: R, writer: W) -> Join<R, W> {
    Join { reader, writer }
}

impl<R, W> Join<R, W> {
    /// The reader.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::{join, pipe};
    ///
    /// annulus::run(async {
    ///     let (reader, writer) = pipe().await?;
    ///     let mut stream = join(reader, writer);
    ///     stream.writer().write_all("to myself").await.0?;
    ///     assert_eq!(stream.reader().read(Vec::with_capacity(64)).await.0?, 9);
    ///     let (_reader, _writer) = stream.get_mut();
    ///     let (_reader, _writer) = stream.into_inner();
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The writer.
    ///
    /// # Examples
    /// As [`reader`](Self::reader).
    pub fn writer(&self) -> &W {
        &self.writer
    }

    /// Both, to be used at the same time.
    ///
    /// # Examples
    /// As [`reader`](Self::reader).
    pub fn get_mut(&mut self) -> (&mut R, &mut W) {
        (&mut self.reader, &mut self.writer)
    }

    /// Gives both back.
    ///
    /// # Examples
    /// As [`reader`](Self::reader).
    pub fn into_inner(self) -> (R, W) {
        (self.reader, self.writer)
    }
}

impl<R: AsyncRead, W> AsyncRead for Join<R, W> {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        self.reader.read(buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        self.reader.read_exact(buffer)
    }

    fn readv<B: IoBufMut>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        self.reader.readv(buffers)
    }

    fn read_to_end(&mut self, buffer: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> {
        self.reader.read_to_end(buffer)
    }

    fn read_to_string(&mut self, text: String) -> impl Future<Output = (io::Result<usize>, String)> {
        self.reader.read_to_string(text)
    }
}

impl<R: AsyncBufRead, W> AsyncBufRead for Join<R, W> {
    fn buffer(&self) -> &[u8] {
        self.reader.buffer()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }

    fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>> {
        self.reader.fill_more()
    }
}

impl<R, W: AsyncWrite> AsyncWrite for Join<R, W> {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        self.writer.write(buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        self.writer.write_all(buffer)
    }

    fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        self.writer.writev(buffers)
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> {
        self.writer.flush()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> {
        self.writer.shutdown()
    }

    fn settle(&mut self) -> impl Future<Output = io::Result<Option<usize>>> {
        self.writer.settle()
    }
}
