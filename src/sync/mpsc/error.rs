//! Why a message was not sent, or none received.

use std::error::Error;
use std::fmt;

/// Nobody receives any more. The message comes back.
///
/// # Examples
/// ```
/// use annulus::sync::mpsc::{self, SendError, TryRecvError, TrySendError};
///
/// let (sender, mut receiver) = mpsc::channel(1);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// sender.try_send(1).unwrap();
/// assert!(matches!(sender.try_send(2), Err(TrySendError::Full(2))));
/// drop(receiver);
/// assert!(matches!(sender.try_send(3), Err(TrySendError::Closed(3))));
///
/// let (sender, _) = mpsc::unbounded();
/// let SendError(message) = sender.send(4).unwrap_err();
/// assert_eq!(message, 4);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

// The message may be anything, so it is not shown.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl<T> Error for SendError<T> {}

const CLOSED: &str = "nobody receives any more: the receiver was dropped, or closed the channel";

/// Why a message was not sent at once. It comes back.
///
/// # Examples
/// As [`SendError`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room now, or others wait for it.
    Full(T),
    /// Nobody receives any more.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The message.
    ///
    /// ```
    /// let (sender, _receiver) = annulus::sync::mpsc::channel(1);
    /// sender.try_send("tea").unwrap();
    /// assert_eq!(sender.try_send("more tea").unwrap_err().into_inner(), "more tea");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(message) | TrySendError::Closed(message) => message,
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "there is no room in the channel now",
            TrySendError::Closed(_) => CLOSED,
        })
    }
}

impl<T> Error for TrySendError<T> {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(message): SendError<T>) -> TrySendError<T> {
        TrySendError::Closed(message)
    }
}

/// Why no message was received at once.
///
/// # Examples
/// As [`SendError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// None is there now.
    Empty,
    /// None is there, and none will come.
    Disconnected,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "no message is there now",
            TryRecvError::Disconnected => "no message is there, and none will come: nobody sends any more",
        })
    }
}

impl Error for TryRecvError {}
