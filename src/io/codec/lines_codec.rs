//! Lines of text.

use std::io;

use bytes::{Buf, BytesMut};

use super::{Decoder, Encoder};
use crate::io::lines::without_end;
use crate::sys::memory::find;

/// How long a line may be, in bytes, unless it is said.
const LENGTH_MAX: usize = 1024 * 1024;

/// A frame is a line of text, ended by "\n" or "\r\n", of which neither is part of it. The last line may be without an
/// end. Lines are written with "\n".
///
/// A line may be 1 MiB long unless [`max_length`](Self::max_length) says otherwise, so that a peer that never ends one
/// cannot fill the memory. One that is too long, or no UTF-8, is an error and is left out, and the next one follows.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::codec::{FramedRead, LinesCodec};
///
/// annulus::run(async {
///     let mut lines = FramedRead::new(&b"short\nmuch too long\nlast"[..], LinesCodec::new().max_length(5));
///     assert_eq!(lines.next().await.unwrap()?, "short");
///     assert!(lines.next().await.unwrap().is_err());
///     assert_eq!(lines.next().await.unwrap()?, "last");
///     assert!(lines.next().await.is_none());
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LinesCodec {
    length_max: usize,
    /// How many bytes are known to have no end of a line.
    seen: usize,
    /// The rest of a line that is too long is left out.
    skips: bool,
}

impl LinesCodec {
    /// Lines of at most 1 MiB.
    pub fn new() -> LinesCodec {
        LinesCodec { length_max: LENGTH_MAX, seen: 0, skips: false }
    }

    /// Lets a line be so long at most, in bytes, without its end.
    pub fn max_length(self, bytes: usize) -> LinesCodec {
        LinesCodec { length_max: bytes, ..self }
    }

    fn line(&self, line: &[u8]) -> io::Result<Option<String>> {
        if line.len() > self.length_max {
            return Err(self.too_long());
        }
        let line = String::from_utf8(line.to_vec());
        line.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn too_long(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "a line is longer than {} bytes and is left out: LinesCodec::max_length permits more",
                self.length_max
            ),
        )
    }
}

impl Default for LinesCodec {
    fn default() -> LinesCodec {
        LinesCodec::new()
    }
}

impl Decoder for LinesCodec {
    type Item = String;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<String>> {
        loop {
            let end = find(b'\n', &bytes[self.seen..]).map(|place| self.seen + place + 1);
            self.seen = 0;
            match (end, self.skips) {
                (Some(end), true) => {
                    bytes.advance(end);
                    self.skips = false;
                }
                (Some(end), false) => {
                    let line = bytes.split_to(end);
                    return self.line(without_end(&line));
                }
                (None, true) => {
                    bytes.clear();
                    return Ok(None);
                }
                // One more may be the first half of the line's end.
                (None, false) if bytes.len() > self.length_max.saturating_add(1) => {
                    bytes.clear();
                    self.skips = true;
                    return Err(self.too_long());
                }
                (None, false) => {
                    self.seen = bytes.len();
                    return Ok(None);
                }
            }
        }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<String>> {
        match self.decode(bytes)? {
            None if !bytes.is_empty() => {
                self.seen = 0;
                let line = bytes.split();
                self.line(&line)
            }
            decoded => Ok(decoded),
        }
    }

    fn goes_on_after(&self, _error: &io::Error) -> bool {
        true
    }
}

impl<T: AsRef<str>> Encoder<T> for LinesCodec {
    type Error = io::Error;

    fn encode(&mut self, line: T, bytes: &mut BytesMut) -> io::Result<()> {
        let line = line.as_ref();
        bytes.reserve(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\n");
        Ok(())
    }
}
