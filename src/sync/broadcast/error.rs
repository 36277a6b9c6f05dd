//! Why a message was not sent, or none received.

use std::error::Error;
use std::fmt;

/// Nobody receives. The message comes back.
///
/// # Examples
/// As [`RecvError`].
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
        f.write_str("nobody receives: all receivers were dropped")
    }
}

impl<T> Error for SendError<T> {}

/// Why no message was received.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::broadcast::{self, RecvError, SendError, TryRecvError};
///
/// annulus::run(async {
///     let (sender, mut receiver) = broadcast::channel(1);
///     assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
///     sender.send("first").unwrap();
///     sender.send("second").unwrap();
///     assert_eq!(receiver.recv().await, Err(RecvError::Lagged(1)));
///     assert_eq!(receiver.recv().await, Ok("second"));
///     drop(receiver);
///     let SendError(message) = sender.send("third").unwrap_err();
///     assert_eq!(message, "third");
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// All senders are gone, and all messages were received.
    Closed,
    /// So many messages were lost, for the channel had no room for them any more. The next one received is the oldest that is
    /// there.
    Lagged(u64),
}

/// Why no message was received at once.
///
/// # Examples
/// As [`RecvError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// None is there now.
    Empty,
    /// None is there, and none will come.
    Closed,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> TryRecvError {
        match error {
            RecvError::Closed => TryRecvError::Closed,
            RecvError::Lagged(missed) => TryRecvError::Lagged(missed),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Closed => f.write_str("no message will come: nobody sends any more"),
            RecvError::Lagged(missed) => write!(
                f,
                "this receiver was too slow and lost {missed} messages: receive more often, or make the channel for more"
            ),
        }
    }
}

impl Error for RecvError {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("no message is there now"),
            TryRecvError::Closed => RecvError::Closed.fmt(f),
            TryRecvError::Lagged(missed) => RecvError::Lagged(*missed).fmt(f),
        }
    }
}

impl Error for TryRecvError {}
