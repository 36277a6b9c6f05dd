//! A response's body: as it comes, or whole up to a limit.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::hyper::body::Incoming;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::connection::Held;
use super::error::{Error, Stage};
use crate::task::LocalSend;
use crate::time::{Sleep, sleep};

/// The body of a response, as it comes: an `http_body::Body`, so it may be the body of another request or response.
///
/// Read to its end, its connection serves the next request. Dropped before that, its connection is closed if it is of HTTP/1, and the stream is
/// reset if it is of HTTP/2: nothing is read for nobody. Nothing is read ahead of who takes it but what the connection's buffers hold.
///
/// It is `Send`, as axum and tonic want it; it is read on the thread that made the request, and may be dropped on any.
///
/// # Errors
/// [`Error`] at [`Stage::Body`] where the connection ends in the middle, or pauses for longer than
/// [`read_timeout`](super::ClientBuilder::read_timeout).
///
/// # Examples
/// As [`ClientBuilder`](super::ClientBuilder).
pub struct ResponseBody {
    incoming: Incoming,
    /// After what it holds the connection for.
    held: Option<LocalSend<Held>>,
    limit: Option<Duration>,
    stall: Option<Sleep>,
    url: Arc<str>,
}

impl ResponseBody {
    pub(super) fn new(
        incoming: Incoming,
        held: Held,
        limit: Option<Duration>,
        url: Arc<str>,
    ) -> ResponseBody {
        let mut body = ResponseBody { incoming, held: None, limit, stall: None, url };
        match body.incoming.is_end_stream() {
            true => held.finish(),
            false => body.held = Some(LocalSend::new(held)),
        }
        body
    }

    fn ends(&mut self) {
        // Elsewhere it is dropped at home, and seen there to be whole.
        if let Some(Ok(held)) = self.held.take().map(LocalSend::try_into_inner) {
            held.finish();
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let Some(limit) = self.limit else { return Poll::Pending };
                ready!(Pin::new(self.stall.get_or_insert_with(|| sleep(limit))).poll(cx));
                self.held = None;
                let text = format!("nothing of it came for {limit:?} (read_timeout of the builder)");
                return Poll::Ready(Some(Err(self.fails(io::ErrorKind::TimedOut, text))));
            }
        };
        self.stall = None;
        let frame = match frame {
            None => {
                self.ends();
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                self.held = None;
                return Poll::Ready(Some(Err(Error::of_hyper(Stage::Body, &self.url, error))));
            }
            Some(Ok(frame)) => frame,
        };
        if self.incoming.is_end_stream() {
            self.ends();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn fails(&self, kind: io::ErrorKind, text: String) -> Error {
        Error::new(Stage::Body, &self.url, kind, text)
    }

    /// The next bytes, as many as there are; None is the end. Trailers are passed over: who wants them asks for frames.
    ///
    /// # Errors
    /// See the type.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    ///
    /// # Examples
    /// As [`ClientBuilder`](super::ClientBuilder).
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match poll_fn(|cx| self.poll_part(cx)).await.transpose()? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// All of it, if it is no more than `limit` bytes.
    ///
    /// # Errors
    /// See the type; `FileTooLarge` if it is more, without reading it where the head says so.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection, as dropping the body does.
    ///
    /// # Examples
    /// As [`ClientBuilder`](super::ClientBuilder).
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        let too_large = |body: &ResponseBody, least: u64| {
            let text = format!("its body has {least} bytes or more, and the caller takes {limit} at most");
            body.fails(io::ErrorKind::FileTooLarge, text)
        };
        let said = self.incoming.size_hint().lower();
        if said > limit as u64 {
            return Err(too_large(&self, said));
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let mut whole: Option<BytesMut> = None;
        let mut first = Some(first);
        loop {
            let length = first.as_ref().map_or(0, Bytes::len) + whole.as_ref().map_or(0, |whole| whole.len());
            if length > limit {
                return Err(too_large(&self, length as u64));
            }
            let Some(next) = self.chunk().await? else { break };
            // What comes in one piece is not copied.
            let gathered = whole.get_or_insert_with(|| {
                let first = first.take().unwrap_or_default();
                let expected = first.len() + self.incoming.size_hint().lower() as usize + next.len();
                let mut gathered = BytesMut::with_capacity(expected.min(limit));
                gathered.extend_from_slice(&first);
                gathered
            });
            if gathered.len() + next.len() > limit {
                return Err(too_large(&self, (gathered.len() + next.len()) as u64));
            }
            gathered.extend_from_slice(&next);
        }
        Ok(whole.map(BytesMut::freeze).or(first).unwrap_or_default())
    }

    /// As [`bytes`](Self::bytes), as UTF-8.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); `InvalidData` if it is no UTF-8.
    ///
    /// # Cancel safety
    /// As [`bytes`](Self::bytes).
    ///
    /// # Examples
    /// As [`Serve`](crate::http::Serve).
    pub async fn text(self, limit: usize) -> Result<String, Error> {
        let url = Arc::clone(&self.url);
        let bytes = self.bytes(limit).await?;
        String::from_utf8(bytes.into()).map_err(|error| {
            let text = format!("it is no UTF-8: {error}: take it by bytes");
            Error::new(Stage::Body, &url, io::ErrorKind::InvalidData, text)
        })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.get_mut().poll_part(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("url", &self.url).finish_non_exhaustive()
    }
}
