//! Several futures in one task: all of them, or the first.
//!
//! They are tokio's macros, and futures-util's functions. What decided: their branches are polled with the task's own waker, so an operation
//! of a branch resumes its task directly; the macros want no `fuse` and no `pin!`, work through this crate's name, and bring
//! no more than tokio without a runtime. What is not tokio's is the order of [`select!`](macro@crate::select): by chance
//! there, as written here, since in a simulated world chance is the seed's alone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::{FuturesUnordered, StreamExt};

/// Waits for several futures at once, in this task, and gives all their outputs as a tuple.
///
/// # Cancel safety
/// Dropping it drops them all, and the outputs of those that were ready.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let (one, two) = annulus::join!(async { 1 }, annulus::spawn(async { 2 }));
///     assert_eq!(one + two.unwrap(), 3);
/// })?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! join {
    ($($futures:tt)*) => { $crate::task::__tokio::join! { $($futures)* } };
}

/// As [`join!`](macro@crate::join) for futures that may fail: with the first error it is ready at once, and drops the others.
///
/// # Cancel safety
/// Dropping it drops them all, and the outputs of those that were ready.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let both = async { annulus::try_join!(annulus::fs::read("README.md"), annulus::fs::read("no such file")) };
///     assert_eq!(both.await.unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// })?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! try_join {
    ($($futures:tt)*) => { $crate::task::__tokio::try_join! { $($futures)* } };
}

/// Waits for the first of several futures, in this task, and drops the others.
///
/// It is written as tokio's: `pattern = future, if condition => handler`, and `else => handler`. The branches are polled in the order in
/// which they are written (tokio's `biased;`, which may be said): one that is always ready starves those below it, so what is
/// rare and matters, as a signal to stop, stands first.
///
/// # Cancel safety
/// The futures of the other branches are dropped. Around one operation of this crate nothing is lost by that: see
/// [`Submitted`](crate::Submitted). To wait for the same again, wait for `&mut future`.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time::sleep;
///
/// annulus::run(async {
///     let (send, receive) = annulus::sync::oneshot::channel();
///     send.send("tea").unwrap();
///     let drink = annulus::select! {
///         drink = receive => drink.unwrap(),
///         () = sleep(Duration::from_secs(3600)) => "nothing",
///     };
///     assert_eq!(drink, "tea");
/// })?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! select {
    (biased; $($branches:tt)*) => { $crate::task::__tokio::select! { biased; $($branches)* } };
    ($($branches:tt)*) => { $crate::task::__tokio::select! { biased; $($branches)* } };
}

/// Waits for several futures, in this task, and gives their outputs in the order in which they become ready.
///
/// Each has a waker of its own, so that only those are polled that were woken. Tasks are waited for so by a
/// [`JoinSet`](super::JoinSet).
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
///
/// annulus::run(async {
///     let sleeps = [20, 1].map(|ms| async move {
///         annulus::time::sleep(Duration::from_millis(ms)).await;
///         ms
///     });
///     let mut ended = annulus::task::as_completed(sleeps);
///     assert_eq!(ended.next().await, Some(1));
///     assert_eq!(ended.next().await, Some(20));
///     assert_eq!(ended.next().await, None);
/// })?;
/// # Ok(())
/// # }
/// ```
pub fn as_completed<F: Future>(futures: impl IntoIterator<Item = F>) -> AsCompleted<F> {
    AsCompleted { futures: futures.into_iter().collect() }
}

/// The outputs of [`as_completed`], also as a [`Stream`].
///
/// # Examples
/// As [`as_completed`].
#[derive(Debug)]
#[must_use = "the futures do nothing until their outputs are asked for"]
pub struct AsCompleted<F> {
    futures: FuturesUnordered<F>,
}

impl<F: Future> AsCompleted<F> {
    /// The next output; None when all were given.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    ///
    /// # Examples
    /// As [`as_completed`].
    pub async fn next(&mut self) -> Option<F::Output> {
        self.futures.next().await
    }
}

impl<F: Future> Stream for AsCompleted<F> {
    type Item = F::Output;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        self.futures.poll_next_unpin(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.futures.size_hint()
    }
}

#[cfg(all(test, feature = "macros", not(annulus_loom)))]
mod tests {
    use std::future::poll_fn;

    use futures_util::future::join_all;

    use super::*;
    use crate::executor::Waiter;
    use crate::runtime::Builder;

    /// Whether it is polled with a waker by which an operation would resume the task directly.
    async fn is_direct() -> bool {
        let mut was_polled = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut was_polled, true) {
                return Poll::Ready(Waiter::of(cx.waker()).is_own());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    #[test]
    fn branches_are_polled_with_the_tasks_own_waker() {
        let runtime = Builder::new().build().unwrap();
        let checked = runtime.run(async {
            assert_eq!(join!(is_direct(), is_direct()), (true, true));
            assert_eq!(try_join!(async { Ok::<_, ()>(is_direct().await) }), Ok((true,)));
            let of_two = select! {
                () = std::future::pending() => unreachable!(),
                direct = is_direct() => direct,
            };
            assert!(of_two);
            assert_eq!(join_all((0..30).map(|_| is_direct())).await, [true; 30]);
            // What has a waker for each future cannot.
            assert_eq!(as_completed([is_direct()]).next().await, Some(false));
            assert_eq!(join_all((0..31).map(|_| is_direct())).await, [false; 31]);
        });
        checked.unwrap();
    }
}
