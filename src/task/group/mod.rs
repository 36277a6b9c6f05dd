//! Tasks that end together: when one fails the others are stopped, and who waits for the group waits for all of them,
//! and for all that the kernel still does for them.
//!
//! [`roll`](self::roll) is who belongs to a group, whatever its tasks give; [`member`](self::member) a task's future.

mod member;
mod roll;

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::engine::settled;
use crate::executor::{AbortHandle, Id, JoinError, JoinHandle, current_task_id, drop_unheard};
use crate::runtime::spawn;
use member::Member;
use roll::Roll;

/// Runs `body` and the tasks that it spawns into its group, as one thing that succeeds or fails.
///
/// It is ready when the body and every task have finished: with the body's value, or with the first error. The first that
/// fails, body or task, stops all others: their futures are dropped. What is dropped says nothing any more, so
/// there is one error and no more. A panic is a failure; it goes on here when all have ended.
///
/// When it is ready the kernel's part is over as well: reads, accepts and whatever else the tasks began and left
/// behind when they were stopped are answered, buffers are free, and what they brought is kept for the next who asks.
/// The thread goes on meanwhile. A file operation that nothing can stop is waited for until it has ended by itself.
///
/// The body may borrow from its surroundings, and what it does itself needs no task. A group inside of a group is a part of
/// it: stopped by the outer one, its tasks and operations are waited for there.
///
/// # Cancel safety
/// Dropping it drops the body and aborts the tasks, whose futures are gone in the next batch, and waits for nothing. The values of tasks
/// that had finished are lost.
///
/// # Errors
/// The first error of the body or of a task.
///
/// # Panics
/// If the body or a task panicked, with the first panic. Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::{fs, task};
///
/// annulus::run(async {
///     let (readme, license) = task::group(async |group| {
///         let readme = group.spawn(fs::read("README.md"));
///         let license = group.spawn(fs::read("LICENSE-MIT"));
///         // Where one of them fails, this is not gone on with: the group's error is told below.
///         Ok((readme.await?, license.await?))
///     })
///     .await?;
///     assert!(readme.len() > license.len());
///
///     let missing = task::group(async |group| {
///         group.spawn(fs::read("no such file"));
///         group.spawn(async {
///             annulus::time::sleep(std::time::Duration::from_secs(3600)).await;
///             Ok(())
///         });
///         Ok(())
///     });
///     assert_eq!(missing.await.unwrap_err().kind(), std::io::ErrorKind::NotFound);
///     Ok(())
/// })?
/// # }
/// ```
pub async fn group<T, E, B>(body: B) -> Result<T, E>
where
    B: AsyncFnOnce(TaskGroup<E>) -> Result<T, E>,
    E: 'static,
{
    let group = TaskGroup { shared: Rc::new(Shared { roll: Rc::default(), failure: RefCell::new(None) }) };
    let Shared { roll, failure } = &*group.shared;
    let mut leaving = roll::Leaving::new(roll);

    let mut running = Box::pin(body(group.clone()));
    let value = poll_fn(|cx| poll_body(&group, running.as_mut(), cx)).await;
    if value.is_none() {
        roll.cancel();
    }
    // What it holds may panic when it is dropped: then that is how it ended.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(running))) {
        group.shared.fail(Failure::Panic(panic));
    }
    poll_fn(|cx| roll.poll_empty(cx)).await;
    roll.close();

    let mut left = roll.left();
    if value.is_none() {
        // What the body left behind when it was stopped is this task's.
        left.push(current_task_id());
    }
    settled(left).await;
    leaving.is_done();

    let failure = failure.borrow_mut().take();
    match failure {
        None => Ok(value.expect("what has not failed has a value")),
        Some(Failure::Error(error)) => Err(error),
        Some(Failure::Panic(panic)) => resume_unwind(panic),
    }
}

