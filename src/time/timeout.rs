//! Waiting for a future, but not for ever.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::sleep::{Sleep, sleep, sleep_until};
use crate::driver::Operation;
use crate::op::{CancelWhen, Stop, Submitted};

/// Waits for `future`, but at most for `span` from now.
///
/// The future has the first word: if it and the time are both there, its output is given. When the time is up
/// the future is still there until the [`Timeout`] is dropped.
///
/// # Cancel safety
/// When the time is up, or when it is dropped, the future is dropped with it. Around one operation of this crate
/// nothing is lost by that, `read_exact` and `write_all` included: see [`Submitted`](crate::Submitted). A future that
/// you compose of several operations loses what it holds in its own variables between two of them, and
/// [`io::copy`](crate::io::copy) a chunk. To have the buffer back when the time is up, put the time-out on the
/// operation: [`Submitted::timeout`](crate::Submitted::timeout).
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
#[cfg_attr(feature = "tracing", track_caller)]
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
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time::{now, timeout_at};
///
/// annulus::run(async {
///     let deadline = now() + Duration::from_millis(2);
///     let waits = timeout_at(deadline, std::future::pending::<()>());
///     assert_eq!(waits.deadline(), deadline);
///     assert!(waits.await.is_err());
///     Ok(())
/// })?
/// # }
/// ```
#[cfg_attr(feature = "tracing", track_caller)]
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep_until(deadline) }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    ///
    /// # Examples
    /// As [`timeout`].
    #[must_use = "a time-out does nothing until it is awaited"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F> Timeout<F> {
    /// When the time is up.
    ///
    /// # Examples
    /// As [`timeout_at`].
    pub fn deadline(&self) -> Instant {
        self.sleep.deadline()
    }

    /// Moves the deadline: sooner, later, or once more when the time was up, for the future is still there.
    ///
    /// Whoever moves it polls it afterwards, by awaiting it or in a `select!`: that is when the timer is armed anew.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::{future::pending, pin::pin, time::Duration};
    /// use annulus::time::{now, timeout};
    ///
    /// annulus::run(async {
    ///     let mut waits = pin!(timeout(Duration::from_millis(1), pending::<()>()));
    ///     assert!(waits.as_mut().await.is_err());
    ///     let later = now() + Duration::from_millis(2);
    ///     waits.as_mut().reset(later);
    ///     assert!(waits.await.is_err() && now() >= later);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().sleep.reset(deadline);
    }

    /// Gives the future back.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::time::timeout;
    ///
    /// annulus::run(async {
    ///     let waits = timeout(Duration::from_secs(1), async { 7 });
    ///     assert_eq!(waits.into_inner().await, 7); // without a bound after all
    ///     Ok(())
    /// })?
    /// # }
    /// ```
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

impl<O: Operation> Submitted<O> {
    /// Asks the kernel to stop when `span` is over, counted from now, and resolves from its own completion: with its
    /// buffer, and with the data if they came first. If the request to stop won, the error is of kind `TimedOut`
    /// (ETIMEDOUT, which a connection that is lost also says).
    ///
    /// The time bounds the request to stop, not the return: a file operation that a thread of the kernel is at may
    /// take longer. No timer is armed if the operation is answered at once.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let stream = TcpStream::connect(listener.local_addr()?).await?;
    ///
    ///     let read = stream.read(Vec::with_capacity(1024));
    ///     let (result, buffer) = read.timeout(Duration::from_millis(5)).await;
    ///     assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    ///     assert_eq!(buffer.capacity(), 1024);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[cfg_attr(feature = "tracing", track_caller)]
    pub fn timeout(self, span: Duration) -> CancelWhen<Self, Sleep> {
        CancelWhen::new(self, Stop::TimedOut, sleep(span))
    }

    /// As [`timeout`](Self::timeout), at a moment.
    ///
    /// # Examples
    /// As [`timeout`](Self::timeout).
    #[cfg_attr(feature = "tracing", track_caller)]
    pub fn timeout_at(self, deadline: Instant) -> CancelWhen<Self, Sleep> {
        CancelWhen::new(self, Stop::TimedOut, sleep_until(deadline))
    }
}

/// The time was up. Becomes an [`io::Error`] of kind `TimedOut` by `?`.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::io::ErrorKind;
/// use std::time::Duration;
/// use annulus::time::timeout;
///
/// annulus::run(async {
///     async fn bounded() -> std::io::Result<()> {
///         timeout(Duration::from_millis(1), std::future::pending()).await?
///     }
///     assert_eq!(bounded().await.unwrap_err().kind(), ErrorKind::TimedOut);
///     Ok(())
/// })?
/// # }
/// ```
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
