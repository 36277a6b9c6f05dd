//! A value that any thread may hold and only the one that made it may use.
//!
//! Dropped on its own thread it is dropped there and then. Dropped elsewhere it is mailed home: a job of the loop on whose thread it
//! was made drops it. Where that loop has ended, nobody may run the destructor any more: the value is leaked, and counted.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ThreadId};

use super::{Engine, Job, Jobs};

/// How many values the process has leaked.
static LEAKED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn leaked() -> u64 {
    LEAKED.load(Ordering::Relaxed)
}

/// The calling thread. To ask std costs a count that threads share, and this is asked at each use.
#[inline]
pub(crate) fn here() -> ThreadId {
    thread_local! {
        // No destructor, so that it can be asked while the thread ends.
        static HERE: Cell<Option<ThreadId>> = const { Cell::new(None) };
    }
    HERE.get().unwrap_or_else(|| {
        let here = thread::current().id();
        HERE.set(Some(here));
        here
    })
}

/// The value and the thread that it belongs to. It has a box of its own: what is pinned stays where it is when it goes home.
struct Parcel<T: 'static> {
    value: ManuallyDrop<Pin<Box<T>>>,
    thread: ThreadId,
}

// SAFETY: the value is read, written, moved out and dropped only where `is_here` holds, which is the thread that made it; a
// `ThreadId` is never used twice. All that another thread does is to move the pointer, or to forget it. `T` outlives
// everybody (`'static`), so it may wait for its thread as long as it takes.
unsafe impl<T: 'static> Send for Parcel<T> {}
// SAFETY: as above. A shared parcel shows another thread the `ThreadId` alone.
unsafe impl<T: 'static> Sync for Parcel<T> {}

impl<T> Parcel<T> {
    #[inline]
    fn is_here(&self) -> bool {
        self.thread == here()
    }
}

impl<T> Drop for Parcel<T> {
    fn drop(&mut self) {
        if !self.is_here() {
            LEAKED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // SAFETY: once, for this is the end of the parcel, and who takes the value out forgets the parcel.
        unsafe { ManuallyDrop::drop(&mut self.value) };
    }
}

/// A value with the way home.
pub(crate) struct Homed<T: 'static> {
    parcel: ManuallyDrop<Parcel<T>>,
    home: Arc<Jobs>,
}

impl<T> Homed<T> {
    pub(crate) fn new(value: T, engine: &Engine) -> Homed<T> {
        let parcel = Parcel { value: ManuallyDrop::new(Box::pin(value)), thread: here() };
        Homed { parcel: ManuallyDrop::new(parcel), home: Arc::clone(engine.jobs()) }
    }

    /// The thread that made it.
    pub(crate) fn thread(&self) -> ThreadId {
        self.parcel.thread
    }

    /// Whether the calling thread made it.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.parcel.is_here()
    }

    /// The value, on its thread.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        self.is_here().then(|| &**self.parcel.value)
    }

    /// The value, on its thread. It is pinned: it does not move, whoever holds this.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Option<Pin<&mut T>> {
        self.is_here().then(|| self.parcel.value.as_mut())
    }

    /// The value itself, on its thread.
    pub(crate) fn into_inner(self) -> Result<T, Homed<T>>
    where
        T: Unpin,
    {
        if !self.is_here() {
            return Err(self);
        }
        let mut this = ManuallyDrop::new(self);
        // SAFETY: both are used no more: `this` is never dropped.
        let (value, home) =
            unsafe { (ManuallyDrop::take(&mut this.parcel.value), std::ptr::read(&raw const this.home)) };
        drop(home);
        Ok(*Pin::into_inner(value))
    }
}

impl<T> Drop for Homed<T> {
    fn drop(&mut self) {
        // SAFETY: once, and it is used no more.
        let parcel = unsafe { ManuallyDrop::take(&mut self.parcel) };
        if parcel.is_here() {
            return drop(parcel);
        }
        // Run, it drops the parcel at home. Stopped it does so as well if the loop itself ends, and leaks it if that has ended before.
        self.home.push(Job::new(move |_| drop(parcel)));
    }
}
