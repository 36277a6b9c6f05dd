//! What other threads have a loop do: closures in the order in which they came, and one task of the loop that runs them.
//!
//! All of it is made when a loop is first asked for it, so that a loop that nobody reaches pays nothing. A lock guards
//! the queue and another each job: nothing rests on an order of memory. Neither is held while a closure runs, is
//! dropped, or somebody is woken (I5). Every job has an end: it runs, it is stopped, or the loop ends before.

mod job;
#[cfg(all(test, annulus_loom))]
mod models;

pub(crate) use job::{Job, Outcome};

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use super::{Engine, give_way, has_turn};
use crate::driver::forks;
use crate::executor::Plan;
use crate::sys::sync::{Mutex, MutexGuard};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while these are held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs somebody's code whose panic is to hurt nobody else. The panic hook has told it.
fn apart(code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(code)) {
        // Its destructor is somebody's code as well.
        std::mem::forget(panic);
    }
}

/// The queue of one loop.
pub(crate) struct Jobs {
    queue: Mutex<Queue>,
    /// The loop's thread.
    thread: ThreadId,
    /// What `forks` said in the loop's process.
    forks: u32,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Arc<Job>>,
    /// The attendant's, while it waits.
    attendant: Option<Waker>,
    /// The loop has ended.
    is_closed: bool,
}

impl Jobs {
    /// A queue, and the attendant that serves it on the loop.
    pub(super) fn start(engine: &Engine) -> Arc<Jobs> {
        let (jobs, attendant) = Jobs::new();
        // Where the loop ends already, it is dropped at once, and closes the queue.
        drop(engine.executor.spawn(attendant, Plan::of_the_loop(Location::caller())));
        jobs
    }

    fn new() -> (Arc<Jobs>, Attendant) {
        let jobs = Arc::new(Jobs { queue: Mutex::default(), thread: thread::current().id(), forks: forks() });
        let attendant = Attendant { jobs: Arc::clone(&jobs), taken: VecDeque::new() };
        (jobs, attendant)
    }

    /// Whether the loop has ended, or is that of this process's parent.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_left_behind() || lock(&self.queue).is_closed
    }

    /// Whether this is a forked child's copy. Its locks may be held by threads that the child does not have.
    pub(crate) fn is_left_behind(&self) -> bool {
        self.forks != forks()
    }

    /// Whether nobody but the calling thread can run the loop.
    pub(crate) fn is_here(&self) -> bool {
        self.thread == thread::current().id()
    }

    /// Leaves a job for the loop, and wakes it if it waits. A job that comes too late is stopped.
    pub(crate) fn push(&self, job: Arc<Job>) {
        let attendant = {
            let mut queue = match self.is_left_behind() {
                true => return job.stop(),
                false => lock(&self.queue),
            };
            if queue.is_closed {
                drop(queue);
                return job.stop();
            }
            queue.jobs.push_back(job);
            queue.attendant.take()
        };
        if let Some(attendant) = attendant {
            attendant.wake();
        }
    }

    /// Gives all that has come, in exchange for what is empty. When nothing has, `waker` is told of the next.
    fn take(&self, taken: &mut VecDeque<Arc<Job>>, waker: &Waker) {
        /// What a flood needed is not kept for ever.
        const KEPT_MAX: usize = 1024;
        if taken.capacity() > KEPT_MAX {
            *taken = VecDeque::new();
        }
        let mut queue = lock(&self.queue);
        std::mem::swap(&mut queue.jobs, taken);
        if taken.is_empty() {
            // The attendant's own, which is nobody else's code.
            queue.attendant = Some(waker.clone());
        }
    }

    fn close(&self) -> VecDeque<Arc<Job>> {
        let mut queue = lock(&self.queue);
        queue.is_closed = true;
        queue.attendant = None;
        std::mem::take(&mut queue.jobs)
    }
}

/// The task that runs what comes. It spends of its budget for each job (I8), and ends with the loop.
struct Attendant {
    jobs: Arc<Jobs>,
    /// Taken from the queue together and not begun.
    taken: VecDeque<Arc<Job>>,
}

impl Future for Attendant {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Attendant { jobs, taken } = &mut *self;
        loop {
            if taken.is_empty() {
                jobs.take(taken, cx.waker());
            }
            if taken.is_empty() {
                return Poll::Pending;
            }
            if !has_turn() {
                return give_way(cx);
            }
            taken.pop_front().into_iter().for_each(|job| job.run());
        }
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        let queued = self.jobs.close();
        self.taken.drain(..).chain(queued).for_each(|job| apart(|| job.stop()));
    }
}
