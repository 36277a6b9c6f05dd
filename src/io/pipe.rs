//! Pipes: bytes that go in at one end come out at the other.

use std::future::Future;
use std::io;

use super::{AsyncRead, AsyncWrite, ReadStream, Source, Target};
use crate::buf::{IoBuf, IoBufMut};
use crate::driver::Descriptor;
use crate::engine::current_port;
use crate::op::{self, Pipe, Read, Readv, Settle, Submitted, Whole, Write, Writev};

/// In place of the number of an end that was shut down: never a descriptor, so nothing is closed twice.
const GONE: i32 = -1;

/// Makes a pipe: what is written to its one end is read from the other, in order. It holds 64 KiB on Linux.
///
/// # Errors
/// Those of pipe(2): EMFILE and ENFILE mean that descriptors are used up.
///
/// # Cancel safety
/// Dropping it closes what was made.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let (reader, writer) = annulus::io::pipe().await?;
///     drop(annulus::spawn(async move { writer.write_all("water").await.0 }));
///     let (result, bytes) = reader.read_exact(vec![0; 5]).await;
///     result?;
///     assert_eq!(bytes, b"water");
///     assert_eq!(reader.read(bytes).await.0?, 0, "the writer is gone: the end");
///     Ok(())
/// })?
/// # }
/// ```
pub async fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = Submitted::new(Pipe::new(current_port())).await?;
    Ok((PipeReader { end: reader }, PipeWriter { end: writer }))
}

/// The end of a [`pipe`] to read from.
///
/// # Examples
/// As [`pipe`].
#[derive(Debug)]
pub struct PipeReader {
    pub(super) end: Descriptor,
}

/// The end of a [`pipe`] to write to.
///
/// # Examples
/// As [`pipe`].
#[derive(Debug)]
pub struct PipeWriter {
    pub(super) end: Descriptor,
}

impl PipeReader {
    pub(super) fn of(end: Descriptor) -> PipeReader {
        PipeReader { end: end.seen_as("PipeReader", "pipe") }
    }

    /// Waits for bytes and reads some; how many, and the buffer. 0 is the end: all writers are gone.
    ///
    /// # Errors
    /// Those of read(2).
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: bytes that are read all the same are given to the next read.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::pipe;
    ///
    /// annulus::run(async {
    ///     let (reader, writer) = pipe().await?;
    ///     writer.writable().await?;
    ///     writer.write("one").await.0?;
    ///     writer.write_all("two").await.0?;
    ///     writer.writev(vec!["three", "four"]).await.0?;
    ///     assert_eq!(writer.settle_writes().await?, 0, "none was dropped");
    ///     writer.close().await?;
    ///
    ///     reader.readable().await?;
    ///     let (result, buffer) = reader.read(Vec::with_capacity(3)).await;
    ///     assert_eq!((result?, &buffer[..]), (3, &b"one"[..]));
    ///     let (result, buffer) = reader.read_exact(buffer).await;
    ///     result?;
    ///     assert_eq!(buffer, b"two");
    ///     let (result, buffers) = reader.readv(vec![Vec::with_capacity(5), Vec::with_capacity(64)]).await;
    ///     assert_eq!((result?, &buffers[0][..]), (9, &b"three"[..]));
    ///     assert_eq!(reader.read(buffer).await.0?, 0);
    ///     reader.close().await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn read<B: IoBufMut>(&self, buffer: B) -> Submitted<Read<B>> {
        Submitted::new(Read::of_pipe(self.end.hold(), buffer))
    }

    /// Reads until the buffer's whole room is full.
    ///
    /// # Errors
    /// `UnexpectedEof` if the end comes before, and those of [`read`](Self::read); [`Incomplete`](super::Incomplete)
    /// says how much came.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what was read so far is given to the next read.
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn read_exact<B: IoBufMut>(&self, buffer: B) -> Submitted<Whole<Read<B>>> {
        Submitted::new(Whole::new(Read::of_pipe(self.end.hold(), buffer)))
    }

    /// Reads some bytes into several buffers, filling one after the other; each one's length is set to what it got.
    ///
    /// # Errors
    /// Those of readv(2).
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn readv<B: IoBufMut>(&self, buffers: Vec<B>) -> Submitted<Readv<B>> {
        Submitted::new(Readv::of_pipe(self.end.hold(), buffers))
    }

    /// All that comes, as it comes, in buffers of the loop's: none is held while nothing comes, and the kernel is asked once for
    /// many (Linux 6.12; elsewhere once for each). For what many children print, for example. Other reads wait for their turn, until
    /// it ends or is dropped.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::process::{Command, Stdio};
    ///
    /// annulus::run(async {
    ///     let mut child = Command::new("echo").arg("ready").stdout(Stdio::piped()).spawn()?;
    ///     let stdout = child.stdout.take().unwrap();
    ///     let (mut came, mut leases) = (Vec::new(), stdout.read_stream());
    ///     while let Some(lease) = leases.next().await {
    ///         came.extend_from_slice(&lease?);
    ///     }
    ///     assert_eq!(came, b"ready\n");
    ///     assert!(child.wait().await?.success());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn read_stream(&self) -> ReadStream {
        ReadStream::new(&self.end)
    }

    /// Waits until a read would find something: bytes, the end, or an error. Of a FIFO that nobody has opened for writing yet it
    /// waits until somebody has, and has written or gone.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub async fn readable(&self) -> io::Result<()> {
        Submitted::new(op::Poll::new(self.end.hold(), libc::POLLIN)).await.map(drop)
    }

    /// Ends a pending read, closes, and says how that went.
    ///
    /// # Errors
    /// Those of close(2).
    ///
    /// # Cancel safety
    /// Dropping it closes all the same.
    ///
    /// # Examples
    /// As [`PipeReader::read`].
    pub async fn close(self) -> io::Result<()> {
        op::close(self.end).await
    }
}

