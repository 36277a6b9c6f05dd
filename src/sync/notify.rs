//! A word without content: something has happened, look again.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiters::{Place, Waiters};
use crate::engine::{give_way, has_turn, poll_turn};
use crate::executor::{Waiter, wake_foreign};

/// Tells one task, or all that wait, that something has happened.
///
/// It is a semaphore with one permit at most: [`notify_one`](Self::notify_one) resolves the future of
/// [`notified`](Self::notified) that has waited longest, or, where nobody waits, the next one at once. Share it by
/// an `Rc` or by reference. Whoever waits for a condition asks after it again when notified: many words may become one.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::cell::RefCell;
/// use std::rc::Rc;
/// use annulus::sync::Notify;
///
/// annulus::run(async {
///     let shelf = Rc::new((RefCell::new(Vec::new()), Notify::new()));
///     let customer = annulus::spawn({
///         let shelf = Rc::clone(&shelf);
///         async move {
///             loop {
///                 if let Some(item) = shelf.0.borrow_mut().pop() {
///                     return item;
///                 }
///                 shelf.1.notified().await;
///             }
///         }
///     });
///     shelf.0.borrow_mut().push("tea");
///     shelf.1.notify_one();
///     assert_eq!(customer.await.unwrap(), "tea");
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Notify {
    permit: Cell<bool>,
    /// How often all were told.
    rounds: Cell<u64>,
    waiting: RefCell<Waiters<Call>>,
}

/// What a future was notified by; one word for one is passed on by whoever cannot hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    First,
    Last,
    All,
}

impl Notify {
    /// One without a permit.
    pub fn new() -> Notify {
        Notify::default()
    }

    /// Tells the one who has waited longest, or leaves a permit for the next who comes. Permits do not add up.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let notify = annulus::sync::Notify::new();
    ///     notify.notify_one();
    ///     notify.notify_one();
    ///     notify.notified().await;
    ///     // The second found a permit there already.
    ///     assert!(!std::pin::pin!(notify.notified()).enable());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        self.tell(Call::First);
    }

    /// As [`notify_one`](Self::notify_one), for the one who came last: whose memory is still in the caches, say.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::pin::pin;
    ///
    /// annulus::run(async {
    ///     let notify = annulus::sync::Notify::new();
    ///     let (mut first, mut last) = (pin!(notify.notified()), pin!(notify.notified()));
    ///     first.as_mut().enable();
    ///     last.as_mut().enable();
    ///     notify.notify_last();
    ///     assert!(last.as_mut().enable() && !first.as_mut().enable());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn notify_last(&self) {
        self.tell(Call::Last);
    }

    #[inline]
    fn tell(&self, call: Call) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.permit.set(true);
            return;
        }
        let waiter = match call {
            Call::Last => waiting.call_last(call),
            _ => waiting.call_first(call),
        };
        drop(waiting);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Tells all who wait now: every future of [`notified`](Self::notified) that exists, polled or not. No permit is left for
    /// those who come later.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let notify = annulus::sync::Notify::new();
    ///     let (one, other) = (notify.notified(), notify.notified());
    ///     notify.notify_waiters();
    ///     one.await;
    ///     other.await;
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn notify_waiters(&self) {
        self.rounds.set(self.rounds.get() + 1);
        let mut foreign = Vec::new();
        // Tasks of ours are linked at once; somebody else's waker runs their code, when nothing is borrowed (I5).
        self.waiting.borrow_mut().call_all(Call::All, |waiter| foreign.extend(waiter.resume_own()));
        foreign.into_iter().for_each(wake_foreign);
    }

    /// Waits for a word.
    ///
    /// It stands in the queue from its first poll, or from [`Notified::enable`]; of [`notify_waiters`](Self::notify_waiters)
    /// it hears from the beginning.
    ///
    /// # Cancel safety
    /// Dropping it loses its place in the queue. A word of [`notify_one`](Self::notify_one) that it was given and has not
    /// told is passed on to the next.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::rc::Rc;
    ///
    /// annulus::run(async {
    ///     let notify = Rc::new(annulus::sync::Notify::new());
    ///     let waits = annulus::spawn({
    ///         let notify = Rc::clone(&notify);
    ///         async move { notify.notified().await }
    ///     });
    ///     notify.notify_one();
    ///     waits.await.unwrap();
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, rounds: self.rounds.get(), stage: Stage::New }
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("permit", &self.permit.get())
            .field("waiting", &!self.waiting.borrow().is_empty())
            .finish()
    }
}

