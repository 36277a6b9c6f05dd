//! What is in a large file, over its holes: on the loop, piece by piece, so that one sees how far it is.

use std::io;
use std::ops::Range;

use annulus::fs::{File, FileTimes};

use crate::file::written;

/// What the system copies by itself at once.
const PIECE: u64 = 8 << 20;
/// Where it does not, what goes through our memory at once.
const CHUNK: u64 = 1 << 20;

/// Copies what `from` has now; `progress` hears of each piece.
pub async fn copy(from: &File, to: &File, progress: impl Fn(u64)) -> io::Result<()> {
    let metadata = from.metadata().await?;
    let length = metadata.len();
    let mut content = Content { from, to, by_hand: false, length, progress, buffer: Vec::new() };
    let mut at = 0;
    while let Some(data) = from.next_data(at).await?.filter(|data| *data < length) {
        let hole = from.next_hole(data).await?.unwrap_or(length).min(length);
        content.copy_range(data..hole).await?;
        at = hole;
    }
    // A hole at the end is made by this alone.
    if at < length {
        to.set_len(length).await?;
    }
    to.set_times(FileTimes::new().set_accessed(metadata.accessed()).set_modified(metadata.modified())).await
}

struct Content<'files, P> {
    from: &'files File,
    to: &'files File,
    /// The system does not copy between these two.
    by_hand: bool,
    length: u64,
    progress: P,
    buffer: Vec<u8>,
}

impl<P: Fn(u64)> Content<'_, P> {
    async fn copy_range(&mut self, range: Range<u64>) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let count = match self.by_hand {
                false => self.piece(at, range.end - at).await,
                true => self.chunk(at, range.end - at).await,
            };
            match count {
                Ok(0) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was cut off meanwhile"));
                }
                Ok(count) => {
                    at += count;
                    (self.progress)(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if !self.by_hand && is_not_for_the_system(&error) => self.by_hand = true,
                Err(error) => return Err(written(error, at, self.length)),
            }
        }
        Ok(())
    }

    /// Past the program: some file systems share the blocks, and copy nothing.
    async fn piece(&self, at: u64, length: u64) -> io::Result<u64> {
        self.from.copy_range(at, self.to, at, length.min(PIECE) as u32).await.map(|count| count as u64)
    }

    async fn chunk(&mut self, at: u64, length: u64) -> io::Result<u64> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let room = length.min(CHUNK) as usize;
        buffer.clear();
        buffer.reserve_exact(CHUNK as usize);
        let (result, slice) = self.from.read_at(annulus::buf::IoBuf::slice(buffer, ..room), at).await;
        let buffer = slice.into_inner();
        if result? == 0 {
            self.buffer = buffer;
            return Ok(0);
        }
        // What was not taken is read again: so the count is right when a disk is full.
        let (result, buffer) = self.to.write_at(buffer, at).await;
        self.buffer = buffer;
        result.map(|count| count as u64)
    }
}

/// Other file systems, files of the kernel's, a sandbox that does not know the call.
fn is_not_for_the_system(error: &io::Error) -> bool {
    use libc::{EBADF, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EXDEV};
    let refusals = [EBADF, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EXDEV];
    error.raw_os_error().is_some_and(|errno| refusals.contains(&errno))
}
