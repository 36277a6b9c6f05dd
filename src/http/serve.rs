//! A server, as it is set up.

use std::fmt;
use std::future::{Future, IntoFuture, pending};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use ::http::{Request, Response};
use ::hyper::body::Incoming;
use ::hyper::server::conn::{http1, http2};
use http_body::Body;
use tower_service::Service;

use super::answering::BoxError;
use super::board::Board;
use super::connection::{Common, Services, Tell};
use super::connections::IntoConnections;
use super::handle::ServeHandle;
use super::limits::Limits;
use super::serving::Serving;
use crate::hyper::{LocalExecutor, Timer};

/// Serves HTTP/1 and HTTP/2 to all who connect: axum's `Router`, tonic's `Routes`, any service of tower.
///
/// Awaiting it serves until [`graceful`](Serve::graceful)'s signal or [`ServeHandle::stop`], and then until the connections have ended. Which of the two
/// protocols is spoken is seen from the first bytes, or agreed on by ALPN with `tls`.
///
/// It is meant to stand in the open as it is: the head of a request must come within 30 s, an idle connection is closed
/// after a minute, a service has a minute to begin its answer, and a client has to take it without pausing for 30 s. Each has a
/// method below. A connection between two requests holds its socket and little else: hyper's state is let go of, and made again when
/// there is something to read.
///
/// Dropping it before its end ends all connections.
///
/// # Errors
/// `TimedOut` if connections had to be cut off at the end, because they did not end within [`drain_limit`](Serve::drain_limit). Errors of single
/// connections, and of accept(2), are told to [`on_error`](Serve::on_error), and the server goes on.
///
/// # Panics
/// Outside of a running loop. A panic of the service ends its connection; the others go on.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::convert::Infallible;
/// use annulus::http;
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///
///     // As a rule axum's Router, or tonic's Routes.
///     let service = http::service_fn(async |request| {
///         Ok::<_, Infallible>(http::Response::new(http::text(format!("{} it is", request.uri()))))
///     });
///     let serve = http::serve(listener, service);
///     let handle = serve.handle();
///     let server = annulus::spawn(serve.into_future());
///
///     let stream = TcpStream::connect(address).await?;
///     stream.write_all("GET /tea HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.0?;
///     let (result, answer) = annulus::io::AsyncRead::read_to_string(&mut &stream, String::new()).await;
///     result?;
///     assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("/tea it is"));
///
///     handle.stop();
///     server.await?
/// })?
/// # }
/// ```
pub fn serve<L, S>(connections: L, service: S) -> Serve<L, S>
where
    L: IntoConnections,
{
    Serve::new(connections, Services::Shared(Rc::new(service)))
}

