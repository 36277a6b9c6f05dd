//! One connection's life: it dozes until something comes, is hyper's until nothing does, and dozes again.
//!
//! ```text
//! Opening --first bytes--> Http1 | Http2 --> Done
//!                            |  ^
//!          idle for a tick   v  | bytes
//!                           Dozing
//! ```
//! A connection that dozes is its socket and its place on the board: hyper's state, some 20 KiB with its buffers, is gone, and is made anew
//! when a request comes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ::http::{Request, Response};
use ::hyper::body::Incoming;
use ::hyper::server::conn::{http1, http2};
use http_body::Body;
use tower_service::Service;

use super::answering::{Answerer, BoxError};
use super::connections::{Accept, Accepted};
use super::parting::{Lingering, TOO_SLOW, poll_refuse};
use super::transport::{Transport, Watched};
use super::watch::{Lapse, Order, Phase, Seat, Watch};
use crate::hyper::LocalExecutor;
use crate::task::LocalSend;

/// Hears of errors.
pub(super) type Tell = Rc<dyn Fn(&BoxError)>;

/// What all connections of a server share.
pub(super) struct Common<S> {
    pub(super) services: Services<S>,
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<LocalExecutor>,
    pub(super) first_only: bool,
    /// Whether the end of what a client sends is taken for its end while it is answered.
    pub(super) notices: bool,
    pub(super) tell: Option<Tell>,
    #[cfg(feature = "rustls")]
    pub(super) acceptor: Option<crate::tls::TlsAcceptor>,
}

impl<S> Common<S> {
    pub(super) fn tell(&self, error: &BoxError) {
        self.tell.iter().for_each(|tell| tell(error));
    }
}

pub(super) enum Services<S> {
    Shared(Rc<S>),
    Made(Rc<dyn Fn(&Peer) -> S>),
}

/// Who has connected: what [`serve_with`](super::serve_with) makes a service for.
///
/// # Examples
/// As [`serve_with`](super::serve_with).
#[derive(Clone, Debug)]
pub struct Peer {
    peer: Option<SocketAddr>,
}

impl Peer {
    /// The client's address. None of a Unix socket.
    ///
    /// # Examples
    /// As [`serve_with`](super::serve_with).
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

/// hyper may give the connection away, to whoever upgrades it, and wants it `Send` for that.
type Http1<S> = http1::UpgradeableConnection<LocalSend<Watched>, Answerer<S>>;
type Http2<S> = http2::Connection<Watched, Answerer<S>, LocalExecutor>;

pub(super) struct Connection<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    state: State<S, B>,
    common: Rc<Common<S>>,
    service: Rc<S>,
    /// Last: the board is told when all else is gone.
    seat: Seat,
}

enum State<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    #[cfg(feature = "rustls")]
    Shaking(Pin<Box<dyn Future<Output = io::Result<Transport>>>>),
    /// Nothing is held, or the beginning of a head.
    Dozing(Watched),
    /// With the connection, to see whether the client goes away.
    Http1(Box<Http1<S>>, Watched),
    Http2(Box<Http2<S>>),
    /// It was answered for the last time, and still sends.
    Lingering(Box<Lingering>),
    /// It is told why it is ended, for a tick at most.
    Refusing(LocalSend<Watched>, &'static [u8]),
    Done,
}

/// More of a head is hyper's to hold.
const GATHERED_MAX: usize = 8 << 10;

/// Whether the end of a head is in there: an empty line, also as those write it who spare the CR.
fn has_head(bytes: &[u8]) -> bool {
    let mut breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.any(|(place, _)| bytes[place + 1..].starts_with(b"\n") || bytes[place + 1..].starts_with(b"\r\n"))
}

