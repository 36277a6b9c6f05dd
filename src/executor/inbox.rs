//! Where other threads leave what they woke, and the bell that they ring when the loop is asleep.
//!
//! Inboxes are never freed: wakers outlive their runtime, and a runtime that ends leaves its inbox, closed, to
//! the next one. An entry owns one waker's count of its task. A task says which runtime it is of, so that an
//! entry that comes too late, by a waker of the runtime before, is recognised and dropped.
//!
//! Asleep or not (I7: no wake is lost): a sleeper says `parked`, then looks whether anything came; a waker
//! leaves its entry, then looks whether anybody is parked. Both with a fence of sequential consistency
//! between the two, so at least one of them sees the other.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::{Arc, PoisonError};

use super::RuntimeId;
use super::header::{Header, TaskPointer, TaskRef};
use crate::sys::sync::atomic::{AtomicBool, AtomicPtr, Ordering, fence};
use crate::sys::sync::{Mutex, MutexGuard, shared};

/// What ends a loop's sleep from another thread.
pub(crate) trait Doorbell: Send + Sync {
    fn ring(&self);
}

pub(crate) struct Inbox {
    /// The last entry; from there to the one before. Null when empty, `closed()` when there is no runtime.
    last: AtomicPtr<Header>,
    parked: AtomicBool,
    /// Taken when the runtime ends, under the lock, so that nobody rings a descriptor that was closed.
    doorbell: Mutex<Option<Arc<dyn Doorbell>>>,
}

shared! { static POOL: Mutex<Vec<&'static Inbox>> = Mutex::new(Vec::new()); }

/// An address that no task has.
fn closed() -> *mut Header {
    static MARK: u64 = 0;
    ptr::from_ref(&MARK).cast_mut().cast()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while these are held, and the data would be whole if it did.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inbox {
    /// One that is nobody's, opened.
    pub(super) fn claim() -> &'static Inbox {
        let inbox = lock(&POOL).pop().unwrap_or_else(|| {
            Box::leak(Box::new(Inbox {
                last: AtomicPtr::new(closed()),
                parked: AtomicBool::new(false),
                doorbell: Mutex::new(None),
            }))
        });
        inbox.last.store(ptr::null_mut(), Ordering::Release);
        inbox
    }

    /// Closed, emptied, and left to the next runtime.
    pub(super) fn release(&'static self) {
        self.set_doorbell(None);
        let entries = self.last.swap(closed(), Ordering::AcqRel);
        drop(Entries { next: entries });
        self.parked.store(false, Ordering::Relaxed);
        lock(&POOL).push(self);
    }

    pub(crate) fn set_doorbell(&self, doorbell: Option<Arc<dyn Doorbell>>) {
        *lock(&self.doorbell) = doorbell;
    }

    /// Leaves an entry, whose count of the task becomes the inbox's. False when there is no runtime any more.
    pub(super) fn post(&self, task: TaskPointer) -> bool {
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            if last == closed() {
                return false;
            }
            // SAFETY: the caller's count holds the task.
            unsafe { task.as_ref() }.posted_next.store(last, Ordering::Relaxed);
            // Release: what the waker did before happens before the poll.
            match self.last.compare_exchange_weak(last, task.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => last = now,
            }
        }
        self.call();
        true
    }

    /// Ends the loop's sleep, if it sleeps, after something was left for it.
    pub(crate) fn call(&self) {
        fence(Ordering::SeqCst);
        // Only the first of many rings. Who finds the loop awake stores nothing.
        let wakes = || self.parked.compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed);
        if self.parked.load(Ordering::Relaxed) && wakes().is_ok() {
            if let Some(doorbell) = &*lock(&self.doorbell) {
                doorbell.ring();
            }
        }
    }

    /// Says that the loop is about to sleep. It does so only if, asked after this, nothing has come.
    pub(crate) fn park(&self) {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.last.load(Ordering::Relaxed).is_null()
    }

    /// Says that the loop is awake.
    pub(crate) fn unpark(&self) {
        self.parked.store(false, Ordering::Relaxed);
    }

    /// Takes what was left for the tasks of `runtime`, first come first.
    pub(super) fn take(&self, runtime: RuntimeId) -> impl Iterator<Item = TaskRef> {
        let mut entries = match self.last.load(Ordering::Relaxed) {
            last if last.is_null() => last,
            _ => self.last.swap(ptr::null_mut(), Ordering::Acquire),
        };
        // The list goes from the last to the first; turn it round.
        let mut turned = ptr::null_mut();
        while let Some(task) = NonNull::new(entries) {
            // SAFETY: an entry owns a count of its task.
            let next = unsafe { &task.as_ref().posted_next };
            entries = next.swap(turned, Ordering::Relaxed);
            turned = task.as_ptr();
        }
        let mut entries = Entries { next: turned };
        std::iter::from_fn(move || entries.find_map(|entry| entry.claim(runtime)))
    }
}

/// Entries that were taken out. Those not asked for give their counts back.
struct Entries {
    next: *mut Header,
}

/// One entry: it owns a waker's count of its task.
struct Entry(TaskPointer);

impl Entry {
    /// The task, if it is of `runtime`, whose thread we are on, and has not finished.
    fn claim(self, runtime: RuntimeId) -> Option<TaskRef> {
        // SAFETY: the entry's count holds the memory.
        let header = unsafe { self.0.as_ref() };
        // Before the poll: a wake from now on posts the task again. Acquire, for the wakes that found it posted.
        header.posted.swap(false, Ordering::AcqRel);
        if header.runtime != runtime {
            return None;
        }
        // SAFETY: equal ids: the task's thread. The owner's references may be gone; asking the state needs
        // none, and a task that has not finished has one in the live list.
        unsafe {
            let task = std::mem::ManuallyDrop::new(TaskRef::from_raw(self.0));
            (!task.state().is_complete()).then(|| TaskRef::clone(&task))
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: the entry's own count.
        unsafe { Header::unescape(self.0) };
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let task = NonNull::new(self.next)?;
        // SAFETY: an entry owns a count of its task.
        self.next = unsafe { task.as_ref() }.posted_next.load(Ordering::Relaxed);
        Some(Entry(task))
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        while self.next().is_some() {}
    }
}
