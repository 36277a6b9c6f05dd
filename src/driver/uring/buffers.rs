//! The ring of buffers that the kernel picks from: the pool's free ones are offered to it before each enter.
//!
//! <https://man7.org/linux/man-pages/man3/io_uring_register_buf_ring.3.html>, Linux 5.19
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::buf::{BufferId, Pool};
use crate::driver::GROUP;

const PAGE: usize = 4096;

pub(super) struct Buffers {
    pool: Rc<Pool>,
    offered: Option<Offered>,
}

/// What the kernel reads: a ring of addresses, and how far it is filled.
struct Offered {
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    mask: u16,
    tail: u16,
}

impl Buffers {
    /// Registers the pool. Where the kernel takes no ring of buffers the pool is used all the same, otherwise.
    pub(super) fn offer(ring: &IoUring, pool: &Rc<Pool>) -> Buffers {
        let offered = Offered::register(ring, pool.max());
        let mut buffers = Buffers { pool: Rc::clone(pool), offered };
        buffers.offer_again();
        buffers
    }

    pub(super) fn is_offered(&self) -> bool {
        self.offered.is_some()
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Offers what is free.
    #[inline]
    pub(super) fn offer_again(&mut self) {
        let Some(offered) = &mut self.offered else { return };
        if !self.pool.has_free() {
            return;
        }
        let size = self.pool.bytes() as u32;
        self.pool.offer(|id, bytes| offered.add(id, bytes, size));
        offered.publish();
    }

    /// The ring is about to be closed, and nothing is in flight in it.
    pub(super) fn withdraw(mut self, ring: &IoUring) {
        if self.offered.is_some() {
            // Refused only if it is not registered.
            let _ = ring.submitter().unregister_buf_ring(GROUP);
        }
        self.offered.take().into_iter().for_each(Offered::free);
    }
}

impl Offered {
    fn register(ring: &IoUring, count: usize) -> Option<Offered> {
        let count = count.next_power_of_two();
        let layout = Layout::from_size_align(count * size_of::<BufRingEntry>(), PAGE).ok()?;
        // SAFETY: not of size zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(memory.cast::<BufRingEntry>()) else { handle_alloc_error(layout) };
        let offered = Offered { entries, layout, mask: (count - 1) as u16, tail: 0 };
        // SAFETY: the memory stays until `withdraw`, which unregisters it first; a ring that is leaked leaks it too.
        let registered =
            unsafe { ring.submitter().register_buf_ring_with_flags(memory as u64, count as u16, GROUP, 0) };
        match registered {
            Ok(()) => Some(offered),
            Err(_) => {
                offered.free();
                None
            }
        }
    }

    fn add(&mut self, id: BufferId, bytes: *mut u8, size: u32) {
        // SAFETY: within the ring, and the kernel does not look there before the tail says so: there are never more
        // buffers than places.
        let entry = unsafe { self.entries.add(usize::from(self.tail & self.mask)).as_mut() };
        entry.set_addr(bytes as u64);
        entry.set_len(size);
        // One of the pool's: below the kernel's limit.
        entry.set_bid(id as u16);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: the tail's place in the first entry, which the kernel reads as it likes: so an atomic store.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn free(self) {
        // SAFETY: allocated with that layout, and not registered any more.
        unsafe { dealloc(self.entries.as_ptr().cast(), self.layout) };
    }
}
