//! Reading in a row, with reads under way ahead of who reads.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use super::blocks::Blocks;
use super::facts::{Facts, Question};
use super::fetch::Fetch;
use super::line::Line;
use crate::buf::{IoBuf, IoBufMut, Registered, Slice};
use crate::fs::{File, RegisteredBuffers};
use crate::io::AsyncRead;

/// Reads a file from its beginning to its end while later blocks are already on their way: a stream of blocks, or whatever
/// an [`AsyncRead`] is good for.
///
/// It reads at offsets of its own and leaves the file's cursor alone. Blocks come from a pool of its own and go back there
/// when they are dropped; those that are kept cost memory of their own, and never stop it. A file that was opened with O_DIRECT
/// is read in whole units of what its device wants, also from and to places between them.
///
/// It pays where the kernel does not read ahead by itself: past the page cache (O_DIRECT), on network file systems, and with
/// work to be done on each block.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::{File, ReadAhead};
///
/// annulus::run(async {
///     let mut reader = ReadAhead::new(File::open("Cargo.toml").await?).block(64).depth(8);
///     let mut lines = 0;
///     while let Some(block) = reader.next_block().await? {
///         lines += block.iter().filter(|byte| **byte == b'\n').count();
///     }
///     assert!(lines > 10);
///     Ok(())
/// })?
/// # }
/// ```
pub struct ReadAhead {
    file: File,
    blocks: Blocks,
    question: Question,
    /// None before the file was asked.
    facts: Option<Facts>,
    line: Line<Fetch<Registered>>,
    /// Where the next byte for the reader is.
    position: u64,
    end: u64,
    /// Where the next fetch begins: a multiple of the unit.
    ahead: u64,
    /// The reader was given all there was, and is to be told that it was the end.
    is_at_end: bool,
    /// What is left of the block that single reads are served from.
    rest: Option<Slice<Registered>>,
}

impl ReadAhead {
    /// Of the whole file, in blocks of 128 KiB, four under way. Nothing is read before the first block is asked for.
    pub fn new(file: File) -> ReadAhead {
        ReadAhead {
            file,
            blocks: Blocks::default(),
            question: Question::default(),
            facts: None,
            line: Line::default(),
            position: 0,
            end: u64::MAX,
            ahead: 0,
            is_at_end: false,
            rest: None,
        }
    }

    /// How long a block is, in bytes. Past the page cache it is rounded up to what the device wants.
    ///
    /// # Panics
    /// If it is zero, or reading has begun.
    pub fn block(mut self, bytes: usize) -> ReadAhead {
        self.assert_not_begun();
        self.blocks.set_bytes(bytes);
        self
    }

    /// How many blocks are under way at a time.
    ///
    /// # Panics
    /// If it is zero.
    pub fn depth(mut self, blocks: usize) -> ReadAhead {
        self.blocks.set_depth(blocks);
        self
    }

    /// From which byte of the file to which.
    ///
    /// # Panics
    /// If reading has begun.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::{File, ReadAhead};
    ///
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let mut reader = ReadAhead::new(File::open("Cargo.toml").await?).range(1..8);
    ///     assert_eq!(&reader.next_block().await?.unwrap()[..], b"package");
    ///     assert_eq!(reader.position(), 8);
    ///     let _file = reader.into_file();
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn range(mut self, range: Range<u64>) -> ReadAhead {
        self.assert_not_begun();
        (self.position, self.end) = (range.start, range.end.max(range.start));
        self
    }

