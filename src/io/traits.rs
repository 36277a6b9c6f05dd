//! What can be read from, and what can be written to.

use std::future::Future;
use std::io;

use super::chain::Chain;
use super::splice::{Source, Target};
use super::take::Take;
use super::transfer::{drain, fill, first_to_fill, first_to_send, to_end, to_string};
use crate::buf::{IoBuf, IoBufMut};

/// Gives bytes, into owned buffers.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncRead;
///
/// annulus::run(async {
///     let mut bytes = &b"one two three four"[..];
///     let (result, buffer) = bytes.read(Vec::with_capacity(3)).await;
///     assert_eq!((result?, &buffer[..]), (3, &b"one"[..]));
///     let (result, buffer) = bytes.read_exact(Vec::with_capacity(4)).await;
///     result?;
///     assert_eq!(buffer, b" two");
///     let (result, buffers) = bytes.readv(vec![Vec::with_capacity(6), Vec::with_capacity(2)]).await;
///     assert_eq!((result? >= 6, &buffers[0][..]), (true, &b" three"[..]));
///     let (result, text) = bytes.read_to_string(String::new()).await;
///     result?;
///     assert!(text.ends_with("ur"));
///     Ok(())
/// })?
/// # }
/// ```
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

    /// Reads some bytes into several buffers, filling one after the other; each one's length is set to what it got.
    ///
    /// Sockets, pipes and files do it in one step. The default implementation reads into the first buffer that has
    /// room.
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn readv<B: IoBufMut>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        first_to_fill(buffers, async |buffer| self.read(buffer).await)
    }

    /// Reads all that comes until the end, appends it to the buffer, and says how many bytes that was.
    ///
    /// A peer that never ends is read without end: [`take`](Self::take) bounds it.
    ///
    /// # Cancel safety
    /// Dropping it loses what was read so far, except of a [`BufReader`](super::BufReader), which keeps it.
    ///
    /// # Errors
    /// Those of the source; the buffer then has what was read.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::AsyncRead;
    ///
    /// annulus::run(async {
    ///     let (mut reader, writer) = annulus::io::pipe().await?;
    ///     writer.write_all("to the last drop").await.0?;
    ///     writer.close().await?;
    ///     let (result, bytes) = reader.read_to_end(Vec::new()).await;
    ///     assert_eq!(result?, 16);
    ///     assert_eq!(bytes, b"to the last drop");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn read_to_end(&mut self, buffer: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> {
        to_end(buffer, async |rest| self.read(rest).await)
    }

    /// As [`read_to_end`](Self::read_to_end), for text: appends to it, and says how many bytes that was.
    ///
    /// # Cancel safety
    /// As [`read_to_end`](Self::read_to_end).
    ///
    /// # Errors
    /// `InvalidData` if it is no UTF-8: the text is as it was, and the error's source, a
    /// [`FromUtf8Error`](std::string::FromUtf8Error), has the bytes. Those of the source: the text then has what was read.
    fn read_to_string(&mut self, text: String) -> impl Future<Output = (io::Result<usize>, String)> {
        to_string(text, async |buffer| self.read_to_end(buffer).await)
    }

    /// Reads this until its end, and then another one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::AsyncRead;
    ///
    /// annulus::run(async {
    ///     let mut both = (&b"head "[..]).chain(&b"tail"[..]);
    ///     let (result, text) = both.read_to_string(String::new()).await;
    ///     result?;
    ///     assert_eq!(text, "head tail");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn chain<R: AsyncRead>(self, next: R) -> Chain<Self, R>
    where
        Self: Sized,
    {
        Chain::new(self, next)
    }

    /// Reads at most so many bytes of this, and then says that it has ended.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::AsyncRead;
    ///
    /// annulus::run(async {
    ///     let mut endless = annulus::io::repeat(b'x').take(3);
    ///     let (result, text) = endless.read_to_string(String::new()).await;
    ///     assert_eq!((result?, text.as_str()), (3, "xxx"));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn take(self, bytes_max: u64) -> Take<Self>
    where
        Self: Sized,
    {
        Take::new(self, bytes_max)
    }

    /// What its bytes can be taken from without passing through the program. Only for this crate's own types.
    #[doc(hidden)]
    fn splice_source(&self) -> Option<Source> {
        None
    }

    /// So many bytes were taken from there. Nothing to do for what has a cursor.
    #[doc(hidden)]
    fn spliced(&mut self, _count: u64) {}
}

