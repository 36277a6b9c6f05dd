//! Writing in a row, without waiting for what was written before.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::blocks::{Blocks, check_multiple};
use super::facts::Question;
use super::line::Line;
use crate::buf::{IoBuf, Registered, Slice};
use crate::fs::{File, RegisteredBuffers};
use crate::io::AsyncWrite;
use crate::op::{Submitted, Whole, Write};

/// Gathers what is written in blocks, and writes a block while the next is gathered: who writes waits only when as many blocks
/// are under way as was said.
///
/// It writes at offsets of its own, from 0 on or from where [`starting_at`](Self::starting_at) says, and leaves the file's cursor
/// and what is behind its last byte alone. A file that was opened with O_DIRECT is written in whole units of what its device
/// wants; an end between two of them goes by way of the page cache.
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
    /// The same file by way of the page cache, once an end between two units was written.
    plain: Option<File>,
    /// Such a write was begun, and it is not known that it has ended.
    is_ending: bool,
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
            plain: None,
            is_ending: false,
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
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::{File, WriteBehind};
    /// use annulus::io::AsyncWrite;
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("behind-{}", std::process::id()));
    ///
    ///     let mut writer = WriteBehind::new(File::create(&path).await?).starting_at(100);
    ///     writer.write_all("from there on").await.0?;
    ///     assert_eq!(writer.position(), 113);
    ///     println!("{} of it are written", writer.written() - 100);
    ///     assert_eq!(writer.finish().await?.metadata().await?.len(), 113);
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
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
    ///
    /// # Examples
    /// As [`ReadAhead::buffers`](crate::fs::ReadAhead::buffers), of blocks that are written.
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
    ///
    /// # Examples
    /// As [`starting_at`](Self::starting_at).
    pub fn position(&self) -> u64 {
        self.at + self.gathered.as_ref().map_or(0, |gathered| gathered.len() as u64)
    }

    /// Up to which byte of the file all is known to be written. Not that it is on the disk: [`File::sync_data`]. Past the page cache
    /// it goes back by less than a unit when the end that was flushed between two units is written once more.
    ///
    /// # Examples
    /// As [`starting_at`](Self::starting_at).
    pub fn written(&self) -> u64 {
        self.written + if self.line.is_empty() { self.again as u64 } else { 0 }
    }

    /// Writes all that was gathered, waits for it, and gives the file back.
    ///
    /// # Cancel safety
    /// Dropping it drops what was not written. To be able to go on, [`flush`](AsyncWrite::flush) first.
    ///
    /// # Errors
    /// As [`flush`](AsyncWrite::flush).
    pub async fn finish(mut self) -> io::Result<File> {
        self.flush().await?;
        Ok(self.file)
    }

    async fn begin(&mut self) -> io::Result<u64> {
        if let Some(unit) = self.unit {
            return Ok(unit);
        }
        if self.file.appends() {
            let text = "the file was opened to append, so that blocks would go to its end in any order: open it to write";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
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

    /// An end that somebody began to write and did not wait for is written, or will never be, before what follows: that may
    /// be in the same unit.
    async fn settle_end(&mut self) -> io::Result<()> {
        if self.is_ending {
            if let Some(plain) = &self.plain {
                plain.settle_writes().await?;
            }
            self.is_ending = false;
        }
        Ok(())
    }

    /// Writes what was gathered up to an end between two units: whole units as always, the rest by way of the page cache, which
    /// touches nothing behind it. The rest stays gathered, for it is written again with what follows.
    async fn write_end(&mut self, unit: usize) -> io::Result<()> {
        if self.plain.is_none() {
            self.plain = Some(self.file.by_the_page_cache().await?);
        }
        let Some(gathered) = &self.gathered else { return Ok(()) };
        let whole = gathered.len() - gathered.len() % unit;
        if whole > 0 {
            let mut end = self.blocks.take()?;
            end.set_len(gathered.len() - whole);
            end.copy_from_slice(&gathered[whole..]);
            poll_fn(|cx| {
                self.hand_over(whole, cx);
                Poll::Ready(())
            })
            .await;
            self.gathered = Some(end);
        }
        let (Some(plain), Some(end)) = (&self.plain, &self.gathered) else { return Ok(()) };
        self.is_ending = true;
        plain.write_all_at(end.to_vec(), self.at).await.0?;
        (self.is_ending, self.again) = (false, end.len());
        Ok(())
    }
}

impl AsyncWrite for WriteBehind {
    /// # Cancel safety
    /// Dropped while it waits, it has taken nothing.
    ///
    /// # Errors
    /// Those of blocks that were written before; `InvalidInput` as of [`flush`](Self::flush).
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        let bytes = buffer.as_init();
        if bytes.is_empty() {
            return (Ok(0), buffer);
        }
        if let Err(error) = self.settle_end().await {
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
    ///
    /// # Errors
    /// Those of pwrite(2). `InvalidInput`: the file was opened to append; past the page cache, where it begins or the length of the
    /// pool's buffers is no multiple of what the device wants; or the blocks are more than 1 GiB together.
    async fn flush(&mut self) -> io::Result<()> {
        self.settle_end().await?;
        let unit = self.begin().await? as usize;
        let gathered = self.gathered.as_ref().map_or(0, |gathered| gathered.len());
        if gathered % unit != 0 {
            if self.again < gathered {
                self.write_end(unit).await?;
            }
            return poll_fn(|cx| self.poll_line(0, cx)).await;
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
