//! Calls by name: whole files, and names themselves.

use std::io;
use std::path::Path;

use super::{File, Metadata};
use crate::buf::IoBuf;
use crate::op::{Mkdir, Rename, Statx, Submitted, Unlink, path};

/// Reads a whole file.
///
/// # Errors
/// Those of open(2) and pread(2).
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let manifest = annulus::run(annulus::fs::read("Cargo.toml"))??;
/// assert_eq!(manifest, std::fs::read("Cargo.toml")?);
/// # Ok(())
/// # }
/// ```
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = File::open(path).await?;
    // Files of /proc say 0; others grow meanwhile. One byte more than the length sees the end in the same read.
    let length = usize::try_from(file.metadata().await?.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(length.saturating_add(1).max(4096));
    loop {
        let done = bytes.len();
        if bytes.capacity() == done {
            bytes.reserve(done);
        }
        let (result, slice) = file.read_at(bytes.slice(done..), done as u64).await;
        bytes = slice.into_inner();
        match result {
            Ok(0) => {
                bytes.truncate(done);
                return Ok(bytes);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes a whole file, making it if it is not there and replacing what it was; gives the buffer back.
///
/// # Errors
/// Those of open(2) and pwrite(2).
///
/// # Cancel safety
/// After dropping it, the file may be empty, or have a part of the bytes.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("note");
/// annulus::run(annulus::fs::write(&path, "a note"))?.0?;
/// assert_eq!(std::fs::read(&path)?, b"a note");
/// # Ok(())
/// # }
/// ```
pub async fn write<B: IoBuf>(path: impl AsRef<Path>, buffer: B) -> (io::Result<()>, B) {
    match File::create(path).await {
        Ok(file) => file.write_all_at(buffer, 0).await,
        Err(error) => (Err(error), buffer),
    }
}

/// What the file system knows of what the path leads to.
///
/// # Errors
/// Those of statx(2).
///
/// # Cancel safety
/// Dropping it is harmless.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    stat(path.as_ref(), 0).await
}

/// What the file system knows of the path itself, which may be a symbolic link.
///
/// # Errors
/// Those of statx(2).
///
/// # Cancel safety
/// Dropping it is harmless.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    stat(path.as_ref(), libc::AT_SYMLINK_NOFOLLOW).await
}

async fn stat(path: &Path, flags: i32) -> io::Result<Metadata> {
    Submitted::new(Statx::of_path(path::of(path)?, flags)).await.map(Metadata::new)
}

/// Removes a file's name; the file goes with its last name, when nobody has it open.
///
/// # Errors
/// Those of unlink(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Unlink::new(path::of(path.as_ref())?, 0)).await
}

/// Removes an empty directory.
///
/// # Errors
/// Those of rmdir(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Unlink::new(path::of(path.as_ref())?, libc::AT_REMOVEDIR)).await
}

/// Gives a file another name, replacing what had it.
///
/// # Errors
/// Those of rename(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs;
///
/// # let directory = tempfile::tempdir()?;
/// # let (draft, report) = (directory.path().join("draft"), directory.path().join("report"));
/// annulus::run(async {
///     fs::write(&draft, "text").await.0?;
///     fs::rename(&draft, &report).await?;
///     assert!(fs::metadata(&draft).await.is_err());
///     fs::remove_file(&report).await
/// })?
/// # }
/// ```
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Rename::new(path::of(from.as_ref())?, path::of(to.as_ref())?)).await
}

/// Makes a directory, in one that is there.
///
/// # Errors
/// Those of mkdir(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Mkdir::new(path::of(path.as_ref())?, 0o777)).await
}
