//! From one end to another.

use std::io;

use super::{AsyncRead, AsyncWrite, Incomplete};
use crate::buf::IoBuf;
use crate::op::incomplete;

/// How much is moved at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Moves everything from a reader to a writer until the reader ends, and says how many bytes that was.
///
/// # Cancel safety
/// Dropping it loses what was read but not written yet, at most 64 KiB. To stop without a loss, let the reader end.
///
/// # Errors
/// Those of either end. [`Incomplete`](super::Incomplete) says how many bytes were moved before.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::File;
///
/// # let directory = tempfile::tempdir()?;
/// # let target = directory.path().join("copy");
/// annulus::run(async {
///     let mut from = File::open("Cargo.toml").await?;
///     let mut to = File::create(&target).await?;
///     let moved = annulus::io::copy(&mut from, &mut to).await?;
///     assert_eq!(moved, from.metadata().await?.len());
///     Ok(())
/// })?
/// # }
/// ```
pub async fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + ?Sized,
    W: AsyncWrite + ?Sized,
{
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut moved = 0;
    loop {
        let (result, filled) = reader.read(chunk).await;
        chunk = filled;
        match result {
            Ok(0) => return Ok(moved as u64),
            Ok(count) => {
                let (result, slice) = writer.write_all(chunk.slice(..count)).await;
                chunk = slice.into_inner();
                moved += match result {
                    Ok(()) => count,
                    Err(error) => return Err(cut_off(moved, error)),
                };
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cut_off(moved, error)),
        }
    }
}

/// What went of the last chunk counts as well.
fn cut_off(moved: usize, error: io::Error) -> io::Error {
    let of_this_chunk = Incomplete::of(&error).map_or(0, Incomplete::done);
    incomplete(moved + of_this_chunk, None, error)
}
