//! Connections as they come.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream as Items;

use super::family::{Family, Inet};
use super::listener::{Accepted, accepted};
use super::stream::Stream;
use crate::driver::Descriptor;
use crate::op::{AcceptOften, Submitted};
use crate::time::{Sleep, sleep};

/// How long a failed accept is not made again: doubled each time, up to the second.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_LAST: Duration = Duration::from_secs(1);

/// Connections as they come: see [`Listener::incoming`](super::Listener::incoming).
///
/// # Cancel safety
/// Nothing is lost by dropping it, or a [`next`](Self::next) of it: connections that were accepted and not taken are given
/// to the next accept.
///
/// # Examples
/// As [`Listener::incoming`](super::Listener::incoming).
#[must_use = "nothing is accepted until it is asked for"]
pub struct Incoming<F = Inet> {
    accepting: Submitted<AcceptOften>,
    /// After an error.
    pause: Option<Sleep>,
    pause_next: Duration,
    family: PhantomData<F>,
}

/// The family is only a name.
impl<F> Unpin for Incoming<F> {}

impl<F: Family> Incoming<F> {
    pub(super) fn new(socket: &Descriptor) -> Incoming<F> {
        Incoming {
            accepting: Submitted::new(AcceptOften::new(socket.hold())),
            pause: None,
            pause_next: PAUSE_FIRST,
            family: PhantomData,
        }
    }

    /// The next connection, and who connected. None comes when the listener is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// Those of accept(2), each once. One that says that something is used up (EMFILE and ENFILE: descriptors) is told, and
    /// then nothing is accepted for 5 ms, and after the next for twice as long, up to a second: so a loop that goes on after
    /// errors does not spin. The connections wait meanwhile.
    ///
    /// # Examples
    /// As [`Listener::incoming`](super::Listener::incoming).
    pub async fn next(&mut self) -> Option<Accepted<F>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Accepted<F>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(Pin::new(pause).poll(cx));
                self.pause = None;
            }
            let error = match ready!(self.accepting.poll_next_item(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => error,
                Some(Ok(socket)) => {
                    self.pause_next = PAUSE_FIRST;
                    match accepted(Stream::new(socket)) {
                        Some(connection) => return Poll::Ready(Some(connection)),
                        None => continue,
                    }
                }
            };
            match error.raw_os_error() {
                Some(libc::ECANCELED) => return Poll::Ready(None),
                // It was gone before it was accepted.
                Some(libc::ECONNABORTED | libc::EPROTO | libc::EINTR) => {}
                _ => {
                    self.pause = Some(sleep(self.pause_next));
                    self.pause_next = (self.pause_next * 2).min(PAUSE_LAST);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl<F: Family> Items for Incoming<F> {
    type Item = Accepted<F>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<F> fmt::Debug for Incoming<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("accepting", &self.accepting).finish_non_exhaustive()
    }
}