fn begins_head(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(|first| first.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~\r\n".contains(first))
}

/// With what HTTP/2 begins, where nobody has agreed on it before.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// What the first bytes of a connection look like.
struct First {
    count: usize,
    is_preface: bool,
    is_whole_preface: bool,
    has_head: bool,
}

impl<S, B> Connection<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(accepted: Accepted, common: Rc<Common<S>>, watch: Rc<Watch>) -> Connection<S, B> {
        let seat = Seat(watch);
        let client = Peer { peer: accepted.peer };
        let service = match &common.services {
            Services::Shared(service) => Rc::clone(service),
            Services::Made(make) => Rc::new(make(&client)),
        };
        let state = State::of(accepted.stream, &common, &seat.0);
        Connection { state, common, service, seat }
    }

    fn watch(&self) -> &Rc<Watch> {
        &self.seat.0
    }

    fn answerer(&self) -> Answerer<S> {
        Answerer::new(Rc::clone(&self.service), Rc::clone(self.watch()))
    }

    fn speak_first(&mut self, io: LocalSend<Watched>) {
        self.watch().enter(Phase::Http1);
        let shared = io.share();
        let connection = self.common.http1.serve_connection(io, self.answerer()).with_upgrades();
        self.state = State::Http1(Box::new(connection), shared);
    }

    fn speak_second(&mut self, io: Watched) {
        self.watch().enter(Phase::Http2);
        let mut connection = self.common.http2.serve_connection(io, self.answerer());
        if self.watch().board().is_stopping() {
            // It was told of the stop when it was not known yet what it would speak.
            Pin::new(&mut connection).graceful_shutdown();
        }
        self.state = State::Http2(Box::new(connection));
    }

    /// Waits for the head of a request, and sees what is spoken. Until it is there as a whole it is all that is held, so that who is slow with it costs
    /// as many bytes as he has sent.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Dozing(io) = &mut self.state else { return Poll::Ready(Ok(())) };
        let mut seen = 0;
        let is_second = loop {
            let before = seen;
            let looked = io.poll_first(cx, before, |bytes| {
                let compared = bytes.len().min(PREFACE.len());
                First {
                    count: bytes.len(),
                    is_preface: bytes[..compared] == PREFACE[..compared],
                    is_whole_preface: compared == PREFACE.len(),
                    // A head begins with a method, or with lines that somebody has sent too many. What else it is hyper says at once.
                    has_head: !begins_head(bytes)
                        || has_head(&bytes[before.saturating_sub(3).min(bytes.len())..]),
                }
            });
            let Poll::Ready(first) = looked? else {
                if seen > 0 {
                    self.seat.0.has_begun();
                }
                return Poll::Pending;
            };
            seen = first.count;
            if seen == 0 {
                self.state = State::Done;
                return Poll::Ready(Ok(()));
            }
            let may_be_second = !self.common.first_only && first.is_preface;
            if may_be_second && first.is_whole_preface {
                break true;
            }
            // The end, too, is for hyper to judge.
            let is_whole = seen == before || seen >= GATHERED_MAX || first.has_head;
            if is_whole && (!may_be_second || seen == before) {
                break false;
            }
        };
        match std::mem::replace(&mut self.state, State::Done) {
            State::Dozing(io) if is_second => self.speak_second(io),
            State::Dozing(io) => self.speak_first(LocalSend::new(io)),
            state => self.state = state,
        }
        Poll::Ready(Ok(()))
    }

    /// Lets go of hyper's state. What it had read and not understood yet is kept.
    fn doze(&mut self) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Http1(connection, _) => {
                // It was upgraded, and nobody has polled it since.
                let Some(parts) = connection.into_parts() else { return };
                let mut io = parts.io;
                if !parts.read_buf.is_empty() {
                    io.put_back(&parts.read_buf);
                }
                let phase = if io.has_ahead() { Phase::Opening } else { Phase::Dozing };
                self.watch().enter(phase);
                self.state = State::Dozing(io.into_inner());
            }
            state => self.state = state,
        }
    }

    /// hyper has ended.
    fn part(&mut self, outcome: Result<(), BoxError>) {
        let State::Http1(connection, _) = std::mem::replace(&mut self.state, State::Done) else { return };
        let may_still_send = outcome.is_err() || self.watch().had_body();
        if let Err(error) = outcome {
            self.fail(&error);
        }
        // One that was upgraded is somebody else's.
        if let Some(parts) = connection.into_parts().filter(|_| may_still_send) {
            self.state = State::Lingering(Box::new(Lingering::new(parts.io)));
        }
    }

    fn fail(&self, error: &BoxError) {
        let board = self.watch().board();
        board.failed.set(board.failed.get() + 1);
        self.common.tell(error);
    }

    fn obey(&mut self, order: Order) {
        let given = self.watch().has_had_its_time();
        match (order, &mut self.state) {
            (Order::Doze, _) => self.doze(),
            (Order::Finish, State::Http2(connection)) => Pin::new(&mut **connection).graceful_shutdown(),
            // It is told, and has as long to go as for anything else.
            (Order::End(Lapse::Idle), State::Http2(connection)) if !given => {
                Pin::new(&mut **connection).graceful_shutdown();
            }
            // Answers say that they are the last ones; who is idle may still ask.
            (Order::Finish, _) => {}
            (Order::End(lapse), _) => self.end(lapse),
        }
    }

    fn end(&mut self, lapse: Lapse) {
        let state = std::mem::replace(&mut self.state, State::Done);
        // That it did not take the reason within a tick is no other lapse.
        if let State::Refusing(..) = state {
            return;
        }
        let board = self.watch().board();
        board.lapsed.set(board.lapsed.get() + 1);
        let (io, is_asked) = match state {
            State::Http1(connection, _) => (connection.into_parts().map(|parts| parts.io), true),
            State::Dozing(io) => {
                let has_begun = io.has_ahead();
                (Some(LocalSend::new(io)), has_begun)
            }
            _ => return,
        };
        // Who has not begun to ask is told no more than the end, by TLS in its own word.
        let text: &[u8] = if lapse == Lapse::Header && is_asked { TOO_SLOW } else { &[] };
        if let Some(io) = io.filter(|_| lapse != Lapse::Stall) {
            self.state = State::Refusing(io, text);
        }
    }
}

