//! One connection of a client: its task, and the desk at which the task and those who send by it meet.
//!
//! ```text
//!            find                  the body has ended
//! pool -----------------> works ----------------------> returned --hyper is ready--> pool
//!                           | dropped before that
//!                           '------------------------> cut: the connection is closed
//! ```

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use ::http::{Request, Response};
use ::hyper::body::Incoming;
use ::hyper::client::conn::{http1, http2};

use super::connect::Connected;
use super::outgoing::Outgoing;
use super::pool::Pool;
use super::target::{Key, for_first, for_second};
use super::wire::Wire;
use crate::hyper::LocalExecutor;
use crate::runtime::spawn;
use crate::task::LocalSend;
use crate::time::{Sleep, now, sleep_until};

pub(super) struct Desk {
    pub(super) key: Key,
    pool: Weak<Pool>,
    /// Bytes that came.
    received: Rc<Cell<u64>>,
    /// Whoever is done with it, and whether the response was read to its end.
    returned: RefCell<Option<(http1::SendRequest<Outgoing>, bool)>>,
    is_cut: Cell<bool>,
    /// Since when it has nothing to do.
    resting: Cell<Option<Instant>>,
    /// Requests of HTTP/2 that are not over.
    active: Cell<usize>,
    /// Its task has a timer, which sees how long it rests.
    is_timed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Desk {
    pub(super) fn works(&self) {
        self.resting.set(None);
    }

    pub(super) fn rests(&self, since: Instant) {
        self.resting.set(Some(since));
    }

    pub(super) fn resting(&self) -> Option<Instant> {
        self.resting.get()
    }

    fn wake(&self) {
        let waker = self.waker.borrow().clone();
        waker.into_iter().for_each(Waker::wake);
    }

    fn wakes(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Takes back what was returned. Ready: the connection is to be closed.
    fn poll_returned(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_cut.get() {
            return Poll::Ready(());
        }
        let Some((mut sender, whole)) = self.returned.take() else { return Poll::Pending };
        match sender.poll_ready(cx) {
            Poll::Ready(Ok(())) => {
                if let Some(pool) = self.pool.upgrade() {
                    pool.rests(self, sender);
                }
            }
            // It ends by itself.
            Poll::Ready(Err(_)) => {}
            // What was sent is not all on its way.
            Poll::Pending if whole => *self.returned.borrow_mut() = Some((sender, whole)),
            // The rest of the response would have to be read for nobody.
            Poll::Pending => return Poll::Ready(()),
        }
        Poll::Pending
    }

    /// Ready when it has had nothing to do for so long that nobody is to have it any more.
    fn poll_idle(&self, sleep: &mut Option<Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pool) = self.pool.upgrade() else { return Poll::Pending };
        let resting = self.resting.get();
        // One timer for all its rests: when it fires it is seen how long this one lasts.
        if resting.is_none() && sleep.is_none() {
            return Poll::Pending;
        }
        self.is_timed.set(true);
        let sleep = sleep.get_or_insert_with(|| sleep_until(pool.due(resting.unwrap_or_else(now))));
        loop {
            ready!(Pin::new(&mut *sleep).poll(cx));
            let due = pool.due(resting.unwrap_or_else(now));
            if due <= now() {
                pool.retires(self);
                return Poll::Ready(());
            }
            sleep.reset(due);
        }
    }
}

/// The connection has ended, whatever ended it.
struct Ends(Rc<Desk>);

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(pool) = self.0.pool.upgrade() {
            pool.ends(&self.0);
        }
    }
}

/// What one request is sent by.
pub(super) enum Line {
    First(First),
    Second(http2::SendRequest<Outgoing>, Active),
}

/// A connection of HTTP/1 at work: dropped in the middle of it, it is closed.
pub(super) struct First {
    sender: Option<http1::SendRequest<Outgoing>>,
    desk: Rc<Desk>,
    /// The head of the response is there.
    is_answered: bool,
}

impl First {
    pub(super) fn new(sender: http1::SendRequest<Outgoing>, desk: Rc<Desk>) -> First {
        First { sender: Some(sender), desk, is_answered: false }
    }

    /// The response was read to its end. Mostly hyper has seen that before whoever reads it: then the next request, which may be made
    /// at once, finds the connection.
    fn finish(mut self) {
        if self.sender.as_ref().is_some_and(http1::SendRequest::is_ready) {
            if let (Some(pool), Some(sender)) = (self.desk.pool.upgrade(), self.sender.take()) {
                pool.rests(&self.desk, sender);
            }
            if !self.desk.is_timed.get() {
                self.desk.wake();
            }
            return;
        }
        self.returns(true);
    }

    fn returns(&mut self, whole: bool) {
        let Some(sender) = self.sender.take() else { return };
        match whole || self.is_answered {
            true => *self.desk.returned.borrow_mut() = Some((sender, whole)),
            false => self.desk.is_cut.set(true),
        }
        self.desk.wake();
    }
}

impl Drop for First {
    fn drop(&mut self) {
        self.returns(false);
    }
}

/// A request of a connection of HTTP/2, until it is over.
pub(super) struct Active(Rc<Desk>);

impl Active {
    pub(super) fn new(desk: Rc<Desk>) -> Active {
        desk.active.set(desk.active.get() + 1);
        desk.works();
        Active(desk)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let left = self.0.active.get() - 1;
        self.0.active.set(left);
        if left == 0 {
            self.0.rests(now());
        }
    }
}

