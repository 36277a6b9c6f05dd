//! The room that a file takes, and what the system is told about it.

use std::io::{self, SeekFrom};

use super::{File, bounded};
use crate::op::{CopyRange, Fadvise, Fallocate, Seek, Submitted, SyncRange};

/// Of fallocate(2).
const KEEP_SIZE: i32 = 1;
const PUNCH_HOLE: i32 = 2;
const ZERO_RANGE: i32 = 16;
/// Of sync_file_range(2): wait for what is on its way, write, wait.
const ALL_OF_IT: u32 = 7;

/// How a file will be used. See [`File::advise`].
///
/// # Examples
/// As [`File::advise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing in particular.
    Normal,
    /// From the beginning to the end: more is read ahead.
    Sequential,
    /// Here and there: nothing is read ahead.
    Random,
    /// Soon: it is read now.
    WillNeed,
    /// Not any more: what is in memory and on the disk may be forgotten.
    DontNeed,
    /// Once.
    NoReuse,
}

impl Advice {
    fn number(self) -> i32 {
        match self {
            Advice::Normal => 0,
            Advice::Random => 1,
            Advice::Sequential => 2,
            Advice::WillNeed => 3,
            Advice::DontNeed => 4,
            Advice::NoReuse => 5,
        }
    }
}

