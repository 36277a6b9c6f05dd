//! Readers and futures that stop where a test wants them to.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use annulus::buf::{IoBuf, IoBufMut};
use annulus::io::{AsyncRead, AsyncWrite};

/// A reader that gives one piece at a time, and lets its reader wait in front of each, and in front of the end.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: VecDeque<Vec<u8>>,
}

impl Pieces {
    pub(crate) fn new(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Pieces {
        let pieces = pieces.into_iter().map(|piece| piece.as_ref().to_vec());
        Pieces { pieces: pieces.filter(|piece| !piece.is_empty()).collect() }
    }

    /// So many bytes each.
    pub(crate) fn of(bytes: &[u8], length: usize) -> Pieces {
        Pieces::new(bytes.chunks(length))
    }
}

impl AsyncRead for Pieces {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        once_later().await;
        let Some(piece) = self.pieces.front_mut() else { return (Ok(buffer.fill_from(&[])), buffer) };
        let count = buffer.fill_from(piece);
        piece.drain(..count);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        (Ok(count), buffer)
    }
}

/// A writer that cannot say what became of a dropped write.
#[derive(Debug)]
pub(crate) struct Mute<W>(pub(crate) W);

impl<W: AsyncWrite> AsyncWrite for Mute<W> {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        self.0.write(buffer).await
    }
}

/// Waits for one poll.
pub(crate) async fn once_later() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls a future so often at most, each time when it has been woken, and drops it then.
pub(crate) async fn at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