/// The future of [`Notify::notified`].
///
/// # Examples
/// As [`Notify`].
#[must_use = "it waits only when it is awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    /// How often all had been told when it was made.
    rounds: u64,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    New,
    Waiting(Place),
    /// Has taken the permit, and has not said so yet.
    Permitted,
    Done,
}

impl Notified<'_> {
    /// Takes the place in the queue without waiting; true when the word is there already, so that the next poll is ready.
    ///
    /// For looking at a condition between taking the place and waiting, so that no word is missed.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::pin::pin;
    ///
    /// annulus::run(async {
    ///     let notify = annulus::sync::Notify::new();
    ///     let mut first = pin!(notify.notified());
    ///     assert!(!first.as_mut().enable());
    ///     notify.notify_one();
    ///     assert!(!pin!(notify.notified()).enable(), "the word is for the first");
    ///     first.await;
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn enable(mut self: Pin<&mut Self>) -> bool {
        match self.stage {
            Stage::New => {
                if self.look() {
                    return true;
                }
                self.stage = Stage::Waiting(self.notify.waiting.borrow_mut().push(None));
                false
            }
            Stage::Waiting(place) => self.notify.waiting.borrow().called(place).is_some(),
            Stage::Permitted | Stage::Done => true,
        }
    }

    /// Whether the word is there for one who stands in no queue yet; if so it is theirs.
    #[inline]
    fn look(&mut self) -> bool {
        if self.notify.rounds.get() != self.rounds {
            self.stage = Stage::Done;
        } else if self.notify.permit.replace(false) {
            self.stage = Stage::Permitted;
        }
        !matches!(self.stage, Stage::New)
    }

    /// Joins the queue.
    #[inline]
    fn join(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiter = Waiter::of(cx.waker());
        // Cloning somebody else's waker may have run anything.
        if !waiter.is_own() && self.look() {
            return give_way(cx);
        }
        let place = self.notify.waiting.borrow_mut().push(Some(waiter));
        self.stage = Stage::Waiting(place);
        Poll::Pending
    }

    #[inline]
    fn wait(&mut self, place: Place, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.notify.waiting.borrow_mut();
        if waiting.called(place).is_none() {
            drop(waiting);
            return self.wait_on(place, cx);
        }
        if !has_turn() {
            drop(waiting);
            return give_way(cx);
        }
        let (_, none) = waiting.leave(place);
        drop(waiting);
        // Whoever was called has been woken.
        debug_assert!(none.is_none());
        self.stage = Stage::Done;
        Poll::Ready(())
    }

    /// Somebody else is to be woken now, perhaps.
    #[cold]
    fn wait_on(&mut self, place: Place, cx: &mut Context<'_>) -> Poll<()> {
        let waiter = Waiter::of(cx.waker());
        let (called, before) = self.notify.waiting.borrow_mut().renew(place, waiter);
        drop(before);
        match called {
            Some(_) => give_way(cx),
            None => Poll::Pending,
        }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Stage::Waiting(place) = self.stage {
            return self.wait(place, cx);
        }
        if matches!(self.stage, Stage::New) && !self.look() {
            return self.join(cx);
        }
        if poll_turn(cx).is_pending() {
            return Poll::Pending;
        }
        self.stage = Stage::Done;
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    #[inline]
    fn drop(&mut self) {
        let place = match self.stage {
            Stage::New | Stage::Done => return,
            Stage::Permitted => return self.notify.tell(Call::First),
            Stage::Waiting(place) => place,
        };
        let (called, waiter) = self.notify.waiting.borrow_mut().leave(place);
        drop(waiter);
        match called {
            Some(call @ (Call::First | Call::Last)) => self.notify.tell(call),
            Some(Call::All) | None => {}
        }
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified").field("notify", self.notify).finish_non_exhaustive()
    }
}
