//! The part of a task that is the same whatever its future is, and the references that own it.
//!
//! Two counts keep the memory: `references`, a plain cell for the owner's thread, and `escaped`, an atomic
//! word of twice the wakers that left plus one for the owner. When `references` reaches zero the owner has
//! nothing left; it frees the memory if no waker is out, and otherwise leaves that to the last waker. The
//! future and its output are dropped on the owner's thread before that, always: whoever frees, frees bytes.
#![allow(unsafe_code)]

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;

use super::current::RuntimeId;
use super::inbox::Inbox;
use super::queue::Priority;
use super::state::State;
use super::waiter::Waiter;
use crate::sys::sync::Cell;
use crate::sys::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

/// What differs from one future's type to another.
pub(super) struct VTable {
    /// Polls the future; true when it finished, its result then being stored.
    pub(super) poll: unsafe fn(NonNull<Header>) -> bool,
    /// Drops the future and stores `Cancelled` as its result.
    pub(super) cancel: unsafe fn(NonNull<Header>),
    /// Moves the result to the place given, an `Option<Result<T, JoinError>>`.
    pub(super) take: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the result; a panic that was the result is given back.
    pub(super) discard: unsafe fn(NonNull<Header>) -> Option<Box<dyn Any + Send>>,
    /// How large the future is, in bytes.
    #[cfg(feature = "tracing")]
    pub(super) size: usize,
    /// Frees the memory of a task whose future and result are gone. Any thread may.
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// Two lines of the cache, asserted below: what scheduling needs, and what is told to those who look.
#[repr(C)]
pub(crate) struct Header {
    // Read by any thread, written once.
    vtable: &'static VTable,
    pub(super) runtime: RuntimeId,
    pub(super) inbox: &'static Inbox,
    pub(super) id: u64,
    pub(super) spawned_at: &'static Location<'static>,
    /// By the executor's time.
    pub(super) spawned_when: u64,
    // Shared.
    pub(super) escaped: AtomicUsize,
    /// Next in the inbox, for whoever holds the inbox's list.
    pub(super) posted_next: AtomicPtr<Header>,
    /// The number of its span, for any thread; 0 if nobody looks. Set before there is a waker.
    #[cfg(feature = "tracing")]
    pub(super) span: std::sync::atomic::AtomicU64,
    /// Whether the task is in the inbox.
    pub(super) posted: AtomicBool,
    // The owner's thread alone.
    pub(super) priority: Priority,
    state: State,
    references: Cell<u32>,
    pub(super) ready_next: Cell<Option<TaskPointer>>,
    pub(super) live_before: Cell<Option<TaskPointer>>,
    pub(super) live_after: Cell<Option<TaskPointer>>,
    joiner: Cell<Option<Waiter>>,
    pub(super) polls: Cell<u64>,
    /// How long its polls took, in nanoseconds, as far as they are known.
    pub(super) busy: Cell<u64>,
}

const ROOM: usize = if cfg!(feature = "tracing") { 136 } else { 128 };
const _: () = assert!(size_of::<Header>() <= ROOM || cfg!(all(test, annulus_loom)));

/// Where a task comes from.
#[derive(Clone, Copy)]
pub(super) struct Birth {
    pub(super) runtime: RuntimeId,
    pub(super) inbox: &'static Inbox,
    pub(super) spawned_at: &'static Location<'static>,
    pub(super) spawned_when: u64,
    pub(super) priority: Priority,
    /// Its number, if that was taken before.
    #[cfg(feature = "tracing")]
    pub(super) id: Option<u64>,
}

/// The owner's unit in `escaped`; a waker counts two.
const OWNER: usize = 1;
const WAKER: usize = 2;

pub(super) type TaskPointer = NonNull<Header>;

impl Header {
    /// A header with one reference, which the caller owns.
    #[inline]
    pub(super) fn new(vtable: &'static VTable, id: u64, birth: Birth) -> Header {
        let Birth { runtime, inbox, spawned_at, spawned_when, priority, .. } = birth;
        Header {
            vtable,
            runtime,
            inbox,
            id,
            spawned_at,
            spawned_when,
            priority,
            escaped: AtomicUsize::new(OWNER),
            posted_next: AtomicPtr::new(std::ptr::null_mut()),
            posted: AtomicBool::new(false),
            #[cfg(feature = "tracing")]
            span: Default::default(),
            state: State::new(),
            references: Cell::new(1),
            ready_next: Cell::new(None),
            live_before: Cell::new(None),
            live_after: Cell::new(None),
            joiner: Cell::new(None),
            polls: Cell::new(0),
            busy: Cell::new(0),
        }
    }

    /// How large the future is, in bytes.
    #[cfg(feature = "tracing")]
    pub(super) fn size(&self) -> usize {
        self.vtable.size
    }

    /// One more waker is out. Any thread may say so that holds one, or that polls the task.
    pub(super) fn escape(&self) {
        // As with Arc: a new reference is made from one that is held, so nothing needs ordering.
        self.escaped.fetch_add(WAKER, Ordering::Relaxed);
    }

