//! The receiving end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::error::{RecvError, TryRecvError};
use super::shared::Shared;
use crate::sync::waiters::Place;

/// Receives all that is sent from when it was made. See [`Sender::subscribe`](super::Sender::subscribe) for more of them.
///
/// # Examples
/// As [`channel`](super::channel).
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The number of the message that is received next.
    next: u64,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: &Rc<Shared<T>>) -> Receiver<T> {
        Receiver { next: shared.add_receiver(), shared: Rc::clone(shared) }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`RecvError::Lagged`]: so many were lost; what is received next is the oldest that is there. [`RecvError::Closed`]: all senders
    /// are gone, and there is no message any more.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: a message is taken only when it is given.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::sync::broadcast::{self, RecvError};
    ///
    /// annulus::run(async {
    ///     let (sender, mut receiver) = broadcast::channel(16);
    ///     annulus::spawn(async move { sender.send("tea") });
    ///     assert_eq!(receiver.recv().await, Ok("tea"));
    ///     assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv(&mut self) -> Recv<'_, T>
    where
        T: Clone,
    {
        Recv { receiver: self, place: None }
    }

    /// The next message, if it is there; waits for nothing.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`]: none is there now. The others are those of [`recv`](Self::recv).
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::broadcast::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = broadcast::channel(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(1)));
    /// assert_eq!(receiver.try_recv(), Ok(2));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        self.shared.take(&mut self.next)
    }

    /// How many messages were sent that this one has not received: more than the channel keeps, if some are lost.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn len(&self) -> usize {
        self.shared.behind(self.next) as usize
    }

    /// Whether this one has received all that was sent.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another receiver, of what is sent from now on.
    ///
    /// ```
    /// let (sender, receiver) = annulus::sync::broadcast::channel(2);
    /// sender.send(1).unwrap();
    /// let other = receiver.resubscribe();
    /// assert_eq!((receiver.len(), other.len()), (1, 0));
    /// ```
    pub fn resubscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// Whether all senders are gone. There may be messages yet.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn is_closed(&self) -> bool {
        self.shared.ends.senders() == 0
    }

    /// Whether the other one receives of the same channel.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    /// How many senders there are, weak ones aside.
    ///
    /// # Examples
    /// As [`Sender::new`](super::Sender::new).
    pub fn sender_strong_count(&self) -> usize {
        self.shared.ends.senders()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver(self.next);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).field("closed", &self.is_closed()).finish()
    }
}

/// The future of [`Receiver::recv`].
///
/// # Examples
/// As [`Receiver::recv`].
#[must_use = "it waits only when it is awaited"]
pub struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
    place: Option<Place>,
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Recv { receiver: Receiver { shared, next }, place } = self.get_mut();
        shared.poll_recv(next, place, cx)
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.receiver.shared.forget_waiting(place);
        }
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").field("receiver", self.receiver).finish_non_exhaustive()
    }
}