/// What is held while a response's body comes.
pub(super) enum Held {
    First(First),
    Second(#[allow(dead_code, reason = "it counts as long as it is there")] Active),
}

impl Held {
    /// The response was read to its end.
    pub(super) fn finish(self) {
        if let Held::First(first) = self {
            first.finish();
        }
    }
}

/// Why there is no response.
pub(super) struct Failed {
    pub(super) error: ::hyper::Error,
    /// The request, if nothing of it was sent.
    pub(super) request: Option<Request<Outgoing>>,
    /// The connection has ended, and nothing of a response had come.
    pub(super) is_dead: bool,
}

impl Line {
    /// Sends a request, and waits for the head of its response.
    pub(super) async fn send(self, request: Request<Outgoing>) -> Result<(Response<Incoming>, Held), Failed> {
        let (mut head, body) = request.into_parts();
        match self {
            Line::First(mut first) => {
                let original =
                    (head.uri.clone(), head.version, head.headers.contains_key(::http::header::HOST));
                for_first(&mut head);
                let before = first.desk.received.get();
                let sender = first.sender.as_mut().expect("it is sent by once");
                match sender.try_send_request(Request::from_parts(head, body)).await {
                    Ok(response) => {
                        first.is_answered = true;
                        Ok((response, Held::First(first)))
                    }
                    Err(mut failed) => {
                        let request = failed.take_message().map(|mut request| {
                            *request.uri_mut() = original.0;
                            *request.version_mut() = original.1;
                            if !original.2 {
                                request.headers_mut().remove(::http::header::HOST);
                            }
                            request
                        });
                        let is_dead = first.desk.received.get() == before;
                        Err(Failed { error: failed.into_error(), request, is_dead })
                    }
                }
            }
            Line::Second(mut sender, active) => {
                for_second(&mut head);
                match sender.try_send_request(Request::from_parts(head, body)).await {
                    Ok(response) => Ok((response, Held::Second(active))),
                    Err(mut failed) => {
                        let request = failed.take_message();
                        // A stream that the server resets is an answer, of a kind.
                        let is_dead = sender.is_closed();
                        Err(Failed { error: failed.into_error(), request, is_dead })
                    }
                }
            }
        }
    }

    /// Gives the connection no more requests, for it may be gone without a word.
    pub(super) fn suspect(&self) -> Option<Suspect> {
        match self {
            Line::First(_) => None,
            Line::Second(_, active) => Some(Suspect(Rc::clone(&active.0))),
        }
    }
}

/// A connection that is given no more requests if one was not answered in time.
pub(super) struct Suspect(Rc<Desk>);

impl Suspect {
    pub(super) fn retire(self) {
        if let Some(pool) = self.0.pool.upgrade() {
            pool.retires(&self.0);
        }
    }
}

/// Speaks HTTP over a connection, by a task of its own.
pub(super) async fn begin(pool: &Rc<Pool>, key: &Key, connected: Connected) -> ::hyper::Result<Line> {
    let received = Rc::<Cell<u64>>::default();
    let desk = Rc::new(Desk {
        key: key.clone(),
        pool: Rc::downgrade(pool),
        received: Rc::clone(&received),
        returned: RefCell::default(),
        is_cut: Cell::new(false),
        resting: Cell::new(None),
        active: Cell::new(0),
        is_timed: Cell::new(false),
        waker: RefCell::default(),
    });
    let wire = Wire::new(connected.transport, received, pool.opens());
    if connected.is_second {
        let (sender, connection) = pool.settings.http2.handshake(wire).await?;
        pool.begins(key, Some(sender.clone()), &desk);
        let active = Active::new(Rc::clone(&desk));
        drop(spawn(drive_second(connection, Ends(desk))));
        return Ok(Line::Second(sender, active));
    }
    // hyper may give it away, to whoever upgrades it, and wants it `Send` for that.
    let (sender, connection) = pool.settings.http1.handshake(LocalSend::new(wire)).await?;
    pool.begins(key, None, &desk);
    drop(spawn(drive_first(connection.with_upgrades(), Ends(Rc::clone(&desk)))));
    Ok(Line::First(First::new(sender, desk)))
}

async fn drive_first(connection: impl Future<Output = ::hyper::Result<()>>, ends: Ends) {
    let mut connection = pin!(connection);
    let mut sleep = None;
    let desk = &ends.0;
    poll_fn(|cx| {
        desk.wakes(cx.waker());
        // What it fails with is told to whoever sent by it.
        if connection.as_mut().poll(cx).is_ready() || desk.poll_returned(cx).is_ready() {
            return Poll::Ready(());
        }
        desk.poll_idle(&mut sleep, cx)
    })
    .await;
}

async fn drive_second(connection: http2::Connection<Wire, Outgoing, LocalExecutor>, ends: Ends) {
    let mut connection = pin!(connection);
    let mut sleep = Some(sleep_until(now()));
    let mut is_over = false;
    poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // Nobody has it any more then: it says goodbye, and ends.
        if !is_over && ends.0.poll_idle(&mut sleep, cx).is_ready() {
            is_over = true;
            return connection.as_mut().poll(cx).map(drop);
        }
        Poll::Pending
    })
    .await;
}
