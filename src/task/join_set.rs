//! Tasks that are waited for together, in the order in which they finish.
//!
//! No task is looked at in vain: whoever finishes leaves its place in a queue, so waiting costs the same however many
//! there are. A future is told of in its drop, which happens once whatever becomes of it: it ends, panics, or is aborted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use slab::Slab;

use crate::engine::{give_way, poll_turn};
use crate::executor::{AbortHandle, Id, JoinError, JoinHandle, Waiter};
use crate::runtime::{blocking, spawn};

/// A collection of spawned tasks, which are waited for in the order in which they finish.
///
/// Dropping it aborts all of them. To have them finish by themselves: [`detach_all`](Self::detach_all).
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::task::JoinSet;
///
/// annulus::run(async {
///     let mut set = JoinSet::new();
///     for ms in [3, 1, 2] {
///         set.spawn(async move {
///             annulus::time::sleep(Duration::from_millis(10 * ms)).await;
///             ms
///         });
///     }
///     let mut finished = Vec::new();
///     while let Some(result) = set.join_next().await {
///         finished.push(result.unwrap());
///     }
///     finished.sort();
///     assert_eq!(finished, [1, 2, 3]);
/// })?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a JoinSet aborts its tasks: wait for them by `join_next` or `join_all`"]
pub struct JoinSet<T> {
    tasks: Slab<JoinHandle<T>>,
    finished: Rc<Finished>,
}

/// What the tasks of a set share with it.
#[derive(Default)]
struct Finished {
    /// The places of those that have finished.
    places: RefCell<VecDeque<usize>>,
    waiter: Cell<Option<Waiter>>,
}

/// Says that its task has finished.
struct Told {
    finished: Rc<Finished>,
    place: usize,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.finished.places.borrow_mut().push_back(self.place);
        if let Some(waiter) = self.finished.waiter.take() {
            waiter.wake();
        }
    }
}

/// Takes back what a future said that became no task: there is no loop, or a hook has panicked.
struct Unspawned<'a> {
    finished: &'a Finished,
    place: usize,
}

impl Drop for Unspawned<'_> {
    fn drop(&mut self) {
        self.finished.places.borrow_mut().retain(|place| *place != self.place);
    }
}

