//! What becomes of what was asked of a loop, for whoever asked: awaited on any runtime, or waited for by a plain thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::engine::{self, Job, Jobs, Outcome};
use crate::executor::JoinError;

/// What comes of a [`Remote::run`](crate::Remote::run) or [`Remote::spawn`](crate::Remote::spawn): a future for any
/// runtime, which a plain thread may [`wait`](Answer::wait) for as well.
///
/// Dropping it lets what was asked go on by itself; [`abort`](Answer::abort) stops it.
///
/// # Errors
/// It resolves to a [`JoinError`]: `Panicked`, or `Cancelled` if it was aborted or the loop ended before it was done.
///
/// # Cancel safety
/// Nothing is lost by dropping a `&mut Answer` that did not resolve: the answer waits for the next poll.
///
/// # Panics
/// When polled again after it has resolved.
///
/// # Examples
/// ```
/// let runtime = annulus::Runtime::new()?;
/// let answer = runtime.remote().run(|| "tea");
/// // On another loop of another thread.
/// let other = std::thread::spawn(|| annulus::run(answer));
/// runtime.run(annulus::time::sleep(std::time::Duration::from_millis(1)))?;
/// assert_eq!(other.join().unwrap()?.unwrap(), "tea");
/// # Ok::<(), annulus::Error>(())
/// ```
#[must_use = "a dropped answer lets what was asked go on by itself: say `drop(...)` if that is meant"]
pub struct Answer<T> {
    jobs: Arc<Jobs>,
    job: Arc<Job>,
    /// None once it has resolved.
    receiver: Option<oneshot::Receiver<Outcome<T>>>,
}

impl<T> Answer<T> {
    pub(super) fn new(jobs: Arc<Jobs>, job: Arc<Job>, receiver: oneshot::Receiver<Outcome<T>>) -> Answer<T> {
        Answer { jobs, job, receiver: Some(receiver) }
    }

    /// Stops what was asked, from any thread: what was not begun is dropped here and now, and a task's future on the loop
    /// in one of its next batches. Then the answer is [`JoinError::Cancelled`]. A closure that runs, and what is done,
    /// stay as they are.
    ///
    /// ```
    /// let runtime = annulus::Runtime::new()?;
    /// let answer = runtime.remote().run(|| unreachable!("the loop has not run yet"));
    /// answer.abort();
    /// assert!(answer.wait().unwrap_err().is_cancelled());
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn abort(&self) {
        if !self.jobs.is_left_behind() {
            self.job.stop();
        }
    }

    /// Has the calling thread stand still until there is an answer.
    ///
    /// For threads without a loop, annulus's or another's: what such a thread does besides stands still as well. In tokio
    /// `.await` the answer, or wait within `spawn_blocking`.
    ///
    /// # Errors
    /// As the answer itself.
    ///
    /// # Panics
    /// On a thread where an annulus loop runs, and where there is no answer yet on the thread of the very loop that is to
    /// give it: nobody else could run it.
    ///
    /// # Examples
    /// ```
    /// annulus::run(async {
    ///     let remote = annulus::Runtime::try_current().unwrap().remote();
    ///     let thread = annulus::spawn_blocking(move || remote.run(|| 7).wait().unwrap());
    ///     assert_eq!(thread.await.unwrap(), 7);
    /// })?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    #[track_caller]
    pub fn wait(mut self) -> Result<T, JoinError> {
        match self.stand_still(None) {
            Some(outcome) => outcome,
            None => unreachable!("it waits without an end"),
        }
    }

    /// As [`wait`](Answer::wait), but not for longer than `limit`: then None, and it can be waited for again. What was
    /// asked goes on meanwhile.
    ///
    /// # Errors
    /// As the answer itself.
    ///
    /// # Panics
    /// As `wait`.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = annulus::Runtime::new()?;
    /// let mut answer = runtime.remote().run(|| 7);
    /// let other = std::thread::spawn(move || {
    ///     // The loop does not run yet, or it does.
    ///     let early = answer.wait_timeout(Duration::from_millis(1));
    ///     early.unwrap_or_else(|| answer.wait())
    /// });
    /// runtime.run(annulus::time::sleep(Duration::from_millis(5)))?;
    /// assert_eq!(other.join().unwrap().unwrap(), 7);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    #[track_caller]
    pub fn wait_timeout(&mut self, limit: Duration) -> Option<Result<T, JoinError>> {
        self.stand_still(Some(limit))
    }

    #[track_caller]
    fn stand_still(&mut self, limit: Option<Duration>) -> Option<Result<T, JoinError>> {
        if engine::with_current(|_| ()).is_some() {
            panic!(
                "an Answer was waited for on a thread where an annulus loop runs, which would stand still with all its \
                 tasks: `.await` the answer, or wait for it within `annulus::spawn_blocking`"
            );
        }
        // Beyond what an Instant can say is never.
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut *self).poll(&mut cx) {
                return Some(outcome);
            }
            if self.jobs.is_here() {
                panic!(
                    "an Answer was waited for on the thread of the loop that is to give it, which does not run \
                     meanwhile: give the answer to `Runtime::run`, or wait for it on another thread"
                );
            }
            match end.map(|end| end.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => return None,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

/// Ends the park of a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let is_left_behind = self.jobs.is_left_behind();
        let receiver = self.receiver.as_mut().expect("an Answer was polled after it had resolved");
        let outcome = match Pin::new(receiver).poll(cx) {
            Poll::Ready(answer) => answer.unwrap_or(Err(JoinError::Cancelled)),
            // The loop is the parent's.
            Poll::Pending if is_left_behind => Err(JoinError::Cancelled),
            Poll::Pending => return Poll::Pending,
        };
        self.receiver = None;
        Poll::Ready(outcome)
    }
}

impl<T> Unpin for Answer<T> {}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("resolved", &self.receiver.is_none()).finish()
    }
}
