//! A word to stop, for many operations and tasks at once.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use crate::driver::Operation;
use crate::executor::{AbortHandle, JoinHandle, Waiter};
use crate::op::{CancelWhen, Submitted};

/// A word to stop that many wait for: operations, tasks, and whoever asks.
///
/// Clones are the same token. It stays on its thread; to cancel from another one, wake a task that does it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::CancelToken;
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let stream = TcpStream::connect(listener.local_addr()?).await?;
///     let stop = CancelToken::new();
///
///     // Operations resolve from their own completions, with their buffers.
///     let read = stream.read(Vec::with_capacity(1024)).cancel_on(&stop);
///     let accepts = annulus::spawn({
///         let stop = stop.clone();
///         async move {
///             while let Ok(_) = listener.accept().cancel_on(&stop).await {}
///             "no more"
///         }
///     });
///     // A task is aborted.
///     let forever = annulus::spawn(std::future::pending::<()>());
///     forever.abort_on(&stop);
///
///     stop.cancel();
///     assert_eq!(read.await.1.capacity(), 1024);
///     assert_eq!(accepts.await?, "no more");
///     assert!(forever.await.unwrap_err().is_cancelled());
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Default)]
pub struct CancelToken {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancelled: Cell<bool>,
    registry: RefCell<Registry>,
}

/// Who is told.
#[derive(Default)]
struct Registry {
    waiting: VecDeque<(u64, Waiter)>,
    numbers: u64,
    tasks: Vec<AbortHandle>,
    children: Vec<Weak<Shared>>,
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// A token that is cancelled when this one is, and may be cancelled by itself before.
    ///
    /// ```
    /// use annulus::CancelToken;
    ///
    /// let server = CancelToken::new();
    /// let (one, other) = (server.child_token(), server.child_token());
    /// one.cancel();
    /// assert!(!other.is_cancelled());
    /// server.cancel();
    /// assert!(other.is_cancelled());
    /// ```
    pub fn child_token(&self) -> CancelToken {
        let child = CancelToken::new();
        match self.is_cancelled() {
            true => child.shared.cancelled.set(true),
            false => {
                let children = &mut self.shared.registry.borrow_mut().children;
                thin_out(children, |child| child.strong_count() > 0);
                children.push(Rc::downgrade(&child.shared));
            }
        }
        child
    }

    /// Says the word: all who wait for it, and for the tokens below it, are told. Twice is as good as once.
    ///
    /// # Examples
    /// As [`child_token`](Self::child_token).
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// Whether the word was said.
    ///
    /// # Examples
    /// As [`child_token`](Self::child_token).
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.get()
    }

    /// Waits for the word.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::CancelToken;
    ///
    /// annulus::run(async {
    ///     let stop = CancelToken::new();
    ///     let waiting = annulus::spawn({
    ///         let stop = stop.clone();
    ///         async move { stop.cancelled().await }
    ///     });
    ///     stop.cancel();
    ///     waiting.await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { shared: Rc::clone(&self.shared), number: None }
    }

    /// Runs a future until it is ready, or until the word: then it is dropped, and the answer is None. The word is
    /// heard first.
    ///
    /// # Cancel safety
    /// Dropping it drops the future.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::CancelToken;
    ///
    /// annulus::run(async {
    ///     let stop = CancelToken::new();
    ///     assert_eq!(stop.run_until_cancelled(async { 7 }).await, Some(7));
    ///     stop.cancel();
    ///     assert_eq!(stop.run_until_cancelled(async { 7 }).await, None);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut cancelled = self.cancelled();
        std::future::poll_fn(|cx| match Pin::new(&mut cancelled).poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => future.as_mut().poll(cx).map(Some),
        })
        .await
    }

    /// Says the word when the guard is dropped, be it by a panic.
    ///
    /// # Examples
    /// ```
    /// use annulus::CancelToken;
    ///
    /// let stop = CancelToken::new();
    /// let guard = stop.clone().drop_guard();
    /// let _not_any_more = guard.disarm();
    /// assert!(!stop.is_cancelled());
    /// drop(stop.clone().drop_guard());
    /// assert!(stop.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }
}

