//! Memory that the ring knows: a table of regions, each registered as one.
//!
//! <https://man7.org/linux/man-pages/man3/io_uring_register_buffers.3.html> (a table with empty places: 5.19)
#![allow(unsafe_code)]

use std::io;

use io_uring::IoUring;

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
        if self.regions.free.is_none() {
            let known = |ring: &IoUring| ring.submitter().register_buffers_sparse(u32::from(PLACES));
            let mut with_one = Vec::new();
            for ring in self.rings() {
                if let Err(error) = known(ring) {
                    // Both or none. Not where there is no table: an old kernel would wait until nothing is in flight.
                    with_one.iter().for_each(|ring: &&IoUring| drop(ring.submitter().unregister_buffers()));
                    return Err(explained(error));
                }
                with_one.push(ring);
            }
            self.regions.free = Some((0..PLACES).rev().collect());
        }
        let free = self.regions.free.get_or_insert_default();
        let Some(place) = free.pop() else {
            let text =
                format!("a ring knows {PLACES} pools of registered buffers: drop one, or make one larger");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        };
        let region = libc::iovec { iov_base: memory.cast(), iov_len: length };
        if let Err(error) = self.update(place, region) {
            self.unregister(place);
            return Err(explained(error));
        }
        Ok(place)
    }

    pub(crate) fn unregister(&mut self, place: u16) {
        let nothing = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        if self.update(place, nothing).is_ok() {
            self.regions.free.iter_mut().for_each(|free| free.push(place));
        }
    }

    /// The ring that does everything, and the one that asks devices.
    fn rings(&self) -> impl Iterator<Item = &IoUring> {
        [Some(self.queues.ring()), self.polled.as_ref().map(|polled| polled.ring())].into_iter().flatten()
    }

    fn update(&self, place: u16, region: libc::iovec) -> io::Result<()> {
        // SAFETY: the memory is the caller's, and used by transfers alone that own their part of it; what is still in flight
        // when a place is emptied, the kernel lets end first.
        let update = |ring: &IoUring| unsafe {
            ring.submitter().register_buffers_update(u32::from(place), &[region], None)
        };
        self.rings().try_for_each(|ring| update(ring).map(drop))
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
