//! The sending end of a channel without a bound.

use std::fmt;
use std::rc::Rc;

use super::bounded::Closed;
use super::error::SendError;
use super::receiver::UnboundedReceiver;
use super::shared::Shared;

/// Makes a channel in which any number of messages may wait to be received.
///
/// Memory is the bound then: where messages may come faster than they are received, [`channel`](super::channel) has one of
/// its own. Room for messages is kept once it was needed.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::mpsc;
///
/// annulus::run(async {
///     let (sender, mut receiver) = mpsc::unbounded();
///     sender.send("tea").unwrap();
///     sender.send("more tea").unwrap();
///     drop(sender);
///     assert_eq!(receiver.recv().await, Some("tea"));
///     assert_eq!(receiver.recv().await, Some("more tea"));
///     assert_eq!(receiver.recv().await, None);
/// })?;
/// # Ok(())
/// # }
/// ```
pub fn unbounded<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    // More than can be there.
    let shared = Rc::new(Shared::new(usize::MAX));
    (UnboundedSender { shared: Rc::clone(&shared) }, UnboundedReceiver::new(shared))
}

/// Sends into a channel without a bound. Clones send into the same; the channel ends when all are dropped.
///
/// # Examples
/// As [`unbounded`].
pub struct UnboundedSender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> UnboundedSender<T> {
    /// Sends a message. It never waits.
    ///
    /// # Errors
    /// Nobody receives any more. The message comes back.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::mpsc::{self, SendError};
    ///
    /// let (sender, receiver) = mpsc::unbounded();
    /// drop(receiver);
    /// assert_eq!(sender.send("tea"), Err(SendError("tea")));
    /// ```
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        if self.is_closed() || !self.shared.places.try_take() {
            return Err(SendError(message));
        }
        self.shared.put(message);
        Ok(())
    }

    /// Whether the receiver was dropped or closed.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::unbounded::<u32>();
    /// let other = sender.clone();
    /// assert!(sender.same_channel(&other) && sender.strong_count() == 2);
    /// let weak = other.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.shared.places.is_closed()
    }

    /// Waits until the receiver is dropped or closed.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, receiver) = annulus::sync::mpsc::unbounded::<u8>();
    ///     annulus::spawn(async { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.is_closed());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.shared)
    }

    /// Whether the other one sends into the same channel.
    ///
    /// # Examples
    /// As [`is_closed`](Self::is_closed).
    pub fn same_channel(&self, other: &UnboundedSender<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    /// A handle that can become a sender as long as there is one, and does not keep the channel from ending.
    ///
    /// ```
    /// let (sender, _receiver) = annulus::sync::mpsc::unbounded::<u8>();
    /// let weak = sender.downgrade();
    /// assert!(weak.upgrade().unwrap().same_channel(&sender));
    /// drop(sender);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn downgrade(&self) -> WeakUnboundedSender<T> {
        WeakUnboundedSender { shared: Rc::clone(&self.shared) }
    }

    /// How many senders there are, weak ones aside.
    ///
    /// # Examples
    /// As [`is_closed`](Self::is_closed).
    pub fn strong_count(&self) -> usize {
        self.shared.senders()
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> UnboundedSender<T> {
        self.shared.add_sender();
        UnboundedSender { shared: Rc::clone(&self.shared) }
    }
}

impl<T> Drop for UnboundedSender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender").field("channel", &self.shared).finish()
    }
}

/// Does not keep its channel from ending. See [`UnboundedSender::downgrade`].
///
/// # Examples
/// As [`UnboundedSender::is_closed`].
pub struct WeakUnboundedSender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> WeakUnboundedSender<T> {
    /// A sender, unless all are gone.
    ///
    /// # Examples
    /// As [`UnboundedSender::is_closed`].
    pub fn upgrade(&self) -> Option<UnboundedSender<T>> {
        if self.shared.senders() == 0 {
            return None;
        }
        self.shared.add_sender();
        Some(UnboundedSender { shared: Rc::clone(&self.shared) })
    }
}

impl<T> Clone for WeakUnboundedSender<T> {
    fn clone(&self) -> WeakUnboundedSender<T> {
        WeakUnboundedSender { shared: Rc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for WeakUnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakUnboundedSender").field("channel", &self.shared).finish()
    }
}
