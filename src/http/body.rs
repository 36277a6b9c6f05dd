//! The plainest body.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body that is there as a whole: see [`text`].
///
/// # Examples
/// As [`Serve`](super::Serve).
#[derive(Clone, Debug, Default)]
pub struct Text(Option<Bytes>);

/// A body of these bytes, whole. Bodies of other kinds are in the crate `http-body-util`, and axum has its own.
///
/// # Examples
/// As [`Serve`](super::Serve).
pub fn text(bytes: impl Into<Bytes>) -> Text {
    Text(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
}

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
