//! A channel for one value.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use annulus::sync::oneshot;
//!
//! annulus::run(async {
//!     let (sender, receiver) = oneshot::channel();
//!     annulus::spawn(async move { sender.send("tea") });
//!     assert_eq!(receiver.await, Ok("tea"));
//! })?;
//! # Ok(())
//! # }
//! ```

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::engine::poll_turn;
use crate::executor::Waiter;

/// Makes a channel for one value. Both ends are one allocation.
///
/// ```
/// let (sender, mut receiver) = annulus::sync::oneshot::channel();
/// sender.send("tea").unwrap();
/// assert_eq!(receiver.try_recv(), Ok("tea"));
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        value: Cell::new(None),
        state: Cell::new(0),
        receiver: Cell::new(None),
        sender: Cell::new(None),
    });
    (Sender { shared: Rc::clone(&shared) }, Receiver { shared })
}

/// Cells only: nothing is ever borrowed when a waker is woken or a value dropped (I5).
struct Shared<T> {
    value: Cell<Option<T>>,
    state: Cell<u8>,
    /// Who waits for the value.
    receiver: Cell<Option<Waiter>>,
    /// Who waits until nobody does.
    sender: Cell<Option<Waiter>>,
}

/// The value is there.
const SENT: u8 = 1;
/// The sender is gone: there will be no value, if there is none.
const ENDED: u8 = 1 << 1;
/// No value is wanted any more.
const CLOSED: u8 = 1 << 2;
/// The value was there.
const TAKEN: u8 = 1 << 3;

impl<T> Shared<T> {
    #[inline]
    fn has(&self, bits: u8) -> bool {
        self.state.get() & bits != 0
    }

    #[inline]
    fn set(&self, bits: u8) {
        self.state.set(self.state.get() | bits);
    }

    #[inline]
    fn close(&self) {
        self.set(CLOSED);
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
    }

    /// The value, if it is there.
    #[inline]
    fn take(&self) -> Option<T> {
        let value = self.value.take();
        if value.is_some() {
            self.state.set(self.state.get() & !SENT | TAKEN);
        }
        value
    }
}

/// Sends the one value. Dropped without, it ends the waiting with a [`RecvError`].
///
/// # Examples
/// As [`channel`].
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends the value. It never waits.
    ///
    /// That it was sent does not say that it is received: the receiver may be dropped before it looks.
    ///
    /// # Errors
    /// The receiver was dropped or closed: the value comes back.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send("tea"), Err("tea"));
    /// ```
    #[inline]
    pub fn send(self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        self.shared.value.set(Some(value));
        self.shared.set(SENT);
        // The drop of this wakes the receiver.
        Ok(())
    }

    /// Whether the receiver was dropped or closed.
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::oneshot::channel::<u8>();
    /// assert!(!sender.is_closed());
    /// receiver.close();
    /// assert!(sender.is_closed());
    /// ```
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.shared.has(CLOSED)
    }

    /// Waits until the receiver is dropped or closed: then nobody wants the value, and its making can stop.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let (mut sender, receiver) = annulus::sync::oneshot::channel::<u8>();
    ///     annulus::spawn(async { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.is_closed());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn closed(&mut self) -> Closed<'_, T> {
        Closed { sender: self }
    }

    /// As [`closed`](Self::closed), for futures written by hand. The task of the last call is woken.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::future::poll_fn;
    /// use annulus::sync::oneshot;
    ///
    /// annulus::run(async {
    ///     let (mut sender, receiver) = oneshot::channel::<()>();
    ///     assert!(!receiver.is_terminated());
    ///     drop(receiver);
    ///     poll_fn(|cx| sender.poll_closed(cx)).await;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_closed() {
            // Cloning a waker may run anything: asked again after it.
            let waiter = Waiter::of(cx.waker());
            if !self.is_closed() {
                drop(self.shared.sender.replace(Some(waiter)));
                return Poll::Pending;
            }
        }
        poll_turn(cx)
    }
}