impl<S, B> State<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    fn of(stream: Accept, common: &Common<S>, watch: &Rc<Watch>) -> State<S, B> {
        let dozes = |transport| State::Dozing(Watched::new(transport, Rc::clone(watch)));
        let (stream, counted) = match stream {
            Accept::Unix(stream) => return dozes(Transport::Unix(stream.into_buffered())),
            Accept::Tcp(stream) => (stream, None),
            Accept::Shards(connection) => {
                let (stream, counted) = connection.into_parts();
                (stream, Some(counted))
            }
        };
        // Answers are written whole, or flushed when they are to be: there is nothing to wait for. Refused by who is gone already.
        let _ = stream.set_nodelay(true);
        #[cfg(feature = "rustls")]
        if let Some(acceptor) = &common.acceptor {
            let acceptor = acceptor.clone();
            return State::Shaking(Box::pin(async move {
                let stream = acceptor.accept(stream.into_poll()).await?;
                Ok(Transport::Tls(Box::new(stream), counted))
            }));
        }
        let _ = common;
        match counted {
            None => dozes(Transport::Tcp(stream.into_buffered())),
            Some(counted) => dozes(Transport::Shards(stream.into_buffered(), counted)),
        }
    }
}

impl<S, B> Connection<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    fn poll_on(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        loop {
            let ended = match &mut self.state {
                #[cfg(feature = "rustls")]
                State::Shaking(shaking) => {
                    let transport = ready!(shaking.as_mut().poll(cx))?;
                    let is_second = transport.has_agreed_on_second();
                    let io = Watched::new(transport, Rc::clone(self.watch()));
                    match is_second {
                        true => self.speak_second(io),
                        false => self.state = State::Dozing(io),
                    }
                    continue;
                }
                State::Dozing(_) => {
                    ready!(self.poll_first(cx))?;
                    continue;
                }
                State::Http1(connection, shared) => {
                    let ended = Pin::new(&mut **connection).poll(cx);
                    if ended.is_pending()
                        && self.seat.0.is_answering()
                        && self.common.notices
                        && shared.is_left(cx)
                    {
                        // Nobody waits for the answer any more: the service's future is dropped.
                        self.state = State::Done;
                        continue;
                    }
                    if let Poll::Ready(outcome) = ended {
                        self.part(outcome.map_err(Into::into));
                        continue;
                    }
                    ended
                }
                State::Lingering(lingering) => {
                    ready!(lingering.poll(cx));
                    self.state = State::Done;
                    continue;
                }
                State::Http2(connection) => Pin::new(&mut **connection).poll(cx),
                State::Refusing(io, left) => {
                    // Gone already, if that fails.
                    let _ = ready!(poll_refuse(io, left, cx));
                    self.state = State::Done;
                    continue;
                }
                State::Done => return Poll::Ready(Ok(())),
            };
            ready!(ended)?;
            self.state = State::Done;
        }
    }
}

impl<S, B> Future for Connection<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.watch().wakes(cx.waker());
        if let Some(order) = this.watch().order() {
            this.obey(order);
        }
        if let Err(error) = ready!(this.poll_on(cx)) {
            this.fail(&error);
        }
        Poll::Ready(())
    }
}

/// Nothing is pinned in it but what has a box of its own.
impl<S, B> Unpin for Connection<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
}
