//! Stopping an operation when something else happens, without losing what it brings.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Why an operation was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was not.
    Not,
    /// Somebody said so.
    Cancelled,
    /// Its time was up.
    TimedOut,
}

/// A future that can be asked to stop and then resolves by itself, soon: an operation.
///
/// Implemented by [`Submitted`](super::Submitted) and what is made of it; by nothing outside of this crate.
pub trait Cancellable: Future + Unpin {
    /// Asks it to stop. Only the first reason counts.
    #[doc(hidden)]
    fn stop(&mut self, why: Stop);
}

pin_project! {
    /// An operation that is asked to stop when another future is ready. See
    /// [`Submitted::cancel_when`](super::Submitted::cancel_when).
    ///
    /// # Cancel safety
    /// That of the operation.
    ///
    /// # Examples
    /// As [`Submitted::cancel_when`](super::Submitted::cancel_when).
    #[must_use = "an operation does nothing until it is awaited"]
    #[derive(Debug)]
    pub struct CancelWhen<S, F> {
        operation: S,
        why: Stop,
        // Gone when it was ready.
        #[pin]
        signal: Option<F>,
    }
}

impl<S: Cancellable, F: Future> CancelWhen<S, F> {
    pub(crate) fn new(operation: S, why: Stop, signal: F) -> CancelWhen<S, F> {
        CancelWhen { operation, why, signal: Some(signal) }
    }
}

impl<S, F> CancelWhen<S, F> {
    /// Gives the operation back.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, other) = UnixStream::pair()?;
    ///     let bounded = one.read(Vec::with_capacity(64)).timeout(Duration::from_secs(60));
    ///     other.write_all("ping").await.0?;
    ///     let (result, _) = bounded.into_inner().await; // without a bound after all
    ///     assert_eq!(result?, 4);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn into_inner(self) -> S {
        self.operation
    }
}

impl<S: Cancellable, F: Future> Future for CancelWhen<S, F> {
    type Output = S::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S::Output> {
        let mut this = self.project();
        // The operation has the first word: an answer that is there wins.
        if let Poll::Ready(output) = Pin::new(&mut *this.operation).poll(cx) {
            return Poll::Ready(output);
        }
        let ready = this.signal.as_mut().as_pin_mut().is_some_and(|signal| signal.poll(cx).is_ready());
        if !ready {
            return Poll::Pending;
        }
        this.signal.set(None);
        this.operation.stop(*this.why);
        // What has not begun, or waits for its turn, resolves now.
        Pin::new(this.operation).poll(cx)
    }
}
