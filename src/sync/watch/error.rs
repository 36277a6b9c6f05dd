//! Why a value was not sent, or none will come.

use std::error::Error;
use std::fmt;

/// Nobody looks. The value comes back.
///
/// # Examples
/// As [`RecvError`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

// The value may be anything, so it is not shown.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody looks: all receivers were dropped (send_replace sets the value all the same)")
    }
}

impl<T> Error for SendError<T> {}

/// All senders are gone: the value will not change any more.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::watch::{self, RecvError, SendError};
///
/// annulus::run(async {
///     let (sender, mut receiver) = watch::channel(1);
///     drop(sender);
///     let error: RecvError = receiver.changed().await.unwrap_err();
///     println!("{error}");
///     let (sender, _) = watch::channel(1);
///     let SendError(value) = sender.send(2).unwrap_err();
///     assert_eq!(value, 2);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError(pub(super) ());

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value will not change any more: all senders were dropped")
    }
}

impl Error for RecvError {}
