//! Something that has happened, or not yet, until it is taken back.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::line::Line;
use super::waiters::Place;

/// A flag that tasks wait for: set, it lets on all who wait, and all who come, until it is cleared.
///
/// [`Notify`](super::Notify) is a word that is heard once; this is a state that stays. It is what asyncio's is.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::rc::Rc;
/// use annulus::sync::Event;
///
/// annulus::run(async {
///     let is_warm = Rc::new(Event::new());
///     let guests: Vec<_> = (0..3)
///         .map(|guest| {
///             let is_warm = Rc::clone(&is_warm);
///             annulus::spawn(async move {
///                 is_warm.wait().await;
///                 guest
///             })
///         })
///         .collect();
///     is_warm.set();
///     for guest in guests {
///         guest.await.unwrap();
///     }
///     // Who comes later does not wait.
///     is_warm.wait().await;
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Event {
    is_set: Cell<bool>,
    line: Line<()>,
}

impl Event {
    /// One that is not set.
    pub fn new() -> Event {
        Event::default()
    }

    /// Lets on all who wait, and from now on all who come.
    pub fn set(&self) {
        self.is_set.set(true);
        self.line.call_all(());
    }

    /// Makes those wait who come from now on. Who waited when it was set goes on all the same.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::rc::Rc;
    ///
    /// annulus::run(async {
    ///     let event = Rc::new(annulus::sync::Event::new());
    ///     let waits = annulus::spawn({
    ///         let event = Rc::clone(&event);
    ///         async move { event.wait().await }
    ///     });
    ///     annulus::yield_now().await;
    ///     event.set();
    ///     event.clear();
    ///     waits.await.unwrap();
    ///     assert!(!event.is_set());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear(&self) {
        self.is_set.set(false);
    }

    /// Whether it is set.
    ///
    /// # Examples
    /// As [`clear`](Self::clear).
    #[inline]
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits until it is set, if it is not.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let event = annulus::sync::Event::new();
    ///     event.set();
    ///     event.wait().await;
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn wait(&self) -> EventWait<'_> {
        EventWait { event: self, place: None }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).field("waiting", &!self.line.is_empty()).finish()
    }
}

/// The future of [`Event::wait`].
///
/// # Examples
/// As [`Event`].
#[must_use = "it waits only when it is awaited"]
pub struct EventWait<'a> {
    event: &'a Event,
    place: Option<Place>,
}

impl Future for EventWait<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let EventWait { event, place: mine } = self.get_mut();
        event.line.poll_until((), mine, cx, || event.is_set())
    }
}

impl Drop for EventWait<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place {
            drop(self.event.line.leave(place));
        }
    }
}

impl fmt::Debug for EventWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWait").field("event", self.event).finish_non_exhaustive()
    }
}