/// Takes bytes, from owned buffers.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncWrite;
///
/// annulus::run(async {
///     let mut target = Vec::new();
///     target.write("one").await.0?;
///     target.write_all(" two").await.0?;
///     target.writev(vec![" three", " four"]).await.0?;
///     target.flush().await?;
///     target.shutdown().await?;
///     assert_eq!(target.settle().await?.unwrap_or(0), 0, "no write was dropped");
///     assert!(target.starts_with(b"one two three"));
///     Ok(())
/// })?
/// # }
/// ```
pub trait AsyncWrite {
    /// Writes some bytes of the buffer, from its beginning, and says how many.
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been written, or none. [`settle`](Self::settle) says how many.
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

    /// Writes some bytes of several buffers, one after the other, and says how many in all.
    ///
    /// Sockets, pipes and files do it in one step. The default implementation writes of the first buffer that has any.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        first_to_send(buffers, async |buffer| self.write(buffer).await)
    }

    /// Passes on what was gathered in memory. What gathers nothing, sockets, pipes and files among it, has nothing to
    /// do; a file's data are brought to the disk by [`sync_all`](crate::fs::File::sync_all).
    ///
    /// # Cancel safety
    /// See the type; where there is nothing to do, dropping it is harmless.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    fn flush(&mut self) -> impl Future<Output = io::Result<()>> {
        async { Ok(()) }
    }

    /// Ends the writing: passes on what was gathered, and lets whoever reads see the end. Reading from the same
    /// stream goes on. What is written after it is an error.
    ///
    /// For a socket it is shutdown(2) of the writing direction; a pipe's end is closed; a file is left as it is. The
    /// default implementation is [`flush`](Self::flush).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not; it may be called again.
    ///
    /// # Errors
    /// Those of the sink.
    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> {
        self.flush()
    }

    /// Waits until writes whose futures were dropped are settled, and says how many bytes they wrote after all, since
    /// this was last asked; None if the sink does not know. What gathers bytes for a sink asks this, so that a
    /// [`flush`](Self::flush) may be dropped and taken up again.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// One that a dropped write met.
    fn settle(&mut self) -> impl Future<Output = io::Result<Option<usize>>> {
        async { Ok(None) }
    }

    /// What its bytes can go to without passing through the program. Only for this crate's own types.
    #[doc(hidden)]
    fn splice_target(&self) -> Option<Target> {
        None
    }
}

impl<R: AsyncRead + ?Sized> AsyncRead for &mut R {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        (**self).read(buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        (**self).read_exact(buffer)
    }

    fn readv<B: IoBufMut>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        (**self).readv(buffers)
    }

    fn read_to_end(&mut self, buffer: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> {
        (**self).read_to_end(buffer)
    }

    fn read_to_string(&mut self, text: String) -> impl Future<Output = (io::Result<usize>, String)> {
        (**self).read_to_string(text)
    }

    fn splice_source(&self) -> Option<Source> {
        (**self).splice_source()
    }

    fn spliced(&mut self, count: u64) {
        (**self).spliced(count);
    }
}

impl<W: AsyncWrite + ?Sized> AsyncWrite for &mut W {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        (**self).write(buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        (**self).write_all(buffer)
    }

    fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        (**self).writev(buffers)
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> {
        (**self).flush()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> {
        (**self).shutdown()
    }

    fn settle(&mut self) -> impl Future<Output = io::Result<Option<usize>>> {
        (**self).settle()
    }

    fn splice_target(&self) -> Option<Target> {
        (**self).splice_target()
    }
}
