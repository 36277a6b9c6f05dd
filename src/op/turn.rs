//! A turn in a direction that lasts longer than one operation.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::driver::{Hold, Ticket, Way};

/// While this lives, nothing else begins in that direction of the descriptor.
///
/// It does not count as an operation: closing the descriptor does not wait for it. Who needs a turn in both directions
/// takes the one to read first, as whoever goes on to write while it has the turn to read.
pub(crate) struct Turn {
    hold: Hold,
    way: Way,
}

/// Waits until all that came before is done.
pub(crate) struct Entering {
    hold: Hold,
    way: Way,
    /// The place in the queue, which is given back if nobody waits in it any more.
    ticket: Option<Ticket>,
}

impl Turn {
    pub(crate) fn of(hold: Hold, way: Way) -> Entering {
        Entering { hold, way, ticket: None }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }
}

impl Future for Entering {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn> {
        let Entering { hold, way, ticket } = &mut *self;
        match hold.direction(*way).enter(ticket, cx.waker()) {
            true => Poll::Ready(Turn { hold: hold.clone(), way: *way }),
            false => Poll::Pending,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.hold.direction(self.way).leave();
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.hold.direction(self.way).give_up(ticket);
        }
    }
}
