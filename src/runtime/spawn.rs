//! Starting tasks on the loop that runs.

use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::engine::expect_current;
#[cfg(feature = "tracing")]
use crate::executor::traced;
use crate::executor::{JoinHandle, Plan};
use crate::op::{Blocking, Submitted};

/// Starts a task on the loop that runs on this thread.
///
/// The future need not be `Send`: it stays on its thread. It is first polled in the loop's next batch, never
/// inside `spawn`. A panic in it ends this task alone; its handle tells.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let tasks: Vec<_> = (0..3).map(|n| annulus::spawn(async move { n * n })).collect();
///     let mut squares = Vec::new();
///     for task in tasks {
///         squares.push(task.await.unwrap());
///     }
///     assert_eq!(squares, [0, 1, 4]);
/// })?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    let plan = Plan::at(Location::caller());
    expect_current("annulus::spawn", |engine| engine.executor.spawn(future, plan))
}

/// Runs a closure that blocks on a helper thread, so that the loop does not wait for it.
///
/// It starts at once, or when one of at most [`helpers_max`](crate::Builder::helpers_max) threads is free. Dropping
/// the handle lets it run; aborting takes it back if it has not begun, and cannot stop it otherwise.
///
/// # Panics
/// Outside of a running loop. A panic of the closure is told by the handle.
///
/// # Errors
/// The handle resolves to [`JoinError::Panicked`](crate::task::JoinError) also if no thread could be started.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let names = annulus::run(async {
///     annulus::spawn_blocking(|| std::fs::read_dir(".").map(Iterator::count)).await.unwrap()
/// })??;
/// assert!(names > 0);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn spawn_blocking<T: Send + 'static>(closure: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    #[cfg(feature = "tracing")]
    if traced::may_be_wanted() {
        return spawn_blocking_in_span(closure, Location::caller());
    }
    spawn(blocking(closure))
}

/// Who looks from outside sees the closure at work, and not the task that waits for it.
#[cfg(feature = "tracing")]
#[cold]
#[track_caller]
fn spawn_blocking_in_span<F, T>(closure: F, spawned_at: &'static Location<'static>) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let Some((extra, span)) = traced::blocking(spawned_at, size_of::<F>()) else {
        return spawn(blocking(closure));
    };
    let running = blocking(move || span.in_scope(closure));
    let plan = Plan { extra: Some(extra), ..Plan::at(spawned_at) };
    expect_current("annulus::spawn_blocking", |engine| engine.executor.spawn(running, plan))
}

/// Starts a closure on a helper thread. The future waits for it, and panics as it does.
#[track_caller]
pub(crate) fn blocking<T: Send + 'static>(
    closure: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    let mut running = Submitted::new(Blocking::new(closure));
    running.start();
    async move {
        match running.await {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(error) => panic!(
                "no helper thread could be started for spawn_blocking: {error}; raise RLIMIT_NPROC or pids.max"
            ),
        }
    }
}

/// Lets the other tasks that are ready run first.
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     for step in 0..1000 {
///         // ... a step of a long computation ...
///         annulus::yield_now().await;
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
pub async fn yield_now() {
    YieldNow { yielded: false }.await;
}

struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
