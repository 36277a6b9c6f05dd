//! The two directions of any stream as two values.

use std::fmt;
use std::io;
use std::rc::Rc;

use super::{AsyncRead, AsyncWrite};
use crate::buf::{IoBuf, IoBufMut};

/// The reading half of a stream that two tasks own. Made by [`split`].
///
/// # Examples
/// As [`split`].
#[derive(Debug)]
pub struct ReadHalf<S>(Rc<S>);

/// The writing half of a stream that two tasks own. Made by [`split`].
///
/// Dropping it does not end its direction: say [`shutdown`](AsyncWrite::shutdown).
///
/// # Examples
/// As [`split`].
#[derive(Debug)]
pub struct WriteHalf<S>(Rc<S>);

/// Makes two halves of a stream that can be read and written through a shared reference, as those of this crate can.
///
/// A TCP stream has an [`into_split`](crate::net::TcpStream::into_split) of its own, whose halves can do all that the
/// stream can.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncRead, AsyncWrite, duplex, split};
///
/// annulus::run(async {
///     let (ours, mut theirs) = duplex(64);
///     let (mut reader, mut writer) = split(ours);
///     let reading = annulus::spawn(async move { reader.read_to_string(String::new()).await.1 });
///     writer.write_all("ping").await.0?;
///     writer.shutdown().await?;
///     assert_eq!(theirs.read_to_string(String::new()).await.1, "ping");
///     theirs.write_all("pong").await.0?;
///     drop(theirs);
///     assert_eq!(reading.await?, "pong");
///     Ok(())
/// })?
/// # }
/// ```
pub fn split<S>(stream: S) -> (ReadHalf<S>, WriteHalf<S>)
where
    for<'a> &'a S: AsyncRead + AsyncWrite,
{
    let stream = Rc::new(stream);
    (ReadHalf(Rc::clone(&stream)), WriteHalf(stream))
}

impl<S> ReadHalf<S> {
    /// The whole stream.
    ///
    /// # Examples
    /// As [`reunite`](Self::reunite).
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// Makes the stream whole again.
    ///
    /// # Errors
    /// [`ReuniteError`], with both halves, if they are not of the same stream.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::{AsyncWrite, duplex, split};
    ///
    /// annulus::run(async {
    ///     let (ours, _theirs) = duplex(64);
    ///     let (reading, mut writing) = split(ours);
    ///     writing.write_all("ping").await.0?;
    ///     println!("{:?} and {:?}", reading.get_ref(), writing.get_ref());
    ///     let _whole = reading.reunite(writing).expect("both are of the same stream");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn reunite(self, other: WriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Rc::ptr_eq(&self.0, &other.0) {
            return Err(ReuniteError(self, other));
        }
        drop(other);
        Ok(Rc::into_inner(self.0).expect("a stream has two halves, and the other is gone"))
    }
}

impl<S> WriteHalf<S> {
    /// The whole stream.
    ///
    /// # Examples
    /// As [`ReadHalf::reunite`].
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// Makes the stream whole again.
    ///
    /// # Errors
    /// [`ReuniteError`], with both halves, if they are not of the same stream.
    ///
    /// # Examples
    /// As [`ReadHalf::reunite`].
    pub fn reunite(self, other: ReadHalf<S>) -> Result<S, ReuniteError<S>> {
        other.reunite(self)
    }
}

/// Two halves that are not of the same stream, given back.
///
/// # Examples
/// As [`net::ReuniteError`](crate::net::ReuniteError).
#[derive(Debug)]
pub struct ReuniteError<S>(pub ReadHalf<S>, pub WriteHalf<S>);

impl<S> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are not of the same stream")
    }
}

impl<S: fmt::Debug> std::error::Error for ReuniteError<S> {}

impl<S> AsyncRead for ReadHalf<S>
where
    for<'a> &'a S: AsyncRead,
{
    async fn read<B: IoBufMut>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        (&*self.0).read(buffer).await
    }

    async fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> (io::Result<()>, B) {
        (&*self.0).read_exact(buffer).await
    }

    async fn readv<B: IoBufMut>(&mut self, buffers: Vec<B>) -> (io::Result<usize>, Vec<B>) {
        (&*self.0).readv(buffers).await
    }
}

impl<S> AsyncWrite for WriteHalf<S>
where
    for<'a> &'a S: AsyncWrite,
{
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        (&*self.0).write(buffer).await
    }

    async fn write_all<B: IoBuf>(&mut self, buffer: B) -> (io::Result<()>, B) {
        (&*self.0).write_all(buffer).await
    }

    async fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> (io::Result<usize>, Vec<B>) {
        (&*self.0).writev(buffers).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        (&*self.0).shutdown().await
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        (&*self.0).settle().await
    }
}
