//! Names, and what they lead to.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{FileTimes, Metadata, RenameFlags};
use crate::op::path::{self, At, Subject};
use crate::op::{
    Chmod, Chown, Link, Mkdir, Readlink, Realpath, Rename, Statx, Submitted, Symlink, Unlink, Utimens,
};

/// What the file system knows of what the path leads to.
///
/// # Errors
/// Those of statx(2).
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// As [`Metadata::file_type`](super::Metadata::file_type).
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    stat(At::here(path.as_ref())?, 0).await
}

/// What the file system knows of the path itself, which may be a symbolic link.
///
/// # Errors
/// Those of statx(2).
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs;
///
/// annulus::run(async {
/// #     let directory = tempfile::tempdir()?;
/// #     fs::create_dir_all(directory.path()).await?;
/// #     let path = directory.path().join("pointer");
///
///     fs::symlink("nowhere", &path).await?;
///     assert!(fs::symlink_metadata(&path).await?.is_symlink());
///     assert!(fs::metadata(&path).await.is_err(), "it leads nowhere");
///     fs::remove_file(&path).await?;
///     Ok(())
/// })?
/// # }
/// ```
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    stat(At::here(path.as_ref())?, libc::AT_SYMLINK_NOFOLLOW).await
}

pub(super) async fn stat(at: At, flags: i32) -> io::Result<Metadata> {
    Submitted::new(Statx::of_path(at, flags)).await.map(Metadata::new)
}

/// Whether the path leads to something. A symbolic link to nothing does not.
///
/// # Errors
/// Those of statx(2) but for "there is no such file": that is false.
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// assert!(annulus::run(annulus::fs::try_exists("Cargo.toml"))??);
/// assert!(!annulus::run(annulus::fs::try_exists("no such file"))??);
/// # Ok(())
/// # }
/// ```
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    match metadata(path).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a file's name; the file goes with its last name, when nobody has it open.
///
/// # Errors
/// Those of unlink(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// As [`symlink_metadata`].
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Unlink::new(At::here(path.as_ref())?, 0)).await
}

/// Removes an empty directory.
///
/// # Errors
/// Those of rmdir(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// As [`create_dir`].
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Unlink::new(At::here(path.as_ref())?, libc::AT_REMOVEDIR)).await
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
    rename_with(from, to, RenameFlags::Replace).await
}

/// Gives a file another name, and says what is to become of what has that name.
///
/// # Errors
/// Those of renameat2(2): `AlreadyExists` with [`RenameFlags::NoReplace`]; `InvalidInput` if the file system cannot do it,
/// `Unsupported` if the operating system cannot.
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::{self, RenameFlags};
///
/// # let directory = tempfile::tempdir()?;
/// # let (old, new) = (directory.path().join("old"), directory.path().join("new"));
/// annulus::run(async {
///     fs::write(&old, "1").await.0?;
///     fs::write(&new, "2").await.0?;
///     let refused = fs::rename_with(&old, &new, RenameFlags::NoReplace).await.unwrap_err();
///     assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
///     fs::rename_with(&old, &new, RenameFlags::Exchange).await?;
///     assert_eq!(fs::read(&old).await?, b"2");
///     Ok(())
/// })?
/// # }
/// ```
pub async fn rename_with(from: impl AsRef<Path>, to: impl AsRef<Path>, flags: RenameFlags) -> io::Result<()> {
    let (from, to) = (At::here(from.as_ref())?, At::here(to.as_ref())?);
    Submitted::new(Rename::new(from, to, flags.bits())).await
}

/// Gives a file one more name, in the same file system. A symbolic link gets one itself, not what it leads to.
///
/// # Errors
/// Those of link(2).
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
/// # let (one, other) = (directory.path().join("one"), directory.path().join("other"));
/// annulus::run(async {
///     fs::write(&one, "text").await.0?;
///     fs::hard_link(&one, &other).await?;
///     assert_eq!(fs::metadata(&other).await?.nlink(), 2);
///     Ok(())
/// })?
/// # }
/// ```
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Link::new(At::here(original.as_ref())?, At::here(link.as_ref())?)).await
}

/// Makes a symbolic link to `original`, which need not be there.
///
/// # Errors
/// Those of symlink(2).
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
/// # let link = directory.path().join("link");
/// annulus::run(async {
///     fs::symlink("where/it/points", &link).await?;
///     assert_eq!(fs::read_link(&link).await?, std::path::Path::new("where/it/points"));
///     assert!(fs::symlink_metadata(&link).await?.is_symlink());
///     Ok(())
/// })?
/// # }
/// ```
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Symlink::new(path::of(original.as_ref())?, At::here(link.as_ref())?)).await
}

