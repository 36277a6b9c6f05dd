//! Bodies on their way through: nothing is gathered, and a request's may go to another upstream as long as nobody has begun it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use annulus::http::{Error, Incoming, ResponseBody};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::upstream::Upstream;

/// The body of a request, lent to one upstream after the other.
pub(super) struct Lender {
    body: RefCell<Incoming>,
    is_begun: Cell<bool>,
}

impl Lender {
    pub(super) fn new(body: Incoming) -> Rc<Lender> {
        Rc::new(Lender { body: RefCell::new(body), is_begun: Cell::new(false) })
    }

    /// Whether a part of it is gone.
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun.get()
    }
}

pub(super) struct Lent(Rc<Lender>);

impl Lent {
    pub(super) fn of(lender: &Rc<Lender>) -> Lent {
        Lent(Rc::clone(lender))
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut *self.0.body.borrow_mut()).poll_frame(cx));
        self.0.is_begun.set(true);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.body.borrow().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.body.borrow().size_hint()
    }
}

/// The body of an answer: an upstream's, or a line of ours.
pub struct Reply(Inner);

enum Inner {
    Upstreams(ResponseBody, Rc<Upstream>),
    Text(Option<Bytes>),
}

impl Reply {
    pub(super) fn of(body: ResponseBody, upstream: &Rc<Upstream>) -> Reply {
        Reply(Inner::Upstreams(body, Rc::clone(upstream)))
    }

    pub(super) fn text(text: &'static str) -> Reply {
        Reply(Inner::Text(Some(Bytes::from(format!("{text}\n")))))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.get_mut().0 {
            Inner::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Inner::Upstreams(body, upstream) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                if let Some(Err(error)) = &frame {
                    // The client sees its connection break: the head is gone, and nothing else can be said.
                    upstream.failed(error);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Text(text) => text.is_none(),
            Inner::Upstreams(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Inner::Upstreams(body, _) => body.size_hint(),
        }
    }
}
