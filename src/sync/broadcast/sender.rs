//! The sending end.

use std::fmt;
use std::rc::Rc;

use super::error::SendError;
use super::receiver::Receiver;
use super::shared::Shared;
use crate::sync::ends::Closed;

/// Makes a channel that keeps the newest `capacity` messages. (Tokio's keeps the next power of two.)
///
/// # Panics
/// If `capacity` is zero.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::broadcast;
///
/// annulus::run(async {
///     let (sender, mut one) = broadcast::channel(16);
///     let mut other = sender.subscribe();
///     annulus::spawn(async move { sender.send("tea is ready") });
///     assert_eq!(one.recv().await, Ok("tea is ready"));
///     assert_eq!(other.recv().await, Ok("tea is ready"));
/// })?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// Sends to all receivers. Clones send to the same; the channel ends when all are dropped.
///
/// # Examples
/// As [`channel`].
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// One without a receiver; see [`subscribe`](Self::subscribe).
    ///
    /// # Panics
    /// If `capacity` is zero.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::sync::broadcast::{Receiver, Sender};
    ///
    /// annulus::run(async {
    ///     let sender = Sender::new(16);
    ///     assert!(sender.is_empty());
    ///     let (mut one, other): (Receiver<u32>, Receiver<u32>) = (sender.subscribe(), sender.subscribe());
    ///     assert_eq!((sender.receiver_count(), sender.strong_count(), one.sender_strong_count()), (2, 1, 1));
    ///     assert!(one.same_channel(&other) && sender.same_channel(&sender.clone()));
    ///     sender.send(7).unwrap();
    ///     assert_eq!((one.len(), one.is_empty()), (1, false));
    ///     assert_eq!(one.recv().await, Ok(7));
    ///     drop(sender);
    ///     assert!(one.is_closed());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[track_caller]
    pub fn new(capacity: usize) -> Sender<T> {
        assert!(capacity > 0, "a channel keeps one message at least");
        Sender { shared: Rc::new(Shared::new(capacity)) }
    }

    /// Sends a message to all who receive now, and says how many those are. It never waits.
    ///
    /// When the channel is full it takes the place of the oldest.
    ///
    /// # Errors
    /// Nobody receives now. The message comes back; with a receiver that subscribes later, sending goes on.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::broadcast::{self, SendError};
    ///
    /// let (sender, receiver) = broadcast::channel(16);
    /// assert_eq!(sender.send("tea"), Ok(1));
    /// drop(receiver);
    /// assert_eq!(sender.send("tea"), Err(SendError("tea")));
    /// ```
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        self.shared.send(message).map_err(SendError)
    }

    /// A receiver of what is sent from now on.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// How many receivers there are.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn receiver_count(&self) -> usize {
        self.shared.ends.receivers()
    }

    /// How many messages are there that somebody has not received yet.
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::broadcast::channel(16);
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// receiver.try_recv().unwrap();
    /// assert_eq!(sender.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether all have received all.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until nobody receives.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, receiver) = annulus::sync::broadcast::channel::<u8>(1);
    ///     annulus::spawn(async { drop(receiver) });
    ///     sender.closed().await;
    ///     assert_eq!(sender.receiver_count(), 0);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        self.shared.ends.closed()
    }

    /// Whether the other one sends into the same channel.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    /// A handle that can become a sender as long as there is one, and does not keep the channel from ending.
    ///
    /// ```
    /// let (sender, _receiver) = annulus::sync::broadcast::channel::<u8>(1);
    /// let weak = sender.downgrade();
    /// assert!(weak.upgrade().unwrap().same_channel(&sender));
    /// drop(sender);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { shared: Rc::clone(&self.shared) }
    }

    /// How many senders there are, weak ones aside.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn strong_count(&self) -> usize {
        self.shared.ends.senders()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.ends.add_sender();
        Sender { shared: Rc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.ends.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).field("receivers", &self.receiver_count()).finish()
    }
}

/// Does not keep its channel from ending. See [`Sender::downgrade`].
///
/// # Examples
/// As [`Sender::downgrade`].
pub struct WeakSender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, unless all are gone.
    ///
    /// # Examples
    /// As [`Sender::downgrade`].
    pub fn upgrade(&self) -> Option<Sender<T>> {
        if self.shared.ends.senders() == 0 {
            return None;
        }
        self.shared.ends.add_sender();
        Some(Sender { shared: Rc::clone(&self.shared) })
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> WeakSender<T> {
        WeakSender { shared: Rc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").field("senders", &self.shared.ends.senders()).finish()
    }
}
