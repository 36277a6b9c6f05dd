//! From one end to another.

use std::io;

use super::{AsyncRead, AsyncWrite, Ended, Incomplete, splice};
use crate::buf::IoBuf;
use crate::op::incomplete;

/// How much is moved at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Moves everything from a reader to a writer until the reader ends, and says how many bytes that was.
///
/// From a file, a stream or a pipe of this crate to a stream or a pipe the bytes do not pass through the program, where
/// the system has splice(2): they go by way of a pipe of the loop's own, 256 KiB or less at a time, which is held only while
/// there is something in it. Everything else goes through a buffer of 64 KiB. From a file that is changed meanwhile, what arrives
/// may be the old bytes or the new ones.
///
/// A program that does not ignore SIGPIPE, as Rust's programs do, is ended by it when the peer of a stream is gone.
///
/// # Cancel safety
/// Where the bytes do not pass through the program, nothing is lost by dropping it, or by an error: what was taken from the
/// reader but not written yet is given to its next read. Elsewhere that is lost, at most 64 KiB; to stop without
/// a loss, let the reader end.
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
    copy_at_most(reader, writer, u64::MAX).await
}

/// As `copy`, until so many bytes are moved.
pub(crate) async fn copy_at_most<R, W>(reader: &mut R, writer: &mut W, limit: u64) -> io::Result<u64>
where
    R: AsyncRead + ?Sized,
    W: AsyncWrite + ?Sized,
{
    let mut moved = 0;
    if let (Some(source), Some(target)) = (reader.splice_source(), writer.splice_target()) {
        // In a box, for most copies are between ends that it is not for.
        let (count, ended) = Box::pin(splice(source, target, limit)).await;
        moved = count;
        reader.spliced(count);
        match ended {
            Ended::Done => return Ok(moved),
            Ended::Failed(error) => return Err(cut_off(moved, error)),
            Ended::Unsuitable => {}
        }
    }
    let mut chunk = Vec::with_capacity(CHUNK);
    while moved < limit {
        let room = usize::try_from(limit - moved).unwrap_or(CHUNK).min(CHUNK);
        let (result, filled) = reader.read(chunk.slice(..room)).await;
        chunk = filled.into_inner();
        match result {
            Ok(0) => break,
            Ok(count) => {
                let (result, slice) = writer.write_all(chunk.slice(..count)).await;
                chunk = slice.into_inner();
                moved += match result {
                    Ok(()) => count as u64,
                    Err(error) => return Err(cut_off(moved, error)),
                };
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cut_off(moved, error)),
        }
    }
    Ok(moved)
}

/// What went of the last chunk counts as well.
pub(crate) fn cut_off(moved: u64, error: io::Error) -> io::Error {
    let of_this_chunk = Incomplete::of(&error).map_or(0, Incomplete::done);
    incomplete(usize::try_from(moved).unwrap_or(usize::MAX).saturating_add(of_this_chunk), None, error)
}
