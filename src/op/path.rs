//! Paths as the kernel reads them: owned until the completion, for the kernel may read them late (measured on
//! 5.10, where a statx in a kernel worker read the path after its submission).

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::driver::{Descriptor, Hold, Request};
use crate::sys::file::NO_PATH;

/// Bytes as a C string.
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

/// Two C strings in one piece of memory, one behind the other: for a request, which has no room for a third pointer.
pub(super) struct Pair {
    bytes: Box<[u8]>,
    second_at: usize,
}

impl Pair {
    pub(super) fn of(first: &CStr, second: &CStr) -> Pair {
        let (first, second) = (first.to_bytes_with_nul(), second.to_bytes_with_nul());
        Pair { bytes: [first, second].concat().into(), second_at: first.len() }
    }

    /// To the first, for a request. Only read from.
    pub(super) fn pointer(&self) -> *mut u8 {
        self.bytes.as_ptr().cast_mut()
    }

    /// Where the second begins: the request's offset.
    pub(super) fn second_at(&self) -> u64 {
        self.second_at as u64
    }

    /// The second, of a request whose other pointer and offset are as above.
    pub(super) fn second(request: &Request) -> *const libc::c_char {
        request.other_pointer.wrapping_add(request.offset as usize).cast_const().cast()
    }
}

/// A path, and the directory from which it is walked.
#[derive(Clone)]
pub(crate) struct At {
    /// A handle: so it stays open, and nobody else gets its number, as long as the operation lives (I4).
    directory: Option<Descriptor>,
    path: CString,
}

impl At {
    /// From the working directory.
    pub(crate) fn here(path: &Path) -> io::Result<At> {
        Ok(At { directory: None, path: of(path)? })
    }

    /// From a directory that is open.
    pub(crate) fn within(directory: &Descriptor, path: &Path) -> io::Result<At> {
        Ok(At { directory: Some(directory.clone()), path: of(path)? })
    }

    pub(super) fn number(&self) -> i32 {
        self.directory.as_ref().map_or(libc::AT_FDCWD, Descriptor::number)
    }

    pub(super) fn pointer(&self) -> *mut u8 {
        pointer_to(&self.path)
    }
}

/// What a call is about: an open file, or what a path leads to.
pub(crate) enum Subject {
    Open(Hold),
    Path(At),
}

impl Subject {
    pub(super) fn number(&self) -> i32 {
        match self {
            Subject::Open(hold) => hold.number(),
            Subject::Path(at) => at.number(),
        }
    }

    /// The empty path means the descriptor itself.
    pub(super) fn pointer(&self) -> *mut u8 {
        match self {
            Subject::Open(_) => pointer_to(NO_PATH),
            Subject::Path(at) => at.pointer(),
        }
    }

    pub(super) fn hold(&self) -> Option<&Hold> {
        match self {
            Subject::Open(hold) => Some(hold),
            Subject::Path(_) => None,
        }
    }
}
