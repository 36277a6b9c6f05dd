//! The buffers of a pool, and what becomes of one when its last lease is dropped.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use slab::Slab;

use super::pool::{BUFFERS_MAX, BufferId, IDS_MAX, PoolSize};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicUsize, Ordering, fence};

/// What is known of each buffer.
pub(super) struct Block {
    /// How many leases are of it.
    pub(super) leases: AtomicUsize,
    pub(super) bytes: *mut u8,
    /// Null, of memory that belongs to no pool.
    pub(super) pool: *const Shared,
    pub(super) id: BufferId,
}

/// Memory that belongs to no pool.
#[repr(C)]
pub(super) struct Own {
    pub(super) block: Block,
    /// Never touched through here while a lease is about: a box says that nobody else does.
    pub(super) bytes: NonNull<[u8]>,
}

/// Everything of a pool. Freed when the pool is gone, and all leases of its buffers are.
pub(super) struct Shared {
    pub(super) size: PoolSize,
    /// The thread that it is of, as `here` says; 0 when the pool is gone.
    pub(super) home: AtomicUsize,
    /// Only for that thread, and for nobody while a function of somebody else's runs.
    pub(super) local: UnsafeCell<Local>,
    pub(super) away: Mutex<Away>,
}

pub(super) struct Local {
    /// By their ids. What they point to goes with `chunks`.
    pub(super) blocks: Vec<NonNull<Block>>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) free: Vec<BufferId>,
    /// How many the kernel may pick from.
    pub(super) offered: usize,
    /// Memory of its own that is named by an answer, by its id.
    pub(super) own: Slab<Box<Own>>,
    pub(super) copied: u64,
}

/// What one growth made.
pub(super) struct Chunk {
    blocks: NonNull<[Block]>,
    bytes: NonNull<[u8]>,
}

#[derive(Default)]
pub(super) struct Away {
    /// Let go of on other threads.
    pub(super) returned: Vec<BufferId>,
    /// When the pool is gone: how many buffers are still out.
    pub(super) left: Option<usize>,
}

/// What tells threads apart: an address of each one's own.
#[inline]
pub(super) fn here() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place) as usize)
}

impl Local {
    /// More buffers. Their memory is zeroed, which for so much of it means that it is not there before it is used.
    pub(super) fn grow(&mut self, pool: NonNull<Shared>, count: usize) {
        // SAFETY: the caller is the pool.
        let size = unsafe { pool.as_ref() }.size.bytes;
        let first = self.blocks.len();
        let bytes = NonNull::from(Box::leak(vec![0; size * count].into_boxed_slice()));
        let start = bytes.as_ptr().cast::<u8>();
        let blocks: Box<[Block]> = (0..count)
            .map(|n| Block {
                leases: AtomicUsize::new(0),
                bytes: start.wrapping_add(n * size),
                pool: pool.as_ptr(),
                id: (first + n) as BufferId,
            })
            .collect();
        let blocks = NonNull::from(Box::leak(blocks));
        let start = blocks.cast::<Block>();
        // SAFETY: within the slice.
        self.blocks.extend((0..count).map(|n| unsafe { start.add(n) }));
        self.free.extend((first..first + count).rev().map(|id| id as BufferId));
        self.chunks.push(Chunk { blocks, bytes });
    }

    pub(super) fn out(&self) -> usize {
        self.blocks.len() - self.free.len() - self.offered
    }

    /// Less than a quarter is left.
    #[inline]
    pub(super) fn is_short(&self) -> bool {
        (self.free.len() + self.offered) * 4 < self.blocks.len()
    }

    pub(super) fn keep(&mut self, own: Box<Own>) -> BufferId {
        let id = self.own.insert(own);
        assert!(
            BUFFERS_MAX + id < IDS_MAX,
            "33 million answers wait to be taken: bound the streams that nobody reads"
        );
        (BUFFERS_MAX + id) as BufferId
    }
}

impl Own {
    pub(super) fn new(bytes: Box<[u8]>) -> Box<Own> {
        let bytes = NonNull::from(Box::leak(bytes));
        let start = bytes.as_ptr().cast::<u8>();
        let block = Block { leases: AtomicUsize::new(0), bytes: start, pool: std::ptr::null(), id: 0 };
        Box::new(Own { block, bytes })
    }
}

impl Shared {
    pub(super) fn lock(&self) -> crate::sys::sync::MutexGuard<'_, Away> {
        self.away.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes back what other threads have let go of. For the home thread.
    pub(super) fn collect(&self) {
        let mut away = self.lock();
        // SAFETY: as `Pool::local`.
        unsafe { &mut *self.local.get() }.free.append(&mut away.returned);
    }
}

impl Block {
    /// One more lease is of the same buffer.
    pub(super) fn share(&self) {
        self.leases.fetch_add(1, Ordering::Relaxed);
    }

    /// One lease less. True if it was the last: the buffer is to be released.
    #[inline]
    pub(super) fn unshare(&self) -> bool {
        // Alone: nobody else can make it two. That spares the locked instruction in nearly all cases.
        if self.leases.load(Ordering::Acquire) == 1 {
            return true;
        }
        let last = self.leases.fetch_sub(1, Ordering::Release) == 1;
        if last {
            fence(Ordering::Acquire);
        }
        last
    }
}

/// The last lease of a buffer is gone.
///
/// # Safety
/// `Block::unshare` has said so, to the caller.
#[inline]
pub(super) unsafe fn release(block: NonNull<Block>) {
    // SAFETY: nobody else has the block.
    let (pool, id) = unsafe { (block.as_ref().pool, block.as_ref().id) };
    // SAFETY: a pool's memory is there while one of its buffers is out.
    let Some(shared) = (unsafe { pool.as_ref() }) else {
        // SAFETY: it was a box, and the block is its first field.
        return drop(unsafe { Box::from_raw(block.cast::<Own>().as_ptr()) });
    };
    if shared.home.load(Ordering::Relaxed) == here() {
        // SAFETY: as `Pool::local`: this is the pool's thread.
        unsafe { &mut *shared.local.get() }.free.push(id);
    } else {
        // SAFETY: as above.
        unsafe { release_away(NonNull::from(shared), id) };
    }
}

/// On another thread than the pool's, or after the pool.
///
/// # Safety
/// The buffer was out, and is not any more.
#[cold]
unsafe fn release_away(pool: NonNull<Shared>, id: BufferId) {
    let nobody_left = {
        // SAFETY: this buffer is still counted.
        let mut away = unsafe { pool.as_ref() }.lock();
        match &mut away.left {
            None => {
                away.returned.push(id);
                false
            }
            Some(left) => {
                *left -= 1;
                *left == 0
            }
        }
    };
    if nobody_left {
        // SAFETY: the pool is gone, and this was the last buffer that was out.
        drop(unsafe { Box::from_raw(pool.as_ptr()) });
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: it was a box, and no lease is left.
        drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        for Chunk { blocks, bytes } in self.chunks.drain(..) {
            // SAFETY: they were boxes, and nobody has a part of them any more.
            unsafe {
                drop(Box::from_raw(blocks.as_ptr()));
                drop(Box::from_raw(bytes.as_ptr()));
            }
        }
    }
}

// SAFETY: other threads reach it through leases, which touch the atomics and the lock.
unsafe impl Sync for Shared {}
// SAFETY: as above; what only the home thread touches is dropped by whoever is last, when that thread has no use for it.
unsafe impl Send for Shared {}
