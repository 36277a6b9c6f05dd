//! What tasks share with other threads, in each order in which it could happen: run by loom, see CONTRIBUTING.md.
//!
//! [`counts`]: each task is freed once, by the last. [`wakes`]: none is lost, asleep or not, and who rings finds a bell.
//!
//! Shared are a task's count of wakers and its `posted` flag, the inbox, and who sleeps and who rings. Joins are not:
//! a `JoinHandle` is not `Send`, and a task's state, references and result are its own thread's.
//!
//! What loom does not show, 0.7.3:
//! - `compare_exchange_weak` that fails for no reason. The loop in `post` would go round once more.
//! - Loads that see what is stored later, and changes that see any but the last value: so `take` may take without
//!   Acquire and `post` may set `posted` without it, and nothing fails.
//! - Fences of sequential consistency order a little more than the language promises.
//! - That nothing comes between the two halves of a swap, when it is not itself in order with other stores. If `call`
//!   swapped `parked`, loom would find a false of a swap that found false behind a later `park`, and a sleep without
//!   end that no machine has. So it exchanges, and stores nothing where it finds nothing.
//!
//! Executors are not made the current ones here, for loom's threads are all on one of the system's: so each wake goes
//! through the inbox, the owner's too.
#![allow(unsafe_code)]

mod counts;
mod wakes;

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::{Condvar, Mutex};

use super::header::{Birth, Header, TaskPointer, TaskRef, VTable};
use super::{Doorbell, Executor, Hooks, Inbox, JoinHandle, Plan, waker};
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use crate::sys::sync::thread;

/// Runs a model. Threads are broken off at most so many times in one run of it: what needs more is rare, and with
/// each one more there are about ten times as many runs.
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(model);
}

/// A task whose memory is watched. It is not freed when the task says so, but here, so that what touches it in between
/// is seen: from another thread by loom, from the same by `GONE`.
#[repr(C)]
struct Watched {
    header: Header,
    /// What whoever has a waker may look at, as a waker's code looks at the header.
    bytes: UnsafeCell<()>,
    freed: Cell<usize>,
    poll: Box<dyn Fn() -> bool>,
}

const GONE: usize = usize::MAX / 2;

static TABLE: VTable = VTable {
    poll: |task| (watched(task).poll)(),
    cancel: |_| {},
    take: |_, _| unreachable!("nobody joins"),
    discard: |_| None,
    #[cfg(feature = "tracing")]
    size: 0,
    free: |task| {
        let watched = watched(task);
        watched.freed.set(watched.freed.get() + 1);
        // Whatever any thread did to the task must have happened before.
        watched.bytes.with_mut(|_| ());
        // SAFETY: the last one has let go, or loom says that it has not.
        unsafe {
            (*task.as_ptr()).posted_next.with_mut(|_| ());
            (*task.as_ptr()).escaped.with_mut(|escaped| *escaped = GONE);
            (*task.as_ptr()).posted.unsync_load();
        }
    },
};

fn watched<'a>(task: TaskPointer) -> &'a Watched {
    // SAFETY: made by `Task::new`, which frees it after everybody who might ask has ended.
    unsafe { task.cast::<Watched>().as_ref() }
}

/// Owns the memory of a watched task.
struct Task(TaskPointer);

impl Task {
    /// A task, and the one reference to it.
    fn new(birth: Birth, poll: impl Fn() -> bool + 'static) -> (Task, TaskRef) {
        let task = Box::new(Watched {
            header: Header::new(&TABLE, 0, birth),
            bytes: UnsafeCell::new(()),
            freed: Cell::new(0),
            poll: Box::new(poll),
        });
        let task = NonNull::from(Box::leak(task)).cast::<Header>();
        // SAFETY: a new header with its one reference, and loom's threads are all on this one.
        (Task(task), unsafe { TaskRef::from_raw(task) })
    }

    fn spawn(executor: &Executor, poll: impl Fn() -> bool + 'static) -> (Task, JoinHandle<()>) {
        let plan = Plan::at(Location::caller());
        let (task, reference) = Task::new(executor.birth(&plan), poll);
        // SAFETY: nobody takes the output.
        (task, unsafe { executor.adopt(reference, plan.extra) })
    }

