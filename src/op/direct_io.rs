//! What O_DIRECT wants, for the error of who did not know.
#![allow(unsafe_code)]

use std::io;

use crate::driver::Hold;
use crate::sys::file::{self, EMPTY_PATH, NO_PATH, Stat};

/// EINVAL of a file that is read past the page cache says nothing; this says what it wants.
#[cold]
pub(super) fn explained(error: io::Error, hold: &Hold) -> io::Error {
    // Closed, its number may be another file's.
    if hold.port().is_simulated() || hold.is_closed() {
        return error;
    }
    match error.raw_os_error() {
        Some(libc::EINVAL) => {}
        Some(libc::EOPNOTSUPP) if hold.port().polls_files() => {
            let text = format!(
                "{error}; this loop asks devices whether they are done (Builder::iopoll), and this file system does not \
                 know how: do without it, or without O_DIRECT"
            );
            return io::Error::new(error.kind(), text);
        }
        _ => return error,
    }
    let Some(number) = hold.port().plain(hold.number()).ok().filter(|number| file::is_direct(*number)) else {
        return error;
    };
    let mut place = Stat::place();
    // SAFETY: the empty path is static, the place is here, the descriptor is open: not closed, as was asked above.
    let answer = unsafe { file::stat(number, NO_PATH.as_ptr(), EMPTY_PATH, place.as_mut_ptr()) };
    let (memory, offset) = match Stat::from_place(&place).direct_io.filter(|_| answer == 0) {
        Some((memory, offset)) => (memory.to_string(), offset.to_string()),
        None => ["a power of two, mostly 512 or 4096"; 2].map(str::to_owned).into(),
    };
    let text = format!(
        "{error}; the file was opened with O_DIRECT, for which buffers have to begin at multiples of {memory} \
         (annulus::buf::Aligned), and offsets and lengths to be multiples of {offset}"
    );
    io::Error::new(error.kind(), text)
}
