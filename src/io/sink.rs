//! What takes everything and keeps nothing.

use std::io;

use super::AsyncWrite;
use super::turn::turn;
use crate::buf::IoBuf;

/// Takes bytes and forgets them. Made by [`sink`].
///
/// # Examples
/// As [`sink`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sink {}

/// A writer to nowhere.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let counted = annulus::io::copy(&mut &b"how long is this?"[..], &mut annulus::io::sink()).await?;
///     assert_eq!(counted, 17);
///     Ok(())
/// })?
/// # }
/// ```
pub fn sink() -> Sink {
    Sink {}
}

impl AsyncWrite for Sink {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        turn().await;
        (Ok(buffer.bytes_init()), buffer)
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        Ok(Some(0))
    }
}
