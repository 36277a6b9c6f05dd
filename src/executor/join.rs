//! What a spawned task is waited for, and stopped, by.
#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::header::TaskRef;
use super::hooks::text_of;
use super::task::Id;
use super::waiter::Waiter;
use super::with_current;

/// Waits for a spawned task. Dropping it lets the task go on by itself.
///
/// Resolves to the future's output, or to a [`JoinError`] that says whether the task was cancelled or
/// panicked. A handle whose runtime has ended resolves at once: the task was cancelled.
///
/// # Cancel safety
/// Nothing is lost by dropping a `&mut JoinHandle` that did not resolve: the result waits for the next poll.
///
/// # Panics
/// When polled again after it has resolved.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let sum = annulus::run(async {
///     let task = annulus::spawn(async { 1 + 2 });
///     task.await.unwrap()
/// })?;
/// assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
#[must_use = "a dropped handle lets its task run by itself: say `drop(...)` if that is meant"]
pub struct JoinHandle<T> {
    task: TaskRef,
    taken: bool,
    output: PhantomData<T>,
}

impl<T> JoinHandle<T> {
    /// # Safety
    /// `T` is the output of the task's future.
    pub(super) unsafe fn new(task: TaskRef) -> JoinHandle<T> {
        JoinHandle { task, taken: false, output: PhantomData }
    }

    /// Stops the task: its future is dropped in the next batch, and the handle resolves to
    /// [`JoinError::Cancelled`]. A task that has finished stays as it is.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let task = annulus::spawn(std::future::pending::<()>());
    ///     task.abort();
    ///     assert!(task.await.unwrap_err().is_cancelled());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Another handle that can stop the task, but does not wait for it.
    ///
    /// # Examples
    /// As [`AbortHandle`].
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { task: self.task.clone() }
    }

    /// Whether the task has finished, by itself or by being stopped.
    ///
    /// # Examples
    /// As [`AbortHandle`].
    pub fn is_finished(&self) -> bool {
        self.task.state().is_complete()
    }

    /// What tells this task from all others of the process.
    ///
    /// # Examples
    /// As [`AbortHandle`].
    pub fn id(&self) -> Id {
        Id(self.task.id)
    }

    /// The result, if the task has finished and it was not taken.
    pub(crate) fn take(&mut self) -> Option<Result<T, JoinError>> {
        let mut result: Option<Result<T, JoinError>> = None;
        // SAFETY: the place has the type that `take_output` asks for, by the promise made to `new`.
        unsafe { self.task.take_output((&raw mut result).cast()) };
        self.taken |= result.is_some();
        result
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.taken, "a JoinHandle was polled after it had resolved");
        match self.take() {
            Some(result) => Poll::Ready(result),
            None => {
                self.task.set_joiner(Some(Waiter::of(cx.waker())));
                Poll::Pending
            }
        }
    }
}

/// What was kept aside of a task that has finished, for nobody asks for it any more. Where this is not its loop, that lets go of it at
/// its end.
#[cold]
fn forget_extra(task: &TaskRef) {
    with_current(|executor| {
        if executor.id == task.runtime {
            executor.forget_extra(task);
        }
    });
}

impl<T> Unpin for JoinHandle<T> {}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.task.state().drop_handle();
        match self.is_finished() {
            true => {
                self.task.discard_output();
                if self.task.state().has_extra() {
                    forget_extra(&self.task);
                }
            }
            false => self.task.set_joiner(None),
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).field("finished", &self.is_finished()).finish()
    }
}

/// Stops a task without waiting for it. Any number may exist for a task.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::oneshot;
///
/// annulus::run(async {
///     let (_tell, told) = oneshot::channel::<()>();
///     let task = annulus::spawn(told);
///     let handle = task.abort_handle();
///     assert_eq!(handle.id(), task.id());
///     handle.abort();
///     assert!(!handle.is_finished(), "its future is dropped in the next batch");
///     assert!(task.await.unwrap_err().is_cancelled() && handle.is_finished());
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskRef,
}

impl AbortHandle {
    /// Stops the task; see [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task has finished, by itself or by being stopped.
    pub fn is_finished(&self) -> bool {
        self.task.state().is_complete()
    }

    /// What tells this task from all others of the process.
    pub fn id(&self) -> Id {
        Id(self.task.id)
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id()).finish()
    }
}

impl TaskRef {
    pub(super) fn abort(&self) {
        if self.state().abort() {
            Waiter::task(self.clone()).wake();
        }
    }

    /// Leaves the task in its runtime's inbox.
    pub(super) fn post(&self) {
        // SAFETY: this reference holds the memory.
        unsafe { super::waker::post(self.pointer()) };
    }
}

/// Why a task gave no output.
///
/// # Examples
/// As [`is_panic`](Self::is_panic).
pub enum JoinError {
    /// It was aborted, or its runtime ended before it did.
    Cancelled,
    /// It panicked; this is what it panicked with.
    Panicked(Box<dyn Any + Send + 'static>),
}

impl JoinError {
    /// Whether the task was aborted or its runtime ended.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let endless = annulus::spawn(std::future::pending::<()>());
    ///     endless.abort();
    ///     let error = endless.await.unwrap_err();
    ///     assert!(error.is_cancelled());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Cancelled)
    }

    /// Whether the task panicked.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task::JoinError;
    ///
    /// annulus::run(async {
    ///     let panicked = annulus::spawn(async { panic!("out of cheese") });
    ///     let error = panicked.await.unwrap_err();
    ///     assert!(error.is_panic() && !error.is_cancelled());
    ///     let payload = error.try_into_panic().unwrap();
    ///     assert_eq!(payload.downcast_ref(), Some(&"out of cheese"));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn is_panic(&self) -> bool {
        matches!(self, JoinError::Panicked(_))
    }

    /// What the task panicked with, to be examined or to go on with by `std::panic::resume_unwind`.
    ///
    /// # Errors
    /// Gives itself back if the task was cancelled.
    ///
    /// # Examples
    /// As [`is_panic`](Self::is_panic).
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        match self {
            JoinError::Panicked(panic) => Ok(panic),
            JoinError::Cancelled => Err(self),
        }
    }

    /// What the task panicked with.
    ///
    /// # Panics
    /// If the task was cancelled; see [`try_into_panic`](Self::try_into_panic).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let panicked = annulus::spawn(async { panic!("out of cheese") });
    ///     let payload = panicked.await.unwrap_err().into_panic();
    ///     assert_eq!(payload.downcast_ref(), Some(&"out of cheese"));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic().expect("the task was cancelled, it did not panic")
    }

    fn message(&self) -> &str {
        match self {
            JoinError::Cancelled => {
                "the task was cancelled: it was aborted, or its runtime ended before it did"
            }
            JoinError::Panicked(panic) => text_of(&**panic).unwrap_or("(a value that is not a text)"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Cancelled => f.write_str("Cancelled"),
            JoinError::Panicked(_) => f.debug_tuple("Panicked").field(&self.message()).finish(),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Cancelled => f.write_str(self.message()),
            JoinError::Panicked(_) => write!(f, "the task panicked: {}", self.message()),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        let kind = match error {
            JoinError::Cancelled => io::ErrorKind::Interrupted,
            JoinError::Panicked(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error.to_string())
    }
}
