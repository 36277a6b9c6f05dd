//! Calling a closure later: in the next batch, or at a moment. Each call is a task, which its handle can take back.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::executor::AbortHandle;
use crate::runtime::spawn;
use crate::time::{after, sleep_until};

/// Calls a closure in the loop's next batch, never from in here. Calls are made in the order in which they were asked for.
///
/// The call is made whether the handle is kept or not. A panic of the closure is a task's: it ends nothing else.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::{cell::RefCell, rc::Rc};
/// use annulus::task;
///
/// annulus::run(async {
///     let said = Rc::new(RefCell::new(Vec::new()));
///     for word in ["one", "two"] {
///         let said = Rc::clone(&said);
///         task::call_soon(move || said.borrow_mut().push(word));
///     }
///     assert!(said.borrow().is_empty());
///     annulus::yield_now().await;
///     assert_eq!(*said.borrow(), ["one", "two"]);
/// })?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn call_soon(closure: impl FnOnce() + 'static) -> CallHandle {
    call(None, closure)
}

/// Calls a closure when `span` has passed. As [`call_soon`] in all else.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::{task, time};
///
/// annulus::run(async {
///     let alarm = task::call_later(Duration::from_millis(1), || panic!("never"));
///     alarm.cancel();
///     time::sleep(Duration::from_millis(5)).await;
///     assert!(alarm.is_cancelled());
/// })?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn call_later(span: Duration, closure: impl FnOnce() + 'static) -> CallHandle {
    call(Some(after(span)), closure)
}

/// Calls a closure at a moment of [`time::now`](crate::time::now)'s clock; if it is past, in the next turn. As [`call_soon`] in
/// all else.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::{sync::oneshot, task, time};
///
/// annulus::run(async {
///     let moment = time::now() + Duration::from_millis(2);
///     let (tell, told) = oneshot::channel();
///     let call = task::call_at(moment, move || drop(tell.send(time::now())));
///     assert_eq!(call.deadline(), Some(moment));
///     assert!(told.await.unwrap() >= moment && !call.is_cancelled());
///     Ok(())
/// })?
/// # }
/// ```
#[track_caller]
pub fn call_at(deadline: Instant, closure: impl FnOnce() + 'static) -> CallHandle {
    call(Some(deadline), closure)
}

#[track_caller]
fn call(deadline: Option<Instant>, closure: impl FnOnce() + 'static) -> CallHandle {
    let stage = Rc::new(Cell::new(Stage::Waits));
    let task = spawn({
        let stage = Rc::clone(&stage);
        async move {
            if let Some(deadline) = deadline {
                sleep_until(deadline).await;
            }
            stage.set(Stage::Called);
            closure();
        }
    });
    CallHandle { task: task.abort_handle(), deadline, stage }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waits,
    Called,
    Cancelled,
}

/// What a call that was asked for is taken back by. Dropping it lets the call happen.
///
/// # Examples
/// As [`call_later`].
pub struct CallHandle {
    task: AbortHandle,
    deadline: Option<Instant>,
    stage: Rc<Cell<Stage>>,
}

impl CallHandle {
    /// Takes the call back: the closure is not called any more, and is dropped in the next batch. Nothing happens if it
    /// was called.
    ///
    /// # Examples
    /// As [`call_later`].
    pub fn cancel(&self) {
        if self.stage.get() == Stage::Waits {
            self.stage.set(Stage::Cancelled);
            self.task.abort();
        }
    }

    /// Whether it was taken back in time.
    ///
    /// # Examples
    /// As [`call_later`].
    pub fn is_cancelled(&self) -> bool {
        self.stage.get() == Stage::Cancelled
    }

    /// When the call is due. None of [`call_soon`]'s.
    ///
    /// # Examples
    /// As [`call_at`].
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("CallHandle");
        debug.field("deadline", &self.deadline).field("is_cancelled", &self.is_cancelled()).finish()
    }
}
