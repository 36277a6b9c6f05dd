//! One reader, and when it has ended another.

use std::io;

use super::AsyncRead;
use crate::buf::IoBufMut;

/// Reads one reader until its end, and then another. Made by [`AsyncRead::chain`].
///
/// # Cancel safety
/// Of each method as that of the two readers, except `read_exact`, which loses what it gathered: put a
/// [`BufReader`](super::BufReader) around it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncRead;
///
/// annulus::run(async {
///     let mut both = (&b"one"[..]).chain(&b" two"[..]);
///     let (result, text) = both.read_to_end(Vec::new()).await;
///     result?;
///     assert_eq!(text, b"one two");
///     assert_eq!(both.get_ref(), (&&b""[..], &&b""[..]));
///     *both.get_mut().0 = b"more";
///     let (_one, _two) = both.into_inner();
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct Chain<A, B> {
    first: A,
    second: B,
    first_ended: bool,
}

impl<A, B> Chain<A, B> {
    pub(super) fn new(first: A, second: B) -> Chain<A, B> {
        Chain { first, second, first_ended: false }
    }

    /// The two readers.
    ///
    /// # Examples
    /// As [`Chain`].
    pub fn get_ref(&self) -> (&A, &B) {
        (&self.first, &self.second)
    }

    /// The two readers, to be changed.
    ///
    /// # Examples
    /// As [`Chain`].
    pub fn get_mut(&mut self) -> (&mut A, &mut B) {
        (&mut self.first, &mut self.second)
    }

    /// Gives the two readers back.
    ///
    /// # Examples
    /// As [`Chain`].
    pub fn into_inner(self) -> (A, B) {
        (self.first, self.second)
    }
}

impl<A: AsyncRead, B: AsyncRead> AsyncRead for Chain<A, B> {
    async fn read<M: IoBufMut>(&mut self, mut buffer: M) -> (io::Result<usize>, M) {
        if !self.first_ended {
            let result;
            (result, buffer) = self.first.read(buffer).await;
            match result {
                // Into no room nothing is read, and that is no end.
                Ok(0) if buffer.bytes_total() > 0 => self.first_ended = true,
                _ => return (result, buffer),
            }
        }
        self.second.read(buffer).await
    }

    async fn readv<M: IoBufMut>(&mut self, mut buffers: Vec<M>) -> (io::Result<usize>, Vec<M>) {
        if !self.first_ended {
            let result;
            (result, buffers) = self.first.readv(buffers).await;
            match result {
                Ok(0) if buffers.iter().any(|buffer| buffer.bytes_total() > 0) => self.first_ended = true,
                _ => return (result, buffers),
            }
        }
        self.second.readv(buffers).await
    }
}
