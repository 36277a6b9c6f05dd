//! One direction of a connection that is memory: bytes between a writer and a reader, and who waits for which.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::task::{Context, Poll, Waker};

use super::turn::poll_turn;
use crate::buf::IoBufMut;

/// Wakers are cloned, woken and dropped while nothing is borrowed (I5).
pub(super) struct Channel {
    state: RefCell<State>,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// No more will be written.
    ended: bool,
    /// No more will be read.
    refused: bool,
    /// Who waits: one reader, and one writer, as a rule.
    waiting: Vec<Waker>,
}

impl Channel {
    pub(super) fn new(bytes_max: usize) -> Channel {
        Channel { state: RefCell::default(), bytes_max: bytes_max.max(1) }
    }

    /// Takes what is there, as much as there is room for; 0 is the end.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut impl IoBufMut) -> Poll<usize> {
        self.poll(cx, |state| {
            if state.bytes.is_empty() {
                return state.ended.then_some(0);
            }
            // What lies around the end of the queue comes with the next read.
            let count = buffer.fill_from(state.bytes.as_slices().0);
            state.bytes.drain(..count);
            Some(count)
        })
    }

    /// Puts in as much as there is room for.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |state| {
            if state.refused || state.ended {
                return Some(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let count = bytes.len().min(self.bytes_max - state.bytes.len());
            state.bytes.extend(&bytes[..count]);
            (count > 0).then_some(Ok(count))
        })
    }

    /// The reader is to see the end, behind what is there.
    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// Nobody reads any more.
    pub(super) fn refuse(&self) {
        self.change(|state| {
            state.refused = true;
            state.bytes = VecDeque::new();
        });
    }

    /// Does something, or waits until somebody else has done something.
    fn poll<T>(&self, cx: &mut Context<'_>, mut step: impl FnMut(&mut State) -> Option<T>) -> Poll<T> {
        if poll_turn(cx).is_pending() {
            return Poll::Pending;
        }
        let done = step(&mut self.state.borrow_mut());
        if let Some(done) = done {
            self.wake();
            return Poll::Ready(done);
        }
        let waker = cx.waker().clone();
        let mut state = self.state.borrow_mut();
        match state.waiting.iter().any(|waiting| waiting.will_wake(&waker)) {
            false => state.waiting.push(waker),
            true => {
                drop(state);
                drop(waker);
            }
        }
        Poll::Pending
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.borrow_mut());
        self.wake();
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut self.state.borrow_mut().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Channel")
            .field("bytes", &format_args!("{} of {}", state.bytes.len(), self.bytes_max))
            .field("ended", &state.ended)
            .finish()
    }
}
