//! A server at work: it accepts, has each connection served, looks whether one takes too long, and ends in order.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{Request, Response};
use ::hyper::body::Incoming;
use http_body::Body;
use tower_service::Service;

use super::answering::BoxError;
use super::board::Board;
use super::connection::{Common, Connection};
use super::connections::Connections;
use super::handle::ServeHandle;
use super::watch::Watch;
use crate::runtime::spawn;
use crate::time::{Sleep, now, sleep, sleep_until};

/// The future of a [`Serve`](super::Serve).
///
/// # Examples
/// As [`Serve`](super::Serve), whose future it is.
#[must_use = "nothing is served until it is awaited"]
pub struct Serving<C, S> {
    /// None once nothing more is accepted.
    connections: Option<C>,
    /// How long it still accepts after a stop.
    accepts: Option<Sleep>,
    /// What ends where connections came from.
    closing: Option<Pin<Box<dyn Future<Output = ()>>>>,
    common: Rc<Common<S>>,
    board: Rc<Board>,
    handle: ServeHandle,
    signal: Pin<Box<dyn Future<Output = ()>>>,
    /// When to look at the connections again.
    look: Option<Sleep>,
    /// When those that are left are cut off.
    end: Option<Sleep>,
}

/// Nothing is pinned in it but what has a box of its own.
impl<C, S> Unpin for Serving<C, S> {}

/// How many connections are begun before others have their turn.
const ACCEPTS_A_POLL: usize = 32;

/// How long after a stop those are accepted who had connected before: closing a listener resets what waits in it.
const ACCEPTS_AT_LAST: Duration = Duration::from_millis(20);

impl<C, S> Serving<C, S> {
    pub(super) fn new(
        connections: C,
        common: Common<S>,
        board: Rc<Board>,
        handle: ServeHandle,
        signal: Pin<Box<dyn Future<Output = ()>>>,
    ) -> Serving<C, S> {
        Serving {
            connections: Some(connections),
            accepts: None,
            closing: None,
            common: Rc::new(common),
            board,
            handle,
            signal,
            look: None,
            end: None,
        }
    }
}

impl<C, S, B> Serving<C, S>
where
    C: Connections,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    fn poll_accept(&mut self, cx: &mut Context<'_>) {
        for _ in 0..ACCEPTS_A_POLL {
            if self.board.connections() >= self.board.limits.connections {
                return;
            }
            let Some(connections) = &mut self.connections else { return };
            match connections.poll_connection(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(accepted))) => {
                    self.board.accepted.set(self.board.accepted.get() + 1);
                    let watch = Watch::new(&self.board);
                    let task = spawn(Connection::new(accepted, Rc::clone(&self.common), Rc::clone(&watch)));
                    *watch.task.borrow_mut() = Some(task.abort_handle());
                }
                Poll::Ready(Some(Err(error))) => self.common.tell(&error.into()),
                // The listener has ended: so do we.
                Poll::Ready(None) => {
                    self.connections = None;
                    return self.stop();
                }
            }
        }
        cx.waker().wake_by_ref();
    }

    fn is_stopping(&self) -> bool {
        self.end.is_some()
    }

    fn stop(&mut self) {
        if !self.is_stopping() {
            self.board.finish();
            self.end = Some(sleep_until(now() + self.board.limits.drain));
            self.accepts = Some(sleep(ACCEPTS_AT_LAST));
            self.look = None;
        }
    }

    /// Accepts those who had connected before the stop, and then nobody.
    fn poll_last_accepts(&mut self, cx: &mut Context<'_>) {
        let is_over = self.accepts.as_mut().is_none_or(|accepts| Pin::new(accepts).poll(cx).is_ready());
        if is_over || self.board.connections() >= self.board.limits.connections {
            self.closing = self.connections.take().map(Connections::end);
        }
    }

    /// Looks at the connections when it is time.
    fn poll_look(&mut self, cx: &mut Context<'_>) {
        loop {
            match &mut self.look {
                Some(look) => {
                    if Pin::new(look).poll(cx).is_pending()
                        && !self.board.is_called_early(self.look.as_ref().map(Sleep::deadline))
                    {
                        return;
                    }
                    self.look = None;
                }
                None => match self.board.look() {
                    Some(due) => self.look = Some(sleep_until(due)),
                    None => return,
                },
            }
        }
    }
}

impl<C, S, B> Future for Serving<C, S>
where
    C: Connections,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.board.set_server(cx.waker());
        if !this.is_stopping() && (this.handle.is_stopped() || this.signal.as_mut().poll(cx).is_ready()) {
            this.stop();
        }
        this.poll_accept(cx);
        if this.is_stopping() && this.connections.is_some() {
            this.poll_last_accepts(cx);
        }
        this.poll_look(cx);
        if this.connections.is_some() {
            return Poll::Pending;
        }
        if this.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(cx).is_pending()) {
            return Poll::Pending;
        }
        this.closing = None;
        let left = this.board.connections();
        if left == 0 {
            return Poll::Ready(Ok(()));
        }
        let end = this.end.as_mut().map(|end| Pin::new(end).poll(cx));
        if end.is_none_or(|end| end.is_pending()) {
            return Poll::Pending;
        }
        this.board.abort();
        let text = format!(
            "{left} connections had not ended {:?} after the stop, and were cut off: see Serve::drain_limit",
            this.board.limits.drain
        );
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    }
}

impl<C, S> Drop for Serving<C, S> {
    fn drop(&mut self) {
        self.board.abort();
    }
}

impl<C, S> fmt::Debug for Serving<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("connections", &self.board.connections()).finish_non_exhaustive()
    }
}
