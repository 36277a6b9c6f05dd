//! Limits and signals of the process. Meaningful only in a process of its own: see
//! [`child::alone`](super::child::alone).
#![allow(unsafe_code)]

use std::io;

/// What a limit is of: RLIMIT_NOFILE and its like, whose type differs from one system to the next.
macro_rules! lower {
    ($which:expr, $to:expr) => {
        $crate::support::limits::set_soft(
            // SAFETY: both places are on the stack of the closure, for the time of the call.
            |limit| unsafe { libc::getrlimit($which, limit) },
            // SAFETY: as above.
            |limit| unsafe { libc::setrlimit($which, limit) },
            $to,
        )
    };
}
pub(crate) use lower;

/// Lowers what holds now, and leaves what it may be raised to. Gives what held before. For [`lower!`].
#[allow(clippy::unnecessary_cast, reason = "the width of a limit differs from one system to the next")]
pub(crate) fn set_soft(
    get: impl Fn(*mut libc::rlimit) -> i32,
    set: impl Fn(*const libc::rlimit) -> i32,
    to: u64,
) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    assert_eq!(get(&mut limit), 0, "{}", io::Error::last_os_error());
    let before = std::mem::replace(&mut limit.rlim_cur, to.min(limit.rlim_max as u64) as _);
    assert_eq!(set(&limit), 0, "{}", io::Error::last_os_error());
    before as u64
}

/// Has a signal call that function, with these flags of sigaction(2).
pub(crate) fn on_signal(signal: i32, flags: i32, handler: extern "C" fn(i32)) {
    // SAFETY: plain numbers: all zeroes is a value, "nothing".
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = flags;
    // SAFETY: the action is on this stack, and what the handlers of these tests do is allowed in a handler.
    let set = unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Lets a signal pass without effect.
pub(crate) fn ignore(signal: i32) {
    // SAFETY: ignoring needs no handler.
    assert_ne!(unsafe { libc::signal(signal, libc::SIG_IGN) }, libc::SIG_ERR);
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    // SAFETY: no memory is passed, and it cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Lets descriptors have numbers below this one only. Those that are open stay.
pub(crate) fn limit_descriptors(below: u64) -> u64 {
    lower!(libc::RLIMIT_NOFILE, below)
}

/// Lets this process have as many descriptors as it may. Says how many.
pub(crate) fn raise_descriptors() -> u64 {
    lower!(libc::RLIMIT_NOFILE, u64::MAX);
    // What held before is what holds now.
    lower!(libc::RLIMIT_NOFILE, u64::MAX)
}
