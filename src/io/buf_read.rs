//! What can be looked at before it is taken.

use std::future::Future;
use std::io;

use super::AsyncRead;
use super::lines::Lines;
use super::segments::Segments;
use crate::sys::memory::find;

/// Gives bytes that wait in memory until they are taken: a [`BufReader`](super::BufReader), or bytes themselves.
///
/// Whatever is looked for is gathered in the reader and not in the future, so that nothing here loses a byte when it is
/// dropped.
///
/// # Examples
/// As [`BufReader`](super::BufReader), which is one.
pub trait AsyncBufRead: AsyncRead {
    /// The bytes that have come and were not taken. May be none.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::AsyncBufRead;
    ///
    /// annulus::run(async {
    ///     let mut bytes = &b"key=value"[..];
    ///     // A look at what is there; more is asked for by `fill_more`.
    ///     assert_eq!(bytes.buffer(), b"key=value");
    ///     bytes.consume(4);
    ///     assert_eq!(bytes.buffer(), b"value");
    ///     assert_eq!(bytes.fill_more().await?, 0, "that is all");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn buffer(&self) -> &[u8];

    /// Takes the first bytes of [`buffer`](Self::buffer) away.
    ///
    /// # Panics
    /// When there are not so many.
    ///
    /// # Examples
    /// As [`buffer`](Self::buffer).
    fn consume(&mut self, count: usize);

    /// Waits for more bytes behind those of [`buffer`](Self::buffer), which stay, and says how many came. 0 is the
    /// end.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// Those of the source. The bytes that are there stay.
    ///
    /// # Examples
    /// As [`buffer`](Self::buffer).
    fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>>;

    /// The bytes that have come and were not taken; if there are none, waits for some. None then is the end.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// Those of the source.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::{AsyncBufRead, BufReader};
    ///
    /// annulus::run(async {
    ///     let (reader, writer) = annulus::io::pipe().await?;
    ///     writer.write_all("GET key").await.0?;
    ///
    ///     let mut reader = BufReader::new(reader);
    ///     assert!(reader.fill_buf().await?.starts_with(b"GET "));
    ///     reader.consume(4);
    ///     assert_eq!(reader.buffer(), b"key");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn fill_buf(&mut self) -> impl Future<Output = io::Result<&[u8]>> {
        async move {
            // Not by way of the reader that `&mut Self` is as well: it would be borrowed from here.
            if (*self).buffer().is_empty() {
                self.fill_more().await?;
            }
            Ok((*self).buffer())
        }
    }

    /// Reads until a byte has come, or the end; appends what came, with the byte, and says how much that was. 0 is the
    /// end.
    ///
    /// What comes is held until the byte does, however much it is: for a peer that is not trusted see
    /// [`codec`](super::codec), whose frames have a longest length.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it, except the buffer: what has come stays in the reader.
    ///
    /// # Errors
    /// Those of the source. What has come stays in the reader, and the buffer is as it was.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::AsyncBufRead;
    ///
    /// annulus::run(async {
    ///     let mut reader = &b"key=value"[..];
    ///     let (result, key) = reader.read_until(b'=', Vec::new()).await;
    ///     assert_eq!((result?, &key[..]), (4, &b"key="[..]));
    ///     let (result, value) = reader.read_until(b'=', key).await;
    ///     assert_eq!((result?, &value[..]), (5, &b"key=value"[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn read_until(
        &mut self,
        byte: u8,
        buffer: Vec<u8>,
    ) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> {
        async move {
            let mut buffer = buffer;
            let result = gather(self, byte).await;
            if let Ok(count) = result {
                buffer.extend_from_slice(&self.buffer()[..count]);
                self.consume(count);
            }
            (result, buffer)
        }
    }

    /// Reads a line, with its end, and appends it; says how many bytes that was. 0 is the end. The last line may be
    /// without an end.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it, except the text that it was given: what has come stays in the reader.
    ///
    /// # Errors
    /// Those of the source. `InvalidData` if the line is no UTF-8. In both cases the line stays in the reader, and the text
    /// is as it was: [`read_until`](Self::read_until) takes the line as bytes.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::AsyncBufRead;
    ///
    /// annulus::run(async {
    ///     let mut text = &b"one\ntwo"[..];
    ///     let (result, line) = text.read_line(String::new()).await;
    ///     assert_eq!((result?, &line[..]), (4, "one\n"));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn read_line(&mut self, text: String) -> impl Future<Output = (io::Result<usize>, String)> {
        async move {
            let mut text = text;
            let count = match gather(self, b'\n').await {
                Ok(count) => count,
                Err(error) => return (Err(error), text),
            };
            match std::str::from_utf8(&self.buffer()[..count]) {
                Ok(line) => text.push_str(line),
                Err(error) => {
                    let told = format!("a line is no text: {error}; read_until reads it as bytes");
                    return (Err(io::Error::new(io::ErrorKind::InvalidData, told)), text);
                }
            }
            self.consume(count);
            (Ok(count), text)
        }
    }

    /// The lines, one after the other, without their ends.
    ///
    /// A line may be of any length, and is kept until its end comes: from a peer that is not to be trusted read lines by
    /// [`LinesCodec`](crate::io::codec::LinesCodec), which has a bound.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::AsyncBufRead;
    ///
    /// annulus::run(async {
    ///     let mut lines = (&b"one\r\ntwo"[..]).lines();
    ///     while let Some(line) = lines.next_line().await? {
    ///         println!("{line}");
    ///     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn lines(self) -> Lines<Self>
    where
        Self: Sized,
    {
        Lines::new(self)
    }

    /// What stands between the bytes of one kind, one after the other.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::io::{AsyncBufRead, BufReader};
    ///
    /// annulus::run(async {
    ///     let mut words = BufReader::new(&b"one two"[..]).split(b' ');
    ///     assert_eq!(words.next_segment().await?.unwrap(), b"one");
    ///     assert_eq!(words.next_segment().await?.unwrap(), b"two");
    ///     assert!(words.next_segment().await?.is_none());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    fn split(self, byte: u8) -> Segments<Self>
    where
        Self: Sized,
    {
        Segments::new(self, byte)
    }
}

/// Waits until the byte is in the reader's buffer, and says how many bytes there are with it; at the end, how many
/// there are.
pub(super) async fn gather<R: AsyncBufRead + ?Sized>(reader: &mut R, byte: u8) -> io::Result<usize> {
    let mut seen = 0;
    loop {
        let held = reader.buffer();
        if let Some(place) = find(byte, &held[seen..]) {
            return Ok(seen + place + 1);
        }
        seen = held.len();
        if reader.fill_more().await? == 0 {
            return Ok(seen);
        }
    }
}

impl<R: AsyncBufRead + ?Sized> AsyncBufRead for &mut R {
    fn buffer(&self) -> &[u8] {
        (**self).buffer()
    }

    fn consume(&mut self, count: usize) {
        (**self).consume(count);
    }

    fn fill_more(&mut self) -> impl Future<Output = io::Result<usize>> {
        (**self).fill_more()
    }
}
