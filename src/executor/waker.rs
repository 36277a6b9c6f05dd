//! The waker of a task. Any thread may clone, wake and drop it, also after its runtime has ended.
//!
//! On the task's own loop a wake links the task into the ready queue. From anywhere else the task goes to its
//! runtime's inbox. Ours are recognised by the address of the one vtable below; together with the runtime's
//! id, which is never used twice, that says that the task is of this loop.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::current::with_current;
use super::header::{Header, TaskPointer, TaskRef};
#[cfg(feature = "tracing")]
use super::traced;

/// One for all tasks, whatever their futures, so that its address identifies our wakers.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

pub(super) fn raw(task: TaskPointer) -> RawWaker {
    RawWaker::new(task.as_ptr().cast_const().cast(), &VTABLE)
}

/// The task behind a waker, if it is one of the loop that runs now.
#[inline]
pub(super) fn own_task(waker: &Waker) -> Option<TaskRef> {
    if !is_a_task(waker) {
        return None;
    }
    let task = pointer(waker.data());
    // SAFETY: the waker holds the memory.
    let header = unsafe { task.as_ref() };
    with_current(|executor| {
        if executor.id() != header.runtime {
            return None;
        }
        // SAFETY: the ids are equal, so this is the task's thread; while it has not finished, the live list holds a
        // reference. A finished one's waker is stale, and nobody's.
        unsafe { (!is_complete(task)).then(|| TaskRef::share(task)) }
    })
    .flatten()
}

/// Whether a waker is of a task, of whichever loop.
#[inline]
pub(super) fn is_a_task(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &VTABLE)
}

/// Whether a waker is of a task of the loop that runs now.
#[inline]
pub(super) fn is_own(waker: &Waker) -> bool {
    own_task(waker).is_some()
}

/// Whether the future is gone.
///
/// # Safety
/// The memory is held and the caller is on the task's thread.
#[inline]
unsafe fn is_complete(task: TaskPointer) -> bool {
    // SAFETY: both promised; `state` is a plain cell of the owner's thread. A reference made of a pointer
    // without touching the count must not be dropped.
    let task = std::mem::ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    task.state().is_complete()
}

#[inline]
fn pointer(data: *const ()) -> TaskPointer {
    NonNull::new(data.cast_mut().cast::<Header>()).expect("a waker's task is never null")
}

/// Makes the task ready, wherever we are.
///
/// # Safety
/// The memory of the task is held by the caller.
#[inline]
unsafe fn make_ready(task: TaskPointer) {
    // SAFETY: held by the caller.
    let header = unsafe { task.as_ref() };
    let here = with_current(|executor| {
        if executor.id() != header.runtime {
            return false;
        }
        // SAFETY: equal ids: the task's thread. Not complete: the live list holds a reference.
        let task = unsafe { (!is_complete(task)).then(|| TaskRef::share(task)) };
        task.into_iter().for_each(|task| executor.schedule(task));
        true
    });
    if here != Some(true) {
        // SAFETY: held by the caller.
        unsafe { post(task) };
    }
}

/// Puts the task into its runtime's inbox, unless it is there.
///
/// # Safety
/// The memory of the task is held by the caller.
pub(super) unsafe fn post(task: TaskPointer) {
    // SAFETY: held by the caller.
    let header = unsafe { task.as_ref() };
    // AcqRel: a wake that finds the task posted must be seen by the poll that follows the posting, so what
    // was written before this wake happens before the owner clears the flag, and so before that poll.
    if header.posted.swap(true, Ordering::AcqRel) {
        return;
    }
    header.escape();
    if !header.inbox.post(task) {
        // The runtime has ended. The flag stays set, so that later wakes stop above.
        // SAFETY: the count that was just made for the inbox; the caller's still holds the memory.
        unsafe { Header::unescape(task) };
    }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    let task = pointer(data);
    #[cfg(feature = "tracing")]
    // SAFETY: as below.
    traced::tell(unsafe { task.as_ref() }, traced::CLONE);
    // SAFETY: the waker that is cloned holds the memory.
    unsafe { task.as_ref() }.escape();
    raw(task)
}

unsafe fn wake(data: *const ()) {
    let task = pointer(data);
    #[cfg(feature = "tracing")]
    // SAFETY: the waker's own count holds the memory.
    traced::tell(unsafe { task.as_ref() }, traced::WAKE);
    // SAFETY: the waker's own count holds the memory, and is then given back.
    unsafe {
        make_ready(task);
        Header::unescape(task);
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    #[cfg(feature = "tracing")]
    // SAFETY: the waker holds the memory.
    traced::tell(unsafe { pointer(data).as_ref() }, traced::BY_REF);
    // SAFETY: the waker holds the memory.
    unsafe { make_ready(pointer(data)) };
}

unsafe fn release(data: *const ()) {
    #[cfg(feature = "tracing")]
    // SAFETY: the waker's own count holds the memory until it is given back.
    traced::tell(unsafe { pointer(data).as_ref() }, traced::DROP);
    // SAFETY: the waker's own count is given back.
    unsafe { Header::unescape(pointer(data)) };
}
