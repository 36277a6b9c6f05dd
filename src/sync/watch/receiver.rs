//! The end that looks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::error::RecvError;
use super::look::Ref;
use super::shared::Shared;
use crate::engine::{give_way, has_turn};
use crate::sync::waiters::Place;

/// Looks at the value, and waits for changes. Clones have seen what it has seen.
///
/// # Examples
/// As [`channel`](super::channel).
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The version that was seen last.
    seen: u64,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: &Rc<Shared<T>>, seen: u64) -> Receiver<T> {
        shared.ends.add_receiver();
        Receiver { shared: Rc::clone(shared), seen }
    }

    /// A look at the value. It does not count as seen: [`changed`](Self::changed) is still ready if it was.
    ///
    /// # Panics
    /// Within the function that changes the value in place.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref::new(self.shared.value(), self.is_news())
    }

    /// A look at the value, which is seen by it.
    ///
    /// # Panics
    /// Within the function that changes the value in place.
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow_and_update(), 2);
    /// assert!(!receiver.has_changed().unwrap());
    /// ```
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.value();
        let has_changed = self.is_news();
        self.mark_unchanged();
        Ref::new(value, has_changed)
    }

    #[inline]
    fn is_news(&self) -> bool {
        self.shared.version() != self.seen
    }

    /// Whether there is a value that was not seen.
    ///
    /// # Errors
    /// All senders are gone, be there one that was not seen or not.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        match self.is_closed() {
            true => Err(RecvError(())),
            false => Ok(self.is_news()),
        }
    }

    /// Counts the value of now as not seen.
    ///
    /// ```
    /// let (_sender, mut receiver) = annulus::sync::watch::channel(1);
    /// receiver.mark_changed();
    /// assert!(receiver.has_changed().unwrap());
    /// ```
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.version().wrapping_sub(1);
    }

    /// Counts the value of now as seen.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version();
    }

    /// Waits for a value that was not seen, and counts it as seen.
    ///
    /// # Errors
    /// All senders are gone, and the last value was seen.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what it did not tell of is still not seen.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, mut receiver) = annulus::sync::watch::channel(1);
    ///     sender.send(2).unwrap();
    ///     receiver.changed().await.unwrap();
    ///     drop(sender);
    ///     assert!(receiver.changed().await.is_err());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn changed(&mut self) -> Changed<'_, T> {
        Changed { receiver: self, place: None }
    }

    /// Waits for a value of which `is_wanted` is true, beginning with that of now. What it was asked about is seen.
    ///
    /// Values that are set between two polls are not asked about, but for the last of them.
    ///
    /// # Errors
    /// All senders are gone, and the last value is not wanted.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, mut receiver) = annulus::sync::watch::channel(0);
    ///     annulus::spawn(async move {
    ///         for level in 1..10 {
    ///             sender.send(level).unwrap();
    ///             annulus::yield_now().await;
    ///         }
    ///     });
    ///     assert_eq!(*receiver.wait_for(|level| *level >= 5).await.unwrap(), 5);
    ///     assert!(receiver.wait_for(|level| *level > 9).await.is_err());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for<F: FnMut(&T) -> bool>(&mut self, is_wanted: F) -> WaitFor<'_, T, F> {
        WaitFor { changed: self.changed(), is_wanted, has_begun: false }
    }

    /// Whether all senders are gone.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn is_closed(&self) -> bool {
        self.shared.ends.senders() == 0
    }

    /// Whether the other one looks at the same value.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        Receiver::new(&self.shared, self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.ends.remove_receiver();
        self.shared.ends.tell_if_nobody_receives();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("changed", &self.is_news())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// The future of [`Receiver::changed`].
///
/// # Examples
/// As [`Receiver::changed`].
#[must_use = "it waits only when it is awaited"]
pub struct Changed<'a, T> {
    receiver: &'a mut Receiver<T>,
    place: Option<Place>,
}

impl<T> Changed<'_, T> {
    /// Waits until there is a value that was not seen, or there will be none.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RecvError>> {
        let Changed { receiver, place: mine } = self;
        let is_to_wait = || !receiver.is_news() && !receiver.is_closed();
        if let Some(place) = *mine {
            ready!(receiver.shared.ends.waiting.poll_called(place, mine, cx));
        } else if is_to_wait() {
            return receiver.shared.ends.waiting.join((), mine, cx, is_to_wait);
        } else if !has_turn() {
            return give_way(cx);
        }
        if !receiver.is_news() {
            return Poll::Ready(Err(RecvError(())));
        }
        receiver.mark_unchanged();
        Poll::Ready(Ok(()))
    }
}

impl<T> Future for Changed<'_, T> {
    type Output = Result<(), RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_news(cx)
    }
}

impl<T> Drop for Changed<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            drop(self.receiver.shared.ends.waiting.leave(place));
        }
    }
}

impl<T> fmt::Debug for Changed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").field("receiver", self.receiver).finish_non_exhaustive()
    }
}

/// The future of [`Receiver::wait_for`].
///
/// # Examples
/// As [`Receiver::wait_for`].
#[must_use = "it waits only when it is awaited"]
pub struct WaitFor<'a, T, F> {
    changed: Changed<'a, T>,
    is_wanted: F,
    /// The value that was there at first was asked about.
    has_begun: bool,
}

// The function is never pinned.
impl<T, F> Unpin for WaitFor<'_, T, F> {}

impl<'a, T, F: FnMut(&T) -> bool> Future for WaitFor<'a, T, F> {
    type Output = Result<Ref<'a, T>, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let WaitFor { changed, is_wanted, has_begun } = self.get_mut();
        loop {
            let mut is_news = true;
            if *has_begun {
                if let Err(closed) = ready!(changed.poll_news(cx)) {
                    return Poll::Ready(Err(closed));
                }
            } else if !has_turn() {
                return give_way(cx);
            } else {
                is_news = changed.receiver.is_news();
                changed.receiver.mark_unchanged();
                *has_begun = true;
            }
            let value = changed.receiver.shared.value();
            if is_wanted(&value) {
                return Poll::Ready(Ok(Ref::new(value, is_news)));
            }
        }
    }
}

impl<T, F> fmt::Debug for WaitFor<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor").field("receiver", self.changed.receiver).finish_non_exhaustive()
    }
}
