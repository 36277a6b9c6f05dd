//! A ring of buffers that the kernel picks from.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

pub const GROUP: u16 = 0;
/// Between two buffers, so that their beginnings do not share a set of the cache.
const GAP: usize = 64;

pub struct Buffers {
    entries: *mut BufRingEntry,
    memory: Vec<u8>,
    size: usize,
    mask: u16,
    tail: u16,
}

impl Buffers {
    /// `count` is a power of two.
    pub fn register(ring: &IoUring, count: u16, size: usize) -> io::Result<Buffers> {
        let layout = std::alloc::Layout::from_size_align(usize::from(count) * 16, 4096).expect("small");
        // SAFETY: not of size zero. It is never freed: the server serves until it is killed.
        let entries = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<BufRingEntry>();
        // SAFETY: the memory stays.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, count, GROUP, 0)? };
        let memory = vec![0; usize::from(count) * (size + GAP)];
        let mut buffers = Buffers { entries, memory, size, mask: count - 1, tail: 0 };
        (0..count).for_each(|id| buffers.give(id));
        buffers.publish();
        Ok(buffers)
    }

    pub fn pointer(&self, id: u16) -> *const u8 {
        self.memory.as_ptr().wrapping_add(usize::from(id) * (self.size + GAP))
    }

    pub fn bytes(&self, id: u16, length: usize) -> &[u8] {
        // SAFETY: within the memory, and the kernel has let go of it.
        unsafe { std::slice::from_raw_parts(self.pointer(id), length) }
    }

    /// Gives a buffer back; `publish` tells the kernel.
    pub fn give(&mut self, id: u16) {
        let pointer = self.pointer(id) as u64;
        // SAFETY: within the ring; the kernel does not look there before the tail says so.
        let entry = unsafe { &mut *self.entries.add(usize::from(self.tail & self.mask)) };
        entry.set_addr(pointer);
        entry.set_len(self.size as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    pub fn publish(&self) {
        // SAFETY: the tail's place in the first entry.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
