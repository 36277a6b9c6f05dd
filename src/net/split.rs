//! The two directions of a stream as two values.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::rc::Rc;

use super::TcpStream;
use crate::buf::{IoBuf, IoBufMut};
use crate::io::{AsyncRead, AsyncWrite};

/// The reading half of a borrowed stream. All that the stream can do with `&self` can be done by it.
#[derive(Clone, Copy, Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The writing half of a borrowed stream. All that the stream can do with `&self` can be done by it.
#[derive(Clone, Copy, Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

/// The reading half of a stream that two tasks own.
#[derive(Debug)]
pub struct OwnedReadHalf(Rc<TcpStream>);

/// The writing half of a stream that two tasks own.
#[derive(Debug)]
pub struct OwnedWriteHalf(Rc<TcpStream>);

pub(super) fn borrowed(stream: &TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf(stream), WriteHalf(stream))
}

pub(super) fn owned(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Rc::new(stream);
    (OwnedReadHalf(Rc::clone(&stream)), OwnedWriteHalf(stream))
}

impl OwnedReadHalf {
    /// Makes the stream whole again.
    ///
    /// # Errors
    /// [`ReuniteError`], with both halves, if they are not of the same stream.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !self.0.is(&other.0) {
            return Err(ReuniteError(self, other));
        }
        drop(other);
        Ok(Rc::into_inner(self.0).expect("a stream has two owned halves, and the other is gone"))
    }
}

impl OwnedWriteHalf {
    /// Makes the stream whole again.
    ///
    /// # Errors
    /// [`ReuniteError`], with both halves, if they are not of the same stream.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        other.reunite(self)
    }
}

/// Two halves that are not of the same stream, given back.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are not of the same stream")
    }
}

impl std::error::Error for ReuniteError {}

macro_rules! half {
    ($half:ty) => {
        impl Deref for $half {
            type Target = TcpStream;

            fn deref(&self) -> &TcpStream {
                &self.0
            }
        }
    };
}

half!(ReadHalf<'_>);
half!(WriteHalf<'_>);
half!(OwnedReadHalf);
half!(OwnedWriteHalf);

impl AsyncRead for ReadHalf<'_> {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        self.0.read(buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        self.0.read_exact(buffer)
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        self.0.write(buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        self.0.write_all(buffer)
    }
}

impl AsyncRead for OwnedReadHalf {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        self.0.read(buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        self.0.read_exact(buffer)
    }
}

impl AsyncWrite for OwnedWriteHalf {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        self.0.write(buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        self.0.write_all(buffer)
    }
}
