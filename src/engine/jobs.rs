//! What other threads have a loop do: closures in the order in which they came, and one task of the loop that runs them.
//!
//! All of it is made when a loop is first asked for it, so that a loop that nobody reaches pays nothing. A lock guards
//! the queue and another each job: nothing rests on an order of memory. Neither is held while a closure runs, is
//! dropped, or somebody is woken (I5). Every job has an end: it runs, it is stopped, or the loop ends before.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread::{self, ThreadId};

use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::{Engine, give_way, has_turn};
use crate::driver::forks;
use crate::executor::{JoinError, Plan};

/// What becomes of a job.
pub(crate) type Outcome<T> = Result<T, JoinError>;

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
        let jobs = Arc::new(Jobs { queue: Mutex::default(), thread: thread::current().id(), forks: forks() });
        let attendant = Attendant { jobs: Arc::clone(&jobs), taken: VecDeque::new() };
        // Where the loop ends already, it is dropped at once, and closes the queue.
        drop(engine.executor.spawn(attendant, Plan::of_the_loop(Location::caller())));
        jobs
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

/// A closure on its way to the loop, and what its answer stops it by.
pub(crate) struct Job(Mutex<Stage>);

type Begin = Box<dyn FnOnce(&Arc<Job>) + Send>;

enum Stage {
    /// It holds the sender of its answer: dropped, it says that the job was cancelled.
    Queued(Begin),
    /// Begun. If it is a task: who is to look whether it was stopped.
    Begun(Option<Waker>),
    /// Stopped, or done.
    Over,
}

impl Job {
    fn new(begin: impl FnOnce(&Arc<Job>) + Send + 'static) -> Arc<Job> {
        Arc::new(Job(Mutex::new(Stage::Queued(Box::new(begin)))))
    }

    /// A job that runs a closure.
    pub(crate) fn call<T: Send + 'static>(
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> (Arc<Job>, oneshot::Receiver<Outcome<T>>) {
        let (sender, receiver) = oneshot::channel();
        let job = Job::new(move |_| {
            let outcome = catch_unwind(AssertUnwindSafe(closure)).map_err(JoinError::Panicked);
            let _ = sender.send(outcome);
        });
        (job, receiver)
    }

    /// A job that makes a future and has a task of the loop run it.
    pub(crate) fn task<F: Future<Output: Send> + 'static>(
        make: impl FnOnce() -> F + Send + 'static,
        asked_at: &'static Location<'static>,
    ) -> (Arc<Job>, oneshot::Receiver<Outcome<F::Output>>) {
        let (sender, receiver) = oneshot::channel();
        let job = Job::new(move |job| {
            let reply = Reply { job: Arc::clone(job), sender: Some(sender) };
            match catch_unwind(AssertUnwindSafe(make)) {
                Ok(future) => {
                    let task = Stoppable { future: Some(future), reply };
                    super::with_current(|engine| drop(engine.executor.spawn(task, Plan::at(asked_at))));
                }
                Err(panic) => reply.send(Err(JoinError::Panicked(panic))),
            }
        });
        (job, receiver)
    }

    /// On the loop: runs the closure, unless it was stopped.
    fn run(self: Arc<Job>) {
        let mut stage = lock(&self.0);
        if let Stage::Over = *stage {
            return;
        }
        let before = std::mem::replace(&mut *stage, Stage::Begun(None));
        drop(stage);
        if let Stage::Queued(begin) = before {
            apart(|| begin(&self));
        }
    }

    /// Takes it back if it was not begun; has its task, if it has one, look and end. Any thread may.
    pub(crate) fn stop(&self) {
        match self.end() {
            Stage::Queued(begin) => drop(begin),
            Stage::Begun(Some(task)) => task.wake(),
            Stage::Begun(None) | Stage::Over => {}
        }
    }

    fn end(&self) -> Stage {
        std::mem::replace(&mut *lock(&self.0), Stage::Over)
    }

    /// Asked by the job's task, whose waker this is: nobody else's code.
    fn is_stopped(&self, waker: &Waker) -> bool {
        match &mut *lock(&self.0) {
            Stage::Over => return true,
            Stage::Begun(Some(known)) if known.will_wake(waker) => {}
            stage => *stage = Stage::Begun(Some(waker.clone())),
        }
        false
    }
}

/// Where the outcome of a job's task goes. Dropped before, with the loop, it says that the task was cancelled.
struct Reply<T> {
    job: Arc<Job>,
    sender: Option<oneshot::Sender<Outcome<T>>>,
}

impl<T> Reply<T> {
    fn send(mut self, outcome: Outcome<T>) {
        self.answer(outcome);
    }

    fn answer(&mut self, outcome: Outcome<T>) {
        // The answer may outlive the task for long, and is not to hold its memory.
        drop(self.job.end());
        let sender = self.sender.take();
        // Nobody may want it.
        apart(|| drop(sender.map(|sender| sender.send(outcome))));
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        drop(self.job.end());
    }
}

pin_project! {
    /// A job's task. The answer says that it has ended when its future is gone, as a `JoinHandle` does.
    struct Stoppable<F: Future> {
        // In this order: dropped with the loop, too, the future goes first.
        #[pin]
        future: Option<F>,
        reply: Reply<F::Output>,
    }
}

impl<F: Future> Future for Stoppable<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        let outcome = match this.reply.job.is_stopped(cx.waker()) {
            true => Err(JoinError::Cancelled),
            false => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(polled) => Ok(ready!(polled)),
                Err(panic) => Err(JoinError::Panicked(panic)),
            },
        };
        let dropped = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
        this.reply.answer(dropped.map_err(JoinError::Panicked).and(outcome));
        Poll::Ready(())
    }
}
