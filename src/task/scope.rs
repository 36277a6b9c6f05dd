//! Tasks that borrow: they live in the future of their scope, so they are gone before what they borrow.
//!
//! A task of the loop may outlive whoever spawned it, because a future can be forgotten; so it borrows nothing. The tasks
//! of a scope are futures that the scope's own future holds and polls: forgotten with it they are never polled again. So no
//! `unsafe` is needed. The price is one more waker, and that all of them share their scope's turn of the loop.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::executor::Waiter;
use crate::sync::oneshot;

/// Runs `body` and the futures that it spawns, which may borrow from outside, side by side, and gives the body's value when
/// all have ended.
///
/// Elsewhere what a task borrows would have to be an `Rc`. They are no tasks of the loop: they run when this is polled, and a
/// panic of one is this one's. For failures that stop the others, see [`group`](super::group()).
///
/// # Cancel safety
/// Dropping it drops the body and the futures, at once.
///
/// # Panics
/// If the body or a future panics, with its panic.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::cell::Cell;
/// use annulus::task;
///
/// annulus::run(async {
///     let names = [String::from("one"), String::from("three")];
///     let letters = Cell::new(0);
///     task::scope(async |scope| {
///         for name in &names {
///             let letters = &letters;
///             scope.spawn(async move {
///                 annulus::yield_now().await;
///                 letters.set(letters.get() + name.len());
///             });
///         }
///     })
///     .await;
///     assert_eq!(letters.get(), 8);
/// })?;
/// # Ok(())
/// # }
/// ```
pub async fn scope<'env, T, B>(body: B) -> T
where
    B: AsyncFnOnce(Scope<'env>) -> T,
{
    let scope = Scope { entrance: Rc::default() };
    let entrance = Rc::clone(&scope.entrance);
    let _closing = Closing(&entrance);
    let mut futures = FuturesUnordered::new();
    let mut body = pin!(body(scope));
    let mut output = None;
    poll_fn(|cx| {
        // Who enters from in here is seen below.
        drop(entrance.waiter.take());
        if output.is_none() {
            if let Poll::Ready(value) = body.as_mut().poll(cx) {
                output = Some(value);
            }
        }
        let all_ended = poll_all(&entrance, &mut futures, cx);
        if all_ended && output.is_some() {
            return Poll::Ready(());
        }
        entrance.waiter.set(Some(Waiter::of(cx.waker())));
        Poll::Pending
    })
    .await;
    output.expect("it was waited for")
}

/// Polls those that were woken, and those that enter meanwhile. Whether none is left.
fn poll_all<'env>(
    entrance: &Entrance<'env>,
    futures: &mut FuturesUnordered<Spawned<'env>>,
    cx: &mut Context<'_>,
) -> bool {
    loop {
        let arrived = entrance.arrived.take();
        futures.extend(arrived);
        let polled = futures.poll_next_unpin(cx);
        let is_open = !entrance.arrived.borrow().is_empty();
        match polled {
            Poll::Ready(Some(())) => {}
            _ if is_open => {}
            Poll::Ready(None) => return true,
            Poll::Pending => return false,
        }
    }
}

type Spawned<'env> = Pin<Box<dyn Future<Output = ()> + 'env>>;

/// Where futures enter a scope.
#[derive(Default)]
struct Entrance<'env> {
    arrived: RefCell<Vec<Spawned<'env>>>,
    is_closed: Cell<bool>,
    /// None while the scope is polled.
    waiter: Cell<Option<Waiter>>,
}

/// Closes a scope when its future is dropped.
struct Closing<'a, 'env>(&'a Entrance<'env>);

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        self.0.is_closed.set(true);
        // They may hold the entrance, and be held by it.
        let arrived = self.0.arrived.take();
        drop(arrived);
    }
}

/// What futures are spawned by into a [`scope`]. Clones are for futures that spawn others.
///
/// # Examples
/// As [`scope`].
#[derive(Clone)]
pub struct Scope<'env> {
    entrance: Rc<Entrance<'env>>,
}

impl<'env> Scope<'env> {
    /// Adds a future to the scope, which is first polled when the body waits.
    ///
    /// # Panics
    /// When the scope has ended.
    ///
    /// # Examples
    /// As [`scope`].
    #[track_caller]
    pub fn spawn<V: 'env>(&self, future: impl Future<Output = V> + 'env) -> ScopeHandle<V> {
        assert!(!self.entrance.is_closed.get(), "a future was spawned into a scope that has ended");
        let (sender, output) = oneshot::channel();
        self.entrance.arrived.borrow_mut().push(Box::pin(async move {
            // Nobody may wait for it.
            drop(sender.send(future.await));
        }));
        if let Some(waiter) = self.entrance.waiter.take() {
            waiter.wake();
        }
        ScopeHandle { output }
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Waits for one future of a [`scope`], for its output. The scope waits for it anyway.
///
/// # Cancel safety
/// Dropping it loses the output, and stops nothing.
///
/// # Panics
/// When awaited after its scope was dropped.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::task;
///
/// annulus::run(async {
///     let words = ["one", "three"];
///     let sum = task::scope(async |scope| {
///         let lengths = words.each_ref().map(|word| scope.spawn(async move { word.len() }));
///         let [one, other] = lengths;
///         one.await + other.await
///     })
///     .await;
///     assert_eq!(sum, 8);
///     Ok(())
/// })?
/// # }
/// ```
pub struct ScopeHandle<V> {
    output: oneshot::Receiver<V>,
}

impl<V> Future for ScopeHandle<V> {
    type Output = V;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<V> {
        let output = Pin::new(&mut self.output).poll(cx);
        output.map(|output| output.expect("the scope of this future was dropped before it had ended"))
    }
}

impl<V> fmt::Debug for ScopeHandle<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeHandle").finish_non_exhaustive()
    }
}