    /// One waker less; the last one frees the memory if the owner has let go.
    ///
    /// # Safety
    /// The caller owns one waker's count, and does not use `task` afterwards.
    pub(super) unsafe fn unescape(task: TaskPointer) {
        // SAFETY: the caller's count keeps the memory until this line.
        let header = unsafe { task.as_ref() };
        // Release, so that what this waker did to the task happens before the memory is freed by another.
        if header.escaped.fetch_sub(WAKER, Ordering::Release) == WAKER {
            fence(Ordering::Acquire);
            let free = header.vtable.free;
            // SAFETY: the owner's unit is gone, so future and result are; this was the last waker.
            unsafe { free(task) };
        }
    }
}

/// One owning reference on the thread that the task lives on. Not `Send`: the count is a plain cell.
pub(crate) struct TaskRef {
    task: TaskPointer,
    local: PhantomData<*mut ()>,
}

impl TaskRef {
    /// # Safety
    /// `task` is a live header, the caller is on its thread, and gives away one unit of `references`.
    #[inline]
    pub(super) unsafe fn from_raw(task: TaskPointer) -> TaskRef {
        TaskRef { task, local: PhantomData }
    }

    /// Gives away the reference's unit of the count.
    #[inline]
    pub(super) fn into_raw(self) -> TaskPointer {
        let task = self.task;
        std::mem::forget(self);
        task
    }

    /// # Safety
    /// `task` is a header whose memory is held, whose `references` are not zero, and the caller is on its thread.
    #[inline]
    pub(super) unsafe fn share(task: TaskPointer) -> TaskRef {
        // SAFETY: held by the caller.
        let references = unsafe { &task.as_ref().references };
        references.set(references.get() + 1);
        TaskRef { task, local: PhantomData }
    }

    #[inline]
    pub(super) fn pointer(&self) -> TaskPointer {
        self.task
    }

    #[inline]
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Polls the future; true when it finished.
    pub(super) fn poll(&self) -> bool {
        // SAFETY: we are on the task's thread (`!Send`), and the state says RUNNING, so nobody else polls or drops.
        unsafe { (self.vtable.poll)(self.task) }
    }

    /// Drops the future, which is not running, and stores `Cancelled`.
    pub(super) fn cancel(&self) {
        // SAFETY: on the task's thread, the future is neither running (the caller's promise, kept by `State`) nor gone.
        unsafe { (self.vtable.cancel)(self.task) }
    }

    /// The future is gone: says so, drops a result that nobody wants, wakes who waits for it.
    pub(super) fn settle(&self) {
        if self.state.complete() {
            self.discard_output();
        }
        if let Some(joiner) = self.joiner.take() {
            joiner.wake();
        }
    }

    /// Takes the result, if there is one, into `place`.
    ///
    /// # Safety
    /// `place` is an `Option<Result<T, JoinError>>` where `T` is the output of the task's future.
    pub(super) unsafe fn take_output(&self, place: *mut ()) {
        if self.state.take_output() {
            // SAFETY: on the task's thread; a result is stored and the caller vouches for its type.
            unsafe { (self.vtable.take)(self.task, place) }
        }
    }

    /// Drops a result that nobody wants. A panic is told.
    pub(super) fn discard_output(&self) {
        if self.state.take_output() {
            // SAFETY: on the task's thread; a result is stored.
            let panic = unsafe { (self.vtable.discard)(self.task) };
            if let Some(payload) = panic {
                super::hooks::tell_of_panic(self, payload);
            }
        }
    }

    /// The task that is woken when this one finishes, if it is one of this loop.
    pub(super) fn joined_by(&self) -> Option<u64> {
        let joiner = self.joiner.take();
        let task = joiner.as_ref().and_then(Waiter::task_id);
        self.joiner.set(joiner);
        task
    }

    /// Who is woken when the task finishes; the last to say so.
    pub(super) fn set_joiner(&self, joiner: Option<Waiter>) {
        // The one before may be somebody else's waker, whose drop may do anything: not while the cell is in use.
        let before = self.joiner.replace(joiner);
        drop(before);
    }
}

impl Deref for TaskRef {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: this reference's unit keeps the memory.
        unsafe { self.task.as_ref() }
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> TaskRef {
        // SAFETY: `self` holds the memory and is on its thread.
        unsafe { TaskRef::share(self.task) }
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        let left = self.references.get() - 1;
        self.references.set(left);
        if left == 0 {
            // SAFETY: that was the last reference, and its memory is not used after this.
            unsafe { let_go(self.task) };
        }
    }
}

/// The owner's thread has nothing left of a task. Not a part of the drop, which is inlined wherever something waits.
///
/// # Safety
/// The caller is on the task's thread, where no reference is left, and does not use `task` afterwards.
#[inline(never)]
unsafe fn let_go(task: TaskPointer) {
    // SAFETY: the owner's unit keeps the memory until it is given back below.
    let header = unsafe { task.as_ref() };
    // The live list holds a reference until the future is gone, the handle until the result and the joiner are:
    // nothing is left but the memory.
    let free = header.vtable.free;
    // Exactly the owner's unit: no waker is out, and none can be made without one or a poll. Acquire pairs
    // with the Release of the wakers that were.
    let last = header.escaped.load(Ordering::Acquire) == OWNER
        || header.escaped.fetch_sub(OWNER, Ordering::AcqRel) == OWNER;
    if last {
        // SAFETY: no reference and no waker is left, and neither future nor result.
        unsafe { free(task) };
    }
}