impl<T> Drop for Sender<T> {
    #[inline]
    fn drop(&mut self) {
        self.shared.set(ENDED);
        // Left by `poll_closed`.
        drop(self.shared.sender.take());
        if let Some(receiver) = self.shared.receiver.take() {
            receiver.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish()
    }
}

/// The future of [`Sender::closed`].
///
/// # Examples
/// As [`Sender::closed`].
#[must_use = "it waits only when it is awaited"]
pub struct Closed<'a, T> {
    sender: &'a mut Sender<T>,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sender.poll_closed(cx)
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        drop(self.sender.shared.sender.take());
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("sender", &self.sender).finish()
    }
}

/// Waits for the one value: it is a future.
///
/// # Errors
/// It resolves to [`RecvError`] if the sender was dropped without sending.
///
/// # Cancel safety
/// Nothing is lost by dropping a `&mut Receiver` that did not resolve, in a `select!` or a time-out for example. Dropping
/// the receiver drops a value that was sent.
///
/// # Panics
/// When polled again after it has resolved to the value.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::oneshot::{self, RecvError};
///
/// annulus::run(async {
///     let (sender, receiver) = oneshot::channel::<u8>();
///     annulus::spawn(async { drop(sender) });
///     assert_eq!(receiver.await, Err(RecvError));
/// })?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it waits only when it is awaited"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The value, if it is there; waits for nothing.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`]: it may still come. [`TryRecvError::Closed`]: it will not, or it was taken already.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::oneshot::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(7).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(7));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.shared.take() {
            Some(value) => Ok(value),
            None if self.shared.has(ENDED | CLOSED) => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Says that no value is wanted any more. One that was sent before can still be taken.
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::oneshot::channel();
    /// receiver.close();
    /// assert_eq!(sender.send(7), Err(7));
    /// assert!(receiver.try_recv().is_err());
    /// ```
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// Whether there is nothing to take now.
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::oneshot::channel();
    /// assert!(receiver.is_empty());
    /// sender.send(7).unwrap();
    /// assert!(!receiver.is_empty());
    /// receiver.try_recv().unwrap();
    /// assert!(receiver.is_empty() && receiver.is_terminated());
    /// ```
    pub fn is_empty(&self) -> bool {
        !self.shared.has(SENT)
    }

    /// Whether the value was taken.
    ///
    /// # Examples
    /// As [`Sender::poll_closed`].
    pub fn is_terminated(&self) -> bool {
        self.shared.has(TAKEN)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = &self.shared;
        if !shared.has(SENT | ENDED | CLOSED) {
            // Cloning a waker may run anything: asked again after it.
            let waiter = Waiter::of(cx.waker());
            if !shared.has(SENT | ENDED | CLOSED) {
                drop(shared.receiver.replace(Some(waiter)));
                return Poll::Pending;
            }
        }
        if poll_turn(cx).is_pending() {
            return Poll::Pending;
        }
        match shared.take() {
            Some(value) => Poll::Ready(Ok(value)),
            None if shared.has(TAKEN) => panic!("a oneshot receiver was polled after it had resolved"),
            None => Poll::Ready(Err(RecvError)),
        }
    }
}

impl<T> Drop for Receiver<T> {
    #[inline]
    fn drop(&mut self) {
        if !self.shared.has(ENDED) {
            self.shared.close();
            drop(self.shared.receiver.take());
        }
        // A value that was sent is dropped with the allocation, whose last owner this is then.
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("sent", &self.shared.has(SENT)).finish()
    }
}

/// The sender was dropped without sending.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::oneshot::{self, RecvError, TryRecvError};
///
/// annulus::run(async {
///     let (sender, mut receiver) = oneshot::channel::<u32>();
///     assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
///     drop(sender);
///     assert_eq!(receiver.await, Err(RecvError));
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender was dropped without sending, or the channel was closed before")
    }
}

impl Error for RecvError {}

/// Why [`Receiver::try_recv`] gave no value.
///
/// # Examples
/// As [`RecvError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing was sent yet.
    Empty,
    /// Nothing will be sent, or it was taken already.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "nothing was sent yet",
            TryRecvError::Closed => "nothing will be sent any more, or it was taken already",
        })
    }
}

impl Error for TryRecvError {}