    /// A waker, as a clone of the one that a poll is lent.
    fn waker(&self) -> Waker {
        // SAFETY: the pointer is a header, as the waker's functions expect; being forgotten, it gives nothing back.
        let lent = ManuallyDrop::new(unsafe { Waker::from_raw(waker::raw(self.0)) });
        Waker::clone(&lent)
    }

    /// Another thread with a waker of this task.
    fn woken_by(&self, work: impl FnOnce(Waker) + 'static) -> thread::JoinHandle<()> {
        let (task, waker) = (self.0, self.waker());
        thread::spawn(move || {
            watched(task).bytes.with(|_| ());
            work(waker);
        })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert_eq!(watched(self.0).freed.get(), 1, "freed once");
        // SAFETY: every thread has ended.
        let mut task = unsafe { Box::from_raw(self.0.cast::<Watched>().as_ptr()) };
        task.header.escaped.with_mut(|escaped| assert_eq!(*escaped, GONE, "counted after it was freed"));
    }
}

/// What a loop sleeps by, as an event counter: a ring before the sleep ends it at once.
pub(crate) struct Bell {
    rung: Mutex<bool>,
    came: Condvar,
    /// Written when the descriptor is closed: whoever rings must have been before.
    open: UnsafeCell<()>,
}

// SAFETY: loom's threads are all on one of the system's; and it sees to it that `open` is not read while it is written.
unsafe impl Send for Bell {}
// SAFETY: as above.
unsafe impl Sync for Bell {}

impl Bell {
    pub(crate) fn new() -> Bell {
        Bell { rung: Mutex::new(false), came: Condvar::new(), open: UnsafeCell::new(()) }
    }

    pub(crate) fn of(inbox: &'static Inbox) -> Arc<Bell> {
        let bell = Arc::new(Bell::new());
        inbox.set_doorbell(Some(Arc::clone(&bell) as Arc<dyn Doorbell>));
        bell
    }

    pub(crate) fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !std::mem::take(&mut *rung) {
            rung = self.came.wait(rung).unwrap();
        }
    }

    /// From now on nobody may ring.
    pub(crate) fn close(&self) {
        self.open.with_mut(|_| ());
    }
}

impl Doorbell for Bell {
    fn ring(&self) {
        self.open.with(|_| ());
        *self.rung.lock().unwrap() = true;
        self.came.notify_one();
    }
}

/// Polls what is ready, those that others woke too.
fn run(executor: &Executor) {
    executor.take_inbox();
    while executor.poll_next() {}
}

/// Polls until `done`, and sleeps while there is nothing to poll, as `Port::wait` does.
fn run_until(executor: &Executor, bell: &Bell, done: impl Fn() -> bool) {
    loop {
        run(executor);
        if done() {
            return;
        }
        executor.inbox().park();
        if executor.inbox().is_empty() {
            bell.sleep();
        }
        executor.inbox().unpark();
    }
}

/// Facts that are told by nothing but the wakes after them: a poll that no wake happens before need not see them.
#[derive(Clone)]
struct Facts(Arc<Vec<AtomicBool>>);

impl Facts {
    fn new(count: usize) -> Facts {
        Facts(Arc::new((0..count).map(|_| AtomicBool::new(false)).collect()))
    }

    fn tell(&self, number: usize) {
        self.0[number].store(true, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.0.iter().filter(|fact| fact.load(Ordering::Relaxed)).count()
    }

    /// A future that counts them at each poll, is ready when `enough` are known, and what the last poll counted.
    fn awaited(&self, enough: usize) -> (impl Fn() -> bool + use<>, Rc<Cell<usize>>) {
        let (facts, known) = (self.clone(), Rc::new(Cell::new(0)));
        let last = Rc::clone(&known);
        let poll = move || {
            known.set(facts.count());
            known.get() >= enough
        };
        (poll, last)
    }
}

const NEVER: usize = usize::MAX;
