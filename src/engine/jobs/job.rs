//! One thing that a loop is to do, from the moment when it is asked for to its answer.

use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::{apart, lock};
use crate::engine::with_current;
use crate::executor::{JoinError, Plan};
use crate::sys::sync::Mutex;

/// What becomes of a job.
pub(crate) type Outcome<T> = Result<T, JoinError>;

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
    pub(in crate::engine) fn new(begin: impl FnOnce(&Arc<Job>) + Send + 'static) -> Arc<Job> {
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
        Job::task_run_by(make, move |task| {
            with_current(|engine| drop(engine.executor.spawn(task, Plan::at(asked_at))));
        })
    }

    /// As `task`, but `run` is given what is to be polled.
    pub(super) fn task_run_by<F: Future<Output: Send> + 'static>(
        make: impl FnOnce() -> F + Send + 'static,
        run: impl FnOnce(Stoppable<F>) + Send + 'static,
    ) -> (Arc<Job>, oneshot::Receiver<Outcome<F::Output>>) {
        let (sender, receiver) = oneshot::channel();
        let job = Job::new(move |job| {
            let reply = Reply { job: Arc::clone(job), sender: Some(sender) };
            match catch_unwind(AssertUnwindSafe(make)) {
                Ok(future) => run(Stoppable { future: Some(future), reply }),
                Err(panic) => reply.send(Err(JoinError::Panicked(panic))),
            }
        });
        (job, receiver)
    }

    /// On the loop: runs the closure, unless it was stopped.
    pub(super) fn run(self: Arc<Job>) {
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
    pub(super) struct Stoppable<F: Future> {
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
