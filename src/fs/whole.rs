//! Whole files.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use super::{Dir, File, OpenOptions, remove_file, rename};
use crate::buf::IoBuf;
use crate::executor::JoinError;
use crate::io::cut_off;
use crate::runtime::{random, spawn};

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

/// Reads a whole file that is text.
///
/// # Errors
/// Those of [`read`]; `InvalidData` if it is not UTF-8.
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let manifest = annulus::run(annulus::fs::read_to_string("Cargo.toml"))??;
/// assert!(manifest.starts_with("[package]"));
/// # Ok(())
/// # }
/// ```
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    String::from_utf8(read(path).await?).map_err(|error| {
        let text = format!("{} is not UTF-8: {}", path.display(), error.utf8_error());
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}

/// How much is copied by one call.
const PIECE: u32 = 1 << 30;
/// How much is read at once where the system does not copy by itself.
const CHUNK: usize = 256 << 10;

/// Copies a file's content and its permissions, replacing what was there; says how many bytes that were. The system copies
/// by itself where it can, and shares the blocks where the file system does that: copy_file_range(2).
///
/// # Errors
/// Those of open(2), copy_file_range(2), read(2) and write(2); `InvalidInput` if it is no regular file. The target then has
/// what was copied before, and [`Incomplete`](crate::io::Incomplete) says how much that is.
///
/// # Cancel safety
/// After dropping it, the target may have a part of the content.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("copy");
/// let bytes = annulus::run(annulus::fs::copy("Cargo.toml", &path))??;
/// assert_eq!(bytes, std::fs::metadata("Cargo.toml")?.len());
/// # Ok(())
/// # }
/// ```
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let from = File::open(from).await?;
    let metadata = from.metadata().await?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "what is to be copied is no regular file"));
    }
    let mode = metadata.mode() & 0o7777;
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(to).await?;
    let mut copied = 0;
    if let Err(error) = copy_content(&from, &to, &mut copied).await {
        return Err(cut_off(copied, error));
    }
    to.set_permissions(metadata.permissions()).await?;
    Ok(copied)
}

async fn copy_content(from: &File, to: &File, copied: &mut u64) -> io::Result<()> {
    loop {
        match from.copy_range(*copied, to, *copied, PIECE).await {
            // Of files of /proc, Linux 5.3 to 5.18 says so.
            Ok(0) if *copied == 0 => return copy_by_hand(from, to, copied).await,
            Ok(0) => return Ok(()),
            Ok(count) => *copied += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_not_for_the_system(&error) => return copy_by_hand(from, to, copied).await,
            Err(error) => return Err(error),
        }
    }
}

/// It does not copy between these two: other file systems, or a sandbox that does not know the call.
fn is_not_for_the_system(error: &io::Error) -> bool {
    use libc::{EBADF, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EXDEV};
    error
        .raw_os_error()
        .is_some_and(|errno| [EBADF, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EXDEV].contains(&errno))
}

async fn copy_by_hand(from: &File, to: &File, copied: &mut u64) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(CHUNK);
    loop {
        let (result, filled) = from.read_at(buffer, *copied).await;
        buffer = filled;
        match result {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let count = buffer.len() as u64;
        let (result, written) = to.write_all_at(buffer, *copied).await;
        result?;
        buffer = written;
        *copied += count;
    }
}

/// Replaces a whole file at once: whoever looks, also after a crash, finds what was there before or all of the new, and
/// nothing in between. When it is done, the new is on the disk. Gives the buffer back.
///
/// The bytes go to a new file beside it, which is brought to the disk and then gets the name; then the directory is brought to
/// the disk. The new file has the permissions of the old one.
///
/// # Errors
/// Those of open(2), write(2), fsync(2) and rename(2). The file is then as it was, unless it was the last step, to sync the
/// directory, that failed.
///
/// # Cancel safety
/// After dropping it, it goes on by itself: so nothing is left half-way, unless the loop ends.
///
/// # Panics
/// Awaited after its loop has ended.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("settings");
/// annulus::run(async {
///     annulus::fs::write_atomic(&path, "colour = blue").await.0?;
///     annulus::fs::write_atomic(&path, "colour = green").await.0?;
///     assert_eq!(annulus::fs::read(&path).await?, b"colour = green");
///     Ok(())
/// })?
/// # }
/// ```
pub async fn write_atomic<B: IoBuf>(path: impl AsRef<Path>, buffer: B) -> (io::Result<()>, B) {
    let path = path.as_ref().to_owned();
    // A task of its own, for nobody else would remove what a dropped open has made after all.
    match spawn(replace(path, buffer)).await {
        Ok(done) => done,
        Err(JoinError::Panicked(panic)) => resume_unwind(panic),
        Err(JoinError::Cancelled) => panic!("write_atomic was awaited after the loop that did it had ended"),
    }
}

async fn replace<B: IoBuf>(path: PathBuf, buffer: B) -> (io::Result<()>, B) {
    let (file, draft) = match draft_beside(&path).await {
        Ok(draft) => draft,
        Err(error) => return (Err(error), buffer),
    };
    let (written, buffer) = file.write_all_at(buffer, 0).await;
    let result = match written {
        Ok(()) => put_in_place(&file, &draft, &path).await,
        error => error,
    };
    let result = match result {
        // On the disk only with the directory.
        Ok(()) => sync_above(&path).await,
        Err(error) => {
            // That it was not written is what counts.
            let _ = remove_file(draft).await;
            Err(error)
        }
    };
    (result, buffer)
}

/// A new file beside another one, with its permissions.
async fn draft_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let Some(name) = path.file_name() else {
        let text = format!("{} names no file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    let mode = match super::metadata(path).await {
        Ok(metadata) => Some(metadata.mode() & 0o7777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    loop {
        let mut draft = OsString::from(".");
        draft.push(shortened(name));
        draft.push(format!(".{:016x}.new", random()));
        let draft = path.with_file_name(draft);
        let file = match OpenOptions::new().write(true).create_new(true).open(&draft).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        if let Some(mode) = mode {
            if let Err(error) = file.set_permissions(Permissions::from_mode(mode)).await {
                let _ = remove_file(draft).await;
                return Err(error);
            }
        }
        return Ok((file, draft));
    }
}

async fn put_in_place(file: &File, draft: &Path, path: &Path) -> io::Result<()> {
    // A rename that is on the disk before the content would be a torn file after a crash.
    file.sync_all().await?;
    rename(draft, path).await
}

async fn sync_above(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Dir::open(above).await?.sync().await
}

/// At most 200 bytes of a name: 255 are allowed, and something is added.
fn shortened(name: &OsStr) -> &OsStr {
    let bytes = name.as_bytes();
    OsStr::from_bytes(&bytes[..bytes.len().min(200)])
}
