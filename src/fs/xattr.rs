//! Extended attributes, xattr(7): of what a path leads to, and what those of open files have in common with them.

use std::ffi::{CString, OsStr, OsString};
use std::future::Future;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::op::path::{self, At, Subject};
use crate::op::{GetXattrAt, ListXattr, RemoveXattr, SetXattrAt, Submitted};
use crate::sys::attributes::NO_ATTRIBUTE;

/// How long a value, or a list of names, is asked for at first.
const GUESS: usize = 256;

/// The value of an extended attribute, xattr(7), of what the path leads to; None if that has none of that name.
///
/// # Errors
/// Those of getxattr(2): `Unsupported` where the file system has no attributes, or the name is of no class it knows.
///
/// # Cancel safety
/// Dropping it is harmless.
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
///     match fs::set_xattr(&path, "user.author", "Ada").await {
///         Ok(()) => assert_eq!(fs::xattr(&path, "user.author").await?.as_deref(), Some(b"Ada".as_slice())),
///         Err(error) => println!("this file system keeps none: {error}"),
///     }
///     Ok(())
/// })?
/// # }
/// ```
pub async fn xattr(path: impl AsRef<Path>, name: impl AsRef<OsStr>) -> io::Result<Option<Vec<u8>>> {
    let (path, name) = (path::of(path.as_ref())?, attribute_name(name.as_ref())?);
    value(|room| Submitted::new(GetXattrAt::new(path.clone(), name.clone(), vec![0; room]))).await
}

/// Sets an extended attribute, xattr(7), of what the path leads to, to a value of at most 64 KiB; what it was is replaced.
/// Users may name those that begin with `user.`, of files and directories.
///
/// # Errors
/// Those of setxattr(2): `Unsupported` where the file system has no attributes, or the name is of no class it knows; E2BIG and
/// `StorageFull` for values that are too long.
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// As [`xattr`].
pub async fn set_xattr(
    path: impl AsRef<Path>,
    name: impl AsRef<OsStr>,
    value: impl AsRef<[u8]>,
) -> io::Result<()> {
    let (path, name) = (path::of(path.as_ref())?, attribute_name(name.as_ref())?);
    Submitted::new(SetXattrAt::new(path, name, value.as_ref().to_vec(), 0)).await
}

/// Removes an extended attribute, xattr(7), of what the path leads to. False if there was none.
///
/// # Errors
/// Those of removexattr(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, or not.
///
/// # Examples
/// As [`xattrs`].
pub async fn remove_xattr(path: impl AsRef<Path>, name: impl AsRef<OsStr>) -> io::Result<bool> {
    let subject = Subject::Path(At::here(path.as_ref())?);
    removed(Submitted::new(RemoveXattr::new(subject, attribute_name(name.as_ref())?)).await)
}

/// The names of all extended attributes, xattr(7), of what the path leads to.
///
/// # Errors
/// Those of listxattr(2).
///
/// # Cancel safety
/// Dropping it is harmless.
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
///     if fs::set_xattr(&path, "user.author", "Ada").await.is_ok() {
///         assert!(fs::xattrs(&path).await?.iter().any(|name| name == "user.author"));
///         assert!(fs::remove_xattr(&path, "user.author").await?);
///     }
///     Ok(())
/// })?
/// # }
/// ```
pub async fn xattrs(path: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    let at = At::here(path.as_ref())?;
    names(|room| Submitted::new(ListXattr::new(Subject::Path(at.clone()), vec![0; room]))).await
}

/// Asks for a value with more and more room, until it fits.
pub(super) async fn value<F: Future<Output = io::Result<Vec<u8>>>>(
    ask: impl Fn(usize) -> F,
) -> io::Result<Option<Vec<u8>>> {
    match fitting(ask).await {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(NO_ATTRIBUTE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks for a list of names in the same way.
pub(super) async fn names<F: Future<Output = io::Result<Vec<u8>>>>(
    ask: impl Fn(usize) -> F,
) -> io::Result<Vec<OsString>> {
    let list = fitting(ask).await?;
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsString::from_vec(name.to_vec())).collect())
}

async fn fitting<F: Future<Output = io::Result<Vec<u8>>>>(ask: impl Fn(usize) -> F) -> io::Result<Vec<u8>> {
    let mut room = GUESS;
    loop {
        match ask(room).await {
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && room < ROOM_MAX => room *= 16,
            result => return result,
        }
    }
}

/// More than any value or list has: 64 KiB in Linux. A name that is too long is said to be out of range as well.
const ROOM_MAX: usize = 1 << 20;

/// Whether something was removed.
pub(super) fn removed(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(NO_ATTRIBUTE) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn attribute_name(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| {
        let text = format!("the attribute's name {name:?} has a NUL byte in it, which none can have");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}
