//! The end that sets the value.

use std::fmt;
use std::rc::Rc;

use super::error::SendError;
use super::look::Ref;
use super::receiver::Receiver;
use super::shared::Shared;
use crate::sync::ends::Closed;

/// Makes a channel with a first value, which its receivers have seen.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::watch;
///
/// annulus::run(async {
///     let (sender, mut receiver) = watch::channel("cold");
///     annulus::spawn(async move { sender.send("warm") });
///     assert_eq!(*receiver.borrow(), "cold");
///     receiver.changed().await.unwrap();
///     assert_eq!(*receiver.borrow(), "warm");
/// })?;
/// # Ok(())
/// # }
/// ```
pub fn channel<T>(first: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(first);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// Sets the value. Clones set the same; the receivers are told when all are dropped.
///
/// # Examples
/// As [`channel`].
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// One without a receiver; see [`subscribe`](Self::subscribe).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::sync::watch::Sender;
    ///
    /// annulus::run(async {
    ///     let sender = Sender::new("blue");
    ///     assert!(sender.is_closed(), "nobody looks");
    ///     let (mut one, other) = (sender.subscribe(), sender.subscribe());
    ///     assert_eq!((sender.receiver_count(), sender.sender_count()), (2, 1));
    ///     assert!(one.same_channel(&other) && sender.same_channel(&sender.clone()));
    ///     sender.send("green").unwrap();
    ///     assert_eq!((*sender.borrow(), *one.borrow()), ("green", "green"));
    ///     assert!(one.has_changed().unwrap());
    ///     one.mark_unchanged();
    ///     assert!(!one.has_changed().unwrap() && !one.is_closed());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn new(first: T) -> Sender<T> {
        Sender { shared: Rc::new(Shared::new(first)) }
    }

    /// Sets the value, and tells all who wait for a change. It never waits.
    ///
    /// # Errors
    /// Nobody looks now: the value stays as it was, and the new one comes back.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::watch::{self, SendError};
    ///
    /// let (sender, receiver) = watch::channel(1);
    /// assert_eq!(sender.send(2), Ok(()));
    /// assert_eq!(*receiver.borrow(), 2);
    /// drop(receiver);
    /// assert_eq!(sender.send(3), Err(SendError(3)));
    /// ```
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        self.shared.set(value);
        Ok(())
    }

    /// Changes the value in place, and tells all who wait for a change; also where nobody looks.
    ///
    /// A panic in `modify` leaves the value as it is by then, and tells nobody.
    ///
    /// # Panics
    /// If somebody keeps a [`Ref`] of the value.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = annulus::sync::watch::channel(vec![1]);
    /// sender.send_modify(|value| value.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn send_modify<F: FnOnce(&mut T)>(&self, modify: F) {
        self.shared.modify(|value| {
            modify(value);
            true
        });
    }

    /// As [`send_modify`](Self::send_modify); `modify` says whether the others are to be told.
    ///
    /// # Panics
    /// If somebody keeps a [`Ref`] of the value.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = annulus::sync::watch::channel(5);
    /// let raise = |to: i32| {
    ///     sender.send_if_modified(|value| {
    ///         let is_higher = to > *value;
    ///         *value = to.max(*value);
    ///         is_higher
    ///     })
    /// };
    /// assert!(!raise(4) && !receiver.has_changed().unwrap());
    /// assert!(raise(6) && receiver.has_changed().unwrap());
    /// ```
    #[track_caller]
    pub fn send_if_modified<F: FnOnce(&mut T) -> bool>(&self, modify: F) -> bool {
        self.shared.modify(modify)
    }

    /// Sets the value and gives the one before, also where nobody looks.
    ///
    /// # Panics
    /// If somebody keeps a [`Ref`] of the value before.
    ///
    /// # Examples
    /// ```
    /// let sender = annulus::sync::watch::Sender::new(1);
    /// assert_eq!(sender.send_replace(2), 1);
    /// assert_eq!(*sender.subscribe().borrow(), 2);
    /// ```
    #[track_caller]
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|place| std::mem::swap(place, &mut value));
        value
    }

    /// A look at the value.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref::new(self.shared.value(), false)
    }

    /// Whether nobody looks now.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn is_closed(&self) -> bool {
        self.shared.ends.receivers() == 0
    }

    /// Waits until nobody looks.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, receiver) = annulus::sync::watch::channel(1);
    ///     annulus::spawn(async { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.is_closed());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        self.shared.ends.closed()
    }

    /// A receiver, which has seen the value of now.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared, self.shared.version())
    }

    /// How many receivers there are.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn receiver_count(&self) -> usize {
        self.shared.ends.receivers()
    }

    /// How many senders there are.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn sender_count(&self) -> usize {
        self.shared.ends.senders()
    }

    /// Whether the other one sets the same value.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Sender<T> {
        Sender::new(T::default())
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
        f.debug_struct("Sender")
            .field("version", &self.shared.version())
            .field("receivers", &self.receiver_count())
            .finish()
    }
}
