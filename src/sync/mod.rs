//! What tasks of one thread tell each other by: channels, and words without content.
//!
//! Names and behaviour are tokio's. There is no lock and no atomic operation: the handles stay on their thread, and a
//! task of this loop is woken by being linked into the ready queue. For other threads there is [`across`].
//!
//! | | from, to | holds |
//! |---|---|---|
//! | [`oneshot`] | one, one | one value |
//! | [`mpsc`] | many, one | messages in order, with a bound or without |
//! | [`Notify`] | many, many | that something has happened |
//! | [`across`] | threads | the first two, for whoever sends from another thread |
//!
//! Any waker will do: what is here also works under `FuturesUnordered`, under another runtime, and between two loops that take
//! turns on one thread. What is ready at once spends of the task's budget, as other operations do, so that a channel
//! that is never empty does not have the thread for itself.
//!
//! # Examples
//! ```
//! # fn main() -> std::io::Result<()> {
//! use annulus::sync::{mpsc, oneshot};
//!
//! // A task that owns something, and answers questions about it.
//! annulus::run(async {
//!     let (questions, mut asked) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(16);
//!     annulus::spawn(async move {
//!         let mut sum = 0;
//!         while let Some((number, answer)) = asked.recv().await {
//!             sum += number;
//!             answer.send(sum).ok();
//!         }
//!     });
//!     for (number, sum) in [(1, 1), (2, 3), (3, 6)] {
//!         let (answer, answered) = oneshot::channel();
//!         questions.send((number, answer)).await.unwrap();
//!         assert_eq!(answered.await, Ok(sum));
//!     }
//! })?;
//! # Ok(())
//! # }
//! ```

pub mod across;
pub mod mpsc;
mod notify;
pub mod oneshot;
mod waiters;

pub use notify::{Notified, Notify};
