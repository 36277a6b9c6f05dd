//! All that comes through a pipe, as leases.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::buf::Lease;
use crate::driver::Descriptor;
use crate::op::{ReadOften, Submitted};

/// All that comes through a pipe: see [`PipeReader::read_stream`](super::PipeReader::read_stream).
///
/// # Cancel safety
/// Nothing is lost by dropping it, or a [`next`](Self::next) of it: what has come and was not taken is given to the next
/// read.
#[must_use = "nothing is read until it is asked for"]
pub struct ReadStream {
    reading: Submitted<ReadOften>,
}

impl ReadStream {
    pub(super) fn new(end: &Descriptor) -> ReadStream {
        ReadStream { reading: Submitted::new(ReadOften::new(end.hold())) }
    }

    /// The next bytes. None is the end: all writers are gone.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// Those of read(2).
    pub async fn next(&mut self) -> Option<io::Result<Lease>> {
        poll_fn(|cx| self.reading.poll_next_item(cx)).await
    }
}

impl Stream for ReadStream {
    type Item = io::Result<Lease>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.reading.poll_next_item(cx)
    }
}

impl fmt::Debug for ReadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reading.fmt(f)
    }
}
