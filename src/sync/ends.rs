//! How many are at each end of a channel from many to many, and who waits for the others: for something to come, or for them to go.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::line::Line;
use super::waiters::Place;

pub(super) struct Ends {
    /// Weak ones do not count.
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// Receivers that wait for something to come, or for the end of it.
    pub(super) waiting: Line<()>,
    /// Senders that wait until nobody receives.
    leavers: Line<()>,
}

impl Ends {
    /// One sender, and no receiver.
    pub(super) fn new() -> Ends {
        Ends {
            senders: Cell::new(1),
            receivers: Cell::new(0),
            waiting: Line::default(),
            leavers: Line::default(),
        }
    }

    pub(super) fn senders(&self) -> usize {
        self.senders.get()
    }

    pub(super) fn add_sender(&self) {
        self.senders.set(self.senders.get() + 1);
    }

    pub(super) fn remove_sender(&self) {
        self.senders.set(self.senders.get() - 1);
        if self.senders.get() == 0 {
            self.waiting.call_all(());
        }
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers.get()
    }

    pub(super) fn add_receiver(&self) {
        self.receivers.set(self.receivers.get() + 1);
    }

    pub(super) fn remove_receiver(&self) {
        self.receivers.set(self.receivers.get() - 1);
    }

    /// To be called when what the receiver held is settled, which may run anything.
    pub(super) fn tell_if_nobody_receives(&self) {
        if self.receivers.get() == 0 {
            self.leavers.call_all(());
        }
    }

    pub(super) fn closed(&self) -> Closed<'_> {
        Closed { ends: self, place: None }
    }
}

/// The future of `Sender::closed`: ready when nobody receives.
///
/// # Examples
/// As [`broadcast::Sender::closed`](crate::sync::broadcast::Sender::closed).
#[must_use = "it waits only when it is awaited"]
pub struct Closed<'a> {
    ends: &'a Ends,
    place: Option<Place>,
}

impl Future for Closed<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Closed { ends, place } = self.get_mut();
        ends.leavers.poll_until((), place, cx, || ends.receivers() == 0)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            drop(self.ends.leavers.leave(place));
        }
    }
}

impl fmt::Debug for Closed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("receivers", &self.ends.receivers()).finish_non_exhaustive()
    }
}
