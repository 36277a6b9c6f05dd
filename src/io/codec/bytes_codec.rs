//! Whatever has come.

use std::io;

use bytes::BytesMut;

use super::{Decoder, Encoder};

/// A frame is whatever has come, at least a byte; so it says nothing of how the bytes were written.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::codec::{BytesCodec, FramedRead};
///
/// annulus::run(async {
///     let mut pieces = FramedRead::new(&b"all at once"[..], BytesCodec::new());
///     assert_eq!(pieces.next().await.unwrap()?, "all at once");
///     assert!(pieces.next().await.is_none());
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesCodec {}

impl BytesCodec {
    /// The one that there is.
    pub fn new() -> BytesCodec {
        BytesCodec {}
    }
}

impl Decoder for BytesCodec {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        Ok((!bytes.is_empty()).then(|| bytes.split()))
    }
}

impl<B: AsRef<[u8]>> Encoder<B> for BytesCodec {
    type Error = io::Error;

    fn encode(&mut self, item: B, bytes: &mut BytesMut) -> io::Result<()> {
        bytes.extend_from_slice(item.as_ref());
        Ok(())
    }
}
