//! The sending end of a channel with a bound.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::error::{SendError, TrySendError};
use super::receiver::Receiver;
use super::shared::Shared;
use super::weak::WeakSender;
use crate::sync::waiters::Place;

/// Makes a channel in which at most `bound` messages wait to be received. At the bound, senders wait.
///
/// # Panics
/// If `bound` is zero.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::mpsc;
///
/// annulus::run(async {
///     let (sender, mut receiver) = mpsc::channel(2);
///     annulus::spawn(async move {
///         for number in 0..5 {
///             sender.send(number).await.unwrap();
///         }
///     });
///     let mut got = Vec::new();
///     while let Some(number) = receiver.recv().await {
///         got.push(number);
///     }
///     assert_eq!(got, [0, 1, 2, 3, 4]);
/// })?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn channel<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    assert!(bound > 0, "a channel's bound is one message at least");
    let shared = Rc::new(Shared::new(bound));
    (Sender { shared: Rc::clone(&shared) }, Receiver::new(shared))
}

/// Sends into a channel with a bound. Clones send into the same; the channel ends when all are dropped.
///
/// # Examples
/// As [`channel`].
pub struct Sender<T> {
    pub(super) shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends a message, waiting for a place if there is none: first come, first served.
    ///
    /// # Errors
    /// Nobody receives any more, be it from the beginning or while this waited. The message comes back.
    ///
    /// # Cancel safety
    /// Dropping it before it has resolved sends nothing: the message is dropped with it, and its place in the queue, or in the
    /// channel, goes to the next sender. To keep the message: [`reserve`](Self::reserve) a place first.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, mut receiver) = annulus::sync::mpsc::channel(1);
    ///     sender.send("tea").await.unwrap();
    ///     assert_eq!(receiver.recv().await, Some("tea"));
    ///     drop(receiver);
    ///     assert_eq!(sender.send("more tea").await.unwrap_err().0, "more tea");
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn send(&self, message: T) -> Sending<'_, T> {
        Sending { turn: Turn { shared: &self.shared, place: None }, message: Some(message) }
    }

    /// Sends a message if there is a place for it now, and nobody waits for one.
    ///
    /// # Errors
    /// [`TrySendError::Full`], [`TrySendError::Closed`], with the message.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::mpsc::{self, TrySendError};
    ///
    /// let (sender, mut receiver) = mpsc::channel(1);
    /// sender.try_send(1).unwrap();
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.try_reserve() {
            Ok(permit) => {
                permit.send(message);
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(TrySendError::Full(message)),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(message)),
        }
    }

    /// Waits for a place, and holds it: a message can then be sent without waiting, and without being lost when the waiting
    /// is given up.
    ///
    /// # Errors
    /// Nobody receives any more.
    ///
    /// # Cancel safety
    /// Dropping it loses its place in the queue; a place in the channel that it was given goes to the next sender.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::sync::mpsc;
    ///
    /// annulus::run(async {
    ///     let (sender, mut receiver) = mpsc::channel(1);
    ///     let permit = sender.reserve().await.unwrap();
    ///     assert!(sender.try_send("in vain").is_err());
    ///     permit.send("tea");
    ///     assert_eq!(receiver.recv().await, Some("tea"));
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reserve(&self) -> Reserve<'_, T> {
        Reserve { turn: Turn { shared: &self.shared, place: None } }
    }

    /// Takes a place if there is one now, and nobody waits for it.
    ///
    /// # Errors
    /// [`TrySendError::Full`], [`TrySendError::Closed`].
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::mpsc::channel(1);
    /// let permit = sender.try_reserve().unwrap();
    /// assert!(sender.try_reserve().is_err());
    /// permit.send("tea");
    /// assert_eq!(receiver.try_recv(), Ok("tea"));
    /// ```
    #[inline]
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        if self.is_closed() {
            return Err(TrySendError::Closed(()));
        }
        match self.shared.places.try_take() {
            true => Ok(Permit { shared: &self.shared }),
            false => Err(TrySendError::Full(())),
        }
    }

    /// Whether the receiver was dropped or closed.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::sync::mpsc;
    ///
    /// annulus::run(async {
    ///     let (sender, mut receiver) = mpsc::channel(4);
    ///     let other = sender.clone();
    ///     assert!(sender.same_channel(&other));
    ///     assert_eq!((sender.max_capacity(), sender.capacity(), sender.strong_count()), (4, 4, 2));
    ///
    ///     let permit = sender.reserve().await.expect("somebody receives");
    ///     assert_eq!(sender.capacity(), 3);
    ///     permit.send("a place was kept for it");
    ///     assert_eq!(receiver.recv().await, Some("a place was kept for it"));
    ///     drop(receiver);
    ///     assert!(sender.is_closed());
    ///     Ok(())
    /// })?
    /// # }
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
    ///     let (sender, receiver) = annulus::sync::mpsc::channel::<u8>(1);
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

    /// How many messages could be sent now without waiting.
    ///
    /// ```
    /// let (sender, _receiver) = annulus::sync::mpsc::channel(3);
    /// sender.try_send(1).unwrap();
    /// assert_eq!((sender.capacity(), sender.max_capacity()), (2, 3));
    /// ```
    pub fn capacity(&self) -> usize {
        self.shared.places.free()
    }

    /// The bound that the channel was made with.
    ///
    /// # Examples
    /// As [`is_closed`](Self::is_closed).
    pub fn max_capacity(&self) -> usize {
        self.shared.places.bound()
    }

    /// Whether the other one sends into the same channel.
    ///
    /// ```
    /// let (sender, _receiver) = annulus::sync::mpsc::channel::<u8>(1);
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    /// A handle that can become a sender as long as there is one, and does not keep the channel from ending.
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::mpsc::channel(1);
    /// let weak = sender.downgrade();
    /// weak.upgrade().unwrap().try_send("tea").unwrap();
    /// drop(sender);
    /// assert!(weak.upgrade().is_none());
    /// assert_eq!(receiver.try_recv(), Ok("tea"));
    /// ```
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { shared: Rc::clone(&self.shared) }
    }

    /// How many senders there are, weak ones aside.
    ///
    /// # Examples
    /// As [`is_closed`](Self::is_closed).
    pub fn strong_count(&self) -> usize {
        self.shared.senders()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.add_sender();
        Sender { shared: Rc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("channel", &self.shared).finish()
    }
}

