//! State of which each shard has its own part, and others a way to it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::shard::Shard;
use super::shards::Shards;
use crate::runtime::Answer;

/// State of which each shard has a part of its own, without locks: only that shard's thread ever touches it, and the others have
/// it do so. The part need not be `Send`; the handle goes anywhere.
///
/// A part is made when it is first wanted on its shard, and dropped there when the shard ends. That of a shard that is started
/// again is made anew.
///
/// Made by [`Launch::sharded`](super::Launch::sharded).
///
/// # Examples
/// A store whose keys are spread over the shards:
/// ```
/// use std::cell::RefCell;
/// use std::collections::HashMap;
///
/// let launch = annulus::launch().shards(2);
/// let store = launch.sharded(|_| RefCell::<HashMap<String, u32>>::default());
/// let launched = launch.start(|shard| async move {
///     shard.stopping().cancelled().await;
///     std::io::Result::Ok(())
/// })?;
///
/// // From any thread; on a loop, `.await` the answers.
/// let key = "tea".to_owned();
/// let owner = store.owner_of(&key);
/// store.at(owner, move |part| part.borrow_mut().insert(key, 7)).wait().unwrap();
/// let found = store.at(store.owner_of("tea"), |part| part.borrow().get("tea").copied());
/// assert_eq!(found.wait().unwrap(), Some(7));
///
/// let sizes: Vec<_> = store.map(|part| part.borrow().len()).into_iter().map(|answer| answer.wait().unwrap()).collect();
/// assert_eq!(sizes.iter().sum::<usize>(), 1);
/// launched.stop();
/// launched.join()?;
/// # Ok::<(), annulus::launch::Failure>(())
/// ```
pub struct Sharded<T> {
    number: u64,
    shards: Shards,
    make: Arc<dyn Fn(&Shard) -> T + Send + Sync>,
}

impl<T> Clone for Sharded<T> {
    fn clone(&self) -> Self {
        Sharded { number: self.number, shards: self.shards.clone(), make: Arc::clone(&self.make) }
    }
}

impl<T: 'static> Sharded<T> {
    pub(super) fn new(shards: &Shards, make: impl Fn(&Shard) -> T + Send + Sync + 'static) -> Sharded<T> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Sharded { number, shards: shards.clone(), make: Arc::new(make) }
    }

    /// The calling shard's part.
    ///
    /// # Panics
    /// On a thread that is none of the launch's shards, and while that very part is made.
    ///
    /// # Examples
    /// As [`spawn_at`](Self::spawn_at).
    #[track_caller]
    pub fn here(&self) -> Rc<T> {
        match Shard::current() {
            Some(shard) if Arc::ptr_eq(&shard.shards().table, &self.shards.table) => self.part_of(&shard),
            _ => panic!(
                "this thread is no shard of the launch whose state that is: use `at`, which any thread may"
            ),
        }
    }

    #[track_caller]
    fn part_of(&self, shard: &Shard) -> Rc<T> {
        let values = &shard.local().values;
        let known = values.borrow().get(&self.number).cloned();
        let value = known.unwrap_or_else(|| {
            // Somebody's code, which may want other parts.
            let made: Rc<dyn Any> = Rc::new((self.make)(shard));
            let before = values.borrow_mut().insert(self.number, Rc::clone(&made));
            assert!(before.is_none(), "the part of a Sharded was wanted while it was made");
            made
        });
        value.downcast().unwrap_or_else(|_| unreachable!("a number is of one type"))
    }

    /// Has a shard do something with its part: a closure, which should be short.
    ///
    /// # Errors
    /// The answer is that of [`Remote::run`](crate::Remote::run).
    ///
    /// # Panics
    /// As [`Shards::at`].
    #[track_caller]
    pub fn at<R: Send + 'static>(
        &self,
        shard: usize,
        closure: impl FnOnce(Rc<T>) -> R + Send + 'static,
    ) -> Answer<R> {
        let sharded = self.clone();
        self.shards.at(shard).run(move || closure(sharded.here()))
    }

    /// Has a shard run a future that is made there with its part.
    ///
    /// # Errors
    /// The answer is that of [`Remote::spawn`](crate::Remote::spawn).
    ///
    /// # Panics
    /// As [`Shards::at`].
    ///
    /// # Examples
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// let launch = annulus::launch().shards(1);
    /// let counts = launch.sharded(|_shard| Cell::new(0));
    /// let counter = counts.clone();
    /// let launched = launch.start(move |shard| {
    ///     let counts = counts.clone();
    ///     async move {
    ///         counts.here().set(1); // on the shard it is a plain value
    ///         shard.ready();
    ///         shard.stopping().cancelled().await;
    ///         std::io::Result::Ok(())
    ///     }
    /// })?;
    /// launched.wait_until_ready();
    /// let answer = counter.spawn_at(0, |part: Rc<Cell<u32>>| async move { part.get() });
    /// assert_eq!(answer.wait().unwrap(), 1);
    /// launched.stop();
    /// launched.join()?;
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    #[track_caller]
    pub fn spawn_at<F: Future<Output: Send + 'static> + 'static>(
        &self,
        shard: usize,
        make: impl FnOnce(Rc<T>) -> F + Send + 'static,
    ) -> Answer<F::Output> {
        let sharded = self.clone();
        self.shards.at(shard).spawn(move || make(sharded.here()))
    }

    /// Has each shard do something with its part. The answers come in the shards' order.
    ///
    /// # Errors
    /// Each answer is that of [`Remote::run`](crate::Remote::run).
    pub fn map<R: Send + 'static>(
        &self,
        closure: impl FnOnce(Rc<T>) -> R + Clone + Send + 'static,
    ) -> Vec<Answer<R>> {
        (0..self.shards.count()).map(|shard| self.at(shard, closure.clone())).collect()
    }

    /// Which shard has a key: the same one for the same key and count of shards, in each run of the same program.
    ///
    /// # Panics
    /// Before the shards were started.
    pub fn owner_of(&self, key: &(impl Hash + ?Sized)) -> usize {
        let count = self.shards.count();
        assert!(count > 0, "the shards have not been started: Launch::run and Launch::start do so");
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        (hasher.finish() % count as u64) as usize
    }
}

impl<T> fmt::Debug for Sharded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharded").field("shards", &self.shards.count()).finish_non_exhaustive()
    }
}
