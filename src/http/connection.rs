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
use std::task::{Context, Poll, Waker, ready};

use ::http::{Request, Response};
use ::hyper::body::Incoming;
use ::hyper::server::conn::{http1, http2};
use http_body::Body;
use tower_service::Service;

use super::answering::{Answerer, BoxError};
use super::connections::{Accept, Accepted};
use super::transport::{Transport, Watched};
use super::watch::{Lapse, Order, Phase, Seat, Watch};
use crate::hyper::LocalExecutor;
use crate::io::PollWrite;
use crate::task::LocalSend;

/// What all connections of a server share.
pub(super) struct Common<S> {
    pub(super) services: Services<S>,
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<LocalExecutor>,
    pub(super) first_only: bool,
    /// Whether the end of what a client sends is taken for its end while it is answered.
    pub(super) notices: bool,
    pub(super) tell: Option<Rc<dyn Fn(&BoxError)>>,
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
#[derive(Clone, Debug)]
pub struct Peer {
    peer: Option<SocketAddr>,
}

impl Peer {
    /// The client's address. None of a Unix socket.
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
    Dozing(Watched),
    /// With the connection, to see whether the client goes away.
    Http1(Box<Http1<S>>, Watched),
    Http2(Box<Http2<S>>),
    Done,
}

/// With what HTTP/2 begins, where nobody has agreed on it before.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// What the head of a request that took too long is answered.
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

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
        let connection = self.common.http2.serve_connection(io, self.answerer());
        self.state = State::Http2(Box::new(connection));
    }

    /// Waits for the first bytes, and sees what is spoken.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Dozing(io) = &mut self.state else { return Poll::Ready(Ok(())) };
        let mut seen = 0;
        let is_second = loop {
            let looked = io.poll_first(cx, seen, |bytes| {
                let compared = bytes.len().min(PREFACE.len());
                (bytes.len(), bytes[..compared] == PREFACE[..compared], compared == PREFACE.len())
            });
            let (count, is_preface, is_whole) = ready!(looked)?;
            if count == seen {
                // The end. Half a word is none.
                self.state = State::Done;
                return Poll::Ready(Ok(()));
            }
            seen = count;
            if !is_preface || is_whole || self.common.first_only {
                break is_preface && !self.common.first_only;
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
                if io.has_ahead() {
                    return self.speak_first(io);
                }
                self.watch().enter(Phase::Dozing);
                self.state = State::Dozing(io.into_inner());
            }
            state => self.state = state,
        }
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
        let board = self.watch().board();
        board.lapsed.set(board.lapsed.get() + 1);
        // As much as can be said without waiting.
        let mut cx = Context::from_waker(Waker::noop());
        let state = std::mem::replace(&mut self.state, State::Done);
        let said = match (lapse, state) {
            (Lapse::Header, State::Http1(connection, _)) => connection.into_parts().map(|parts| {
                let mut io = parts.io;
                let _ = io.poll_write(&mut cx, TOO_LATE);
                io.poll_flush(&mut cx)
            }),
            // Of TLS a good end is told.
            (_, State::Dozing(mut io)) => Some(io.poll_shutdown(&mut cx)),
            _ => None,
        };
        // Refused by who is gone already.
        let _ = said;
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
                    ended
                }
                State::Http2(connection) => Pin::new(&mut **connection).poll(cx),
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
            this.watch().board().failed.set(this.watch().board().failed.get() + 1);
            this.common.tell(&error);
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
