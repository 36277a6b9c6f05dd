//! A request's body, of whatever type it was: connections are shared by requests of all types.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::http::answering::BoxError;
use crate::time::now;

type Boxed = Pin<Box<dyn Body<Data = Bytes, Error = BoxError>>>;

pub(super) enum Outgoing {
    /// No box, and it can be had again.
    Empty,
    Some {
        body: Boxed,
        progress: Rc<Cell<Instant>>,
    },
}

impl Outgoing {
    /// `progress` is when a part of it was last taken.
    pub(super) fn new<B>(body: B, progress: &Rc<Cell<Instant>>) -> Outgoing
    where
        B: Body + 'static,
        B::Error: Into<BoxError>,
    {
        match body.is_end_stream() {
            true => Outgoing::Empty,
            false => Outgoing::Some { body: Box::pin(Plain { body }), progress: Rc::clone(progress) },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Outgoing::Empty)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Outgoing::Empty => Poll::Ready(None),
            Outgoing::Some { body, progress } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                progress.set(now());
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Empty => true,
            Outgoing::Some { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Empty => SizeHint::with_exact(0),
            Outgoing::Some { body, .. } => body.size_hint(),
        }
    }
}

pin_project! {
    /// With data and errors of the one type. What is `Bytes` already is not copied.
    struct Plain<B> {
        #[pin]
        body: B,
    }
}

impl<B> Body for Plain<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.project().body.poll_frame(cx));
        let plain = |frame: Frame<B::Data>| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
        Poll::Ready(frame.map(|frame| frame.map(plain).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
