//! A reader's lines, one after the other.

use std::io;

use super::AsyncBufRead;
use super::buf_read::gather;
use super::items::Items;

/// The lines of a reader, without their ends. Made by [`AsyncBufRead::lines`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncBufRead;
///
/// annulus::run(async {
///     let mut lines = (&b"one\ntwo\r\nthree"[..]).lines();
///     assert_eq!(lines.next_line().await?.as_deref(), Some("one"));
///     assert_eq!(lines.get_ref(), b"two\r\nthree");
///     lines.get_mut().consume(1); // a byte between two lines
///     assert_eq!(lines.next_line().await?.as_deref(), Some("wo"));
///     assert_eq!(lines.into_inner(), b"three");
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
}

impl<R> Lines<R> {
    pub(super) fn new(reader: R) -> Lines<R> {
        Lines { reader }
    }

    /// What it reads from.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// What it reads from, to take bytes between two lines.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// What it reads from, with what has come and was not taken.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: AsyncBufRead> Lines<R> {
    /// The next line, without its end, which is "\n" or "\r\n"; None at the end. The last line may be without an end.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what has come of the line stays in the reader.
    ///
    /// # Errors
    /// Those of the source: what has come stays in the reader. `InvalidData` if the line is no UTF-8: the line is taken, so
    /// that the next one may follow, and is in the error's source, a [`FromUtf8Error`](std::string::FromUtf8Error).
    ///
    /// # Examples
    /// As [`Lines`].
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        let count = gather(&mut self.reader, b'\n').await?;
        if count == 0 {
            return Ok(None);
        }
        let line = without_end(&self.reader.buffer()[..count]).to_vec();
        self.reader.consume(count);
        String::from_utf8(line).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The lines as a `Stream`, for what wants one. It allocates once, and gives the reader no more back.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::AsyncBufRead;
    /// use futures_util::TryStreamExt;
    ///
    /// annulus::run(async {
    ///     let lines: Vec<_> = (&b"one\ntwo\n"[..]).lines().into_stream().try_collect().await?;
    ///     assert_eq!(lines, ["one", "two"]);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn into_stream<'a>(self) -> Items<'a, io::Result<String>>
    where
        R: 'a,
    {
        Items::new(self, async |lines: &mut Self| lines.next_line().await.transpose())
    }
}

/// A line without "\n" or "\r\n".
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let Some(line) = line.strip_suffix(b"\n") else { return line };
    line.strip_suffix(b"\r").unwrap_or(line)
}
