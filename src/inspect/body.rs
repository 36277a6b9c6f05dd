//! What an answer's body is: bytes that all viewers of a picture share, given out in parts.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::sync::OwnedSemaphorePermit;

/// How much is handed over at once: whoever does not read has no more of it waiting.
const PART: usize = 32 << 10;

/// Bytes, and the permission to keep so many for a client that may be slow.
#[derive(Default)]
pub(super) struct Parts {
    left: Bytes,
    permit: Option<OwnedSemaphorePermit>,
}

impl Parts {
    pub(super) fn of(bytes: impl Into<Bytes>) -> Parts {
        Parts { left: bytes.into(), permit: None }
    }

    /// Held until all has been taken.
    pub(super) fn with(mut self, permit: Option<OwnedSemaphorePermit>) -> Parts {
        self.permit = permit;
        self
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            self.permit = None;
            return Poll::Ready(None);
        }
        let length = self.left.len().min(PART);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
