//! A future that goes on when nobody waits for it any more.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::executor::{Id, JoinError, JoinHandle};
use crate::runtime::spawn;

/// Spawns a future that is not to be stopped half way, and waits for it.
///
/// Whoever waits may be dropped, by a time-out or an abort, and the future goes on by itself. It is begun in the next batch, awaited
/// or not. Only the loop's end stops it, and who aborts it by its [`id`](Shield::id).
///
/// # Cancel safety
/// Dropping it lets the future go on; its output is lost then.
///
/// # Panics
/// Outside of a running loop. When awaited: if the future panicked, with its panic; or if it was stopped.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// use annulus::{task, time};
///
/// annulus::run(async {
///     let is_saved = Rc::new(Cell::new(false));
///     let save = {
///         let is_saved = Rc::clone(&is_saved);
///         async move {
///             time::sleep(Duration::from_millis(5)).await;
///             is_saved.set(true);
///         }
///     };
///     assert!(time::timeout(Duration::from_millis(1), task::shield(save)).await.is_err());
///     time::sleep(Duration::from_millis(50)).await;
///     assert!(is_saved.get());
/// })?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn shield<F: Future + 'static>(future: F) -> Shield<F::Output> {
    Shield { task: spawn(future) }
}

/// The future of [`shield`].
///
/// # Examples
/// As [`shield`].
#[must_use = "dropped, it lets its future go on, and the output is lost: say `drop(...)` if that is meant"]
pub struct Shield<T> {
    task: JoinHandle<T>,
}

impl<T> Shield<T> {
    /// Whether the future has ended.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task;
    ///
    /// annulus::run(async {
    ///     let saving = task::shield(async { "saved" });
    ///     println!("{:?}", saving.id());
    ///     annulus::yield_now().await;
    ///     assert!(saving.is_finished());
    ///     assert_eq!(saving.await, "saved");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The task that the future is.
    ///
    /// # Examples
    /// As [`is_finished`](Self::is_finished).
    pub fn id(&self) -> Id {
        self.task.id()
    }
}

impl<T> Future for Shield<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.task).poll(cx)) {
            Ok(output) => Poll::Ready(output),
            Err(JoinError::Panicked(panic)) => resume_unwind(panic),
            Err(JoinError::Cancelled) => {
                panic!(
                    "a shielded future has no output: it was stopped, by the end of its loop or by task::abort with its id"
                )
            }
        }
    }
}

impl<T> fmt::Debug for Shield<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").field("task", &self.task).finish()
    }
}
