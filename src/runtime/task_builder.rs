//! What a task may be given besides its future.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::expect_current;
use crate::executor::{Extra, JoinHandle, Plan, Priority};

/// Spawns a task with a name, a priority, or a budget of time. [`spawn`](crate::spawn) is this with nothing set.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::task::{self, Priority};
///
/// annulus::run(async {
///     let tidying = task::Builder::new().name("tidying").priority(Priority::Background).spawn(async {
///         for shelf in 0..100 {
///             // ... a step ...
///             annulus::yield_now().await;
///         }
///         task::current().unwrap().name().map(str::to_owned)
///     });
///     assert_eq!(tidying.await.unwrap().as_deref(), Some("tidying"));
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder makes no task until `spawn`"]
pub struct Builder {
    priority: Priority,
    extra: Extra,
}

impl Builder {
    /// Nothing is set.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// What it is called in [`task::all`](crate::task::all), in reports and in panics. Names need not differ.
    pub fn name(mut self, name: &str) -> Builder {
        self.extra.name = Some(Arc::from(name));
        self
    }

    /// Who comes first where several are ready. By default [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Builder {
        self.priority = priority;
        self
    }

    /// How long all polls of the task may take together: real time of the thread, not what it waits. After the poll in which that
    /// is used up it is stopped as by [`abort`](crate::task::JoinHandle::abort), and its handle says
    /// [`Cancelled`](crate::task::JoinError::Cancelled).
    ///
    /// For work of which one does not know whether it ends: a script, a pattern that somebody sent. A poll that never returns is not
    /// broken off; each `.await` that waits is a place where it can be. Its polls are timed one by one, which costs about 50 ns each. In
    /// a simulated world no time passes in a poll, and so no budget is used up.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    ///
    /// annulus::run(async {
    ///     let endless = annulus::task::Builder::new().time_budget(Duration::from_millis(5)).spawn(async {
    ///         loop {
    ///             annulus::yield_now().await;
    ///         }
    ///     });
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { endless.abort(); }
    ///     assert!(endless.await.unwrap_err().is_cancelled());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn time_budget(mut self, budget: Duration) -> Builder {
        self.extra.time_budget = Some(budget);
        self
    }

    /// Starts the task, as [`spawn`](crate::spawn) does.
    ///
    /// # Panics
    /// Outside of a running loop.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(self, future: F) -> JoinHandle<F::Output> {
        let extra = Some(Box::new(self.extra));
        let plan = Plan { spawned_at: Location::caller(), priority: self.priority, extra };
        expect_current("task::Builder::spawn", |engine| engine.executor.spawn(future, plan))
    }
}
