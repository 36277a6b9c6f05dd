//! What tasks of one thread tell each other by, and share things by: channels, words without content, locks.
//!
//! Names and behaviour are tokio's. There is no lock and no atomic operation: the handles stay on their thread, and a
//! task of this loop is woken by being linked into the ready queue. For other threads there is [`across`].
//!
//! | | from, to | holds |
//! |---|---|---|
//! | [`oneshot`] | one, one | one value |
//! | [`mpsc`] | many, one | messages in order, with a bound or without |
//! | [`broadcast`] | many, many | the newest messages, for each receiver |
//! | [`watch`] | many, many | the newest value |
//! | [`Notify`] | many, many | that something has happened |
//! | [`Event`] | many, many | that something has happened, until it is cleared |
//! | [`across`] | threads | the first two, for whoever sends from another thread |
//!
//! And what they share things by:
//!
//! | | lets on | for |
//! |---|---|---|
//! | [`Mutex`] | one | a value that stays taken over an await |
//! | [`RwLock`] | many who read, or one who writes | the same |
//! | [`Semaphore`] | so many | what there is so much of |
//! | [`Barrier`] | so many together | steps that begin together |
//! | [`OnceCell`] | one, once | a value that is made when it is needed |
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
//!
//! # What is not there, and what serves instead
//! - A condition variable: between two awaits nobody comes, so there is nothing to unlock while one waits. Look, and wait for a
//!   [`Notify`] as long as what is wanted is not there: its own example does.
//! - A queue that many take from: an `Rc<RefCell<VecDeque<T>>>` and a [`Semaphore`] that counts what is in it. Where one takes,
//!   [`mpsc`] is that queue.
//! - A queue by priority is the same with a heap:
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use std::cell::RefCell;
//! use std::collections::BinaryHeap;
//! use annulus::sync::Semaphore;
//!
//! struct PriorityQueue<T> {
//!     items: RefCell<BinaryHeap<T>>,
//!     count: Semaphore,
//! }
//!
//! impl<T: Ord> PriorityQueue<T> {
//!     fn put(&self, item: T) {
//!         self.items.borrow_mut().push(item);
//!         self.count.add_permits(1);
//!     }
//!
//!     /// Waits for an item; of those that are there, the greatest. Dropped, it takes none.
//!     async fn get(&self) -> T {
//!         self.count.acquire().await.expect("it is never closed").forget();
//!         self.items.borrow_mut().pop().expect("as many as were counted")
//!     }
//! }
//!
//! annulus::run(async {
//!     let queue = PriorityQueue { items: RefCell::default(), count: Semaphore::new(0) };
//!     for urgency in [2, 9, 4] {
//!         queue.put(urgency);
//!     }
//!     assert_eq!((queue.get().await, queue.get().await, queue.get().await), (9, 4, 2));
//! })?;
//! # Ok(())
//! # }
//! ```

pub mod across;
mod barrier;
pub mod broadcast;
mod ends;
mod event;
mod line;
pub mod mpsc;
mod mutex;
mod notify;
mod once_cell;
pub mod oneshot;
mod permits;
mod rwlock;
mod semaphore;
mod waiters;
pub mod watch;

pub use barrier::{Barrier, BarrierWait, BarrierWaitResult};
pub use event::{Event, EventWait};
pub use mutex::{Lock, LockOwned, Mutex, MutexGuard, OwnedMutexGuard, TryLockError};
pub use notify::{Notified, Notify};
pub use once_cell::{OnceCell, SetError};
pub use rwlock::{RwLock, RwLockRead, RwLockReadGuard, RwLockWrite, RwLockWriteGuard};
pub use semaphore::{
    Acquire, AcquireError, AcquireOwned, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError,
};
