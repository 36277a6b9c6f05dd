//! A connection as tokio-rustls wants it: with tokio's traits, which need no runtime of tokio's.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::buf::ReadBuf;
use crate::io::{PollRead, PollWrite};

/// What TLS is spoken over.
#[derive(Debug)]
pub(super) struct Plain<S>(pub(super) S);

impl<S: PollRead> PollRead for Plain<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buffer)
    }
}

impl<S: PollWrite> PollWrite for Plain<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

crate::compat::tokio_traits!(<S> for Plain<S> where S: PollRead + PollWrite + Unpin);
