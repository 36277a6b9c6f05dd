//! What a file system knows of a file.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::sys::file::Stat;

/// What a file system knows of a file.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let manifest = annulus::run(annulus::fs::metadata("Cargo.toml"))??;
/// assert!(manifest.is_file());
/// assert_eq!(manifest.len(), std::fs::metadata("Cargo.toml")?.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    stat: Stat,
}

impl Metadata {
    pub(super) fn new(stat: Stat) -> Metadata {
        Metadata { stat }
    }

    /// What kind of file it is.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs;
    ///
    /// annulus::run(async {
    ///     let file = fs::metadata("Cargo.toml").await?;
    ///     let kind = file.file_type();
    ///     assert!(kind.is_file() && !kind.is_dir() && !kind.is_symlink());
    ///     assert!(!kind.is_fifo() && !kind.is_socket() && !kind.is_block_device() && !kind.is_char_device());
    ///     assert!(!file.is_dir() && !file.is_symlink());
    ///     println!("inode {} of device {}, {} links", file.ino(), file.dev(), file.nlink());
    ///     println!("mode {:o} of {}:{}", file.mode(), file.uid(), file.gid());
    ///     println!("{} blocks of {} bytes, device number {}", file.blocks(), file.blksize(), file.rdev());
    ///     println!("{:?}, {:?}, {:?}", file.permissions(), file.modified(), file.accessed());
    ///     println!("{:?}, {:?}, {:?}", file.changed(), file.created(), file.direct_io());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn file_type(&self) -> FileType {
        FileType::of_mode(self.stat.mode)
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.file_type().is_file()
    }

    /// Whether it is a directory.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn is_dir(&self) -> bool {
        self.file_type().is_dir()
    }

    /// Whether it is a symbolic link; only [`symlink_metadata`](super::symlink_metadata) sees one.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn is_symlink(&self) -> bool {
        self.file_type().is_symlink()
    }

    /// Who may do what with it.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.stat.mode)
    }

    /// What reads and writes past the page cache (O_DIRECT) have to be aligned to, if the system says so: Linux 6.1, on
    /// file systems that know.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn direct_io(&self) -> Option<DirectIo> {
        let (memory, offset) = self.stat.direct_io?;
        Some(DirectIo { memory: memory as usize, offset: u64::from(offset) })
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "as std::fs::Metadata")]
    pub fn len(&self) -> u64 {
        self.stat.length
    }

    /// The room that it takes, in blocks of 512 bytes.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn blocks(&self) -> u64 {
        self.stat.blocks
    }

    /// Kind and permissions, as in st_mode.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn mode(&self) -> u32 {
        self.stat.mode
    }

    /// Its number in its file system.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn ino(&self) -> u64 {
        self.stat.inode
    }

    /// The file system's number.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn dev(&self) -> u64 {
        self.stat.device
    }

    /// The number of the device that it stands for; 0 if it stands for none.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn rdev(&self) -> u64 {
        self.stat.represents
    }

    /// The size in bytes that suits transfers, and their multiples.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn blksize(&self) -> u64 {
        u64::from(self.stat.block)
    }

    /// How many names it has.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn nlink(&self) -> u64 {
        self.stat.links
    }

    /// The owner's user id.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn uid(&self) -> u32 {
        self.stat.user
    }

    /// The owner's group id.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn gid(&self) -> u32 {
        self.stat.group
    }

    /// When its data were changed last.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn modified(&self) -> SystemTime {
        time(self.stat.modified)
    }

    /// When it was read last, as far as the file system keeps that.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn accessed(&self) -> SystemTime {
        time(self.stat.accessed)
    }

    /// When its data or metadata were changed last.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn changed(&self) -> SystemTime {
        time(self.stat.changed)
    }

    /// When it was made.
    ///
    /// # Errors
    /// `Unsupported` if the file system or the driver does not know.
    ///
    /// # Examples
    /// As [`file_type`](Self::file_type).
    pub fn created(&self) -> io::Result<SystemTime> {
        let unknown = || io::Error::new(io::ErrorKind::Unsupported, "the time of creation is not kept here");
        self.stat.created.map(time).ok_or_else(unknown)
    }
}

/// What kind of file something is.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let here = annulus::run(annulus::fs::metadata("."))??;
/// assert!(here.file_type().is_dir());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileType {
    /// The bits of st_mode that say it.
    kind: u32,
}

// The widths of these constants differ from one system to the next.
#[allow(clippy::unnecessary_cast)]
impl FileType {
    pub(super) fn of_mode(mode: u32) -> FileType {
        FileType { kind: mode & libc::S_IFMT as u32 }
    }

    /// Whether it is a regular file.
    ///
    /// # Examples
    /// As [`Metadata::file_type`].
    pub fn is_file(&self) -> bool {
        self.kind == libc::S_IFREG as u32
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == libc::S_IFDIR as u32
    }

    /// Whether it is a symbolic link.
    ///
    /// # Examples
    /// As [`Metadata::file_type`].
    pub fn is_symlink(&self) -> bool {
        self.kind == libc::S_IFLNK as u32
    }

    /// Whether it is a FIFO.
    ///
    /// # Examples
    /// As [`Metadata::file_type`].
    pub fn is_fifo(&self) -> bool {
        self.kind == libc::S_IFIFO as u32
    }

    /// Whether it is a socket.
    ///
    /// # Examples
    /// As [`Metadata::file_type`].
    pub fn is_socket(&self) -> bool {
        self.kind == libc::S_IFSOCK as u32
    }

    /// Whether it is a block device.
    ///
    /// # Examples
    /// As [`Metadata::file_type`].
    pub fn is_block_device(&self) -> bool {
        self.kind == libc::S_IFBLK as u32
    }

    /// Whether it is a character device.
    ///
    /// # Examples
    /// As [`Metadata::file_type`].
    pub fn is_char_device(&self) -> bool {
        self.kind == libc::S_IFCHR as u32
    }
}

/// What reads and writes with O_DIRECT have to be aligned to, in bytes. See [`Metadata::direct_io`].
///
/// # Examples
/// As [`Metadata::file_type`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectIo {
    /// The address of a buffer.
    pub memory: usize,
    /// Offset in the file, and length.
    pub offset: u64,
}

fn time((seconds, nanoseconds): (i64, u32)) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let part = Duration::from_nanos(u64::from(nanoseconds));
    match seconds {
        0.. => SystemTime::UNIX_EPOCH + whole + part,
        _ => SystemTime::UNIX_EPOCH - whole + part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_count_their_nanoseconds_forward() {
        assert_eq!(time((-1, 250)), SystemTime::UNIX_EPOCH - Duration::from_nanos(999_999_750));
        assert_eq!(time((2, 3)), SystemTime::UNIX_EPOCH + Duration::new(2, 3));
    }
}
