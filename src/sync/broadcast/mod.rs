//! Channels in which every receiver gets every message.
//!
//! The channel keeps the newest messages, so many as it was made for. Sending never waits: a receiver that is slower loses
//! the oldest, and is told how many ([`RecvError::Lagged`]). A receiver sees what is sent from when it was made.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use annulus::sync::broadcast::{self, RecvError};
//!
//! annulus::run(async {
//!     let (sender, mut early) = broadcast::channel(2);
//!     sender.send(1).unwrap();
//!     let mut late = sender.subscribe();
//!     sender.send(2).unwrap();
//!     sender.send(3).unwrap();
//!     drop(sender);
//!     assert_eq!(early.recv().await, Err(RecvError::Lagged(1)));
//!     assert_eq!(early.recv().await, Ok(2));
//!     assert_eq!(late.recv().await, Ok(2));
//!     assert_eq!(late.recv().await, Ok(3));
//!     assert_eq!(late.recv().await, Err(RecvError::Closed));
//! })?;
//! # Ok(())
//! # }
//! ```

mod error;
mod receiver;
mod sender;
mod shared;

pub use crate::sync::ends::Closed;
pub use error::{RecvError, SendError, TryRecvError};
pub use receiver::{Receiver, Recv};
pub use sender::{Sender, WeakSender, channel};
