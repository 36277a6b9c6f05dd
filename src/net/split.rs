//! The two directions of a stream as two values.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::ops::Deref;
use std::rc::Rc;

use super::family::Family;
use super::stream::Stream;
use super::tcp::TcpStream;
use crate::buf::{IoBuf, IoBufMut};
use crate::io::{AsyncRead, AsyncWrite, Source, Target};
use crate::op::{self, Submitted};

/// The reading half of a borrowed stream. All that the stream can do with `&self` can be done by it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{ReadHalf, UnixStream, WriteHalf};
///
/// annulus::run(async {
///     async fn count(half: ReadHalf<'_, UnixStream>) -> std::io::Result<usize> {
///         half.read(Vec::with_capacity(64)).await.0
///     }
///     async fn greet(half: WriteHalf<'_, UnixStream>) -> std::io::Result<()> {
///         half.write_all("hello").await.0?;
///         half.shutdown(std::net::Shutdown::Write).await
///     }
///
///     let (one, other) = UnixStream::pair()?;
///     greet(one.split().1).await?;
///     assert_eq!(count(other.split().0).await?, 5);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct ReadHalf<'a, S = TcpStream>(&'a S);

/// The writing half of a borrowed stream. All that the stream can do with `&self` can be done by it.
///
/// # Examples
/// As [`ReadHalf`].
#[derive(Debug)]
pub struct WriteHalf<'a, S = TcpStream>(&'a S);

/// The reading half of a stream that two tasks own.
///
/// # Examples
/// As [`OwnedWriteHalf`].
#[derive(Debug)]
pub struct OwnedReadHalf<S = TcpStream>(Rc<S>);

/// The writing half of a stream that two tasks own. Dropping it alone tells the peer that nothing more comes.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::UnixStream;
///
/// annulus::run(async {
///     let (one, other) = UnixStream::pair()?;
///     let (reading, writing) = one.into_split();
///     // Two tasks may have one each, and the stream can be made whole again.
///     let written = annulus::spawn(async move {
///         writing.write_all("question").await.0?;
///         std::io::Result::Ok(writing)
///     });
///     other.write_all(other.recv().await?).await.0?;
///     assert_eq!(reading.read_exact(vec![0; 8]).await.1, b"question");
///     let whole = reading.reunite(written.await??).expect("both are of the same stream");
///
///     // Dropped by itself, the writing half tells the peer the end, unless it is told not to.
///     let (_reading, writing) = whole.into_split();
///     writing.forget();
///     Ok(())
/// })?
/// # }
/// ```
pub struct OwnedWriteHalf<S = TcpStream> {
    stream: Rc<S>,
    /// What is done when it is dropped, unless it is made whole again.
    end: Option<fn(&S)>,
}

pub(super) fn borrowed<S>(stream: &S) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
    (ReadHalf(stream), WriteHalf(stream))
}

/// `end` tells the peer that nothing more comes.
pub(super) fn owned<S>(stream: S, end: fn(&S)) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Rc::new(stream);
    (OwnedReadHalf(Rc::clone(&stream)), OwnedWriteHalf { stream, end: Some(end) })
}

impl<F: Family> OwnedReadHalf<Stream<F>> {
    /// Makes the stream whole again.
    ///
    /// # Errors
    /// [`ReuniteError`], with both halves, if they are not of the same stream.
    ///
    /// # Examples
    /// As [`OwnedWriteHalf`].
    pub fn reunite(self, other: OwnedWriteHalf<Stream<F>>) -> Result<Stream<F>, ReuniteError<Stream<F>>> {
        if !self.0.is(&other.stream) {
            return Err(ReuniteError(self, other));
        }
        other.forget();
        Ok(Rc::into_inner(self.0).expect("a stream has two owned halves, and the other is gone"))
    }
}

impl<F: Family> OwnedWriteHalf<Stream<F>> {
    /// Makes the stream whole again.
    ///
    /// # Errors
    /// [`ReuniteError`], with both halves, if they are not of the same stream.
    ///
    /// # Examples
    /// As [`OwnedWriteHalf`].
    pub fn reunite(self, other: OwnedReadHalf<Stream<F>>) -> Result<Stream<F>, ReuniteError<Stream<F>>> {
        other.reunite(self)
    }
}

