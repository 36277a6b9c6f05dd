//! Open files.

mod attributes;
mod cursor;
mod handover;
mod locks;
mod room;
mod transfers;

pub use room::Advice;

use std::fmt;
use std::io;
use std::os::fd::IntoRawFd;
use std::path::Path;

use super::{Metadata, OpenOptions};
use crate::buf::{IoBuf, IoBufMut};
use crate::driver::Descriptor;
#[cfg(feature = "sim")]
use crate::driver::{Control, Faults};
use crate::engine::current_port;
use crate::io::{FromOffset, SendFile};
use crate::op::{
    self, Fsync, Ftruncate, Read, ReadLease, Readv, Settle, Statx, Submitted, Whole, Write, Writev,
};
use crate::sys::file::CURSOR;

/// An open file.
///
/// Reads and writes at an offset run side by side, in any number and in no stated order; who needs an order
/// awaits one before starting the next, or drops it: what follows waits until a dropped write is settled. Those at the file's cursor take turns. Dropping the file closes it when
/// nothing is in flight on it any more; data reach the disk for certain only by [`sync_all`](Self::sync_all).
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::File;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("greeting");
/// annulus::run(async {
///     let file = File::create(&path).await?;
///     file.write_all_at("hello world", 0).await.0?;
///     file.sync_all().await?;
///
///     let (result, buffer) = File::open(&path).await?.read_at(Vec::with_capacity(5), 6).await;
///     assert_eq!(result?, 5);
///     assert_eq!(buffer, b"world");
///     Ok(())
/// })?
/// # }
/// ```
pub struct File {
    pub(super) file: Descriptor,
}

impl File {
    pub(super) fn new(file: Descriptor) -> File {
        File { file: file.seen_as("File", "file") }
    }

    /// Another handle of the same.
    pub(super) fn another(&self) -> File {
        File { file: self.file.clone() }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// Those of open(2); `InvalidInput` for a path with a NUL byte.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing, making it if it is not there and emptying it if it is.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened; the file may have been made, or emptied.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// Makes a file, for reading and writing; an error if there is anything of that name.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `AlreadyExists`.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened; the file may have been made.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("note");
    /// annulus::run(async {
    ///     File::create_new(&path).await?.write_all("first").await.0?;
    ///     let error = File::create_new(&path).await.unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path).await
    }

