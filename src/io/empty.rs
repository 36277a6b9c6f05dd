//! What has ended before it began.

use std::io;

use super::turn::turn;
use super::{AsyncBufRead, AsyncRead};
use crate::buf::IoBufMut;

/// Gives no bytes. Made by [`empty`].
///
/// # Examples
/// As [`empty`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty {}

/// A reader that has ended.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncRead;
///
/// annulus::run(async {
///     assert_eq!(annulus::io::empty().read_to_end(Vec::new()).await.0?, 0);
///     Ok(())
/// })?
/// # }
/// ```
pub fn empty() -> Empty {
    Empty {}
}

impl AsyncRead for Empty {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        turn().await;
        (Ok(buffer.fill_from(&[])), buffer)
    }
}

impl AsyncBufRead for Empty {
    fn buffer(&self) -> &[u8] {
        &[]
    }

    fn consume(&mut self, count: usize) {
        assert_eq!(count, 0, "bytes were consumed of a reader that has none");
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        Ok(0)
    }
}
