//! So many bytes, and that number in front of them.

use std::io;

use bytes::{Buf, BytesMut};

use super::{Decoder, Encoder};

/// How long a frame may be, in bytes, unless it is said.
const FRAME_MAX: usize = 8 * 1024 * 1024;

/// A frame is so many bytes, and that number in front of them: four bytes, the highest first, unless it is said otherwise.
///
/// ```text
///  length_field_offset  length_field_length   number + length_adjustment
/// |-------------------|---------------------|----------------------------|
///                      the number            what it counts
/// |------- num_skip ------------------------|-------- the frame ---------|
/// ```
///
/// A frame that is longer than [`max_frame_length`](Self::max_frame_length) is an error before it is read, and the last
/// one: what stands behind it cannot be trusted.
///
/// # Examples
/// A number of two bytes, the lowest first, that counts itself as well:
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::codec::{FramedRead, LengthDelimited};
///
/// annulus::run(async {
///     let codec = LengthDelimited::new().length_field_length(2).little_endian().length_adjustment(-2);
///     let mut frames = FramedRead::new(&b"\x05\0one\x02\0"[..], codec);
///     assert_eq!(frames.next().await.unwrap()?, "one");
///     assert_eq!(frames.next().await.unwrap()?, "");
///     assert!(frames.next().await.is_none());
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LengthDelimited {
    offset: usize,
    length: usize,
    adjustment: i64,
    skip: Option<usize>,
    frame_max: usize,
    is_little_endian: bool,
}

impl LengthDelimited {
    /// Four bytes, the highest first; frames of at most 8 MiB.
    pub fn new() -> LengthDelimited {
        LengthDelimited {
            offset: 0,
            length: 4,
            adjustment: 0,
            skip: None,
            frame_max: FRAME_MAX,
            is_little_endian: false,
        }
    }

    /// How many bytes the number has.
    ///
    /// # Panics
    /// When it is not from 1 to 8.
    pub fn length_field_length(self, bytes: usize) -> LengthDelimited {
        assert!((1..=8).contains(&bytes), "a number of {bytes} bytes: 1 to 8 are possible");
        LengthDelimited { length: bytes, ..self }
    }

    /// How many bytes stand in front of the number. Such frames can be read only.
    ///
    /// # Examples
    /// ```
    /// use annulus::io::codec::LengthDelimited;
    ///
    /// // A byte of kind, two of length, and then as many bytes: the frame is given without its head.
    /// let codec = LengthDelimited::new()
    ///     .length_field_offset(1)
    ///     .length_field_length(2)
    ///     .num_skip(3)
    ///     .max_frame_length(4096)
    ///     .big_endian();
    /// println!("{codec:?}");
    /// ```
    pub fn length_field_offset(self, bytes: usize) -> LengthDelimited {
        LengthDelimited { offset: bytes, ..self }
    }

    /// How many more bytes there are behind the number than it says; negative if it counts bytes in front of them as well.
    pub fn length_adjustment(self, bytes: i64) -> LengthDelimited {
        LengthDelimited { adjustment: bytes, ..self }
    }

    /// How many bytes of a frame are left out at its beginning; unless it is said, all up to the end of the number.
    ///
    /// # Examples
    /// As [`length_field_offset`](Self::length_field_offset).
    pub fn num_skip(self, bytes: usize) -> LengthDelimited {
        LengthDelimited { skip: Some(bytes), ..self }
    }

    /// How many bytes there may be behind the number.
    ///
    /// # Examples
    /// As [`length_field_offset`](Self::length_field_offset).
    pub fn max_frame_length(self, bytes: usize) -> LengthDelimited {
        LengthDelimited { frame_max: bytes, ..self }
    }

    /// The number has its highest byte first, as on the network.
    ///
    /// # Examples
    /// As [`length_field_offset`](Self::length_field_offset).
    pub fn big_endian(self) -> LengthDelimited {
        LengthDelimited { is_little_endian: false, ..self }
    }

    /// The number has its lowest byte first.
    pub fn little_endian(self) -> LengthDelimited {
        LengthDelimited { is_little_endian: true, ..self }
    }

    /// How long the frame is that begins here, from its first byte to its last, if its head is there.
    fn whole(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let head = self.offset.saturating_add(self.length);
        if bytes.len() < head {
            return Ok(None);
        }
        let number = match self.is_little_endian {
            true => (&bytes[self.offset..]).get_uint_le(self.length),
            false => (&bytes[self.offset..]).get_uint(self.length),
        };
        let body = i128::from(number) + i128::from(self.adjustment);
        let Ok(body) = u128::try_from(body) else {
            return Err(wrong(format!(
                "a frame's length is {number}, which is less than nothing when {} is added: is this the protocol?",
                self.adjustment
            )));
        };
        match usize::try_from(body).ok().filter(|body| *body <= self.frame_max) {
            // Not near the end of numbers: both are lengths of memory.
            Some(body) => Ok(Some(head.saturating_add(body))),
            None => Err(wrong(self.too_long(body))),
        }
    }

    fn too_long(&self, body: u128) -> String {
        format!(
            "a frame of {body} bytes, and at most {} are permitted: LengthDelimited::max_frame_length permits more, if \
             this is the protocol",
            self.frame_max
        )
    }
}

impl Default for LengthDelimited {
    fn default() -> LengthDelimited {
        LengthDelimited::new()
    }
}

fn wrong(told: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, told)
}

impl Decoder for LengthDelimited {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        // No room is made for what is announced: it grows with what comes.
        let Some(whole) = self.whole(bytes)?.filter(|whole| *whole <= bytes.len()) else { return Ok(None) };
        let mut frame = bytes.split_to(whole);
        let skip = self.skip.unwrap_or(self.offset + self.length);
        if skip > whole {
            return Err(wrong(format!(
                "a frame of {whole} bytes in all, of which num_skip leaves out {skip}"
            )));
        }
        frame.advance(skip);
        Ok(Some(frame))
    }
}

impl<B: AsRef<[u8]>> Encoder<B> for LengthDelimited {
    type Error = io::Error;

    /// # Errors
    /// `InvalidInput` for a frame that is too long for [`max_frame_length`](LengthDelimited::max_frame_length) or the
    /// number, and for a number that is not in front.
    fn encode(&mut self, item: B, bytes: &mut BytesMut) -> io::Result<()> {
        let body = item.as_ref();
        let refused = |told: String| Err(io::Error::new(io::ErrorKind::InvalidInput, told));
        if self.offset > 0 {
            return refused(
                "with length_field_offset frames can be read only: nobody says what is in front".into(),
            );
        }
        if body.len() > self.frame_max {
            return refused(self.too_long(body.len() as u128));
        }
        let number = body.len() as i128 - i128::from(self.adjustment);
        let number_max = (1_i128 << (8 * self.length)) - 1;
        if !(0..=number_max).contains(&number) {
            return refused(format!(
                "a frame's length would be {number}, and {} bytes hold 0 to {number_max}: length_field_length may be more",
                self.length
            ));
        }
        let number = (number as u64).to_be_bytes();
        let number = &number[8 - self.length..];
        bytes.reserve(self.length + body.len());
        match self.is_little_endian {
            true => bytes.extend(number.iter().rev()),
            false => bytes.extend_from_slice(number),
        }
        bytes.extend_from_slice(body);
        Ok(())
    }
}
