//! From a reader that holds bytes to a writer.

use std::io;

use super::{AsyncBufRead, AsyncWrite, Incomplete};
use crate::op::incomplete;

/// Moves everything from a reader that holds bytes to a writer until the reader ends, and says how many bytes that was.
///
/// Bytes leave the reader when they are written, which costs a copy in memory that [`copy`](super::copy()) does not make.
///
/// # Cancel safety
/// Nothing is lost by dropping it: what was not written is still in the reader. Of what was about to be written, at most
/// what the reader held, some may have been, and [`settle`](AsyncWrite::settle) says how much.
///
/// # Errors
/// Those of either end. [`Incomplete`](super::Incomplete) says how many bytes were moved before; the others are still in
/// the reader.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncBufRead, BufReader, copy_buf};
///
/// annulus::run(async {
///     let mut reader = BufReader::new(&b"head\nbody"[..]);
///     reader.read_line(String::new()).await.0?;
///     let mut body = Vec::new();
///     assert_eq!(copy_buf(&mut reader, &mut body).await?, 4);
///     assert_eq!(body, b"body");
///     Ok(())
/// })?
/// # }
/// ```
pub async fn copy_buf<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncBufRead + ?Sized,
    W: AsyncWrite + ?Sized,
{
    let mut chunk = Vec::new();
    let mut moved = 0;
    loop {
        let held = reader.fill_buf().await.map_err(|error| incomplete(moved, None, error))?;
        if held.is_empty() {
            return Ok(moved as u64);
        }
        chunk.clear();
        chunk.extend_from_slice(held);
        let result;
        (result, chunk) = writer.write_all(chunk).await;
        let count = match &result {
            Ok(()) => chunk.len(),
            Err(error) => Incomplete::of(error).map_or(0, Incomplete::done),
        };
        reader.consume(count);
        moved += count;
        result.map_err(|error| incomplete(moved, None, error))?;
    }
}
