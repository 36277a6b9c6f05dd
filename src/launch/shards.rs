//! All shards, for any thread: a way to each.

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::connection::Arrival;
use super::load::Load;
use crate::runtime::{Answer, Remote};
use crate::sync::across::mpsc;

/// All shards of a launch, from any thread: each can be asked to do something.
///
/// Had by [`Launch::handle`](super::Launch::handle), [`Launched::shards`](super::Launched::shards) and [`Shard::shards`](super::Shard::shards).
///
/// # Examples
/// ```
/// use std::rc::Rc;
///
/// use annulus::sync::across::Barrier;
/// use std::sync::Arc;
///
/// let all_done = Arc::new(Barrier::new(2));
/// let sums = annulus::launch().shards(2).run(move |shard| {
///     let all_done = Arc::clone(&all_done);
///     async move {
///         let next = shard.shards().at((shard.index() + 1) % shard.count());
///         // A closure that runs there, or a future that is made there and need not be `Send`.
///         let one = next.run(|| 1).await?;
///         let two = next.spawn(|| async {
///             let kept = Rc::new(2);
///             annulus::yield_now().await;
///             *kept
///         });
///         let sum = one + two.await?;
///         // A shard whose future has ended does nothing any more.
///         all_done.wait().await;
///         std::io::Result::Ok(sum)
///     }
/// })?;
/// assert_eq!(sums, [3, 3]);
/// # Ok::<(), annulus::launch::Failure>(())
/// ```
#[derive(Clone)]
pub struct Shards {
    pub(super) table: Arc<Table>,
}

/// What all shards know of each other.
pub(super) struct Table {
    /// Made when they are started.
    seats: OnceLock<Box<[Seat]>>,
}

/// One shard, as the others see it.
///
/// Each value stands behind a lock of its own and nothing is decided from two of them, so no order of memory matters. One order
/// of events does: a remote is set before any shard is told to go, since `Shards::at` of one that has none panics. The supervisor
/// sets the remotes, and it alone gives the word, by a channel: so whoever has had the word sees them. A door may close
/// after it was had: then the channel behind it gives back what is put in, and nothing is lost.
#[derive(Default)]
pub(super) struct Seat {
    /// Its loop's, while there is one: changed when the shard is started again.
    remote: RwLock<Option<Remote>>,
    /// Where it takes connections that others accepted: one for each group of sockets.
    doors: RwLock<Vec<Option<mpsc::Sender<Arrival>>>>,
    pub(super) load: Load,
}

impl Shards {
    pub(super) fn new() -> Shards {
        Shards { table: Arc::new(Table { seats: OnceLock::new() }) }
    }

    /// So many there are.
    pub(super) fn set_count(&self, count: usize) {
        // A launch starts once.
        let _ = self.table.seats.set((0..count).map(|_| Seat::default()).collect());
    }

    pub(super) fn seats(&self) -> &[Seat] {
        self.table.seats.get().map_or(&[], |seats| seats)
    }

    /// How many there are. None before they are started.
    pub fn count(&self) -> usize {
        self.seats().len()
    }

    /// A handle to have one shard do something: submit it a closure by [`Remote::run`], or a future by [`Remote::spawn`].
    ///
    /// It is that of the loop that the shard has now. Once that has ended what it is asked is answered with
    /// [`JoinError::Cancelled`](crate::task::JoinError::Cancelled); of a shard that was started again, ask here again.
    ///
    /// # Panics
    /// If there is no such shard, or before the shards were started.
    #[doc(alias = "submit_to")]
    #[track_caller]
    pub fn at(&self, index: usize) -> Remote {
        let count = self.count();
        let Some(seat) = self.seats().get(index) else {
            match count {
                0 => panic!("the shards have not been started: Launch::run and Launch::start do so"),
                _ => panic!("there is no shard {index}: there are {count}, counted from 0"),
            }
        };
        seat.remote().expect("a shard has a remote before any begins")
    }

    /// How many connections a shard has, of those that [`Shard::incoming`](super::Shard::incoming) gave, and that are on their way to it.
    ///
    /// # Panics
    /// If there is no such shard, or before the shards were started.
    ///
    /// # Examples
    /// As [`Incoming`](super::Incoming).
    #[track_caller]
    pub fn connections(&self, index: usize) -> usize {
        match self.seats().get(index) {
            Some(seat) => seat.load.connections(),
            None => panic!("there is no shard {index}: there are {}, counted from 0", self.count()),
        }
    }

    /// Runs a closure on each shard, the calling one included, and gives their answers in the shards' order.
    ///
    /// # Errors
    /// Each answer is that of [`Remote::run`].
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use annulus::launch::Shard;
    /// use annulus::sync::across::Barrier;
    ///
    /// let all_asked = Arc::new(Barrier::new(3));
    /// let totals = annulus::launch().shards(3).run(move |shard| {
    ///     let all_asked = Arc::clone(&all_asked);
    ///     async move {
    ///         let mut total = 0;
    ///         for answer in shard.shards().broadcast(|| Shard::current().unwrap().index()) {
    ///             total += answer.await?;
    ///         }
    ///         // A shard whose future has ended answers nobody.
    ///         all_asked.wait().await;
    ///         std::io::Result::Ok(total)
    ///     }
    /// })?;
    /// assert_eq!(totals, [3, 3, 3]);
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    pub fn broadcast<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Clone + Send + 'static,
    ) -> Vec<Answer<T>> {
        (0..self.count()).map(|index| self.at(index).run(closure.clone())).collect()
    }
}

impl Seat {
    fn remote(&self) -> Option<Remote> {
        // Nothing panics while it is held.
        self.remote.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_remote(&self, remote: Remote) {
        *self.remote.write().unwrap_or_else(PoisonError::into_inner) = Some(remote);
    }

    /// Where it takes connections of that group, if it does.
    pub(super) fn door(&self, group: usize) -> Option<mpsc::Sender<Arrival>> {
        let doors = self.doors.read().unwrap_or_else(PoisonError::into_inner);
        doors.get(group)?.as_ref().filter(|door| !door.is_closed()).cloned()
    }

    /// From now on it takes connections of that group there, or none.
    pub(super) fn set_door(&self, group: usize, door: Option<mpsc::Sender<Arrival>>) {
        let mut doors = self.doors.write().unwrap_or_else(PoisonError::into_inner);
        if doors.len() <= group {
            doors.resize(group + 1, None);
        }
        doors[group] = door;
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards").field("count", &self.count()).finish()
    }
}
