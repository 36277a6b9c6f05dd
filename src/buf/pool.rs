//! The memory that leases are of: buffers of one size, of which a runtime has as many as it turned out to need.
//!
//! A buffer is *free*, *offered* to the kernel, which picks one when bytes have come, or *out*: named by an answer that
//! nobody has taken yet, or behind leases. When less than a quarter is left, the pool grows; when it may not grow, what comes
//! is copied into memory of its own and its buffer given back at once. So leases that a program keeps, however many,
//! never starve the rest of it.
//!
//! The pool is its thread's alone. Only a buffer's count is everybody's, and the list of those that other threads have
//! let go of.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use slab::Slab;

use super::block::{Block, Local, Own, Shared, here};
use super::lease::Lease;
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicUsize, Ordering};

/// How many buffers there are, and how large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolSize {
    /// Of each buffer, in bytes.
    pub(crate) bytes: usize,
    /// How many there are at first.
    pub(crate) first: usize,
    /// How many there may be.
    pub(crate) max: usize,
}

impl PoolSize {
    /// Unless somebody asks for something else.
    pub(crate) const USUAL: PoolSize = PoolSize { bytes: 16 << 10, first: 64, max: 1024 };
}

/// What an answer calls a buffer: below `BUFFERS_MAX` one of the pool's, from there on memory of its own.
pub(crate) type BufferId = u32;

/// The kernel's limit for a ring of buffers.
pub(crate) const BUFFERS_MAX: usize = 1 << 15;

/// All ids are below this: peers decide how many answers wait, so there is to be room for more than memory could hold.
pub(crate) const IDS_MAX: usize = 1 << 25;

/// A runtime's buffers.
pub(crate) struct Pool {
    shared: NonNull<Shared>,
}

/// How a pool is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolNumbers {
    pub(crate) buffers: usize,
    pub(crate) out: usize,
    pub(crate) copied: u64,
}

impl Pool {
    pub(crate) fn new(size: PoolSize) -> Pool {
        let max = size.max.clamp(1, BUFFERS_MAX);
        let size = PoolSize { bytes: size.bytes.max(1), first: size.first.clamp(1, max), max };
        let local = Local {
            blocks: Vec::new(),
            chunks: Vec::new(),
            free: Vec::new(),
            offered: 0,
            own: Slab::new(),
            copied: 0,
        };
        let shared = NonNull::from(Box::leak(Box::new(Shared {
            size,
            home: AtomicUsize::new(here()),
            local: UnsafeCell::new(local),
            away: Mutex::default(),
        })));
        let pool = Pool { shared };
        pool.local(|local| local.grow(shared, size.first));
        pool
    }

    fn shared(&self) -> &Shared {
        // SAFETY: freed after the pool is gone.
        unsafe { self.shared.as_ref() }
    }

    /// Everything that only this thread touches.
    #[inline]
    fn local<T>(&self, with: impl FnOnce(&mut Local) -> T) -> T {
        // SAFETY: a pool does not leave its thread, and `with` is this file's, which calls nobody else's code: so
        // there is no other reference.
        with(unsafe { &mut *self.shared().local.get() })
    }

