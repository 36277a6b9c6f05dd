//! Files past the page cache.

use std::io;
use std::path::Path;

use annulus::fs::{File, OpenOptions};

/// Opens one. Where the system has no O_DIRECT (macOS), the answer is that of a file system that has none.
#[cfg(target_os = "linux")]
pub(crate) async fn open(options: &mut OpenOptions, path: impl AsRef<Path>) -> io::Result<File> {
    options.custom_flags(libc::O_DIRECT).open(path).await
}

#[cfg(not(target_os = "linux"))]
pub(crate) async fn open(_: &mut OpenOptions, _: impl AsRef<Path>) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