/// As [`serve`], with a service for each connection, which is made knowing whose it is.
///
/// # Examples
/// ```
/// use annulus::http;
/// # async fn example(listener: annulus::net::TcpListener) -> std::io::Result<()> {
/// http::serve_with(listener, |client| {
///     let peer = client.peer();
///     http::service_fn(move |_request| async move {
///         Ok::<_, std::convert::Infallible>(http::Response::new(http::text(format!("{peer:?}"))))
///     })
/// })
/// .await
/// # }
/// ```
pub fn serve_with<L, S>(connections: L, make: impl Fn(&Peer) -> S + 'static) -> Serve<L, S>
where
    L: IntoConnections,
{
    Serve::new(connections, Services::Made(Rc::new(make)))
}

pub use super::connection::Peer;

/// A server that is about to serve: see [`serve`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use annulus::{http, net::TcpListener};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let service = http::service_fn(async |_| Ok::<_, Infallible>(http::Response::new(http::text("tea"))));
///     let serve = http::serve(listener, service)
///         .header_timeout(Duration::from_secs(10))
///         .idle_timeout(Duration::from_secs(20))
///         .request_timeout(Duration::from_secs(20))
///         .stall_timeout(Duration::from_secs(10))
///         .connections_max(1000)
///         .drain_limit(Duration::from_secs(5))
///         .on_error(|error| eprintln!("{error}"))
///         .http1(|http1| drop(http1.max_headers(64)))
///         .http2(|http2| drop(http2.max_concurrent_streams(64)))
///         .half_close(true)
///         .http1_only();
///     let handle = serve.handle();
///     let server = annulus::spawn(serve.into_future());
///
///     let client = http::Client::new();
///     let response = client.get(format!("http://{address}/")).await?;
///     assert_eq!(response.into_body().text(100).await?, "tea");
///     println!("{} connections, {:?}", handle.connections(), handle.counts());
///     handle.stop();
///     server.await??;
///     Ok(())
/// })?
/// # }
/// ```
#[must_use = "nothing is served until it is awaited"]
pub struct Serve<L, S> {
    connections: L,
    services: Services<S>,
    limits: Limits,
    first_only: bool,
    half_close: bool,
    signal: Pin<Box<dyn Future<Output = ()>>>,
    tell: Option<Tell>,
    http1: http1::Builder,
    http2: http2::Builder<LocalExecutor>,
    #[cfg(feature = "rustls")]
    acceptor: Option<crate::tls::TlsAcceptor>,
    handle: ServeHandle,
}

impl<L, S> Serve<L, S> {
    fn new(connections: L, services: Services<S>) -> Serve<L, S> {
        let mut http1 = http1::Builder::new();
        // The board looks after the head: hyper's timer would be armed and moved for each request.
        http1.timer(Timer).header_read_timeout(None);
        // Nor need it look for the end of the connection while it is answered, for each request, with a new buffer: the connection's task
        // does when it waits.
        http1.half_close(true);
        let mut http2 = http2::Builder::new(LocalExecutor);
        http2.timer(Timer);
        Serve {
            connections,
            services,
            limits: Limits::default(),
            first_only: false,
            half_close: false,
            signal: Box::pin(pending()),
            tell: None,
            http1,
            http2,
            #[cfg(feature = "rustls")]
            acceptor: None,
            handle: ServeHandle::new(),
        }
    }

    /// How long the head of a request may take, from its first byte, or of a connection's first from when it was accepted. 30 s unless it is
    /// set. Who is too slow is told 408 and cut off.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn header_timeout(mut self, span: Duration) -> Self {
        self.limits.header = span;
        self
    }

    /// How long a connection may stay without a request. A minute unless it is set.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn idle_timeout(mut self, span: Duration) -> Self {
        self.limits.idle = span;
        self
    }

    /// How long the service may take to begin its answer, from when nothing more came from the client. A minute unless it is set; None is for ever. The client is then told 503, and the
    /// service's future is dropped. An answer that has begun is not bounded by it: streams of events go on.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn request_timeout(mut self, span: impl Into<Option<Duration>>) -> Self {
        self.limits.request = span.into();
        self
    }

    /// How long a client may take nothing of an answer that waits for it. 30 s unless it is set.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn stall_timeout(mut self, span: Duration) -> Self {
        self.limits.stall = span;
        self
    }

    /// How many connections there may be at once. While there are so many, no more are accepted: they wait in the kernel. As many as there are
    /// descriptors, unless it is set.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn connections_max(mut self, count: usize) -> Self {
        self.limits.connections = count;
        self
    }

    /// Stops when `signal` is ready: nothing more is accepted, requests that have begun are answered, and connections end. Who is idle may still send a
    /// request for half a second, lest it meets a closed connection; its answer says that it is the last.
    ///
    /// ```
    /// # async fn example(listener: annulus::net::TcpListener) -> std::io::Result<()> {
    /// # let service = annulus::http::service_fn(async |_| Ok::<_, std::convert::Infallible>(annulus::http::Response::new(annulus::http::text(""))));
    /// annulus::http::serve(listener, service)
    ///     .graceful(async { drop(annulus::signal::ctrl_c().await) })
    ///     .await
    /// # }
    /// ```
    pub fn graceful(mut self, signal: impl Future<Output = ()> + 'static) -> Self {
        self.signal = Box::pin(signal);
        self
    }

    /// How long connections may take to end after a stop, before they are cut off. 30 s unless it is set.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn drain_limit(mut self, span: Duration) -> Self {
        self.limits.drain = span;
        self
    }

    /// Hears of errors: of single connections, as hyper tells them, and of accept(2). Without it they are dropped.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn on_error(mut self, tell: impl Fn(&(dyn std::error::Error + Send + Sync)) + 'static) -> Self {
        self.tell = Some(Rc::new(move |error| tell(&**error)));
        self
    }

    /// Speaks HTTP/1 alone: what begins as HTTP/2 is answered 400.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn http1_only(mut self) -> Self {
        self.first_only = true;
        self
    }

    /// Whether a client may end what it sends and still be answered. Unless it is set, who ends that while it is answered has gone away, and the
    /// service's future is dropped.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn half_close(mut self, may: bool) -> Self {
        self.half_close = may;
        self
    }

    /// hyper's own settings of HTTP/1. Its `half_close` is on, and [`half_close`](Self::half_close) says what it means; its `header_read_timeout` is off: [`header_timeout`](Self::header_timeout) does that.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn http1(mut self, set: impl FnOnce(&mut http1::Builder)) -> Self {
        set(&mut self.http1);
        self
    }

    /// hyper's own settings of HTTP/2.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn http2(mut self, set: impl FnOnce(&mut http2::Builder<LocalExecutor>)) -> Self {
        set(&mut self.http2);
        self
    }

    /// Serves by TLS, of TCP connections. The protocol is the one that ALPN agrees on.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::convert::Infallible;
    /// use annulus::tls::{Certificate, Roots, TlsAcceptor, TlsConnector};
    /// use annulus::{http, net::TcpListener};
    ///
    /// annulus::run(async {
    ///     // A certificate that vouches for itself: for tests.
    ///     let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    ///     let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    ///     let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes())?;
    ///     let acceptor = TlsAcceptor::builder(certificate.clone()).alpn(["h2", "http/1.1"]).build()?;
    ///
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let address = listener.local_addr()?;
    ///     let service = http::service_fn(async |_| Ok::<_, Infallible>(http::Response::new(http::text("tea"))));
    ///     let server = annulus::spawn(http::serve(listener, service).tls(acceptor).into_future());
    ///
    ///     // This client also shows who it is, to servers that ask.
    ///     let roots = Roots::from_pem(chain.as_bytes())?;
    ///     let connector = TlsConnector::builder().roots(roots).certificate(certificate).build()?;
    ///     let client = http::Client::builder().tls(connector).build();
    ///     let response = client.get(format!("https://{address}/")).await?;
    ///     assert_eq!(response.into_body().text(100).await?, "tea");
    ///     server.abort();
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn tls(mut self, acceptor: crate::tls::TlsAcceptor) -> Self {
        self.acceptor = Some(acceptor);
        self
    }

    /// By which the server can be stopped, and asked how it is doing.
    ///
    /// # Examples
    /// As [`Serve`].
    pub fn handle(&self) -> ServeHandle {
        self.handle.clone()
    }
}

impl<L, S> fmt::Debug for Serve<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<L, S, B> IntoFuture for Serve<L, S>
where
    L: IntoConnections,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    type Output = io::Result<()>;
    type IntoFuture = Serving<L::Connections, S>;

    fn into_future(self) -> Self::IntoFuture {
        let board = Board::new(self.limits.bounded());
        self.handle.begin(&board);
        let common = Common {
            services: self.services,
            http1: self.http1,
            http2: self.http2,
            first_only: self.first_only,
            notices: !self.half_close,
            tell: self.tell,
            #[cfg(feature = "rustls")]
            acceptor: self.acceptor,
        };
        Serving::new(self.connections.into_connections(), common, board, self.handle, self.signal)
    }
}
