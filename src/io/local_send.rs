//! What reads and writes with borrowed buffers does so as a [`LocalSend`] as well: on its own thread.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use super::{PollRead, PollWrite};
use crate::buf::ReadBuf;
use crate::task::LocalSend;

/// # Panics
/// On another thread than the one that made it.
impl<R: PollRead + Unpin> PollRead for LocalSend<R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_read(cx, buffer)
    }
}

/// # Panics
/// On another thread than the one that made it.
impl<W: PollWrite + Unpin> PollWrite for LocalSend<W> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.get().is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_shutdown(cx)
    }
}
