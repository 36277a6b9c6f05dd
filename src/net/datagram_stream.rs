//! Datagrams as they come, in leases.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::family::{Family, Inet};
use super::message::Received;
use crate::buf::Lease;
use crate::driver::Descriptor;
use crate::op::{Packed, RecvMessageOften, Submitted};

/// Datagrams as they come: see [`Datagram::recv_stream`](super::Datagram::recv_stream).
///
/// # Cancel safety
/// Nothing is lost by dropping it, or a [`next`](Self::next) of it: what has come and was not taken is given to the next
/// receive.
///
/// # Examples
/// As [`Datagram::recv_stream`](super::Datagram::recv_stream).
#[must_use = "nothing is received until it is asked for"]
pub struct DatagramStream<F = Inet> {
    /// None if the buffers are too small for any.
    receiving: Option<Submitted<RecvMessageOften>>,
    family: PhantomData<F>,
}

/// A datagram's bytes, and what is told of it.
type Item<F> = io::Result<(Lease, Received<<F as Family>::Address>)>;

/// The family is only a name.
impl<F> Unpin for DatagramStream<F> {}

impl<F: Family> DatagramStream<F> {
    pub(super) fn new(socket: &Descriptor) -> DatagramStream<F> {
        let has_room = socket.port().pool().bytes() >= RecvMessageOften::SIZE_MIN;
        let receiving = has_room.then(|| Submitted::new(RecvMessageOften::new(socket.hold())));
        DatagramStream { receiving, family: PhantomData }
    }

    /// The next datagram. None comes when the socket is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// Those of recvmsg(2), each once. `InvalidInput` if the buffers of the runtime's are too small.
    ///
    /// # Examples
    /// As [`Datagram::recv_stream`](super::Datagram::recv_stream).
    pub async fn next(&mut self) -> Option<io::Result<(Lease, Received<F::Address>)>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item<F>>> {
        let Some(receiving) = &mut self.receiving else {
            let text = format!(
                "the runtime's buffers are too small for datagrams: Builder::lease_size of at least {} bytes is needed",
                RecvMessageOften::SIZE_MIN
            );
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidInput, text))));
        };
        let item = match ready!(receiving.poll_next_item(cx)) {
            Some(Err(error)) if error.raw_os_error() == Some(libc::ECANCELED) => None,
            Some(item) => Some(item.and_then(Self::told)),
            None => None,
        };
        Poll::Ready(item)
    }

    fn told(packed: Packed) -> Item<F> {
        let Packed { bytes, from, flags } = packed;
        let truncated = flags & libc::MSG_TRUNC != 0;
        let received = Received { len: bytes.len(), truncated, from: F::sender(from)? };
        Ok((bytes, received))
    }
}

impl<F: Family> Stream for DatagramStream<F> {
    type Item = Item<F>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<F> fmt::Debug for DatagramStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramStream").field("receiving", &self.receiving).finish_non_exhaustive()
    }
}
