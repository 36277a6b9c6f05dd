//! The receiving ends, which differ in what can be asked about the bound alone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::error::TryRecvError;
use super::shared::Shared;

/// Receives what is sent into a channel with a bound. It is a `Stream` as well.
///
/// # Examples
/// As [`channel`](super::channel).
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Rc<Shared<T>>) -> Receiver<T> {
        Receiver { shared }
    }

    /// Waits for the next message. None: it was the last one, and all senders are gone, or the channel was closed.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: a message is taken only when it is given.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, mut receiver) = annulus::sync::mpsc::channel(8);
    ///     sender.send("tea").await.unwrap();
    ///     drop(sender);
    ///     assert_eq!(receiver.recv().await, Some("tea"));
    ///     assert_eq!(receiver.recv().await, None);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv { shared: &self.shared }
    }

    /// As [`recv`](Self::recv), for futures written by hand. The task of the last call is woken.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::future::poll_fn;
    /// use annulus::sync::mpsc;
    ///
    /// annulus::run(async {
    ///     let (sender, mut receiver) = mpsc::channel(4);
    ///     assert!(receiver.is_empty() && !receiver.is_closed());
    ///     sender.send(7).await.unwrap();
    ///     assert_eq!((receiver.len(), receiver.capacity(), receiver.max_capacity()), (1, 3, 4));
    ///     assert_eq!(poll_fn(|cx| receiver.poll_recv(cx)).await, Some(7));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_recv(cx)
    }

    /// The next message, if it is there; waits for nothing.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`]: none is there now. [`TryRecvError::Disconnected`]: none will come.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::mpsc::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = mpsc::channel::<u8>(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.try_recv()
    }

    /// Ends the channel: sending fails from now on. What was sent can still be received, and what is sent by a
    /// [`Permit`](super::Permit) that was given before; so receive until there is None, and nothing is lost.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, mut receiver) = annulus::sync::mpsc::channel(2);
    ///     sender.try_send(1).unwrap();
    ///     let permit = sender.try_reserve().unwrap();
    ///     receiver.close();
    ///     assert!(sender.send(2).await.is_err());
    ///     permit.send(3);
    ///     assert_eq!(receiver.recv().await, Some(1));
    ///     assert_eq!(receiver.recv().await, Some(3));
    ///     assert_eq!(receiver.recv().await, None);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// Whether sending fails: the channel was closed, or all senders are gone. There may be messages yet.
    ///
    /// ```
    /// let (sender, receiver) = annulus::sync::mpsc::channel(1);
    /// sender.try_send("tea").unwrap();
    /// drop(sender);
    /// assert!(receiver.is_closed() && !receiver.is_empty());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.places.is_closed() || self.shared.senders() == 0
    }

    /// How many messages are there.
    ///
    /// ```
    /// let (sender, receiver) = annulus::sync::mpsc::channel(3);
    /// assert!(receiver.is_empty());
    /// sender.try_send("tea").unwrap();
    /// assert_eq!((receiver.len(), receiver.capacity(), receiver.max_capacity()), (1, 2, 3));
    /// ```
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no message is there.
    ///
    /// # Examples
    /// As [`poll_recv`](Self::poll_recv).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages could be sent now without waiting.
    ///
    /// # Examples
    /// As [`poll_recv`](Self::poll_recv).
    pub fn capacity(&self) -> usize {
        self.shared.places.free()
    }

    /// The bound that the channel was made with.
    ///
    /// # Examples
    /// As [`poll_recv`](Self::poll_recv).
    pub fn max_capacity(&self) -> usize {
        self.shared.places.bound()
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_recv(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.desert();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("channel", &self.shared).finish()
    }
}

/// Receives what is sent into a channel without a bound. It is a `Stream` as well.
///
/// # Examples
/// As [`unbounded`](super::unbounded).
pub struct UnboundedReceiver<T> {
    shared: Rc<Shared<T>>,
}

impl<T> UnboundedReceiver<T> {
    pub(super) fn new(shared: Rc<Shared<T>>) -> UnboundedReceiver<T> {
        UnboundedReceiver { shared }
    }

    /// Waits for the next message. None: it was the last one, and all senders are gone, or the channel was closed.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: a message is taken only when it is given.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (sender, mut receiver) = annulus::sync::mpsc::unbounded();
    ///     annulus::spawn(async move { sender.send("tea") });
    ///     assert_eq!(receiver.recv().await, Some("tea"));
    ///     assert_eq!(receiver.recv().await, None);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv { shared: &self.shared }
    }

    /// As [`recv`](Self::recv), for futures written by hand. The task of the last call is woken.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::future::poll_fn;
    /// use annulus::sync::mpsc;
    ///
    /// annulus::run(async {
    ///     let (sender, mut receiver) = mpsc::unbounded();
    ///     assert!(receiver.is_empty() && receiver.try_recv().is_err());
    ///     sender.send(7).unwrap();
    ///     assert_eq!(receiver.len(), 1);
    ///     assert_eq!(poll_fn(|cx| receiver.poll_recv(cx)).await, Some(7));
    ///     receiver.close();
    ///     assert!(receiver.is_closed() && sender.send(8).is_err());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_recv(cx)
    }

    /// The next message, if it is there; waits for nothing.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`]: none is there now. [`TryRecvError::Disconnected`]: none will come.
    ///
    /// # Examples
    /// As [`poll_recv`](Self::poll_recv).
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.try_recv()
    }

    /// Ends the channel: sending fails from now on. What was sent can still be received.
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::mpsc::unbounded();
    /// sender.send(1).unwrap();
    /// receiver.close();
    /// assert!(sender.send(2).is_err());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert!(receiver.try_recv().is_err());
    /// ```
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// Whether sending fails: the channel was closed, or all senders are gone. There may be messages yet.
    ///
    /// # Examples
    /// As [`poll_recv`](Self::poll_recv).
    pub fn is_closed(&self) -> bool {
        self.shared.places.is_closed() || self.shared.senders() == 0
    }

    /// How many messages are there.
    ///
    /// # Examples
    /// As [`poll_recv`](Self::poll_recv).
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no message is there.
    ///
    /// # Examples
    /// As [`poll_recv`](Self::poll_recv).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Stream for UnboundedReceiver<T> {
    type Item = T;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_recv(cx)
    }
}

impl<T> Drop for UnboundedReceiver<T> {
    fn drop(&mut self) {
        self.shared.desert();
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver").field("channel", &self.shared).finish()
    }
}

/// The future of [`Receiver::recv`] and [`UnboundedReceiver::recv`].
///
/// # Examples
/// As [`Receiver::recv`].
#[must_use = "it waits only when it is awaited"]
pub struct Recv<'a, T> {
    shared: &'a Shared<T>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_recv(cx)
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").field("channel", self.shared).finish()
    }
}
