//! What a client's connection reads and writes by: it counts what came, and that it is there.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::buf::ReadBuf;
use crate::http::transport::Transport;
use crate::io::{PollRead, PollWrite};

pub(super) struct Wire {
    transport: Transport,
    received: Rc<Cell<u64>>,
    _open: Open,
}

/// A connection that is open, for as long as it lives.
pub(super) struct Open(Rc<Cell<usize>>);

impl Open {
    pub(super) fn new(count: &Rc<Cell<usize>>) -> Open {
        count.set(count.get() + 1);
        Open(Rc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Wire {
    pub(super) fn new(transport: Transport, received: Rc<Cell<u64>>, open: Open) -> Wire {
        Wire { transport, received, _open: open }
    }
}

impl PollRead for Wire {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled_len();
        let read = self.transport.poll_read(cx, buffer);
        self.received.set(self.received.get() + (buffer.filled_len() - before) as u64);
        read
    }
}

impl PollWrite for Wire {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.transport.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.transport.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_shutdown(cx)
    }
}

crate::compat::foreign_traits!(for Wire);
