//! Frames from a reader.

use std::fmt;

use bytes::BytesMut;

use super::Decoder;
use super::frames::Frames;
use crate::io::{AsyncRead, Items};

/// Gives the frames that come from a reader.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::codec::{FramedRead, LinesCodec};
///
/// annulus::run(async {
///     let mut lines = FramedRead::new(&b"one\ntwo\n"[..], LinesCodec::new());
///     while let Some(line) = lines.next().await {
///         println!("{}", line?);
///     }
///     Ok(())
/// })?
/// # }
/// ```
pub struct FramedRead<R, D> {
    reader: R,
    decoder: D,
    frames: Frames,
}

impl<R, D> FramedRead<R, D> {
    /// The frames of a reader.
    pub fn new(reader: R, decoder: D) -> FramedRead<R, D> {
        FramedRead::with_bytes(reader, decoder, BytesMut::new())
    }

    /// The frames of a reader, behind bytes that have come from it already: what
    /// [`BufReader::into_inner`](crate::io::BufReader::into_inner) or [`into_inner`](Self::into_inner) gave.
    ///
    /// # Examples
    /// As [`buffer`](Self::buffer).
    pub fn with_bytes(reader: R, decoder: D, bytes: BytesMut) -> FramedRead<R, D> {
        FramedRead { reader, decoder, frames: Frames::behind(bytes) }
    }

    /// What it reads from.
    ///
    /// # Examples
    /// As [`buffer`](Self::buffer).
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// What it reads from. Who reads from it directly tears frames.
    ///
    /// # Examples
    /// As [`buffer`](Self::buffer).
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The decoder.
    ///
    /// # Examples
    /// As [`buffer`](Self::buffer).
    pub fn decoder(&self) -> &D {
        &self.decoder
    }

    /// The decoder, to be changed between two frames.
    ///
    /// # Examples
    /// As [`buffer`](Self::buffer).
    pub fn decoder_mut(&mut self) -> &mut D {
        &mut self.decoder
    }

    /// The bytes that have come and are no frame yet.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::codec::{FramedRead, LinesCodec};
    ///
    /// annulus::run(async {
    ///     let mut lines = FramedRead::new(&b"one\ntwo\n"[..], LinesCodec::new());
    ///     assert_eq!(lines.next().await.unwrap()?, "one");
    ///     assert_eq!(lines.buffer(), b"two\n");
    ///     assert_eq!(lines.get_ref(), b"");
    ///     println!("{:?}", lines.decoder());
    ///     *lines.decoder_mut() = LinesCodec::new().max_length(80);
    ///     *lines.get_mut() = b"three\n";
    ///     let (rest, read) = lines.into_inner();
    ///     let mut again = FramedRead::with_bytes(rest, LinesCodec::new(), read);
    ///     assert_eq!(again.next().await.unwrap()?, "two");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn buffer(&self) -> &[u8] {
        self.frames.bytes()
    }

    /// What it reads from, and the bytes that have come and are no frame yet: for another protocol behind this one.
    ///
    /// # Examples
    /// As [`buffer`](Self::buffer).
    pub fn into_inner(self) -> (R, BytesMut) {
        (self.reader, self.frames.into_bytes())
    }
}

impl<R: AsyncRead, D: Decoder> FramedRead<R, D> {
    /// The next frame; None at the end, and after an error behind which there is none
    /// ([`Decoder::goes_on_after`]).
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what has come of a frame stays in here.
    ///
    /// # Errors
    /// Those of the decoder, and of the reader: after these it may be called again.
    pub async fn next(&mut self) -> Option<Result<D::Item, D::Error>> {
        self.frames.next(&mut self.reader, &mut self.decoder).await
    }

    /// The frames as a `Stream`, for what wants one. It allocates once, and gives the reader no more back.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::codec::{FramedRead, LinesCodec};
    /// use futures_util::TryStreamExt;
    ///
    /// annulus::run(async {
    ///     let lines = FramedRead::new(&b"one\ntwo\n"[..], LinesCodec::new()).into_stream();
    ///     let lines: Vec<_> = lines.try_collect().await?;
    ///     assert_eq!(lines, ["one", "two"]);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn into_stream<'a>(self) -> Items<'a, Result<D::Item, D::Error>>
    where
        R: 'a,
        D: 'a,
    {
        Items::new(self, async |frames: &mut Self| frames.next().await)
    }
}

impl<R: fmt::Debug, D: fmt::Debug> fmt::Debug for FramedRead<R, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedRead")
            .field("reader", &self.reader)
            .field("decoder", &self.decoder)
            .field("bytes", &self.frames.bytes().len())
            .finish()
    }
}
