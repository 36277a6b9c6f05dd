//! What the system grants a process, and what it says of itself.
#![allow(unsafe_code)]

use std::io;

/// A limit of the process. `u64::MAX` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// What holds.
    pub(crate) now: u64,
    /// What the process may raise it to by itself.
    pub(crate) most: u64,
}

/// getrlimit(2), of that limit: their type differs from one system to the next.
macro_rules! limit {
    ($which:expr) => {{
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: one structure, on this stack, for the time of the call.
        super::checked(super::answer(unsafe { libc::getrlimit($which, &mut limit) } as isize))
            .map(|_| Limit { now: widened(limit.rlim_cur), most: widened(limit.rlim_max) })
    }};
}

#[allow(clippy::unnecessary_cast, reason = "the width of a limit differs from one system to the next")]
fn widened(limit: libc::rlim_t) -> u64 {
    if limit == libc::RLIM_INFINITY { u64::MAX } else { limit as u64 }
}

/// Descriptors: one above the greatest number. RLIMIT_NOFILE
pub(crate) fn open_files() -> io::Result<Limit> {
    limit!(libc::RLIMIT_NOFILE)
}

/// Bytes. RLIMIT_MEMLOCK
pub(crate) fn locked_memory() -> io::Result<Limit> {
    limit!(libc::RLIMIT_MEMLOCK)
}

/// Threads of the user. RLIMIT_NPROC
pub(crate) fn processes() -> io::Result<Limit> {
    limit!(libc::RLIMIT_NPROC)
}

/// How many processors are switched on. sysconf(3)
pub(crate) fn processors() -> io::Result<u64> {
    // SAFETY: no memory is passed.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u64::try_from(online).map_err(|_| io::Error::last_os_error())
}

/// The system's name, its release and the machine's: "Linux", "6.1.0", "x86_64". uname(2)
pub(crate) fn system() -> io::Result<[String; 3]> {
    // SAFETY: arrays of plain numbers: all zeroes is a value.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: one structure, on this stack, for the time of the call.
    super::checked(super::answer(unsafe { libc::uname(&mut names) } as isize))?;
    let text = |field: &[libc::c_char]| {
        let bytes: Vec<u8> = field.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok([text(&names.sysname), text(&names.release), text(&names.machine)])
}
