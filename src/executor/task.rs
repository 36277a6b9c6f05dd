//! A task's memory: the header, then its future, and in the same place later its result.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use super::header::{Birth, Header, TaskPointer, TaskRef, VTable};
use super::hooks::drop_unheard;
use super::join::JoinError;
use super::{Executor, spare, waker, with_current};

/// What tells one task of a process from all others. Never used twice.
///
/// # Examples
/// As [`JoinSet::join_next_with_id`](crate::task::JoinSet::join_next_with_id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(super) u64);

impl Id {
    /// The number that it is shown as.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// Of what somebody says is one: there may be no task of it.
    #[cfg(feature = "inspect")]
    pub(crate) fn of_number(number: u64) -> Id {
        Id(number)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Ids are handed out to threads in blocks, so that a spawn costs no atomic operation.
pub(super) fn next_id() -> u64 {
    const BLOCK: u64 = 1024;
    static BLOCKS: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NEXT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    NEXT.with(|next| {
        let id = match next.get() {
            used_up if used_up % BLOCK == 0 => BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK,
            id => id,
        };
        next.set(id + 1);
        // Counted from one, for people.
        id + 1
    })
}

enum Stage<F: Future> {
    Future(F),
    Result(Result<F::Output, JoinError>),
    Nothing,
}

#[repr(C)]
struct Task<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// Makes a task with one reference. The future is pinned by being here, and dropped here.
///
/// # Safety
/// The caller drops the future, by finishing or cancelling the task, before anything that it borrows goes away.
pub(super) unsafe fn allocate<F: Future>(future: F, birth: Birth) -> TaskRef {
    let task = spare::take::<Task<F>>();
    #[cfg(feature = "tracing")]
    let id = birth.id.unwrap_or_else(next_id);
    #[cfg(not(feature = "tracing"))]
    let id = next_id();
    // Each to its place: put together first, the future would be moved once more.
    // SAFETY: the memory is new, and a task's. Then a new header, on this thread, with its one reference.
    unsafe {
        (&raw mut (*task.as_ptr()).header).write(Header::new(&Table::<F>::TABLE, id, birth));
        (&raw mut (*task.as_ptr()).stage).write(UnsafeCell::new(Stage::Future(future)));
        TaskRef::from_raw(task.cast())
    }
}

struct Table<F>(F);

impl<F: Future> Table<F> {
    const TABLE: VTable = VTable {
        poll: poll::<F>,
        cancel: cancel::<F>,
        take: take::<F>,
        discard: discard::<F>,
        #[cfg(feature = "tracing")]
        size: size_of::<F>(),
        free: free::<F>,
    };
}

/// # Safety
/// `task` was made by `allocate::<F>`, and no other reference to its stage is in use.
unsafe fn stage<'a, F: Future>(task: TaskPointer) -> &'a mut Stage<F> {
    // SAFETY: the header is the first field (`repr(C)`), and the pointer came from the whole box.
    unsafe { &mut *task.cast::<Task<F>>().as_ref().stage.get() }
}

/// # Safety
/// As `VTable::poll`: on the task's thread, the future present and not running already.
unsafe fn poll<F: Future>(task: TaskPointer) -> bool {
    // No count: the waker is lent for the time of the poll, during which the caller's reference holds the task.
    // SAFETY: the pointer is a header, as the waker's functions expect; being forgotten, it gives nothing back.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(waker::raw(task)) });
    let polled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the stage is ours while the state says RUNNING.
        let Stage::Future(future) = (unsafe { stage::<F>(task) }) else {
            unreachable!("a finished task is not polled")
        };
        // SAFETY: the future never moves: it is dropped where it was put.
        unsafe { Pin::new_unchecked(future) }.poll(&mut Context::from_waker(&waker))
    }));
    let result = match polled {
        Ok(Poll::Pending) => return false,
        Ok(Poll::Ready(output)) => Ok(output),
        Err(panic) => {
            with_current(Executor::panicked);
            Err(JoinError::Panicked(panic))
        }
    };
    // SAFETY: as above; the future has returned.
    unsafe { replace::<F>(task, result) };
    true
}

/// Drops the future and stores a result; a panic of the drop becomes the result.
///
/// # Safety
/// On the task's thread, the future not running.
unsafe fn replace<F: Future>(task: TaskPointer, result: Result<F::Output, JoinError>) {
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's promise. The drop may wake or abort this very task: that touches the header alone.
        unsafe { *stage::<F>(task) = Stage::Nothing };
    }));
    let result = match dropped {
        Ok(()) => result,
        Err(panic) => {
            // One panic is told. Another, of what the future gave, would leave a task that neither runs nor has ended.
            drop_unheard(result);
            Err(JoinError::Panicked(panic))
        }
    };
    // SAFETY: as above.
    unsafe { *stage::<F>(task) = Stage::Result(result) };
}

unsafe fn cancel<F: Future>(task: TaskPointer) {
    // SAFETY: `VTable::cancel`: on the task's thread, the future present and not running.
    unsafe { replace::<F>(task, Err(JoinError::Cancelled)) };
}

unsafe fn take<F: Future>(task: TaskPointer, place: *mut ()) {
    // SAFETY: `VTable::take`: on the task's thread, with a result stored.
    let stage = std::mem::replace(unsafe { stage::<F>(task) }, Stage::Nothing);
    if let Stage::Result(result) = stage {
        // SAFETY: `place` is of this type by the caller's promise.
        unsafe { *place.cast::<Option<Result<F::Output, JoinError>>>() = Some(result) };
    }
}

unsafe fn discard<F: Future>(task: TaskPointer) -> Option<Box<dyn Any + Send>> {
    // SAFETY: `VTable::discard`: on the task's thread, with a result stored.
    match std::mem::replace(unsafe { stage::<F>(task) }, Stage::Nothing) {
        Stage::Result(Err(JoinError::Panicked(payload))) => Some(payload),
        // A result that panics when dropped is a panic like another.
        result => catch_unwind(AssertUnwindSafe(|| drop(result))).err(),
    }
}

unsafe fn free<F: Future>(task: TaskPointer) {
    // The stage is empty, so dropping the box runs nobody's code and any thread may do it.
    // SAFETY: `VTable::free`: nothing refers to the task any more.
    unsafe {
        std::ptr::drop_in_place(task.cast::<Task<F>>().as_ptr());
        spare::give_back(task.cast::<Task<F>>());
    }
}
