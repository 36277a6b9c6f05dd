//! A handle that any thread may have of a loop. What is asked by it runs on the loop's thread, or is told that it does not.

mod answer;

pub use answer::Answer;

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

#[cfg(feature = "inspect")]
use crate::engine::Beacon;
use crate::engine::{Engine, Job, Jobs};

/// Has a loop do something, from any thread: a closure is run on it, or a future that is made there.
///
/// Had by [`Runtime::remote`](crate::Runtime::remote), or on the loop by [`Current::remote`](crate::Current::remote).
/// What comes from one thread is begun in its order. It is begun by a task of the loop, which others take turns with: a
/// flood of it starves nobody. Between two runs it waits for the next; when the loop ends, what was not begun is
/// dropped, and its [`Answer`] says so. A remote keeps no loop alive, and costs one that nobody asks for it nothing.
///
/// In a simulated world (`Driver::Sim`) what one host of a world asks of another is as deterministic as the rest. What
/// comes from other threads comes when it comes: such a program need not do the same twice, and a `sim::World` does not wait
/// for them. Nor does a clock that stands still ([`time::pause`](crate::time::pause)).
///
/// A child of fork(2) has no loop of its parent's: there a remote is closed.
///
/// # Examples
/// ```
/// use std::cell::RefCell;
/// use std::rc::Rc;
///
/// annulus::run(async {
///     let remote = annulus::Runtime::try_current().unwrap().remote();
///     // A thread without a loop: it may stand still for an answer.
///     let other = annulus::spawn_blocking(move || {
///         let sum = remote.run(|| 1 + 2).wait()?;
///         // Made on the loop, where it stays: it need not be `Send`.
///         let reading = remote.spawn(|| async {
///             let text = Rc::new(RefCell::new(annulus::fs::read("Cargo.toml").await?));
///             std::io::Result::Ok(text.take().len())
///         });
///         Ok::<_, annulus::task::JoinError>((sum, reading.wait()?))
///     });
///     let (sum, length) = other.await.unwrap().unwrap();
///     assert_eq!(sum, 3);
///     println!("{:?}", length);
/// })?;
/// # Ok::<(), annulus::Error>(())
/// ```
#[derive(Clone)]
pub struct Remote {
    jobs: Arc<Jobs>,
}

impl Remote {
    pub(super) fn of(engine: &Engine) -> Remote {
        Remote { jobs: Arc::clone(engine.jobs()) }
    }

    /// To a loop of another thread, if it can be asked.
    #[cfg(feature = "inspect")]
    pub(crate) fn to(beacon: &Beacon) -> Option<Remote> {
        beacon.jobs().map(|jobs| Remote { jobs: Arc::clone(jobs) })
    }

    /// Runs a closure on the loop. It should be short: the loop's tasks wait meanwhile.
    ///
    /// Dropping the answer lets it run all the same. [`Answer::abort`] takes it back if it was not begun.
    ///
    /// # Errors
    /// The answer is [`JoinError::Panicked`](crate::task::JoinError::Panicked) if the closure panics, which the loop
    /// survives, and [`JoinError::Cancelled`](crate::task::JoinError::Cancelled) if the loop ended before it was begun.
    ///
    /// # Examples
    /// ```
    /// annulus::run(async {
    ///     let remote = annulus::Runtime::try_current().unwrap().remote();
    ///     let asking = annulus::spawn_blocking(move || remote.run(std::thread::current).wait().unwrap().id());
    ///     assert_eq!(asking.await.unwrap(), std::thread::current().id(), "it was run here");
    /// })?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn run<T: Send + 'static>(&self, closure: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let (job, receiver) = Job::call(closure);
        self.jobs.push(Arc::clone(&job));
        Answer::new(Arc::clone(&self.jobs), job, receiver)
    }

    /// Starts a task on the loop: `make` makes its future there, so that only `make` and the output need be `Send`.
    ///
    /// Dropping the answer lets the task run by itself. [`Answer::abort`] stops it.
    ///
    /// # Errors
    /// The answer is [`JoinError::Panicked`](crate::task::JoinError::Panicked) if `make` or the future panics, which the
    /// loop survives, and [`JoinError::Cancelled`](crate::task::JoinError::Cancelled) if the loop ended before the task did.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    ///
    /// annulus::run(async {
    ///     let remote = annulus::Runtime::try_current().unwrap().remote();
    ///     let asking = annulus::spawn_blocking(move || {
    ///         let answer = remote.spawn(|| async {
    ///             let text = Rc::new("tea");
    ///             annulus::yield_now().await;
    ///             text.len()
    ///         });
    ///         answer.wait().unwrap()
    ///     });
    ///     assert_eq!(asking.await.unwrap(), 3);
    /// })?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Answer<F::Output>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let (job, receiver) = Job::task(make, Location::caller());
        self.jobs.push(Arc::clone(&job));
        Answer::new(Arc::clone(&self.jobs), job, receiver)
    }

    /// Whether the loop has ended: whatever is asked of it is answered with
    /// [`JoinError::Cancelled`](crate::task::JoinError::Cancelled). Also in a child of fork(2).
    ///
    /// ```
    /// let runtime = annulus::Runtime::new()?;
    /// let remote = runtime.remote();
    /// assert!(!remote.is_closed());
    /// drop(runtime);
    /// assert!(remote.is_closed());
    /// assert!(remote.run(|| 7).wait().unwrap_err().is_cancelled());
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.jobs.is_closed()
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("closed", &self.is_closed()).finish()
    }
}