impl File {
    /// Gives `length` bytes from `offset` on their room on the disk, so that writing there does not fail for want of it; the
    /// file is lengthened by zeroes if it ends before.
    ///
    /// # Errors
    /// Those of fallocate(2): `StorageFull`; `Unsupported` where the file system cannot.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("database");
    /// annulus::run(async {
    ///     let file = annulus::fs::File::create(&path).await?;
    ///     match file.allocate(0, 1 << 20).await {
    ///         Ok(()) => assert_eq!(file.metadata().await?.len(), 1 << 20),
    ///         Err(error) => println!("not on this file system: {error}"),
    ///     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.fallocate(0, offset, length).await
    }

    /// The same without lengthening the file: the room is kept for what will be written behind its end.
    ///
    /// # Errors
    /// As [`allocate`](Self::allocate).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// As [`punch_hole`](Self::punch_hole).
    pub async fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        self.fallocate(KEEP_SIZE, offset, length).await
    }

    /// Makes zeroes of `length` bytes from `offset` on, and gives their room back. The file's length stays.
    ///
    /// # Errors
    /// As [`allocate`](Self::allocate).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("hole-{}", std::process::id()));
    ///
    ///     let file = File::options().read(true).write(true).create(true).open(&path).await?;
    ///     file.write_all_at(vec![7; 64 << 10], 0).await.0?;
    ///     // Not every file system can.
    ///     if file.punch_hole(0, 32 << 10).await.is_ok() {
    ///         file.zero_range(32 << 10, 100).await?;
    ///         file.reserve(64 << 10, 4096).await?; // for what will be written behind the end
    ///         let (result, bytes) = file.read_exact_at(vec![1; 8], 0).await;
    ///         result?;
    ///         assert_eq!(bytes, [0; 8]);
    ///         println!("data at {:?}, a hole at {:?}", file.next_data(0).await?, file.next_hole(0).await?);
    ///     }
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn punch_hole(&self, offset: u64, length: u64) -> io::Result<()> {
        self.fallocate(PUNCH_HOLE | KEEP_SIZE, offset, length).await
    }

    /// Makes zeroes of `length` bytes from `offset` on, which keep their room. The file's length stays, unless it ends before.
    ///
    /// # Errors
    /// As [`allocate`](Self::allocate).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// As [`punch_hole`](Self::punch_hole).
    pub async fn zero_range(&self, offset: u64, length: u64) -> io::Result<()> {
        self.fallocate(ZERO_RANGE, offset, length).await
    }

    async fn fallocate(&self, mode: i32, offset: u64, length: u64) -> io::Result<()> {
        Submitted::new(Fallocate::new(self.file.hold(), mode, bounded(offset), length)).await
    }

    /// Tells the system how `length` bytes from `offset` on will be used; a length of 0 is up to the end. Where it takes no
    /// advice nothing happens.
    ///
    /// [`WillNeed`](Advice::WillNeed) and [`DontNeed`](Advice::DontNeed) may take as long as the disk does, on a thread of the
    /// kernel's or a helper; the others are a note on the open file, and take no time.
    ///
    /// # Errors
    /// Those of posix_fadvise(2): a pipe takes no advice.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::{Advice, File};
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("advice-{}", std::process::id()));
    ///
    ///     let file = File::options().read(true).write(true).create(true).open(&path).await?;
    ///     file.write_all_at(vec![7; 8192], 0).await.0?;
    ///     file.advise(0, 8192, Advice::Sequential).await?;
    ///     file.sync_range(0, 4096).await?;
    ///     let copy = File::create(path.with_extension("copy")).await?;
    ///     assert_eq!(file.copy_range(0, &copy, 0, 100).await?, 100);
    /// #     annulus::fs::remove_file(path.with_extension("copy")).await?;
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn advise(&self, offset: u64, length: u64, advice: Advice) -> io::Result<()> {
        Submitted::new(Fadvise::new(self.file.hold(), bounded(offset), length, advice.number())).await
    }

    /// Brings `length` bytes from `offset` on to the disk, and nothing that finding them needs: what was written to new room
    /// may be lost all the same. A length of 0 is up to the end. Who needs certainty asks [`sync_data`](Self::sync_data).
    ///
    /// # Errors
    /// Those of sync_file_range(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// As [`advise`](Self::advise).
    pub async fn sync_range(&self, offset: u64, length: u32) -> io::Result<()> {
        Submitted::new(SyncRange::new(self.file.hold(), bounded(offset), length, ALL_OF_IT)).await
    }

    /// Copies at most `length` bytes to another file without bringing them here, and says how many; 0 is the end. File systems
    /// that can share the blocks.
    ///
    /// # Errors
    /// Those of copy_file_range(2): `CrossesDevices`, or `InvalidInput` for the same file's overlapping ranges.
    /// [`fs::copy`](crate::fs::copy) does it otherwise then.
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been copied, or none.
    ///
    /// # Examples
    /// As [`advise`](Self::advise).
    pub async fn copy_range(&self, offset: u64, to: &File, at: u64, length: u32) -> io::Result<usize> {
        let from = (self.file.clone(), bounded(offset));
        Submitted::new(CopyRange::new(from, (to.file.hold(), bounded(at)), length)).await
    }

    /// Moves the cursor, and says where it is.
    ///
    /// # Errors
    /// Those of lseek(2): `InvalidInput` before the beginning; a pipe has no cursor.
    ///
    /// # Cancel safety
    /// After dropping it, the cursor may have moved, or not.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::io::SeekFrom;
    ///
    /// annulus::run(async {
    ///     let file = annulus::fs::File::open("Cargo.toml").await?;
    ///     file.seek(SeekFrom::Start(1)).await?;
    ///     let (result, text) = file.read_exact(Vec::with_capacity(7)).await;
    ///     result?;
    ///     assert_eq!(text, b"package");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        let (offset, whence) = match to {
            SeekFrom::Start(offset) => {
                let before = || io::Error::new(io::ErrorKind::InvalidInput, "no file is as long as that");
                (i64::try_from(offset).map_err(|_| before())?, libc::SEEK_SET)
            }
            SeekFrom::Current(offset) => (offset, libc::SEEK_CUR),
            SeekFrom::End(offset) => (offset, libc::SEEK_END),
        };
        Submitted::new(Seek::new(self.file.hold(), offset, whence)).await
    }

    /// Where there are data from `offset` on, which is not in a hole; None if there are none. **Moves the cursor.**
    ///
    /// # Errors
    /// Those of lseek(2).
    ///
    /// # Cancel safety
    /// After dropping it, the cursor may have moved, or not.
    ///
    /// # Examples
    /// As [`punch_hole`](Self::punch_hole).
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple"))]
    #[cfg_attr(
        docsrs,
        doc(cfg(any(
            target_os = "linux",
            target_os = "android",
            target_os = "freebsd",
            target_vendor = "apple"
        )))
    )]
    pub async fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        self.find(offset, libc::SEEK_DATA).await
    }

    /// Where a hole begins from `offset` on, at the latest at the file's end; None behind that. **Moves the cursor.**
    ///
    /// # Errors
    /// Those of lseek(2).
    ///
    /// # Cancel safety
    /// After dropping it, the cursor may have moved, or not.
    ///
    /// # Examples
    /// As [`punch_hole`](Self::punch_hole).
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple"))]
    #[cfg_attr(
        docsrs,
        doc(cfg(any(
            target_os = "linux",
            target_os = "android",
            target_os = "freebsd",
            target_vendor = "apple"
        )))
    )]
    pub async fn next_hole(&self, offset: u64) -> io::Result<Option<u64>> {
        self.find(offset, libc::SEEK_HOLE).await
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple"))]
    async fn find(&self, offset: u64, whence: i32) -> io::Result<Option<u64>> {
        let Ok(offset) = i64::try_from(offset) else { return Ok(None) };
        match Submitted::new(Seek::new(self.file.hold(), offset, whence)).await {
            Ok(at) => Ok(Some(at)),
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