/// Where a symbolic link points to.
///
/// # Errors
/// Those of readlink(2): `InvalidInput` if it is no symbolic link.
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// As [`symlink`].
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    Submitted::new(Readlink::new(At::here(path.as_ref())?)).await.map(of_bytes)
}

/// The absolute path, without dots and symbolic links.
///
/// # Errors
/// Those of realpath(3).
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let here = annulus::run(annulus::fs::canonicalize("src/.."))??;
/// assert_eq!(here, std::fs::canonicalize(".")?);
/// # Ok(())
/// # }
/// ```
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    Submitted::new(Realpath::new(At::here(path.as_ref())?)).await.map(of_bytes)
}

pub(super) fn of_bytes(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

/// Sets who may do what with what the path leads to.
///
/// # Errors
/// Those of chmod(2).
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
/// # let path = directory.path().join("note");
/// annulus::run(async {
///     fs::write(&path, "text").await.0?;
///     let mut permissions = fs::metadata(&path).await?.permissions();
///     permissions.set_readonly(true);
///     fs::set_permissions(&path, permissions).await?;
///     assert_eq!(fs::metadata(&path).await?.mode() & 0o222, 0);
///     Ok(())
/// })?
/// # }
/// ```
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let subject = Subject::Path(At::here(path.as_ref())?);
    Submitted::new(Chmod::new(subject, permissions.mode())).await
}

/// Sets who owns what the path leads to: user and group by their ids; None leaves one as it is. Who is not root may give a
/// file of their own to a group of their own.
///
/// # Errors
/// Those of chown(2): `PermissionDenied`.
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
/// # let path = directory.path().join("note");
/// annulus::run(async {
///     fs::write(&path, "text").await.0?;
///     let group = fs::metadata(&path).await?.gid();
///     fs::chown(&path, None, Some(group)).await
/// })?
/// # }
/// ```
pub async fn chown(path: impl AsRef<Path>, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let subject = Subject::Path(At::here(path.as_ref())?);
    Submitted::new(Chown::new(subject, user, group, 0)).await
}

/// Sets who owns the path itself, which may be a symbolic link. As [`chown`] otherwise.
///
/// # Errors
/// Those of lchown(2): `PermissionDenied`.
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// As [`chown`], of a link itself.
pub async fn lchown(path: impl AsRef<Path>, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let subject = Subject::Path(At::here(path.as_ref())?);
    Submitted::new(Chown::new(subject, user, group, libc::AT_SYMLINK_NOFOLLOW)).await
}

/// Sets when what the path leads to was read and changed last.
///
/// # Errors
/// Those of utimensat(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::SystemTime;
/// use annulus::fs::{self, FileTimes};
///
/// annulus::run(async {
/// #     let path = std::env::temp_dir().join(format!("times-{}", std::process::id()));
///
///     fs::write(&path, "a note").await.0?;
///     fs::set_times(&path, FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).await?;
///     assert_eq!(fs::metadata(&path).await?.modified(), SystemTime::UNIX_EPOCH);
/// #     fs::remove_file(&path).await?;
///     Ok(())
/// })?
/// # }
/// ```
pub async fn set_times(path: impl AsRef<Path>, times: FileTimes) -> io::Result<()> {
    let subject = Subject::Path(At::here(path.as_ref())?);
    Submitted::new(Utimens::new(subject, times.stamps(), 0)).await
}

/// Sets when the path itself, which may be a symbolic link, was read and changed last.
///
/// # Errors
/// Those of utimensat(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// As [`set_times`], of a link itself.
pub async fn set_symlink_times(path: impl AsRef<Path>, times: FileTimes) -> io::Result<()> {
    let subject = Subject::Path(At::here(path.as_ref())?);
    Submitted::new(Utimens::new(subject, times.stamps(), libc::AT_SYMLINK_NOFOLLOW)).await
}

/// Makes a directory, in one that is there.
///
/// # Errors
/// Those of mkdir(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs;
///
/// annulus::run(async {
/// #     let directory = tempfile::tempdir()?;
/// #     fs::create_dir_all(directory.path()).await?;
/// #     let path = directory.path().join("drawer");
///
///     fs::create_dir(&path).await?;
///     assert!(fs::metadata(&path).await?.is_dir());
///     fs::remove_dir(&path).await?;
///     Ok(())
/// })?
/// # }
/// ```
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    Submitted::new(Mkdir::new(At::here(path.as_ref())?, 0o777)).await
}
