//! The same byte without end.

use std::io;

use super::AsyncRead;
use super::turn::turn;
use crate::buf::IoBufMut;

/// Gives the same byte again and again. Made by [`repeat`].
///
/// # Examples
/// As [`repeat`].
#[derive(Clone, Copy, Debug)]
pub struct Repeat {
    byte: u8,
}

/// A reader that gives the same byte again and again, and never ends.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncRead;
///
/// annulus::run(async {
///     let (result, buffer) = annulus::io::repeat(b'x').read_exact(vec![0; 4].into_boxed_slice()).await;
///     result?;
///     assert_eq!(&buffer[..], b"xxxx");
///     Ok(())
/// })?
/// # }
/// ```
pub fn repeat(byte: u8) -> Repeat {
    Repeat { byte }
}

impl AsyncRead for Repeat {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        turn().await;
        let bytes = [self.byte; 1024];
        (Ok(buffer.fill_from(&bytes)), buffer)
    }
}
