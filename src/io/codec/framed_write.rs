//! Frames to a writer.

use std::fmt;

use bytes::BytesMut;

use super::Encoder;
use crate::io::AsyncWrite;
use crate::io::outgoing::Outgoing;

/// From so many bytes on, frames are written without being asked for.
pub(super) const GATHERED_MAX: usize = 8 * 1024;

/// Takes frames, and writes them to a writer.
///
/// A frame is taken whatever becomes of the future that takes it, so dropping [`send`](Self::send) or
/// [`feed`](Self::feed) leaves its frame here, as a whole, for the next flush: it must not be sent again. What is
/// dropped with this was not written; [`into_inner`](Self::into_inner) gives it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::codec::{FramedWrite, LengthDelimited};
///
/// annulus::run(async {
///     let (reader, writer) = annulus::io::pipe().await?;
///     let mut frames = FramedWrite::new(writer, LengthDelimited::new().length_field_length(1));
///     frames.feed("one").await?;
///     frames.feed("two").await?;
///     frames.flush().await?;
///     assert_eq!(reader.read(Vec::with_capacity(100)).await.1, b"\x03one\x03two");
///     Ok(())
/// })?
/// # }
/// ```
pub struct FramedWrite<W, E> {
    writer: W,
    encoder: E,
    outgoing: Outgoing,
}

impl<W, E> FramedWrite<W, E> {
    /// Frames for a writer.
    pub fn new(writer: W, encoder: E) -> FramedWrite<W, E> {
        FramedWrite { writer, encoder, outgoing: Outgoing::new() }
    }

    /// What it writes to.
    ///
    /// # Examples
    /// As [`buffered`](Self::buffered).
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    /// What it writes to. Who writes to it directly writes in front of what was gathered, or in the midst of a frame.
    ///
    /// # Examples
    /// As [`buffered`](Self::buffered).
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// The encoder.
    ///
    /// # Examples
    /// As [`buffered`](Self::buffered).
    pub fn encoder(&self) -> &E {
        &self.encoder
    }

    /// The encoder, to be changed between two frames.
    ///
    /// # Examples
    /// As [`buffered`](Self::buffered).
    pub fn encoder_mut(&mut self) -> &mut E {
        &mut self.encoder
    }

    /// How many bytes were gathered and are not known to be written.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::codec::{FramedWrite, LinesCodec};
    ///
    /// annulus::run(async {
    ///     let mut lines = FramedWrite::new(Vec::new(), LinesCodec::new());
    ///     lines.send("one").await?;
    ///     lines.feed("two").await?;
    ///     assert_eq!((lines.get_ref().len(), lines.buffered()), (4, 4));
    ///     lines.flush().await?;
    ///     lines.shutdown().await?;
    ///     println!("{:?}", lines.encoder());
    ///     *lines.encoder_mut() = LinesCodec::new();
    ///     lines.get_mut().push(b'.');
    ///     let (written, gathered) = lines.into_inner();
    ///     assert_eq!((&written[..], gathered.len()), (&b"one\ntwo\n."[..], 0));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn buffered(&self) -> usize {
        self.outgoing.len()
    }

    /// What it writes to, and the bytes that are not known to be written.
    ///
    /// # Examples
    /// As [`buffered`](Self::buffered).
    pub fn into_inner(self) -> (W, BytesMut) {
        (self.writer, self.outgoing.into_bytes())
    }
}

impl<W: AsyncWrite, E> FramedWrite<W, E> {
    /// Takes a frame, and writes all that was taken.
    ///
    /// # Cancel safety
    /// The frame is taken when this is first polled, and stays here if it is dropped then: the next flush writes it, or the
    /// rest of it. If the writer cannot tell how much it has written ([`AsyncWrite::settle`]), the next flush is an error
    /// that says so. Who drops one after the other gathers without bound.
    ///
    /// # Errors
    /// Those of the encoder: the frame is not taken. Those of the writer: it stays here.
    ///
    /// # Examples
    /// As [`buffered`](Self::buffered).
    pub async fn send<I>(&mut self, item: I) -> Result<(), E::Error>
    where
        E: Encoder<I>,
    {
        take(&mut self.encoder, item, &mut self.outgoing)?;
        self.write().await?;
        Ok(())
    }

    /// Takes a frame, and writes only when much was taken. Say [`flush`](Self::flush) after the last.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn feed<I>(&mut self, item: I) -> Result<(), E::Error>
    where
        E: Encoder<I>,
    {
        take(&mut self.encoder, item, &mut self.outgoing)?;
        if self.outgoing.len() >= GATHERED_MAX {
            self.outgoing.write(&mut self.writer).await?;
        }
        Ok(())
    }

    /// Writes all that was taken.
    ///
    /// # Cancel safety
    /// The next one goes on where it was, or says that it cannot: see [`send`](Self::send).
    ///
    /// # Errors
    /// Those of the writer.
    pub async fn flush(&mut self) -> std::io::Result<()> {
        self.write().await
    }

    /// Writes all that was taken, and ends the writing.
    ///
    /// # Cancel safety
    /// As [`flush`](Self::flush); it may be called again.
    ///
    /// # Errors
    /// Those of the writer.
    ///
    /// # Examples
    /// As [`buffered`](Self::buffered).
    pub async fn shutdown(&mut self) -> std::io::Result<()> {
        self.outgoing.write(&mut self.writer).await?;
        self.writer.shutdown().await
    }

    async fn write(&mut self) -> std::io::Result<()> {
        self.outgoing.write(&mut self.writer).await?;
        self.writer.flush().await
    }
}

/// Takes a frame as a whole, or not at all.
pub(super) fn take<I, E: Encoder<I>>(
    encoder: &mut E,
    item: I,
    outgoing: &mut Outgoing,
) -> Result<(), E::Error> {
    let bytes = outgoing.gathered();
    let before = bytes.len();
    let taken = encoder.encode(item, bytes);
    if taken.is_err() {
        bytes.truncate(before);
    }
    taken
}

impl<W: fmt::Debug, E: fmt::Debug> fmt::Debug for FramedWrite<W, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedWrite")
            .field("writer", &self.writer)
            .field("encoder", &self.encoder)
            .field("bytes", &self.outgoing.len())
            .finish()
    }
}
