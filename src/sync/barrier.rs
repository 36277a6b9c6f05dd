//! A point at which tasks wait for each other.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::line::Line;
use super::waiters::Place;
use crate::engine::{give_way, has_turn};

/// Lets tasks on when so many have come, again and again. One of each round is told that it is the leader.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::rc::Rc;
/// use annulus::sync::Barrier;
///
/// annulus::run(async {
///     let barrier = Rc::new(Barrier::new(3));
///     let tasks: Vec<_> = (0..3)
///         .map(|_| {
///             let barrier = Rc::clone(&barrier);
///             annulus::spawn(async move { barrier.wait().await.is_leader() })
///         })
///         .collect();
///     let mut leaders = 0;
///     for task in tasks {
///         leaders += u32::from(task.await.unwrap());
///     }
///     assert_eq!(leaders, 1);
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct Barrier {
    size: usize,
    /// How many of this round are in the line.
    came: Cell<usize>,
    line: Line<()>,
}

impl Barrier {
    /// One that lets on so many at a time. Of none, as of one, each is let on at once.
    pub fn new(size: usize) -> Barrier {
        Barrier { size: size.max(1), came: Cell::new(0), line: Line::default() }
    }

    /// Waits until so many have come. The last of them is the leader.
    ///
    /// # Cancel safety
    /// Dropped before the round is full, it counts as not having come: another one is waited for. (With tokio it counts.) Once
    /// the round was full the others go on, also when this one is dropped.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     assert!(annulus::sync::Barrier::new(1).wait().await.is_leader());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(&self) -> BarrierWait<'_> {
        BarrierWait { barrier: self, place: None }
    }

    /// Whether the one who comes now is the last of the round.
    fn is_last(&self) -> bool {
        self.came.get() + 1 == self.size
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("size", &self.size).field("came", &self.came.get()).finish()
    }
}

/// The future of [`Barrier::wait`].
///
/// # Examples
/// As [`Barrier`].
#[must_use = "it waits only when it is awaited"]
pub struct BarrierWait<'a> {
    barrier: &'a Barrier,
    place: Option<Place>,
}

impl Future for BarrierWait<'_> {
    type Output = BarrierWaitResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        let BarrierWait { barrier, place: mine } = self.get_mut();
        if let Some(place) = *mine {
            ready!(barrier.line.poll_called(place, mine, cx));
            return Poll::Ready(BarrierWaitResult(false));
        }
        if !barrier.is_last() {
            let joined = barrier.line.join((), mine, cx, || !barrier.is_last());
            if mine.is_some() {
                barrier.came.set(barrier.came.get() + 1);
            }
            return joined;
        }
        if !has_turn() {
            return give_way(cx);
        }
        barrier.came.set(0);
        barrier.line.call_all(());
        Poll::Ready(BarrierWaitResult(true))
    }
}

impl Drop for BarrierWait<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let (called, _waiter) = self.barrier.line.leave(place);
        if called.is_none() {
            self.barrier.came.set(self.barrier.came.get() - 1);
        }
    }
}

impl fmt::Debug for BarrierWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWait").field("barrier", self.barrier).finish_non_exhaustive()
    }
}

/// What one is told who was let on by a [`Barrier`].
///
/// # Examples
/// As [`Barrier`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this one is the leader: one of each round is.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::sync::Barrier;
    ///
    /// annulus::run(async {
    ///     let (barrier, both) = (Barrier::new(2), 2);
    ///     let (one, other) = futures_util::future::join(barrier.wait(), barrier.wait()).await;
    ///     assert!(one.is_leader() != other.is_leader(), "one of the {both}");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn is_leader(&self) -> bool {
        self.0
    }
}
