//! Paths as the kernel reads them: owned until the completion, for the kernel may read them late (measured on
//! 5.10, where a statx in a kernel worker read the path after its submission).

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as a C string.
pub(crate) fn of(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        let text = format!("the path {path:?} has a NUL byte in it, which no file's name can have");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

/// For a request. Only read from.
pub(super) fn pointer_to(path: &CStr) -> *mut u8 {
    path.as_ptr().cast_mut().cast()
}