impl PipeWriter {
    pub(super) fn of(end: Descriptor) -> PipeWriter {
        PipeWriter { end: end.seen_as("PipeWriter", "pipe") }
    }

    /// Writes some bytes of the buffer, from its beginning, and says how many.
    ///
    /// # Errors
    /// Those of write(2): `BrokenPipe` when nobody reads any more. Rust programs ignore SIGPIPE; one that does not is
    /// ended by it.
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been written, or none; a later write begins when that is settled.
    ///
    /// # Examples
    /// As [`PipeReader::read`].
    pub fn write<B: IoBuf>(&self, buffer: B) -> Submitted<Write<B>> {
        Submitted::new(Write::to_pipe(self.end.hold(), buffer))
    }

    /// Writes all bytes of the buffer.
    ///
    /// # Errors
    /// Those of [`write`](Self::write); [`Incomplete`](super::Incomplete) says how much was written.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Examples
    /// As [`PipeReader::read`].
    pub fn write_all<B: IoBuf>(&self, buffer: B) -> Submitted<Whole<Write<B>>> {
        Submitted::new(Whole::new(Write::to_pipe(self.end.hold(), buffer)))
    }

    /// Writes some bytes of several buffers, one after the other, and says how many in all.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Examples
    /// As [`PipeReader::read`].
    pub fn writev<B: IoBuf>(&self, buffers: Vec<B>) -> Submitted<Writev<B>> {
        Submitted::new(Writev::to_pipe(self.end.hold(), buffers))
    }

    /// Waits until writes whose futures were dropped are settled, and says how many bytes they wrote after all, since
    /// this was last asked.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// The one that a dropped write met.
    ///
    /// # Examples
    /// As [`PipeReader::read`].
    pub fn settle_writes(&self) -> Submitted<Settle> {
        Submitted::new(Settle::new(self.end.hold()))
    }

    /// Waits until a write would find room, or an error.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Examples
    /// As [`PipeReader::read`].
    pub async fn writable(&self) -> io::Result<()> {
        Submitted::new(op::Poll::new(self.end.hold(), libc::POLLOUT)).await.map(drop)
    }

    /// Ends a pending write, closes, and says how that went.
    ///
    /// # Errors
    /// Those of close(2).
    ///
    /// # Cancel safety
    /// Dropping it closes all the same.
    ///
    /// # Examples
    /// As [`PipeReader::read`].
    pub async fn close(self) -> io::Result<()> {
        op::close(self.end).await
    }
}

impl AsyncRead for PipeReader {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        PipeReader::read(self, buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        PipeReader::read_exact(self, buffer)
    }

    fn readv<B: IoBufMut>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        PipeReader::readv(self, buffers)
    }

    fn splice_source(&self) -> Option<Source> {
        Some(Source::stream(self.end.hold()))
    }
}

impl AsyncWrite for PipeWriter {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        PipeWriter::write(self, buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        PipeWriter::write_all(self, buffer)
    }

    fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        PipeWriter::writev(self, buffers)
    }

    /// Closes this end, for a pipe has no other way to end. What is written afterwards is ECANCELED.
    async fn shutdown(&mut self) -> io::Result<()> {
        if self.end.number() == GONE {
            return Ok(());
        }
        let gone = Descriptor::new(GONE, self.end.port());
        gone.start_closing();
        gone.forget_number();
        op::close(std::mem::replace(&mut self.end, gone)).await
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        if self.end.number() == GONE {
            return Ok(Some(0));
        }
        self.settle_writes().await.map(Some)
    }

    fn splice_target(&self) -> Option<Target> {
        Some(Target::stream(self.end.hold()))
    }
}
