//! All that comes on a stream, as leases.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::buf::Lease;
use crate::driver::Descriptor;
use crate::op::{RecvOften, Submitted};

/// All that comes on a connection: see [`Stream::recv_stream`](super::Stream::recv_stream).
///
/// # Cancel safety
/// Nothing is lost by dropping it, or a [`next`](Self::next) of it: what has come and was not taken is given to the next
/// read.
///
/// # Examples
/// As [`Stream::recv_stream`](super::Stream::recv_stream).
#[must_use = "nothing is received until it is asked for"]
pub struct RecvStream {
    receiving: Submitted<RecvOften>,
}

impl RecvStream {
    pub(super) fn new(socket: &Descriptor) -> RecvStream {
        RecvStream { receiving: Submitted::new(RecvOften::new(socket.hold())) }
    }

    /// The next bytes. None is the end.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// Those of recv(2).
    ///
    /// # Examples
    /// As [`Stream::recv_stream`](super::Stream::recv_stream).
    pub async fn next(&mut self) -> Option<io::Result<Lease>> {
        poll_fn(|cx| self.receiving.poll_next_item(cx)).await
    }
}

impl Stream for RecvStream {
    type Item = io::Result<Lease>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiving.poll_next_item(cx)
    }
}

impl fmt::Debug for RecvStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.receiving.fmt(f)
    }
}
