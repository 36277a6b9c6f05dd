//! Transfers at a file's cursor, one after the other.

use super::File;
use crate::buf::{IoBuf, IoBufMut};
use crate::op::{Read, Readv, Submitted, Whole, Write, Writev};
use crate::sys::file::CURSOR;

impl File {
    /// Reads some bytes at the file's cursor, and moves it on. 0 is the end of the file, unless the buffer has no
    /// room.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: bytes that come all the same are given to the next read at the cursor.
    ///
    /// # Errors
    /// Those of read(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::io::SeekFrom;
    /// use annulus::fs::File;
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("cursor-{}", std::process::id()));
    ///
    ///     // At the cursor, one after the other.
    ///     let file = File::options().read(true).write(true).create(true).open(&path).await?;
    ///     file.write_all("one two ").await.0?;
    ///     assert_eq!(file.write("three").await.0?, 5);
    ///     assert_eq!(file.writev(vec![" four", " five"]).await.0?, 10);
    ///     assert_eq!(file.settle_writes().await?, 0, "none was dropped");
    ///
    ///     file.seek(SeekFrom::Start(0)).await?;
    ///     assert_eq!(file.read(Vec::with_capacity(3)).await.1, b"one");
    ///     assert_eq!(file.read_exact(Vec::with_capacity(4)).await.1, b" two");
    ///     assert_eq!(file.readv(vec![Vec::with_capacity(6), Vec::with_capacity(64)]).await.0?, 16);
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn read<B: IoBufMut>(&self, buffer: B) -> Submitted<Read<B>> {
        Submitted::new(Read::new(self.file.hold(), buffer, CURSOR))
    }

    /// Writes some bytes at the file's cursor, and moves it on; at the end, for a file opened to append.
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been written, or none; a later write at the cursor begins when
    /// that is settled.
    ///
    /// # Errors
    /// Those of write(2).
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn write<B: IoBuf>(&self, buffer: B) -> Submitted<Write<B>> {
        Submitted::new(Write::new(self.file.hold(), buffer, CURSOR))
    }

    /// Reads at the file's cursor until the buffer's whole room is full: for a `Vec`, its capacity.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what was read so far is given to the next read at the cursor.
    ///
    /// # Errors
    /// As [`read_exact_at`](Self::read_exact_at).
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn read_exact<B: IoBufMut>(&self, buffer: B) -> Submitted<Whole<Read<B>>> {
        Submitted::new(Whole::new(Read::new(self.file.hold(), buffer, CURSOR)))
    }

    /// Writes the whole buffer at the file's cursor, and moves it on. Nothing that others write at the cursor comes in
    /// between.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write_all_at`](Self::write_all_at).
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn write_all<B: IoBuf>(&self, buffer: B) -> Submitted<Whole<Write<B>>> {
        Submitted::new(Whole::new(Write::new(self.file.hold(), buffer, CURSOR)))
    }

    /// Reads some bytes at the file's cursor into several buffers, filling one after the other; each one's length is set to
    /// what it got.
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    ///
    /// # Errors
    /// Those of readv(2).
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn readv<B: IoBufMut>(&self, buffers: Vec<B>) -> Submitted<Readv<B>> {
        Submitted::new(Readv::new(self.file.hold(), buffers, CURSOR))
    }

    /// Writes some bytes of several buffers at the file's cursor, one after the other, and says how many in all.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Errors
    /// Those of writev(2).
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn writev<B: IoBuf>(&self, buffers: Vec<B>) -> Submitted<Writev<B>> {
        Submitted::new(Writev::new(self.file.hold(), buffers, CURSOR))
    }
}
