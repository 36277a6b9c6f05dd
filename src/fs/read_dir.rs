//! The names in a directory, as they come.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::names::stat;
use super::{FileType, Metadata, OpenOptions};
use crate::driver::Descriptor;
use crate::op::path::At;
use crate::op::{ReadNames, Submitted};
use crate::sys::names::Names;

/// How many bytes of entries are read at once: some hundreds of names.
const BATCH: usize = 32 << 10;

/// Opens a directory to read the names in it.
///
/// # Errors
/// Those of open(2): `NotADirectory`.
///
/// # Cancel safety
/// Dropping it closes what was opened.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let mut entries = annulus::fs::read_dir(".").await?;
///     let mut names = Vec::new();
///     while let Some(entry) = entries.next_entry().await? {
///         names.push(entry.file_name().to_owned());
///     }
///     assert!(names.iter().any(|name| name == "Cargo.toml"));
///     Ok(())
/// })?
/// # }
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let directory = open_directory(At::here(path)?, 0).await?;
    Ok(ReadDir::new(directory, path))
}

/// Opens a directory; `flags` are more flags of open(2).
pub(super) async fn open_directory(at: At, flags: i32) -> io::Result<Descriptor> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | flags).open_at(at).await
}

/// The names in a directory, in no order, without `.` and `..`. What is made or removed meanwhile comes, or does not.
///
/// Made by [`read_dir`].
///
/// # Examples
/// As [`read_dir`].
pub struct ReadDir {
    directory: Descriptor,
    path: Rc<Path>,
    /// Kept over a dropped `next_entry`: its answer are the next names.
    reading: Option<Submitted<ReadNames>>,
    buffer: Vec<u8>,
    entries: VecDeque<DirEntry>,
    seen: u64,
}

impl ReadDir {
    pub(super) fn new(directory: Descriptor, path: &Path) -> ReadDir {
        ReadDir {
            directory: directory.seen_as("ReadDir", "directory"),
            path: Rc::from(path),
            reading: None,
            buffer: Vec::new(),
            entries: VecDeque::new(),
            seen: 0,
        }
    }

    /// The next entry; None when there are no more.
    ///
    /// # Errors
    /// Those of getdents(2).
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// As [`read_dir`].
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// The same, to be polled.
    ///
    /// # Errors
    /// As [`next_entry`](Self::next_entry).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::future::poll_fn;
    ///
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let mut entries = annulus::fs::read_dir(".").await?;
    ///     assert!(poll_fn(|cx| entries.poll_next_entry(cx)).await?.is_some());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Poll::Ready(Ok(Some(entry)));
            }
            let reading = self.reading.get_or_insert_with(|| {
                let mut buffer = std::mem::take(&mut self.buffer);
                buffer.resize(BATCH, 0);
                Submitted::new(ReadNames::new(self.directory.hold(), buffer, self.seen))
            });
            let (result, buffer) = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            let count = match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.buffer = buffer;
                    continue;
                }
                result => result?,
            };
            for (name, inode, kind) in Names(&buffer[..count]) {
                self.seen += 1;
                if name != b"." && name != b".." {
                    let name = OsString::from_vec(name.to_vec());
                    let directory = self.directory.clone();
                    let above = Rc::clone(&self.path);
                    self.entries.push_back(DirEntry { directory, above, name, inode, kind });
                }
            }
            self.buffer = buffer;
            if count == 0 {
                return Poll::Ready(Ok(None));
            }
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").field("path", &self.path).finish()
    }
}

/// A name in a directory, and what the directory knows of what it leads to.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs;
///
/// annulus::run(async {
/// #     let directory = tempfile::tempdir()?;
/// #     fs::create_dir_all(directory.path()).await?;
/// #     let path = directory.path();
///
///     fs::write(path.join("note"), "a note").await.0?;
///     let mut entries = fs::read_dir(path).await?;
///     let entry = entries.next_entry().await?.unwrap();
///     assert_eq!(entry.file_name(), "note");
///     assert_eq!(entry.path(), path.join("note"));
///     assert!(entry.file_type().await?.is_file());
///     assert_eq!(entry.metadata().await?.ino(), entry.ino());
///     assert!(entries.next_entry().await?.is_none());
///     Ok(())
/// })?
/// # }
/// ```
pub struct DirEntry {
    /// Open as long as an entry of it is kept.
    directory: Descriptor,
    above: Rc<Path>,
    name: OsString,
    inode: u64,
    /// As readdir(3) has it.
    kind: u8,
}

impl DirEntry {
    /// The path: what [`read_dir`] was given, and the name.
    pub fn path(&self) -> PathBuf {
        self.above.join(&self.name)
    }

    /// The name.
    pub fn file_name(&self) -> &OsStr {
        &self.name
    }

    /// Its number in its file system.
    pub fn ino(&self) -> u64 {
        self.inode
    }

    /// What kind of file it is; a symbolic link is one. Most file systems tell it with the name, so that nothing is asked.
    ///
    /// # Errors
    /// Those of statx(2).
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    pub async fn file_type(&self) -> io::Result<FileType> {
        match self.kind {
            libc::DT_UNKNOWN => Ok(self.metadata().await?.file_type()),
            kind => Ok(FileType::of_mode(u32::from(kind) << 12)),
        }
    }

    /// What the file system knows of it; a symbolic link is not followed.
    ///
    /// # Errors
    /// Those of statx(2): `NotFound` if it was removed meanwhile.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let at = At::within(&self.directory, Path::new(&self.name))?;
        stat(at, libc::AT_SYMLINK_NOFOLLOW).await
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirEntry").field(&self.path()).finish()
    }
}
