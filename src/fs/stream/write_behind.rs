//! Writing in a row, without waiting for what was written before.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::blocks::{Blocks, check_multiple};
use super::facts::Question;
use super::fetch::Fetch;
use super::line::Line;
use crate::buf::{Aligned, IoBuf, Registered, Slice};
use crate::fs::{File, RegisteredBuffers};
use crate::io::AsyncWrite;
use crate::op::{Submitted, Whole, Write};

/// Gathers what is written in blocks, and writes a block while the next is gathered: who writes waits only when as many blocks
/// are under way as was said.
///
/// It writes at offsets of its own, from 0 on or from where [`starting_at`](Self::starting_at) says, and leaves the file's cursor
/// and what is behind its last byte alone. A file that was opened with O_DIRECT is written in whole units of what its device
/// wants; an end between them is filled up, with what the file has there, and the file's length set afterwards.
///
/// **Say [`finish`](Self::finish) or [`flush`](AsyncWrite::flush) at the end**: dropping it cannot wait, so that drops what was not
/// written.
///
/// An error of a block is told by the next call, whichever that is. Nothing is given up: the call after that writes the block
/// once more. [`written`](Self::written) says how far all is written.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::{File, WriteBehind};
/// use annulus::io::AsyncWrite;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("numbers");
/// annulus::run(async {
///     let mut writer = WriteBehind::new(File::create(&path).await?).block(4096).depth(2);
///     for number in 0..10_000 {
///         writer.write_all(format!("{number}\n")).await.0?;
///     }
///     let file = writer.finish().await?;
///     file.sync_all().await?;
///     assert_eq!(file.metadata().await?.len(), 48_890);
///     Ok(())
/// })?
/// # }
/// ```
pub struct WriteBehind {
    file: File,
    blocks: Blocks,
    question: Question,
    /// What offsets and lengths have to be multiples of, once the file was asked.
    unit: Option<u64>,
    line: Line<Put>,
    /// Where each block of the line begins is known by where the first does: they have no gaps.
    written: u64,
    /// What was gathered and is not under way; it belongs to `at`.
    gathered: Option<Registered>,
    at: u64,
    /// So much of it is written already, and is written again with what follows.
    again: usize,
    /// The last block that is under way was filled up; behind it the file is to be that long.
    filled_up: Option<u64>,
}

type Put = Submitted<Whole<Write<Slice<Registered>>>>;

impl WriteBehind {
    /// From the beginning of the file, in blocks of 128 KiB, four under way.
    pub fn new(file: File) -> WriteBehind {
        WriteBehind {
            file,
            blocks: Blocks::default(),
            question: Question::default(),
            unit: None,
            line: Line::default(),
            written: 0,
            gathered: None,
            at: 0,
            again: 0,
            filled_up: None,
        }
    }

    /// How long a block is, in bytes. Past the page cache it is rounded up to what the device wants.
    ///
    /// # Panics
    /// If it is zero, or writing has begun.
    pub fn block(mut self, bytes: usize) -> WriteBehind {
        self.assert_not_begun();
        self.blocks.set_bytes(bytes);
        self
    }

    /// How many blocks are under way at a time.
    ///
    /// # Panics
    /// If it is zero.
    pub fn depth(mut self, blocks: usize) -> WriteBehind {
        self.blocks.set_depth(blocks);
        self
    }

    /// From which byte of the file on. Past the page cache that is a multiple of what the device wants.
    ///
    /// # Panics
    /// If writing has begun.
    pub fn starting_at(mut self, offset: u64) -> WriteBehind {
        self.assert_not_begun();
        (self.written, self.at) = (offset, offset);
        self
    }

    /// Takes blocks from this pool, and makes them as long as its buffers: for buffers that the ring knows, or that several
    /// writers share.
    ///
    /// # Panics
    /// If writing has begun.
    pub fn buffers(mut self, pool: RegisteredBuffers) -> WriteBehind {
        self.assert_not_begun();
        self.blocks.set_pool(pool);
        self
    }

    #[track_caller]
    fn assert_not_begun(&self) {
        assert!(self.unit.is_none(), "writing has begun: say it before");
    }

    /// Where in the file the next byte goes that it is given.
    pub fn position(&self) -> u64 {
        self.at + self.gathered.as_ref().map_or(0, |gathered| gathered.len() as u64)
    }

    /// Up to which byte of the file all is known to be written. Not that it is on the disk: [`File::sync_data`].
    pub fn written(&self) -> u64 {
        self.written + if self.line.is_empty() { self.again as u64 } else { 0 }
    }

    /// Writes all that was gathered, waits for it, and gives the file back.
    ///
    /// # Cancel safety
    /// Dropping it drops what was not written. To be able to go on, [`flush`](AsyncWrite::flush) first.
    ///
    /// # Errors
    /// Those of pwrite(2).
    pub async fn finish(mut self) -> io::Result<File> {
        self.flush().await?;
        Ok(self.file)
    }

    async fn begin(&mut self) -> io::Result<u64> {
        if let Some(unit) = self.unit {
            return Ok(unit);
        }
        let unit = self.question.unit_of(&self.file).await?;
        check_multiple("writing from byte", self.at, unit)?;
        self.blocks.make(unit, u64::MAX)?;
        Ok(*self.unit.insert(unit))
    }

