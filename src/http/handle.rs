//! A server as the rest of the program sees it: how it is doing, and its end.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::rc::Rc;

use super::board::Board;

/// By which a server is stopped, and asked how it is doing. Had by [`Serve::handle`](super::Serve::handle).
///
/// # Examples
/// As [`Serve`](super::Serve).
#[derive(Clone)]
pub struct ServeHandle {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    board: OnceCell<Rc<Board>>,
    stop: Cell<bool>,
}

impl ServeHandle {
    pub(super) fn new() -> ServeHandle {
        ServeHandle { inner: Rc::default() }
    }

    /// It serves from now on.
    pub(super) fn begin(&self, board: &Rc<Board>) {
        let _ = self.inner.board.set(Rc::clone(board));
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.inner.stop.get()
    }

    /// Stops, as [`Serve::graceful`](super::Serve::graceful)'s signal does.
    ///
    /// # Examples
    /// As [`Serve`](super::Serve).
    pub fn stop(&self) {
        self.inner.stop.set(true);
        self.inner.board.get().into_iter().for_each(|board| board.call());
    }

    /// How many connections there are: those that were upgraded are none any more.
    ///
    /// # Examples
    /// As [`Serve`](super::Serve).
    pub fn connections(&self) -> usize {
        self.inner.board.get().map_or(0, |board| board.connections())
    }

    /// How it went so far.
    ///
    /// # Examples
    /// As [`Serve`](super::Serve).
    pub fn counts(&self) -> ServeCounts {
        let Some(board) = self.inner.board.get() else { return ServeCounts::default() };
        ServeCounts {
            accepted: board.accepted.get(),
            requests: board.requests.get(),
            lapsed: board.lapsed.get(),
            late: board.late.get(),
            failed: board.failed.get(),
            dozing: board.dozing(),
        }
    }
}

impl fmt::Debug for ServeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeHandle").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// How a server has fared: see [`ServeHandle::counts`].
///
/// # Examples
/// As [`Serve`](super::Serve).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeCounts {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Requests that a service was asked.
    pub requests: u64,
    /// Connections that were ended because their client took too long.
    pub lapsed: u64,
    /// Requests that were answered 503 because the service took too long.
    pub late: u64,
    /// Connections that ended with an error.
    pub failed: u64,
    /// How many of the connections hold nothing but their socket now.
    pub dozing: u64,
}
