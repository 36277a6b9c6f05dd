//! What tasks of different threads tell each other by: between two loops, a loop and a plain thread, a loop and tokio.
//!
//! They are tokio's own, re-exported, and behave as their namesakes for the tasks of one thread do ([`oneshot`](super::oneshot),
//! [`mpsc`](super::mpsc), [`broadcast`](super::broadcast), [`watch`](super::watch), [`Barrier`](super::Barrier), which is shared by an `Arc`); a channel
//! without a bound is made by `mpsc::unbounded_channel`. Whoever has them of tokio, and whoever has them from here, have the same types.
//! Nothing else of tokio comes with them, no runtime and no thread. Wakers of a loop may be used from any thread: a loop
//! that sleeps is woken, and nothing looks for what has come.
//!
//! - **Between the tasks of one thread use the others**: they take no lock, and a message costs them a quarter.
//! - **`blocking_send`, `blocking_recv` and their like are for threads without a loop.** On one where a loop runs they
//!   make it stand still, and if the other end is a task of that loop, for ever. On a thread of tokio's they panic; loops of
//!   this crate they do not know. Use `.await`, or [`spawn_blocking`](crate::spawn_blocking).
//! - **What is ready at once spends nothing of a task's budget**, as it does in tokio and with the channels of one thread.
//!   A task that takes from a channel that another thread always keeps full says
//!   [`yield_now`](crate::yield_now) every some messages, so that the others have their turn; see below.
//! - In a simulated world what comes from another thread comes when it comes, and no seed decides it.
//!
//! Since they are tokio's, a new major version of tokio in here would be one of this crate. There has been none since 2020.
//!
//! # Examples
//! ```
//! use annulus::sync::across::{mpsc, oneshot};
//!
//! // A loop on another thread, which answers questions.
//! let (questions, mut asked) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(16);
//! let loop_of_its_own = std::thread::spawn(move || {
//!     annulus::run(async move {
//!         let mut answered = 0;
//!         while let Some((number, answer)) = asked.recv().await {
//!             answer.send(number * number).ok();
//!             answered += 1;
//!             // However many more are there already, other tasks have their turn.
//!             if answered % 64 == 0 {
//!                 annulus::yield_now().await;
//!             }
//!         }
//!     })
//! });
//! annulus::run(async {
//!     for number in 0..3 {
//!         let (answer, answered) = oneshot::channel();
//!         questions.send((number, answer)).await.unwrap();
//!         assert_eq!(answered.await, Ok(number * number));
//!     }
//!     drop(questions);
//! })?;
//! loop_of_its_own.join().unwrap()?;
//! # Ok::<(), annulus::Error>(())
//! ```

pub use tokio::sync::{Barrier, BarrierWaitResult, broadcast, mpsc, oneshot, watch};
