//! What can be read from, and what can be written to.

use std::future::Future;
use std::io;

use super::transfer::{drain, fill};
use crate::buf::{IoBuf, IoBufMut};

/// Gives bytes, into owned buffers.
pub trait AsyncRead {
    /// Reads some bytes into the buffer, from its beginning up to all the room that it has, and sets its length to
    /// what was read. 0 is the end, unless the buffer has no room.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: bytes that come all the same are given to the next read.
    ///
    /// # Errors
    /// Those of the source.
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)>;

    /// Reads until the buffer's whole room is full: for a `Vec`, its capacity; for less, a `slice` of it.
    ///
    /// # Cancel safety
    /// The types of this crate put back what was read so far, for the next read. The default implementation, which
    /// other types have, loses it.
    ///
    /// # Errors
    /// `UnexpectedEof` if the end comes before, and those of the source; the buffer then has what was read, and
    /// [`Incomplete`](super::Incomplete) says how much that is.
    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        fill(buffer, async |rest, _| self.read(rest).await)
    }
}

/// Takes bytes, from owned buffers.
pub trait AsyncWrite {
    /// Writes some bytes of the buffer, from its beginning, and says how many.
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been written, or none.
    ///
    /// # Errors
    /// Those of the sink.
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)>;

    /// Writes the whole buffer.
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been written.
    ///
    /// # Errors
    /// `WriteZero` if nothing more is taken, and those of the sink. [`Incomplete`](super::Incomplete) says how much
    /// was written before.
    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        drain(buffer, async |rest, _| self.write(rest).await)
    }
}

impl<R: AsyncRead + ?Sized> AsyncRead for &mut R {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        (**self).read(buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        (**self).read_exact(buffer)
    }
}

impl<W: AsyncWrite + ?Sized> AsyncWrite for &mut W {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        (**self).write(buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        (**self).write_all(buffer)
    }
}
