//! Memory that the ring knows: a table of regions, each registered as one.
//!
//! <https://man7.org/linux/man-pages/man3/io_uring_register_buffers.3.html> (a table with empty places: 5.19)
#![allow(unsafe_code)]

use std::io;

use super::Ring;

/// How many regions a ring knows at a time.
const PLACES: u16 = 64;

/// Which places are free. None before the first is asked for, or where the kernel has no such table.
#[derive(Default)]
pub(super) struct Regions {
    free: Option<Vec<u16>>,
}

impl Ring {
    /// Takes a region in. Its pages are held by the kernel from now on, whatever becomes of the addresses.
    pub(crate) fn register(&mut self, memory: *mut u8, length: usize) -> io::Result<u16> {
        let submitter = self.queues.ring().submitter();
        if self.regions.free.is_none() {
            submitter.register_buffers_sparse(u32::from(PLACES)).map_err(explained)?;
            self.regions.free = Some((0..PLACES).rev().collect());
        }
        let free = self.regions.free.get_or_insert_default();
        let Some(place) = free.pop() else {
            let text =
                format!("a ring knows {PLACES} pools of registered buffers: drop one, or make one larger");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        };
        let region = libc::iovec { iov_base: memory.cast(), iov_len: length };
        // SAFETY: the memory is the caller's, and used by transfers alone that own their part of it.
        let known = unsafe { submitter.register_buffers_update(u32::from(place), &[region], None) };
        known.map(|_| place).map_err(|error| {
            free.push(place);
            explained(error)
        })
    }

    pub(crate) fn unregister(&mut self, place: u16) {
        let nothing = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let submitter = self.queues.ring().submitter();
        // SAFETY: no memory is named. What is still in flight, the kernel lets end first.
        let forgotten = unsafe { submitter.register_buffers_update(u32::from(place), &[nothing], None) };
        if forgotten.is_ok() {
            self.regions.free.iter_mut().for_each(|free| free.push(place));
        }
    }
}

fn explained(error: io::Error) -> io::Error {
    let cause = match error.raw_os_error() {
        Some(libc::ENOMEM) => "registered buffers count as locked memory: raise the limit, `ulimit -l`",
        Some(libc::EINVAL) => "this kernel has no table of buffers with empty places: that takes Linux 5.19",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}; {cause}"))
}
