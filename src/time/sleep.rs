//! Waiting for a moment.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::engine::{expect_current, with_current};
use crate::executor::RuntimeId;
use crate::wheel::Key;

/// Waits for `span` from now.
///
/// # Cancel safety
/// Dropping it disarms the timer.
///
/// # Panics
/// When polled outside of a running loop.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
///
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let start = Instant::now();
///     annulus::time::sleep(Duration::from_millis(10)).await;
///     assert!(start.elapsed() >= Duration::from_millis(10));
/// })?;
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "tracing", track_caller)]
pub fn sleep(span: Duration) -> Sleep {
    let is_foreign = with_current(|_| ()).is_none();
    Sleep {
        deadline: super::after(span),
        timer: None,
        is_foreign,
        #[cfg(feature = "tracing")]
        seen: super::traced::Timer::new(),
    }
}

/// Waits until `deadline`; for one that is past, until the next turn of the loop.
///
/// # Cancel safety
/// Dropping it disarms the timer.
///
/// # Panics
/// When polled outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time;
///
/// annulus::run(async {
///     let deadline = time::now() + Duration::from_millis(2);
///     time::sleep_until(deadline).await;
///     assert!(time::now() >= deadline);
///     Ok(())
/// })?
/// # }
/// ```
#[cfg_attr(feature = "tracing", track_caller)]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        timer: None,
        is_foreign: false,
        #[cfg(feature = "tracing")]
        seen: super::traced::Timer::new(),
    }
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It is plain data: which loop's timer it is, and when it is due. So it may be sent to another thread, where a
/// poll panics with an explanation.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time;
///
/// annulus::run(async {
///     let mut sleep = time::sleep(Duration::from_secs(3600));
///     let sooner = time::now() + Duration::from_millis(2);
///     sleep.reset(sooner);
///     assert_eq!(sleep.deadline(), sooner);
///     (&mut sleep).await;
///     Ok(())
/// })?
/// # }
/// ```
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    deadline: Instant,
    timer: Option<(RuntimeId, Key)>,
    /// The deadline is by the system's clock: it was made outside of a loop, whose clock may be another.
    is_foreign: bool,
    /// For those who look from outside.
    #[cfg(feature = "tracing")]
    seen: super::traced::Timer,
}

impl Sleep {
    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Moves the end, and begins anew if it had come.
    pub fn reset(&mut self, deadline: Instant) {
        self.disarm();
        self.deadline = deadline;
        self.is_foreign = false;
    }

    fn disarm(&mut self) {
        #[cfg(feature = "tracing")]
        self.seen.ends();
        if let Some((runtime, key)) = self.timer.take() {
            with_current(|engine| {
                if engine.executor.id() == runtime {
                    engine.disarm(key);
                }
                // Another loop's timer stays armed until it is due, and then wakes a task for nothing.
            });
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = expect_current("a sleep", |engine| match self.timer {
            None => {
                if std::mem::take(&mut self.is_foreign) {
                    let left = self.deadline.saturating_duration_since(Instant::now());
                    self.deadline = engine.now().checked_add(left).unwrap_or(self.deadline);
                }
                let key = engine.arm(self.deadline, cx.waker());
                self.timer = Some((engine.executor.id(), key));
                Poll::Pending
            }
            Some((runtime, key)) => {
                assert!(
                    engine.executor.id() == runtime,
                    "a sleep was polled under another loop than the one that armed it"
                );
                match engine.still_armed(key, cx.waker()) {
                    true => Poll::Pending,
                    false => Poll::Ready(()),
                }
            }
        });
        #[cfg(feature = "tracing")]
        {
            let deadline = self.deadline;
            self.seen.is_polled(polled.is_ready(), deadline);
        }
        polled
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
