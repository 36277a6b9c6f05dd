//! What each shard has to do, as far as the others can see.
//!
//! Estimates, by which nobody finds anything else: relaxed, and a look may be late. Each change is one step, so none is lost; and a thread
//! that is asked for its time as it ends has none, which is a number that is not known.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use crate::sys;

/// What one shard has to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Load(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    /// The kernel's number of its thread; 0 while there is none.
    thread: AtomicI32,
}

/// A connection that counts as its shard's for as long as this lives.
#[derive(Debug)]
pub(crate) struct Counted(Load);

impl Load {
    pub(super) fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// One more.
    pub(super) fn count(&self) -> Counted {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    /// What its thread took of a processor so far. None where that is not known.
    pub(super) fn thread_time(&self) -> Option<Duration> {
        match self.0.thread.load(Ordering::Relaxed) {
            0 => None,
            thread => sys::affinity::thread_time(thread).ok(),
        }
    }

    /// The calling thread is the shard's, or was.
    pub(super) fn set_thread(&self, thread: Option<i32>) {
        self.0.thread.store(thread.unwrap_or(0), Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
