//! What stands between the bytes of one kind, one after the other.

use std::io;

use super::AsyncBufRead;
use super::buf_read::gather;
use super::items::Items;

/// The pieces of what a reader gives, without the bytes that part them. Made by [`AsyncBufRead::split`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncBufRead;
///
/// annulus::run(async {
///     let mut words = AsyncBufRead::split(&b"one two three"[..], b' ');
///     assert_eq!(words.next_segment().await?.as_deref(), Some(&b"one"[..]));
///     assert_eq!(words.get_ref(), b"two three");
///     words.get_mut().consume(1);
///     assert_eq!(words.next_segment().await?.as_deref(), Some(&b"wo"[..]));
///     assert_eq!(words.into_inner(), b"three");
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct Segments<R> {
    reader: R,
    byte: u8,
}

impl<R> Segments<R> {
    pub(super) fn new(reader: R, byte: u8) -> Segments<R> {
        Segments { reader, byte }
    }

    /// What it reads from.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// What it reads from, to take bytes between two pieces.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// What it reads from, with what has come and was not taken.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: AsyncBufRead> Segments<R> {
    /// The next piece, without the byte that ends it; None at the end. The last piece may be without it.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what has come of the piece stays in the reader.
    ///
    /// # Errors
    /// Those of the source: what has come stays in the reader.
    ///
    /// # Examples
    /// As [`Segments`].
    pub async fn next_segment(&mut self) -> io::Result<Option<Vec<u8>>> {
        let count = gather(&mut self.reader, self.byte).await?;
        if count == 0 {
            return Ok(None);
        }
        let piece = &self.reader.buffer()[..count];
        let piece = piece.strip_suffix(&[self.byte]).unwrap_or(piece).to_vec();
        self.reader.consume(count);
        Ok(Some(piece))
    }

    /// The pieces as a `Stream`, for what wants one. It allocates once, and gives the reader no more back.
    ///
    /// # Examples
    /// As [`Lines::into_stream`](super::Lines::into_stream).
    pub fn into_stream<'a>(self) -> Items<'a, io::Result<Vec<u8>>>
    where
        R: 'a,
    {
        Items::new(self, async |segments: &mut Self| segments.next_segment().await.transpose())
    }
}