/// One sender's waiting for a place.
struct Turn<'a, T> {
    shared: &'a Shared<T>,
    place: Option<Place>,
}

impl<T> Drop for Turn<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place {
            if self.shared.places.leave(place) {
                self.shared.give_back();
            }
        }
    }
}

/// The future of [`Sender::send`].
///
/// # Examples
/// As [`Sender::send`].
#[must_use = "it sends nothing until it is awaited"]
pub struct Sending<'a, T> {
    turn: Turn<'a, T>,
    message: Option<T>,
}

// The message is never pinned: it is handed on by value.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Sending { turn, message } = self.get_mut();
        assert!(message.is_some(), "a sending was polled after it had resolved");
        let taken = turn.shared.places.poll_take(&mut turn.place, cx);
        taken.map(|taken| {
            let message = message.take().expect("asked above");
            match taken {
                Ok(()) => {
                    turn.shared.put(message);
                    Ok(())
                }
                Err(_) => Err(SendError(message)),
            }
        })
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("channel", self.turn.shared).finish_non_exhaustive()
    }
}

/// The future of [`Sender::reserve`].
///
/// # Examples
/// As [`Sender::reserve`].
#[must_use = "it waits only when it is awaited"]
pub struct Reserve<'a, T> {
    turn: Turn<'a, T>,
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, SendError<()>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let turn = &mut self.get_mut().turn;
        let shared = turn.shared;
        let taken = shared.places.poll_take(&mut turn.place, cx);
        taken.map(|taken| taken.map(|()| Permit { shared }).map_err(|_| SendError(())))
    }
}

impl<T> fmt::Debug for Reserve<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("channel", self.turn.shared).finish_non_exhaustive()
    }
}

/// A place in a channel, for one message. See [`Sender::reserve`]. Dropped without sending, it goes to the next sender.
///
/// # Examples
/// As [`Sender::reserve`].
#[must_use = "dropped, it gives its place back"]
pub struct Permit<'a, T> {
    shared: &'a Shared<T>,
}

impl<T> Permit<'_, T> {
    /// Sends a message. It neither waits nor fails: a receiver that has closed the channel still gets it, and
    /// one that was dropped has it dropped.
    ///
    /// # Examples
    /// As [`Sender::is_closed`].
    #[inline]
    pub fn send(self, message: T) {
        self.shared.put(message);
        std::mem::forget(self);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.shared.give_back();
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("channel", self.shared).finish()
    }
}

/// The future of [`Sender::closed`] and [`UnboundedSender::closed`](super::UnboundedSender::closed).
///
/// # Examples
/// As [`Sender::closed`].
#[must_use = "it waits only when it is awaited"]
pub struct Closed<'a, T> {
    shared: &'a Shared<T>,
    place: Option<Place>,
}

impl<'a, T> Closed<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> Closed<'a, T> {
        Closed { shared, place: None }
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Closed { shared, place } = self.get_mut();
        shared.poll_closed(place, cx)
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.forget_leaver(place);
        }
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("channel", self.shared).finish_non_exhaustive()
    }
}
