//! The first bytes of a reader.

use std::io;

use super::{AsyncBufRead, AsyncRead, Incomplete};
use crate::buf::IoBufMut;
use crate::op::incomplete;

/// Reads so many bytes at most, and then has ended. Made by [`AsyncRead::take`].
///
/// # Cancel safety
/// Of each method as that of its reader, except `read_to_end` and `read_to_string`, which lose what they gathered. What was
/// not given out counts for nothing.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncRead;
///
/// annulus::run(async {
///     let mut some = (&b"one two three"[..]).take(3);
///     assert_eq!(some.limit(), 3);
///     assert_eq!(some.read_to_end(Vec::new()).await.1, b"one");
///     some.set_limit(4);
///     assert_eq!(some.read_to_end(Vec::new()).await.1, b" two");
///     assert_eq!((&**some.get_ref(), &**some.get_mut()), (&b" three"[..], &b" three"[..]));
///     assert_eq!(some.into_inner(), b" three");
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct Take<R> {
    inner: R,
    left: u64,
}

impl<R> Take<R> {
    pub(super) fn new(inner: R, left: u64) -> Take<R> {
        Take { inner, left }
    }

    /// How many bytes it will still give at most.
    pub fn limit(&self) -> u64 {
        self.left
    }

    /// Lets it give so many bytes from now on.
    pub fn set_limit(&mut self, bytes_max: u64) {
        self.left = bytes_max;
    }

    /// What it reads from.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// What it reads from. What is read from it directly does not count.
    ///
    /// # Examples
    /// As [`Take`].
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Gives back what it reads from.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn room(&self, bytes: usize) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes)
    }
}

impl<R: AsyncRead> AsyncRead for Take<R> {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        let total = buffer.bytes_total();
        let room = self.room(total);
        if room == 0 {
            return (Ok(buffer.fill_from(&[])), buffer);
        }
        let (result, buffer) = match room {
            _ if room == total => self.inner.read(buffer).await,
            _ => {
                let (result, slice) = self.inner.read(buffer.slice(..room)).await;
                (result, slice.into_inner())
            }
        };
        self.left -= *result.as_ref().unwrap_or(&0) as u64;
        (result, buffer)
    }

    async fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> (io::Result<()>, B) {
        let wanted = buffer.bytes_total();
        let room = self.room(wanted);
        let (result, slice) = self.inner.read_exact(buffer.slice(..room)).await;
        let done = match &result {
            Ok(()) => room,
            Err(error) => Incomplete::of(error).map_or(0, Incomplete::done),
        };
        self.left -= done as u64;
        let result = match result {
            Ok(()) if room < wanted => {
                Err(incomplete(room, Some(wanted), io::ErrorKind::UnexpectedEof.into()))
            }
            other => other,
        };
        (result, slice.into_inner())
    }
}

impl<R: AsyncBufRead> AsyncBufRead for Take<R> {
    fn buffer(&self) -> &[u8] {
        let held = self.inner.buffer();
        &held[..self.room(held.len())]
    }

    fn consume(&mut self, count: usize) {
        let held = self.buffer().len();
        assert!(count <= held, "{count} bytes were consumed of a reader that holds {held}");
        self.inner.consume(count);
        self.left -= count as u64;
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        let before = self.buffer().len();
        if self.room(usize::MAX) == before {
            return Ok(0);
        }
        self.inner.fill_more().await?;
        Ok(self.buffer().len() - before)
    }
}