    /// Takes blocks from this pool, and makes them as long as its buffers: for buffers that the ring knows, or that several
    /// readers share. Where none is left fewer blocks are under way.
    ///
    /// # Panics
    /// If reading has begun.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::{File, ReadAhead, RegisteredBuffers};
    ///
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let pool = RegisteredBuffers::new(4, 4096)?;
    ///     let mut reader = ReadAhead::new(File::open("Cargo.toml").await?).buffers(pool);
    ///     assert_eq!(reader.next_block().await?.unwrap().len(), 4096);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn buffers(mut self, pool: RegisteredBuffers) -> ReadAhead {
        self.assert_not_begun();
        self.blocks.set_pool(pool);
        self
    }

    #[track_caller]
    fn assert_not_begun(&self) {
        assert!(self.facts.is_none(), "reading has begun: say it before");
    }

    /// Where in the file the next byte is that it will give.
    ///
    /// # Examples
    /// As [`range`](Self::range).
    pub fn position(&self) -> u64 {
        self.position - self.rest.as_ref().map_or(0, |rest| rest.len() as u64)
    }

    /// The file. What was read ahead is dropped; a new reader begins where its range says.
    ///
    /// # Examples
    /// As [`range`](Self::range).
    pub fn into_file(self) -> File {
        self.file
    }

    /// The next block: as long as blocks are, but for the first and the last. None is the end; asked again, it looks whether
    /// the file has grown.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: the block is the next call's.
    ///
    /// # Errors
    /// Those of pread(2), at the place where they belong; the next call reads that place again. `InvalidInput` if the pool's
    /// buffers are no multiple of what O_DIRECT wants, or the blocks are more than 1 GiB together.
    pub async fn next_block(&mut self) -> io::Result<Option<Slice<Registered>>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let facts = self.begin().await?;
        poll_fn(|cx| self.poll_block(facts, cx)).await
    }

    async fn begin(&mut self) -> io::Result<Facts> {
        if let Some(facts) = self.facts {
            return Ok(facts);
        }
        let facts = self.question.of(&self.file).await?;
        let unit = facts.unit;
        self.blocks.make(unit, facts.length / self.blocks.bytes as u64 + 2)?;
        self.ahead = self.position - self.position % unit;
        Ok(*self.facts.insert(facts))
    }

    /// Lets as many reads begin as may be under way: up to the length that the file had, and then one at a time.
    fn go_ahead(&mut self, facts: Facts, cx: &mut Context<'_>) -> io::Result<()> {
        while self.ahead < self.end
            && self.line.len() < self.blocks.depth
            && (self.line.is_empty() || self.ahead < facts.length)
        {
            let buffer = match self.line.is_empty() {
                true => self.blocks.take()?,
                false => match self.blocks.try_take() {
                    Some(buffer) => buffer,
                    None => break,
                },
            };
            let length = self.length_at(self.ahead, facts.unit);
            self.line.push(Fetch::new(&self.file, buffer, self.ahead, length, facts.unit));
            self.ahead = self.ahead.saturating_add(length as u64);
        }
        self.line.begin(cx);
        Ok(())
    }

    fn poll_block(
        &mut self,
        facts: Facts,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Slice<Registered>>>> {
        if std::mem::take(&mut self.is_at_end) {
            return Poll::Ready(Ok(None));
        }
        if let Err(error) = self.go_ahead(facts, cx) {
            return Poll::Ready(Err(error));
        }
        let Some((result, buffer)) = ready!(self.line.poll_first(cx)) else { return Poll::Ready(Ok(None)) };
        let begun = self.position - self.position % facts.unit;
        let got = match result {
            Ok(got) => got,
            Err(error) => {
                self.begin_anew(begun);
                return Poll::Ready(Err(error));
            }
        };
        let from = (self.position - begun) as usize;
        let to = got.min((self.end - begun) as usize);
        if got < self.length_at(begun, facts.unit) {
            // What is on its way is behind the end.
            self.is_at_end = to > from;
            self.begin_anew(begun + got as u64 - got as u64 % facts.unit);
        }
        if to <= from {
            return Poll::Ready(Ok(None));
        }
        self.position = begun + to as u64;
        Poll::Ready(Ok(Some(buffer.slice(from..to))))
    }

    /// How long a fetch from there is.
    fn length_at(&self, offset: u64, unit: u64) -> usize {
        (self.end - offset).min(self.blocks.bytes as u64).next_multiple_of(unit) as usize
    }

    /// Gives up what was read ahead.
    fn begin_anew(&mut self, ahead: u64) {
        self.line.clear();
        self.ahead = ahead;
    }
}

/// Copied out of the blocks.
impl AsyncRead for ReadAhead {
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// As [`next_block`](ReadAhead::next_block).
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        if buffer.bytes_total() == 0 {
            return (Ok(0), buffer);
        }
        let block = match self.next_block().await {
            Ok(Some(block)) => block,
            Ok(None) => return (Ok(0), buffer),
            Err(error) => return (Err(error), buffer),
        };
        let count = buffer.fill_from(&block);
        if count < block.len() {
            let (begin, end) = (block.begin() + count, block.end());
            self.rest = Some(block.into_inner().slice(begin..end));
        }
        (Ok(count), buffer)
    }
}

impl fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead")
            .field("file", &self.file)
            .field("position", &self.position())
            .field("under_way", &self.line.len())
            .finish()
    }
}