pin_project! {
    /// A future of a set. The fields are dropped in this order, so the set hears of it when all of it is gone.
    struct Member<F> {
        #[pin]
        future: F,
        told: Told,
    }
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<T: 'static> JoinSet<T> {
    /// One without tasks.
    ///
    /// # Examples
    /// As [`JoinSet`].
    pub fn new() -> JoinSet<T> {
        JoinSet { tasks: Slab::new(), finished: Rc::default() }
    }

    /// Spawns a task into the set.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// As [`JoinSet`].
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + 'static>(&mut self, future: F) -> AbortHandle {
        let entry = self.tasks.vacant_entry();
        let place = entry.key();
        let unspawned = Unspawned { finished: &self.finished, place };
        let told = Told { finished: Rc::clone(&self.finished), place };
        let handle = spawn(Member { future, told });
        std::mem::forget(unspawned);
        let abort = handle.abort_handle();
        entry.insert(handle);
        abort
    }

    /// Runs a closure that blocks on a helper thread, as [`spawn_blocking`](crate::spawn_blocking), in the set.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task::JoinSet;
    ///
    /// annulus::run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn_blocking(|| std::fs::read("Cargo.toml").map(|text| text.len()));
    ///     assert!(set.join_next().await.unwrap()?? > 0);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_blocking(&mut self, closure: impl FnOnce() -> T + Send + 'static) -> AbortHandle
    where
        T: Send,
    {
        self.spawn(blocking(closure))
    }

    /// Waits for the next task to finish and takes it out, with its output or with why it has none. None if the set is
    /// empty.
    ///
    /// # Cancel safety
    /// Dropping it takes no task out.
    ///
    /// # Errors
    /// [`JoinError`] if the task panicked or was aborted.
    ///
    /// # Examples
    /// As [`JoinSet`].
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), and says which task it was: the [`Id`] that its handle had.
    ///
    /// # Cancel safety
    /// Dropping it takes no task out.
    ///
    /// # Errors
    /// As [`join_next`](Self::join_next), the id beside the error.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task::JoinSet;
    ///
    /// annulus::run(async {
    ///     let mut set = JoinSet::new();
    ///     let task = set.spawn(async { 7 });
    ///     let (id, output) = set.join_next_with_id().await.unwrap();
    ///     assert_eq!((id, output?), (task.id(), 7));
    ///     assert!(set.try_join_next_with_id().is_none() && set.is_empty());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn join_next_with_id(&mut self) -> Option<(Id, Result<T, JoinError>)> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// As [`join_next`](Self::join_next), for futures written by hand.
    ///
    /// # Errors
    /// As [`join_next`](Self::join_next).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::future::poll_fn;
    /// use annulus::task::JoinSet;
    ///
    /// annulus::run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async { 7 });
    ///     assert_eq!(poll_fn(|cx| set.poll_join_next(cx)).await.unwrap()?, 7);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx).map(|next| next.map(|(_, result)| result))
    }

    fn poll_join_next_with_id(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Id, Result<T, JoinError>)>> {
        if self.tasks.is_empty() {
            return Poll::Ready(None);
        }
        if self.finished.places.borrow().is_empty() {
            let before = self.finished.waiter.replace(Some(Waiter::of(cx.waker())));
            drop(before);
            // Somebody else's waker may have run anything while it was cloned or dropped.
            return if self.finished.places.borrow().is_empty() { Poll::Pending } else { give_way(cx) };
        }
        ready!(poll_turn(cx));
        match self.take_next() {
            Some(next) => Poll::Ready(Some(next)),
            // It is told of in the drop of its future, and its result is stored right after: a waker that polls from in
            // there is too early.
            None => give_way(cx),
        }
    }

    /// Takes a task out that has finished, if there is one. None also if all of them are still at work.
    ///
    /// # Errors
    /// As [`join_next`](Self::join_next).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task::JoinSet;
    ///
    /// annulus::run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async { 7 });
    ///     assert!(set.try_join_next().is_none(), "it has not been polled yet");
    ///     annulus::yield_now().await;
    ///     assert_eq!(set.try_join_next().unwrap()?, 7);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.try_join_next_with_id().map(|(_, result)| result)
    }

    /// As [`try_join_next`](Self::try_join_next), and says which task it was.
    ///
    /// # Errors
    /// As [`join_next`](Self::join_next), the id beside the error.
    ///
    /// # Examples
    /// As [`join_next_with_id`](Self::join_next_with_id).
    pub fn try_join_next_with_id(&mut self) -> Option<(Id, Result<T, JoinError>)> {
        self.take_next()
    }

    fn take_next(&mut self) -> Option<(Id, Result<T, JoinError>)> {
        let place = *self.finished.places.borrow().front()?;
        let handle = &mut self.tasks[place];
        let next = (handle.id(), handle.take()?);
        self.finished.places.borrow_mut().pop_front();
        drop(self.tasks.remove(place));
        Some(next)
    }

    /// Waits for all tasks and gives their outputs, in the order in which they finish.
    ///
    /// # Panics
    /// If a task panicked, with its panic, or was aborted. The rest is aborted then.
    ///
    /// # Cancel safety
    /// Dropping it aborts the tasks that have not finished; the outputs of the others are lost.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task::JoinSet;
    ///
    /// annulus::run(async {
    ///     let set: JoinSet<u32> = (1..=3).map(|n| async move { n * n }).collect();
    ///     assert_eq!(set.join_all().await, [1, 4, 9]);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result {
                Ok(output) => outputs.push(output),
                Err(JoinError::Panicked(panic)) => resume_unwind(panic),
                Err(error @ JoinError::Cancelled) => panic!("JoinSet::join_all: {error}"),
            }
        }
        outputs
    }

    /// Aborts all tasks. They stay in the set: [`join_next`](Self::join_next) tells of each.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task::JoinSet;
    ///
    /// annulus::run(async {
    ///     let mut set: JoinSet<()> = [std::future::pending(), std::future::pending()].into_iter().collect();
    ///     assert_eq!(set.len(), 2);
    ///     set.abort_all();
    ///     while let Some(ended) = set.join_next().await {
    ///         assert!(ended.unwrap_err().is_cancelled());
    ///     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn abort_all(&mut self) {
        self.tasks.iter().for_each(|(_, task)| task.abort());
    }

    /// Aborts all tasks and waits until their futures are gone. What they panicked with is lost.
    ///
    /// # Cancel safety
    /// They are aborted when it is first polled, also if it is dropped then.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task::JoinSet;
    ///
    /// annulus::run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(std::future::pending::<()>());
    ///     set.shutdown().await; // its future is gone
    ///     assert!(set.is_empty());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Takes all tasks out, and lets them go on by themselves.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::{sync::oneshot, task::JoinSet};
    ///
    /// annulus::run(async {
    ///     let (tell, told) = oneshot::channel();
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async move { drop(tell.send("it went on")) });
    ///     set.detach_all();
    ///     drop(set);
    ///     assert_eq!(told.await, Ok("it went on"));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn detach_all(&mut self) {
        // What they leave in the queue from now on is about nobody.
        let waiter = std::mem::take(&mut self.finished).waiter.take();
        let tasks = std::mem::take(&mut self.tasks);
        drop((waiter, tasks));
    }

    /// How many tasks are in the set, finished ones included.
    ///
    /// # Examples
    /// As [`abort_all`](Self::abort_all).
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    ///
    /// # Examples
    /// As [`shutdown`](Self::shutdown).
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|(_, task)| task.abort());
    }
}

impl<T: 'static> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

/// Spawns each of them.
///
/// # Panics
/// Outside of a running loop.
impl<T: 'static, F: Future<Output = T> + 'static> FromIterator<F> for JoinSet<T> {
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        for future in futures {
            set.spawn(future);
        }
        set
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.tasks.len()).finish()
    }
}
