//! A value that many look at, and are told of when it is another.
//!
//! Only the newest value is kept: who looks seldom sees fewer of them, and is never behind. A configuration, a state, a word to
//! stop.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use annulus::sync::watch;
//!
//! annulus::run(async {
//!     let (level, mut seen) = watch::channel(0);
//!     let gauge = annulus::spawn(async move {
//!         let mut shown = vec![*seen.borrow()];
//!         while seen.changed().await.is_ok() {
//!             shown.push(*seen.borrow_and_update());
//!         }
//!         shown
//!     });
//!     annulus::yield_now().await;
//!     level.send(1).unwrap();
//!     level.send(2).unwrap();
//!     annulus::yield_now().await;
//!     level.send(3).unwrap();
//!     drop(level);
//!     // Nobody looked while it was 1.
//!     assert_eq!(gauge.await.unwrap(), [0, 2, 3]);
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # A look holds nothing up
//! What [`borrow`](Receiver::borrow) gives is a look at the value of that moment. It may be kept, also over an await: sending goes on, and puts
//! the new value elsewhere. Only what changes the value in place ([`send_modify`](Sender::send_modify), [`send_if_modified`](Sender::send_if_modified),
//! [`send_replace`](Sender::send_replace)) needs that nobody looks, and panics where tokio's would wait for itself.

mod error;
mod look;
mod receiver;
mod sender;
mod shared;

pub use crate::sync::ends::Closed;
pub use error::{RecvError, SendError};
pub use look::Ref;
pub use receiver::{Changed, Receiver, WaitFor};
pub use sender::{Sender, channel};