    /// How to open a file otherwise.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("options-{}", std::process::id()));
    ///
    ///     let log = File::options().append(true).create(true).open(&path).await?;
    ///     log.write_all("a line\n").await.0?;
    ///     assert_eq!(log.metadata().await?.len(), 7);
    ///     log.sync_data().await?;
    ///     log.set_len(0).await?;
    ///     log.close().await?;
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a file that was opened elsewhere: an `OwnedFd`, a [`std::fs::File`], a pipe's end.
    ///
    /// Its flags stay as they are. Reads of a pipe or a terminal wait in the kernel or on a helper thread.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let file = File::from_std(std::fs::File::open("Cargo.toml")?);
    ///     assert_eq!(file.read_exact_at(vec![0; 9], 0).await.1, b"[package]");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn from_std(file: impl Into<std::os::fd::OwnedFd>) -> File {
        // Before the number is ours alone.
        let port = current_port();
        let number = file.into().into_raw_fd();
        File::new(Descriptor::adopted(number, &port, false))
    }

    /// Reads some bytes from `offset` into the buffer, from its beginning up to all the room that it has, and sets
    /// its length to what was read. 0 is the end of the file, unless the buffer has no room.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing in the file. To get the buffer back, [`cancel`](Submitted::cancel).
    ///
    /// # Errors
    /// Those of pread(2).
    pub fn read_at<B: IoBufMut>(&self, buffer: B, offset: u64) -> Submitted<Read<B>> {
        Submitted::new(Read::new(self.file.hold(), buffer, bounded(offset)))
    }

    /// Reads some bytes from `offset` into a buffer of the runtime's, at most as many as that holds:
    /// [`Builder::lease_size`](crate::Builder::lease_size). An empty lease is the end of the file.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing in the file.
    ///
    /// # Errors
    /// Those of pread(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// annulus::run(async {
    ///     let file = File::open("Cargo.toml").await?;
    ///     let (mut lines, mut offset) = (0, 0);
    ///     loop {
    ///         let lease = file.read_lease(offset).await?;
    ///         if lease.is_empty() {
    ///             break;
    ///         }
    ///         lines += lease.iter().filter(|byte| **byte == b'\n').count();
    ///         offset += lease.len() as u64;
    ///     }
    ///     assert!(lines > 10);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn read_lease(&self, offset: u64) -> Submitted<ReadLease> {
        Submitted::new(ReadLease::new(self.file.hold(), bounded(offset)))
    }

    /// Reads from `offset` until the buffer's whole room is full: for a `Vec`, its capacity.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing in the file.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before, and those of pread(2); the buffer then has what was read, and
    /// [`Incomplete`](crate::io::Incomplete) says how much that is.
    ///
    /// # Examples
    /// As [`from_std`](Self::from_std).
    pub fn read_exact_at<B: IoBufMut>(&self, buffer: B, offset: u64) -> Submitted<Whole<Read<B>>> {
        Submitted::new(Whole::new(Read::new(self.file.hold(), buffer, bounded(offset))))
    }

    /// Reads some bytes from `offset` into several buffers, filling one after the other; each one's length is set to
    /// what it got.
    ///
    /// # Cancel safety
    /// As [`read_at`](Self::read_at).
    ///
    /// # Errors
    /// Those of preadv(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("vectored-{}", std::process::id()));
    ///
    ///     let file = File::options().read(true).write(true).create(true).open(&path).await?;
    ///     assert_eq!(file.writev_at(vec!["one", "two"], 0).await.0?, 6);
    ///     assert_eq!(file.write_at("!", 6).await.0?, 1);
    ///     let (result, buffers) = file.readv_at(vec![Vec::with_capacity(3), Vec::with_capacity(9)], 0).await;
    ///     assert_eq!((result?, &buffers[0][..]), (7, &b"one"[..]));
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn readv_at<B: IoBufMut>(&self, buffers: Vec<B>, offset: u64) -> Submitted<Readv<B>> {
        Submitted::new(Readv::new(self.file.hold(), buffers, bounded(offset)))
    }

    /// Writes some bytes of the buffer at `offset`, and says how many.
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been written, or none. What writes to the file or cuts it off begins
    /// when that is settled, so a dropped write never overtakes a later one. To know,
    /// [`settle_writes`](Self::settle_writes).
    ///
    /// # Errors
    /// Those of pwrite(2).
    ///
    /// # Examples
    /// As [`readv_at`](Self::readv_at).
    pub fn write_at<B: IoBuf>(&self, buffer: B, offset: u64) -> Submitted<Write<B>> {
        Submitted::new(Write::new(self.file.hold(), buffer, bounded(offset)))
    }

    /// Writes the whole buffer at `offset`.
    ///
    /// # Cancel safety
    /// As [`write_at`](Self::write_at).
    ///
    /// # Errors
    /// `WriteZero` if nothing more is taken, and those of pwrite(2). [`Incomplete`](crate::io::Incomplete) says how much
    /// was written before.
    pub fn write_all_at<B: IoBuf>(&self, buffer: B, offset: u64) -> Submitted<Whole<Write<B>>> {
        Submitted::new(Whole::new(Write::new(self.file.hold(), buffer, bounded(offset))))
    }

    /// Writes some bytes of several buffers at `offset`, one after the other, and says how many in all.
    ///
    /// # Cancel safety
    /// As [`write_at`](Self::write_at).
    ///
    /// # Errors
    /// Those of pwritev(2).
    ///
    /// # Examples
    /// As [`readv_at`](Self::readv_at).
    pub fn writev_at<B: IoBuf>(&self, buffers: Vec<B>, offset: u64) -> Submitted<Writev<B>> {
        Submitted::new(Writev::new(self.file.hold(), buffers, bounded(offset)))
    }

    /// Waits until writes whose futures were dropped are settled, and says how many bytes they wrote after all, since
    /// this was last asked.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// The first that a dropped write met; it is told nowhere else.
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn settle_writes(&self) -> Submitted<Settle> {
        Submitted::new(Settle::new(self.file.hold()))
    }

    /// Brings data and metadata to the disk.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Errors
    /// Those of fsync(2). After an error the state on the disk is not known.
    pub fn sync_all(&self) -> Submitted<Fsync> {
        Submitted::new(Fsync::new(self.file.hold(), false))
    }

    /// Brings the data to the disk, and of the metadata what reading them needs.
    ///
    /// # Cancel safety
    /// As [`sync_all`](Self::sync_all).
    ///
    /// # Errors
    /// Those of fdatasync(2).
    ///
    /// # Examples
    /// As [`options`](Self::options).
    pub fn sync_data(&self) -> Submitted<Fsync> {
        Submitted::new(Fsync::new(self.file.hold(), true))
    }

    /// Cuts the file off, or lengthens it by zeroes, to so many bytes.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Errors
    /// Those of ftruncate(2).
    ///
    /// # Examples
    /// As [`options`](Self::options).
    pub fn set_len(&self, bytes: u64) -> Submitted<Ftruncate> {
        Submitted::new(Ftruncate::new(self.file.hold(), bytes))
    }

    /// What the file system knows of the file.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of statx(2).
    ///
    /// # Examples
    /// As [`options`](Self::options).
    pub async fn metadata(&self) -> io::Result<Metadata> {
        Submitted::new(Statx::of_descriptor(self.file.hold())).await.map(Metadata::new)
    }

    /// Waits for what is in flight, or its end, closes, and says how that went. Dropping the file does the same
    /// without waiting. Where there are other handles, the last one closes.
    ///
    /// # Errors
    /// Those of close(2).
    ///
    /// # Cancel safety
    /// Dropping it closes all the same.
    ///
    /// # Examples
    /// As [`options`](Self::options).
    pub async fn close(self) -> io::Result<()> {
        if self.file.is_shared() {
            return Ok(());
        }
        op::close(self.file).await
    }

    /// What may go wrong with this file in a simulation from now on, and how often, instead of what may go wrong on its
    /// host.
    ///
    /// # Errors
    /// `Unsupported` on the drivers of a real kernel.
    ///
    /// # Examples
    /// As [`Stream::plan_faults`](crate::net::Stream::plan_faults).
    #[cfg(feature = "sim")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sim")))]
    pub fn plan_faults(&self, faults: &Faults) -> io::Result<()> {
        self.file.port().control(self.file.number(), Control::Plan(faults)).map(drop)
    }
}

/// An offset that the kernel takes for one: what is beyond is refused by it, and never means the cursor.
fn bounded(offset: u64) -> u64 {
    offset.min(CURSOR - 1)
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> File {
        File::from_std(file)
    }
}

impl SendFile for File {
    fn bytes_from(&self, offset: u64) -> FromOffset {
        FromOffset::new(self.file.hold(), bounded(offset))
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("descriptor", &self.file.number()).finish()
    }
}