impl Shared {
    fn cancel(&self) {
        if self.cancelled.replace(true) {
            return;
        }
        // Wakers and destructors may come back here: nothing is borrowed while they run (I5).
        let registry = std::mem::take(&mut *self.registry.borrow_mut());
        registry.waiting.into_iter().for_each(|(_, waiter)| waiter.wake());
        registry.tasks.iter().for_each(AbortHandle::abort);
        registry.children.iter().filter_map(Weak::upgrade).for_each(|child| child.cancel());
    }
}

/// Lets go of what is over, so seldom that adding one costs the same however many there are.
fn thin_out<T>(entries: &mut Vec<T>, is_alive: impl Fn(&T) -> bool) {
    if entries.len() == entries.capacity() {
        entries.retain(is_alive);
        entries.reserve(entries.len() + 1);
    }
}

impl<O: Operation> Submitted<O> {
    /// Asks the kernel to stop when the token is cancelled, and resolves from its own completion, as after
    /// [`cancel`](Self::cancel).
    ///
    /// # Examples
    /// As [`CancelToken`].
    pub fn cancel_on(self, token: &CancelToken) -> CancelWhen<Self, Cancelled> {
        self.cancel_when(token.cancelled())
    }
}

impl<T> JoinHandle<T> {
    /// Aborts the task when the token is cancelled; at once if it is. The handle may be dropped.
    ///
    /// # Examples
    /// As [`CancelToken`].
    pub fn abort_on(&self, token: &CancelToken) {
        if token.is_cancelled() {
            return self.abort();
        }
        let tasks = &mut token.shared.registry.borrow_mut().tasks;
        thin_out(tasks, |task| !task.is_finished());
        tasks.push(self.abort_handle());
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// The future of [`CancelToken::cancelled`].
///
/// # Examples
/// As [`CancelToken::cancelled`].
#[must_use = "it waits only when it is awaited"]
pub struct Cancelled {
    shared: Rc<Shared>,
    /// Its place in the registry.
    number: Option<u64>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.cancelled.get() {
            return Poll::Ready(());
        }
        // Cloning a waker runs somebody's code: before anything is borrowed (I5). So does dropping one.
        let waiter = Waiter::of(cx.waker());
        let shared = Rc::clone(&self.shared);
        let mut registry = shared.registry.borrow_mut();
        let before = match self.number.and_then(|number| registry.place(number)) {
            Some(place) => Some(std::mem::replace(&mut registry.waiting[place].1, waiter)),
            None => {
                registry.numbers += 1;
                self.number = Some(registry.numbers);
                let number = registry.numbers;
                registry.waiting.push_back((number, waiter));
                None
            }
        };
        drop(registry);
        drop(before);
        Poll::Pending
    }
}

impl Registry {
    /// Where the entry of that number stands; they are in the order of their numbers.
    fn place(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut registry = self.shared.registry.borrow_mut();
        let waiter = registry.place(number).and_then(|place| registry.waiting.remove(place));
        drop(registry);
        drop(waiter);
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").field("cancelled", &self.shared.cancelled.get()).finish()
    }
}

/// Cancels its token when it is dropped. See [`CancelToken::drop_guard`].
///
/// # Examples
/// As [`CancelToken::drop_guard`].
#[must_use = "the token is cancelled as soon as the guard is dropped"]
#[derive(Debug)]
pub struct DropGuard {
    token: Option<CancelToken>,
}

impl DropGuard {
    /// Gives the token back without cancelling it.
    ///
    /// # Examples
    /// As [`CancelToken::drop_guard`].
    pub fn disarm(mut self) -> CancelToken {
        self.token.take().expect("present until the drop")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_token_keeps_nothing_of_who_does_not_wait_any_more() {
        let token = CancelToken::new();
        for _ in 0..1000 {
            let mut waits = token.cancelled();
            assert!(Pin::new(&mut waits).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(token.child_token());
        }
        let registry = token.shared.registry.borrow();
        assert_eq!(registry.waiting.len(), 0);
        assert!(registry.children.len() < 10, "{}", registry.children.len());
    }
}