    /// Notes what is done. Waits until at most so many blocks are under way.
    fn poll_line(&mut self, at_most: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.begin(cx);
        loop {
            let first = match self.line.poll_first(cx) {
                Poll::Ready(Some(first)) => first,
                Poll::Pending if self.line.len() > at_most => return Poll::Pending,
                _ => return Poll::Ready(Ok(())),
            };
            let (result, block) = first;
            match result {
                Ok(()) => self.written += block.len() as u64,
                Err(error) => {
                    self.line.put_back(self.file.write_all_at(block, self.written));
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Lets the first `length` bytes of what was gathered be under way.
    fn hand_over(&mut self, length: usize, cx: &mut Context<'_>) {
        let Some(block) = self.gathered.take() else { return };
        self.again = 0;
        self.line.push(self.file.write_all_at(block.slice(..length), self.at));
        self.at += length as u64;
        self.line.begin(cx);
    }

    /// Waits until a byte more can be gathered.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Registered>> {
        ready!(self.poll_line(usize::MAX, cx))?;
        if self.gathered.as_ref().is_some_and(|gathered| gathered.len() == self.blocks.bytes) {
            ready!(self.poll_line(self.blocks.depth - 1, cx))?;
            self.hand_over(self.blocks.bytes, cx);
        }
        if self.gathered.is_none() {
            self.gathered = Some(self.blocks.take()?);
        }
        Poll::Ready(Ok(self.gathered.as_mut().expect("there is one now")))
    }

    /// What was filled up must be written, and its filling cut off, before what follows.
    async fn cut_off(&mut self) -> io::Result<()> {
        let Some(length) = self.filled_up else { return Ok(()) };
        poll_fn(|cx| self.poll_line(0, cx)).await?;
        if self.file.metadata().await?.len() > length {
            self.file.set_len(length).await?;
        }
        self.written = self.at;
        self.again = self.gathered.as_ref().map_or(0, |gathered| gathered.len());
        self.filled_up = None;
        Ok(())
    }

    /// Writes an end between two units: with what the file has behind it, if it has anything.
    async fn write_filled_up(&mut self, unit: usize) -> io::Result<()> {
        let gathered = self.gathered.as_ref().map_or(0, |gathered| gathered.len());
        let (whole, length) = (gathered - gathered % unit, self.file.metadata().await?.len());
        let behind = self.at + whole as u64;
        let mut there = Aligned::with_capacity(unit, unit);
        if length > self.at + gathered as u64 {
            let (got, filled) = Fetch::new(&self.file, there, behind, unit, unit as u64).await;
            got.map_err(|error| not_known(error, self.at + gathered as u64))?;
            there = filled;
        }
        let Some(block) = &mut self.gathered else { return Ok(()) };
        // The end is gathered once more, for it is written again with what follows.
        let mut end = self.blocks.take()?;
        end.set_len(gathered - whole);
        end.copy_from_slice(&block[whole..]);
        block.set_len(whole + unit);
        block[gathered..].fill(0);
        let more = there.get(gathered - whole..).unwrap_or_default();
        block[gathered..gathered + more.len()].copy_from_slice(more);
        self.filled_up = Some(length.max(behind + end.len() as u64));
        poll_fn(|cx| {
            self.hand_over(whole + unit, cx);
            Poll::Ready(())
        })
        .await;
        (self.at, self.gathered) = (behind, Some(end));
        Ok(())
    }
}

/// What stands behind the end could not be read.
fn not_known(error: io::Error, end: u64) -> io::Error {
    if error.raw_os_error() != Some(libc::EBADF) {
        return error;
    }
    let text = format!(
        "{error}; the file goes on behind byte {end}, which is between two units of what O_DIRECT writes: to keep what stands \
         there it has to be opened for reading as well"
    );
    io::Error::new(error.kind(), text)
}

impl AsyncWrite for WriteBehind {
    /// # Cancel safety
    /// Dropped while it waits, it has taken nothing.
    ///
    /// # Errors
    /// Those of blocks that were written before.
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        let bytes = buffer.as_init();
        if bytes.is_empty() {
            return (Ok(0), buffer);
        }
        if let Err(error) = self.cut_off().await {
            return (Err(error), buffer);
        }
        if let Err(error) = self.begin().await {
            return (Err(error), buffer);
        }
        let block = self.blocks.bytes;
        let taken = poll_fn(|cx| {
            let gathered = ready!(self.poll_room(cx))?;
            let from = gathered.len();
            let count = bytes.len().min(block - from);
            gathered.set_len(from + count);
            gathered[from..].copy_from_slice(&bytes[..count]);
            // A full block waits for nothing, if there is room for it in the line.
            if from + count == block && self.line.len() < self.blocks.depth {
                self.hand_over(block, cx);
            }
            Poll::Ready(Ok(count))
        });
        let result = taken.await;
        (result, buffer)
    }

    /// # Cancel safety
    /// Nothing is lost by dropping it: the next call takes it up.
    async fn flush(&mut self) -> io::Result<()> {
        self.cut_off().await?;
        let unit = self.begin().await? as usize;
        let gathered = self.gathered.as_ref().map_or(0, |gathered| gathered.len());
        if gathered % unit != 0 {
            // The end is written once more after this, so nothing else may be under way there.
            poll_fn(|cx| self.poll_line(0, cx)).await?;
            self.write_filled_up(unit).await?;
            return self.cut_off().await;
        }
        poll_fn(|cx| {
            if gathered > 0 {
                self.hand_over(gathered, cx);
            }
            self.poll_line(0, cx)
        })
        .await
    }
}

impl fmt::Debug for WriteBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind")
            .field("file", &self.file)
            .field("position", &self.position())
            .field("written", &self.written())
            .field("under_way", &self.line.len())
            .finish()
    }
}
