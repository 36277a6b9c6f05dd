//! Signals, by the crate `signal-hook-registry`, which lets several listen for the same.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use signal_hook_registry::{SigId, register, unregister};

/// What nobody can listen for.
pub(crate) const FORBIDDEN: &[i32] = signal_hook_registry::FORBIDDEN;

/// Writes a byte for each signal of a kind, as long as it lives.
pub(crate) struct Listener {
    id: SigId,
}

impl Listener {
    /// And the pipe's end where the bytes come out.
    pub(crate) fn new(signal: i32) -> io::Result<(Listener, OwnedFd)> {
        let mut ends = [-1; 2];
        // SAFETY: a place for two numbers on this stack.
        super::checked(unsafe { super::pipe(ends.as_mut_ptr()) })?;
        let [reader, pipe] = ends.map(super::owned);
        // As small as it can be: a storm of signals is one read.
        #[cfg(target_os = "linux")]
        // SAFETY: no memory is passed.
        unsafe {
            libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 1)
        };
        // The pipe goes with the closure, when nobody can be in it any more.
        let handler = move || {
            // SAFETY: one byte of static memory; write(2) may be called in a handler. A full pipe has said it already.
            unsafe { libc::write(pipe.as_raw_fd(), b"!".as_ptr().cast(), 1) };
        };
        // SAFETY: the handler makes one call that is allowed there, allocates nothing, and takes no lock. The registry keeps
        // `errno` for whom it interrupts.
        let id = unsafe { register(signal, handler) }?;
        Ok((Listener { id }, reader))
    }
}

/// Has `note` called at each signal of a kind, from now on.
///
/// `note` does what a handler may: it stores to an atomic.
pub(crate) fn note_each(signal: i32, note: fn()) -> io::Result<()> {
    if FORBIDDEN.contains(&signal) {
        let text = format!("signal {signal} cannot be listened for; SIGUSR2 is a usual one");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    // SAFETY: a store to an atomic, as promised above.
    unsafe { register(signal, note) }.map(drop)
}

impl Drop for Listener {
    fn drop(&mut self) {
        unregister(self.id);
    }
}