impl<S> OwnedWriteHalf<S> {
    /// Drops it without telling the peer anything: the end comes when the reading half is dropped as well.
    pub fn forget(mut self) {
        self.end = None;
    }
}

impl<S> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        // Where it is the last half the stream is closed, which says as much.
        if let Some(end) = self.end.take().filter(|_| Rc::strong_count(&self.stream) > 1) {
            end(&self.stream);
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for OwnedWriteHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedWriteHalf").field(&self.stream).finish()
    }
}

/// Two halves that are not of the same stream, given back.
///
/// # Examples
/// ```
/// use annulus::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
///
/// annulus::run(async {
///     let (one, other) = UnixStream::pair()?;
///     let (reading, _writing) = one.into_split();
///     let (_reading, writing) = other.into_split();
///     let error = reading.reunite(writing).unwrap_err();
///     println!("{error}");
///     let (_reading, _writing) = (error.0, error.1);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct ReuniteError<S = TcpStream>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are not of the same stream")
    }
}

impl<S: fmt::Debug> std::error::Error for ReuniteError<S> {}

/// As [`Stream::shutdown`], which the method of that name of [`AsyncWrite`] would hide.
impl<F: Family> OwnedWriteHalf<Stream<F>> {
    /// Ends one direction, or both: see [`Stream::shutdown`].
    ///
    /// # Examples
    /// As [`Stream`].
    pub fn shutdown(&self, how: Shutdown) -> Submitted<op::Shutdown> {
        self.stream.shutdown(how)
    }
}

impl<F: Family> WriteHalf<'_, Stream<F>> {
    /// Ends one direction, or both: see [`Stream::shutdown`].
    ///
    /// # Examples
    /// As [`ReadHalf`].
    pub fn shutdown(&self, how: Shutdown) -> Submitted<op::Shutdown> {
        self.0.shutdown(how)
    }
}

impl<S> Clone for ReadHalf<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for ReadHalf<'_, S> {}

impl<S> Clone for WriteHalf<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for WriteHalf<'_, S> {}

macro_rules! half {
    ($(<$life:lifetime>)? $half:ident, $stream:tt) => {
        impl<S> Deref for $half<$($life,)? S> {
            type Target = S;

            fn deref(&self) -> &S {
                &self.$stream
            }
        }
    };
}

half!(<'_> ReadHalf, 0);
half!(<'_> WriteHalf, 0);
half!(OwnedReadHalf, 0);
half!(OwnedWriteHalf, stream);

macro_rules! reads {
    ($half:ty) => {
        impl<F: Family> AsyncRead for $half {
            fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
                Stream::read(self, buffer)
            }

            fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
                Stream::read_exact(self, buffer)
            }

            fn readv<B: IoBufMut>(
                &mut self,
                buffers: Vec<B>,
            ) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
                Stream::readv(self, buffers)
            }

            fn splice_source(&self) -> Option<Source> {
                Some(Source::stream(self.socket().hold()))
            }
        }
    };
}

macro_rules! writes {
    ($half:ty) => {
        impl<F: Family> AsyncWrite for $half {
            fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
                Stream::write(self, buffer)
            }

            fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
                Stream::write_all(self, buffer)
            }

            fn writev<B: IoBuf>(
                &mut self,
                buffers: Vec<B>,
            ) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
                Stream::writev(self, buffers)
            }

            fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> {
                Stream::shutdown(self, Shutdown::Write)
            }

            async fn settle(&mut self) -> io::Result<Option<usize>> {
                self.settle_writes().await.map(Some)
            }

            fn splice_target(&self) -> Option<Target> {
                Some(Target::stream(self.socket().hold()))
            }
        }
    };
}

reads!(Stream<F>);
reads!(&Stream<F>);
reads!(ReadHalf<'_, Stream<F>>);
reads!(OwnedReadHalf<Stream<F>>);

writes!(Stream<F>);
writes!(&Stream<F>);
writes!(WriteHalf<'_, Stream<F>>);
writes!(OwnedWriteHalf<Stream<F>>);