/// The body's value; None if the group has failed, of which the body may be the reason.
fn poll_body<T, E, F>(group: &TaskGroup<E>, body: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Option<T>>
where
    F: Future<Output = Result<T, E>>,
{
    let shared = &group.shared;
    if shared.failure.borrow().is_some() {
        return Poll::Ready(None);
    }
    let polled = shared.roll.within(|| catch_unwind(AssertUnwindSafe(|| body.poll(cx))));
    match polled {
        Ok(Poll::Pending) => shared.roll.wait(cx),
        Ok(Poll::Ready(Ok(value))) => return Poll::Ready(Some(value)),
        Ok(Poll::Ready(Err(error))) => shared.fail(Failure::Error(error)),
        Err(panic) => shared.fail(Failure::Panic(panic)),
    }
    match shared.failure.borrow().is_some() {
        true => Poll::Ready(None),
        false => Poll::Pending,
    }
}

/// What a group's tasks are spawned by: see [`group()`]. Clones are for tasks that spawn others.
///
/// # Examples
/// As [`group()`].
pub struct TaskGroup<E> {
    shared: Rc<Shared<E>>,
}

/// What the body and the tasks of a group share.
struct Shared<E> {
    roll: Rc<Roll>,
    /// The first.
    failure: RefCell<Option<Failure<E>>>,
}

enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
}

impl<E> Shared<E> {
    /// Stops the group, if it has not failed already. Of later failures nobody hears.
    fn fail(&self, failure: Failure<E>) {
        let is_first = self.failure.borrow().is_none();
        if is_first {
            *self.failure.borrow_mut() = Some(failure);
            self.roll.cancel();
        } else {
            // Where it panics once more its task has to leave the group all the same.
            drop_unheard(failure);
        }
    }
}

impl<E: 'static> TaskGroup<E> {
    /// Spawns a task into the group, which fails if the task does.
    ///
    /// In a group that has failed, or that has been left, the future is dropped at once, and its handle says that it was
    /// cancelled.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// As [`group()`].
    #[track_caller]
    pub fn spawn<V: 'static, F>(&self, future: F) -> GroupHandle<V>
    where
        F: Future<Output = Result<V, E>> + 'static,
    {
        let Some(place) = self.shared.roll.enter() else {
            drop(future);
            let task = spawn(std::future::pending());
            task.abort();
            return GroupHandle { task };
        };
        let task = spawn(Member::new(future, Rc::clone(&self.shared), place));
        self.shared.roll.is_aborted_by(place, task.abort_handle());
        GroupHandle { task }
    }

    /// How many tasks of the group have not finished.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task;
    ///
    /// annulus::run(async {
    ///     task::group(async |group| {
    ///         assert!(group.is_empty());
    ///         let endless = group.spawn(async { Ok(std::future::pending::<()>().await) });
    ///         assert_eq!(group.len(), 1);
    ///         // Stopped by hand: that is no failure.
    ///         endless.abort();
    ///         assert!(!endless.is_finished());
    ///         println!("{:?}", endless.id());
    ///         assert!(endless.await.unwrap_err().is_cancelled());
    ///         std::io::Result::Ok(())
    ///     })
    ///     .await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.shared.roll.len()
    }

    /// Whether all of its tasks have finished, or none was spawned.
    ///
    /// # Examples
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> TaskGroup<E> {
        TaskGroup { shared: Rc::clone(&self.shared) }
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup").field("len", &self.shared.roll.len()).finish_non_exhaustive()
    }
}

/// Waits for one task of a [`TaskGroup`], for the value that it gives. The group waits for it anyway.
///
/// Where the task fails or panics the group does, which is where that is told: here it is [`JoinError::Cancelled`], as of
/// one that was stopped.
///
/// # Cancel safety
/// Nothing is lost by dropping a `&mut GroupHandle` that did not resolve.
///
/// # Panics
/// When polled again after it has resolved.
///
/// # Examples
/// As [`group()`].
pub struct GroupHandle<V> {
    task: JoinHandle<V>,
}

impl<V> GroupHandle<V> {
    /// Stops this task. That is no failure: the group goes on.
    ///
    /// # Examples
    /// As [`TaskGroup::len`].
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Another handle that can stop the task, but does not wait for it.
    ///
    /// # Examples
    /// As [`AbortHandle`].
    pub fn abort_handle(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// Whether the task has finished, by itself or by being stopped.
    ///
    /// # Examples
    /// As [`TaskGroup::len`].
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// What tells this task from all others of the process.
    ///
    /// # Examples
    /// As [`TaskGroup::len`].
    pub fn id(&self) -> Id {
        self.task.id()
    }
}

impl<V> Future for GroupHandle<V> {
    type Output = Result<V, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx)
    }
}

impl<V> fmt::Debug for GroupHandle<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupHandle").field("task", &self.task).finish()
    }
}
