//! Frames in both directions.

use std::fmt;
use std::io;

use bytes::BytesMut;

use super::framed_write::{GATHERED_MAX, take};
use super::frames::Frames;
use super::{Decoder, Encoder};
use crate::io::outgoing::Outgoing;
use crate::io::{AsyncRead, AsyncWrite};

/// Gives the frames that come from a stream, and writes frames to it, one after the other: a question, an answer.
///
/// To do both at the same time split the stream, and put a [`FramedRead`](super::FramedRead) and a
/// [`FramedWrite`](super::FramedWrite) on its halves.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::codec::{Framed, LinesCodec};
///
/// annulus::run(async {
///     let (client, server) = annulus::io::duplex(64);
///     annulus::spawn(async move {
///         let mut server = Framed::new(server, LinesCodec::new());
///         while let Some(Ok(line)) = server.next().await {
///             server.send(line.to_uppercase()).await?;
///         }
///         std::io::Result::Ok(())
///     });
///     let mut client = Framed::new(client, LinesCodec::new());
///     client.send("good morning").await?;
///     assert_eq!(client.next().await.unwrap()?, "GOOD MORNING");
///     Ok(())
/// })?
/// # }
/// ```
pub struct Framed<S, C> {
    stream: S,
    codec: C,
    frames: Frames,
    outgoing: Outgoing,
}

/// What a [`Framed`] is made of: for another protocol behind this one.
///
/// # Examples
/// As [`Framed::feed`].
#[derive(Debug)]
#[non_exhaustive]
pub struct FramedParts<S, C> {
    /// The stream.
    pub stream: S,
    /// The codec.
    pub codec: C,
    /// What has come and is no frame yet.
    pub unread: BytesMut,
    /// What was taken and is not known to be written.
    pub unwritten: BytesMut,
}

impl<S, C> Framed<S, C> {
    /// Frames on a stream.
    pub fn new(stream: S, codec: C) -> Framed<S, C> {
        Framed::with_bytes(stream, codec, BytesMut::new())
    }

    /// Frames on a stream, behind bytes that have come from it already.
    ///
    /// # Examples
    /// As [`feed`](Self::feed).
    pub fn with_bytes(stream: S, codec: C, bytes: BytesMut) -> Framed<S, C> {
        Framed { stream, codec, frames: Frames::behind(bytes), outgoing: Outgoing::new() }
    }

    /// The stream.
    ///
    /// # Examples
    /// As [`feed`](Self::feed).
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream. Who reads from it or writes to it directly tears frames.
    ///
    /// # Examples
    /// As [`feed`](Self::feed).
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The codec.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// The codec, to be changed between two frames.
    ///
    /// # Examples
    /// As [`feed`](Self::feed).
    pub fn codec_mut(&mut self) -> &mut C {
        &mut self.codec
    }

    /// Gives all parts back.
    ///
    /// # Examples
    /// As [`feed`](Self::feed).
    pub fn into_parts(self) -> FramedParts<S, C> {
        FramedParts {
            stream: self.stream,
            codec: self.codec,
            unread: self.frames.into_bytes(),
            unwritten: self.outgoing.into_bytes(),
        }
    }
}

impl<S: AsyncRead, C: Decoder> Framed<S, C> {
    /// The next frame: as [`FramedRead::next`](super::FramedRead::next).
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what has come of a frame stays in here.
    ///
    /// # Errors
    /// Those of the decoder, and of the stream: after these it may be called again.
    pub async fn next(&mut self) -> Option<Result<C::Item, C::Error>> {
        self.frames.next(&mut self.stream, &mut self.codec).await
    }
}

impl<S: AsyncWrite, C> Framed<S, C> {
    /// Takes a frame, and writes all that was taken: as [`FramedWrite::send`](super::FramedWrite::send).
    ///
    /// # Cancel safety
    /// As that one: the frame is taken when this is first polled.
    ///
    /// # Errors
    /// As that one.
    pub async fn send<I>(&mut self, item: I) -> Result<(), C::Error>
    where
        C: Encoder<I>,
    {
        take(&mut self.codec, item, &mut self.outgoing)?;
        self.flush().await?;
        Ok(())
    }

    /// Takes a frame, and writes only when much was taken: as [`FramedWrite::feed`](super::FramedWrite::feed).
    ///
    /// # Cancel safety
    /// As that one.
    ///
    /// # Errors
    /// As that one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::codec::{Framed, LinesCodec};
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, other) = UnixStream::pair()?;
    ///     let mut one = Framed::new(one, LinesCodec::new());
    ///     one.feed("first").await?; // gathered
    ///     one.feed("second").await?;
    ///     one.flush().await?;
    ///     one.shutdown().await?;
    ///     assert!(one.get_ref().take_error()?.is_none());
    ///     let (_stream, _codec) = (one.get_mut(), ());
    ///     *one.codec_mut() = LinesCodec::new().max_length(80);
    ///
    ///     let mut other = Framed::new(other, LinesCodec::new());
    ///     assert_eq!(other.next().await.unwrap()?, "first");
    ///     // What has come and was not taken goes along.
    ///     let parts = other.into_parts();
    ///     let mut again = Framed::with_bytes(parts.stream, parts.codec, parts.unread);
    ///     assert_eq!(again.next().await.unwrap()?, "second");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn feed<I>(&mut self, item: I) -> Result<(), C::Error>
    where
        C: Encoder<I>,
    {
        take(&mut self.codec, item, &mut self.outgoing)?;
        if self.outgoing.len() >= GATHERED_MAX {
            self.outgoing.write(&mut self.stream).await?;
        }
        Ok(())
    }

    /// Writes all that was taken.
    ///
    /// # Cancel safety
    /// The next one goes on where it was, or says that it cannot.
    ///
    /// # Errors
    /// Those of the stream.
    ///
    /// # Examples
    /// As [`feed`](Self::feed).
    pub async fn flush(&mut self) -> io::Result<()> {
        self.outgoing.write(&mut self.stream).await?;
        self.stream.flush().await
    }

    /// Writes all that was taken, and ends the writing. Frames may still come.
    ///
    /// # Cancel safety
    /// As [`flush`](Self::flush); it may be called again.
    ///
    /// # Errors
    /// Those of the stream.
    ///
    /// # Examples
    /// As [`feed`](Self::feed).
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.outgoing.write(&mut self.stream).await?;
        self.stream.shutdown().await
    }
}

impl<S: fmt::Debug, C: fmt::Debug> fmt::Debug for Framed<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed")
            .field("stream", &self.stream)
            .field("codec", &self.codec)
            .field("unread", &self.frames.bytes().len())
            .field("unwritten", &self.outgoing.len())
            .finish()
    }
}