    /// The size of each buffer, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.shared().size.bytes
    }

    /// How many buffers there may be.
    pub(crate) fn max(&self) -> usize {
        self.shared().size.max
    }

    pub(crate) fn numbers(&self) -> PoolNumbers {
        let returned = self.shared().lock().returned.len();
        self.local(|local| PoolNumbers {
            buffers: local.blocks.len(),
            out: local.out() - returned,
            copied: local.copied,
        })
    }

    // The kernel's side.

    /// Whether there are buffers to offer.
    #[cfg(annulus_uring)]
    #[inline]
    pub(crate) fn has_free(&self) -> bool {
        self.local(|local| !local.free.is_empty())
    }

    /// Hands the free buffers to the kernel, which picks from them.
    #[cfg(any(test, annulus_uring))]
    pub(crate) fn offer(&self, mut give: impl FnMut(BufferId, *mut u8)) {
        self.local(|local| {
            let Local { free, blocks, offered, .. } = local;
            *offered += free.len();
            // Not taken as a whole: its room serves the next ones.
            for id in free.drain(..) {
                // SAFETY: it lives as long as the pool.
                give(id, unsafe { blocks[id as usize].as_ref() }.bytes);
            }
        });
    }

    /// The kernel has picked one.
    #[cfg(any(test, annulus_uring))]
    #[inline]
    pub(crate) fn picked(&self) {
        self.local(|local| local.offered -= 1);
    }

    /// Where the kernel does not pick: receives into a free buffer by one call, which is told where it is, how long it
    /// is, and answers as a system call.
    pub(crate) fn receive(&self, call: impl FnOnce(*mut u8, usize) -> i32) -> (i32, Option<BufferId>) {
        self.shared().collect();
        let (id, bytes) = self.local(|local| match local.free.pop() {
            // SAFETY: it lives as long as the pool.
            Some(id) => (id, unsafe { local.blocks[id as usize].as_ref() }.bytes),
            None => {
                let own = Own::new(vec![0; self.bytes()].into());
                let bytes = own.block.bytes;
                (local.keep(own), bytes)
            }
        });
        let answer = call(bytes, self.bytes());
        if answer > 0 {
            return (answer, Some(id));
        }
        self.recycle(id);
        (answer, None)
    }

    /// A whole buffer, for somebody who knows that it will be filled soon.
    pub(crate) fn lease(&self) -> Lease {
        self.shared().collect();
        let id = self.local(|local| local.free.pop());
        let id = id.unwrap_or_else(|| self.adopt(vec![0; self.bytes()].into()));
        self.take(id, self.bytes())
    }

    // The answers' side.

    /// Whether less than a quarter is left.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.local(|local| local.is_short())
    }

    /// An answer names a buffer, in which there are so many bytes. Which one it is to name instead, where the pool is
    /// short of buffers.
    #[inline]
    pub(crate) fn arrived(&self, id: BufferId, count: usize) -> BufferId {
        if self.is_short() { self.make_room(id, count) } else { id }
    }

    #[cold]
    fn make_room(&self, id: BufferId, count: usize) -> BufferId {
        self.shared().collect();
        let copied = self.local(|local| {
            if !local.is_short() || id as usize >= BUFFERS_MAX {
                return None;
            }
            let (there, max) = (local.blocks.len(), self.max());
            if there < max {
                local.grow(self.shared, there.min(max - there));
                return None;
            }
            // SAFETY: it lives as long as the pool, the kernel has written that many bytes, and nobody has them yet.
            let bytes =
                unsafe { std::slice::from_raw_parts(local.blocks[id as usize].as_ref().bytes, count) };
            let own = Own::new(bytes.into());
            local.copied += 1;
            local.free.push(id);
            Some(local.keep(own))
        });
        copied.unwrap_or(id)
    }

    /// Gives bytes a name, for an answer.
    pub(crate) fn adopt(&self, bytes: Box<[u8]>) -> BufferId {
        self.local(|local| local.keep(Own::new(bytes)))
    }

    /// What an answer names, of which the first `count` bytes came.
    #[inline]
    pub(crate) fn take(&self, id: BufferId, count: usize) -> Lease {
        let block = self.local(|local| match id as usize {
            id if id < BUFFERS_MAX => local.blocks[id],
            id => NonNull::from(Box::leak(local.own.remove(id - BUFFERS_MAX))).cast::<Block>(),
        });
        // SAFETY: nobody else has it: an answer is taken once. All its bytes are initialised.
        unsafe {
            block.as_ref().leases.store(1, Ordering::Relaxed);
            debug_assert!(count <= self.bytes() || id as usize >= BUFFERS_MAX);
            Lease::new(block, block.as_ref().bytes, count)
        }
    }

    /// Nobody wants what an answer names.
    pub(crate) fn recycle(&self, id: BufferId) {
        drop(self.take(id, 0));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let out = self.local(|local| local.out());
        let nobody_left = {
            let shared = self.shared();
            let mut away = shared.lock();
            shared.home.store(0, Ordering::Relaxed);
            let left = out - away.returned.len();
            away.left = Some(left);
            left == 0
        };
        if nobody_left {
            // SAFETY: no lease is left, and this was the pool.
            drop(unsafe { Box::from_raw(self.shared.as_ptr()) });
        }
    }
}

// The dice come with the simulation.
#[cfg(all(test, feature = "sim", not(annulus_loom)))]
mod tests;
