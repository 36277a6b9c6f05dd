//! Frames: the messages of a protocol, found in a stream of bytes and written to one.
//!
//! A [`Decoder`] finds frames in bytes, an [`Encoder`] makes bytes of them; neither reads, writes or waits. [`FramedRead`],
//! [`FramedWrite`] and [`Framed`] put them on a reader, a writer, or what is both.
//!
//! | codec | a frame is |
//! |---|---|
//! | [`LengthDelimited`] | so many bytes, and that number in front of them |
//! | [`LinesCodec`] | a line of text |
//! | [`BytesCodec`] | whatever has come |
//!
//! # Examples
//! ```
//! # fn main() -> std::io::Result<()> {
//! use annulus::io::codec::{Framed, LengthDelimited};
//! use annulus::net::{TcpListener, TcpStream};
//!
//! annulus::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let client = TcpStream::connect(listener.local_addr()?).await?;
//!     let (server, _) = listener.accept().await?;
//!     let mut client = Framed::new(client, LengthDelimited::new());
//!     let mut server = Framed::new(server, LengthDelimited::new());
//!
//!     client.send("a message").await?;
//!     client.send("and another one").await?;
//!     assert_eq!(server.next().await.unwrap()?, "a message");
//!     assert_eq!(server.next().await.unwrap()?, "and another one");
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! A codec of one's own: numbers in decimal, each ended by a semicolon.
//! ```
//! # fn main() -> std::io::Result<()> {
//! use std::io;
//! use annulus::io::codec::{Decoder, FramedRead};
//! use bytes::BytesMut;
//!
//! struct Numbers;
//!
//! impl Decoder for Numbers {
//!     type Item = u64;
//!     type Error = io::Error;
//!
//!     fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<u64>> {
//!         let Some(end) = bytes.iter().position(|byte| *byte == b';') else { return Ok(None) };
//!         let digits = bytes.split_to(end + 1);
//!         let text = std::str::from_utf8(&digits[..end]).map_err(io::Error::other)?;
//!         text.parse().map(Some).map_err(io::Error::other)
//!     }
//! }
//!
//! annulus::run(async {
//!     let mut numbers = FramedRead::new(&b"17;4;"[..], Numbers);
//!     assert_eq!(numbers.next().await.unwrap()?, 17);
//!     assert_eq!(numbers.next().await.unwrap()?, 4);
//!     assert!(numbers.next().await.is_none());
//!     Ok(())
//! })?
//! # }
//! ```

mod bytes_codec;
mod framed;
mod framed_read;
mod framed_write;
mod frames;
mod length_delimited;
mod lines_codec;

pub use bytes_codec::BytesCodec;
pub use framed::{Framed, FramedParts};
pub use framed_read::FramedRead;
pub use framed_write::FramedWrite;
pub use length_delimited::LengthDelimited;
pub use lines_codec::LinesCodec;

use std::io;

use bytes::BytesMut;

/// Finds frames in bytes.
///
/// # Examples
/// As the [module](self).
pub trait Decoder {
    /// A frame.
    type Item;

    /// What may be wrong; the reader's errors become one, too.
    type Error: From<io::Error>;

    /// Takes a frame from the beginning of the bytes. None if it has not come as a whole: then the bytes stay as they are,
    /// or as far as the decoder remembers what it took; it is asked again when more have come, and maybe before.
    ///
    /// # Errors
    /// What the decoder finds wrong. Whether it goes on then says [`goes_on_after`](Self::goes_on_after).
    ///
    /// # Examples
    /// As the [module](self).
    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error>;

    /// As [`decode`](Self::decode), when no more will come. It is asked until it gives None.
    ///
    /// # Errors
    /// Unless it is written otherwise, `UnexpectedEof` if bytes are left that are no frame.
    ///
    /// # Examples
    /// As the [module](self), whose codec has it as it is.
    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error> {
        match self.decode(bytes)? {
            None if !bytes.is_empty() => Err(cut_off(bytes.len()).into()),
            decoded => Ok(decoded),
        }
    }

    /// Whether there may be more frames behind an error: the decoder has left behind what was wrong, and knows where the
    /// next frame begins. If not, and unless it is written otherwise, there are no more.
    ///
    /// # Examples
    /// As the [module](self), whose codec has it as it is.
    fn goes_on_after(&self, error: &Self::Error) -> bool {
        let _ = error;
        false
    }
}

/// Makes bytes of frames.
///
/// # Examples
/// As the [module](self).
pub trait Encoder<Item> {
    /// What may be wrong; the writer's errors become one, too.
    type Error: From<io::Error>;

    /// Puts a frame behind the bytes that are there.
    ///
    /// # Errors
    /// What cannot be written as a frame. The bytes that it has put there are then taken away.
    ///
    /// # Examples
    /// As the [module](self).
    fn encode(&mut self, item: Item, bytes: &mut BytesMut) -> Result<(), Self::Error>;
}

/// The end has come inside of a frame.
fn cut_off(bytes: usize) -> io::Error {
    let told =
        format!("the stream ended inside of a frame, of which {bytes} bytes had come: the peer broke it off");
    io::Error::new(io::ErrorKind::UnexpectedEof, told)
}
