//! A `Stream` of what an asynchronous method gives each time that it is called.
//!
//! A future that borrows its reader cannot be kept beside it. So one future owns the reader and goes on for as long as
//! there are items: one allocation for the stream, and none for an item.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::stream::{FusedStream, Stream};

/// A `Stream` of frames, lines or other items of a reader. It can be moved about, and ends for good.
///
/// # Cancel safety
/// Nothing is lost by asking for an item and dropping that: the reader goes on where it was. Dropping the stream drops
/// the reader, and what has come and was not taken.
///
/// # Examples
/// As [`Lines::into_stream`](super::Lines::into_stream).
pub struct Items<'a, T> {
    /// None when it has ended.
    source: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    /// Where the source puts an item.
    item: Rc<Cell<Option<T>>>,
}

impl<'a, T: 'a> Items<'a, T> {
    /// Of what `next` gives, until that is None.
    pub(super) fn new<S: 'a>(source: S, next: impl AsyncFnMut(&mut S) -> Option<T> + 'a) -> Items<'a, T> {
        let item = Rc::new(Cell::new(None));
        let place = Rc::clone(&item);
        let source = async move {
            let (mut source, mut next) = (source, next);
            while let Some(item) = next(&mut source).await {
                place.set(Some(item));
                until_taken().await;
            }
        };
        Items { source: Some(Box::pin(source)), item }
    }
}

/// Interrupts the source for once, so that its item is taken.
async fn until_taken() {
    let mut interrupted = false;
    poll_fn(|_| match std::mem::replace(&mut interrupted, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

impl<T> Stream for Items<'_, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        if source.as_mut().poll(cx).is_ready() {
            self.source = None;
            return Poll::Ready(None);
        }
        match self.item.take() {
            Some(item) => Poll::Ready(Some(item)),
            None => Poll::Pending,
        }
    }
}

impl<T> FusedStream for Items<'_, T> {
    fn is_terminated(&self) -> bool {
        self.source.is_none()
    }
}

impl<T> Unpin for Items<'_, T> {}

impl<T> fmt::Debug for Items<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("ended", &self.source.is_none()).finish()
    }
}
