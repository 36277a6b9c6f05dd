//! Waiting for a future, but not for ever.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::sleep::{Sleep, sleep, sleep_until};

/// Waits for `future`, but at most for `span` from now.
///
/// The future has the first word: if it and the time are both there, its output is given. When the time is up
/// the future is still there until the [`Timeout`] is dropped.
///
/// # Cancel safety
/// When the time is up, or when it is dropped, the future is dropped with it. Around one operation of this crate
/// nothing is lost by that: see [`Submitted`](crate::Submitted). Around what gathers over several operations
/// (`read_exact`, `write_all`, `copy`) what was gathered is lost.
///
/// # Errors
/// [`Elapsed`] when the time is up.
///
/// # Panics
/// When polled outside of a running loop.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::time::timeout;
///
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     assert_eq!(timeout(Duration::from_secs(1), async { 7 }).await, Ok(7));
///     assert!(timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err());
/// })?;
/// # Ok(())
/// # }
/// ```
pub fn timeout<F: Future>(span: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(span) }
}

/// Waits for `future`, but at most until `deadline`. As [`timeout`] in all else.
///
/// # Errors
/// [`Elapsed`] when the time is up.
///
/// # Cancel safety
/// As [`timeout`].
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep_until(deadline) }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[must_use = "a time-out does nothing until it is awaited"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F> Timeout<F> {
    /// Gives the future back.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            // Armed only now: a future that is ready at once costs no timer.
            Poll::Pending => Pin::new(this.sleep).poll(cx).map(|()| Err(Elapsed)),
        }
    }
}

/// The time was up. Becomes an [`io::Error`] of kind `TimedOut` by `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was up before the future was ready")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
