//! A client: requests over connections that are kept, of HTTP/1 and HTTP/2, with time-outs, on hyper's connections and this loop.

mod body;
mod builder;
mod connect;
mod connection;
mod error;
mod outgoing;
mod pool;
#[cfg(feature = "rustls")]
mod secure;
mod target;
mod wire;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::http::{Method, Request, Response, Uri, Version};
use http_body::Body;
use tower_service::Service;

pub use body::ResponseBody;
pub use builder::ClientBuilder;
pub use error::{Error, Stage};
pub use pool::ClientCounts;

use super::answering::BoxError;
use super::body::Text;
use builder::Spoken;
use connect::connect;
use connection::{Active, First, Line, Suspect, begin};
use outgoing::Outgoing;
use pool::{Found, Pool};
use target::Target;

/// Makes requests, over connections that are kept for the next ones. Cheap to clone: clones share the connections.
///
/// HTTP/1 connections are kept when the response was read to its end. HTTP/2, which TLS agrees on by ALPN, or which
/// [`http2_only`](ClientBuilder::http2_only) says is spoken, has one connection a server for many requests at once. Names are looked up, and all their
/// addresses tried (RFC 8305). `https` needs feature `rustls`.
///
/// **Time is bounded**: 10 s for a connection, 30 s for the head of a response, 30 s for a pause of its body. [`ClientBuilder`] has a method for each.
///
/// **A server may close a connection that is idle** at any time. If it has, it is seen before it is used. If it does just then, a request of which
/// nothing was sent, or which may be sent twice (GET, HEAD, PUT, DELETE, OPTIONS, TRACE, without a body) and of whose response nothing has come, is sent
/// once more over a new connection. Nothing else is sent twice.
///
/// It is also a `tower_service::Service`, so layers go around it, and tonic's clients over it
/// (`Greeter::with_origin(client, uri)`). Redirects are not followed, nothing is decompressed, and there are no cookies: those are layers' matter
/// (tower-http). A response with 101 is upgraded by `hyper::upgrade::on`.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::convert::Infallible;
/// use annulus::http;
/// use annulus::net::TcpListener;
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let service = http::service_fn(async |request| {
///         Ok::<_, Infallible>(http::Response::new(http::text(format!("{} it is", request.uri()))))
///     });
///     drop(annulus::spawn(http::serve(listener, service).into_future()));
///
///     let client = http::Client::new();
///     let response = client.get(format!("http://{address}/tea")).await?;
///     assert_eq!(response.status(), 200);
///     assert_eq!(response.into_body().text(1024).await?, "/tea it is");
///
///     // The same connection.
///     let request = http::Request::post(format!("http://{address}/more")).body(http::text("please")).unwrap();
///     let response = client.request(request).await?;
///     assert_eq!(response.into_body().text(1024).await?, "/more it is");
///     assert_eq!(client.counts().connections, 1);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pool: Rc<Pool>,
}

impl Client {
    /// One with the settings that [`ClientBuilder`] has by default.
    pub fn new() -> Client {
        Client::builder().build()
    }

    /// Settings.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Sends a request, and waits for the head of its response. The URL is absolute; the header `host` is set from it unless there is one.
    /// What the body's length is, is told by itself.
    ///
    /// # Errors
    /// [`Error`], whose [`stage`](Error::stage) says how far it had come. A status such as 404 or 500 is a response, and no error.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Cancel safety
    /// Dropping it gives the request up: its connection is closed if it is of HTTP/1, its stream reset if it is of HTTP/2. What the server had received
    /// of it, it may do.
    ///
    /// # Examples
    /// See the type.
    pub async fn request<B>(&self, request: Request<B>) -> Result<Response<ResponseBody>, Error>
    where
        B: Body + 'static,
        B::Error: Into<BoxError>,
    {
        let progress = Rc::new(Cell::new(crate::time::now()));
        self.bounded(request.map(|body| Outgoing::new(body, &progress)), &progress).await
    }

    /// As [`request`](Self::request), a GET without headers.
    ///
    /// # Errors
    /// As [`request`](Self::request); at [`Stage::Request`] if it is no URL.
    ///
    /// # Panics
    /// As [`request`](Self::request).
    ///
    /// # Cancel safety
    /// As [`request`](Self::request).
    pub async fn get<U>(&self, url: U) -> Result<Response<ResponseBody>, Error>
    where
        U: TryInto<Uri>,
        U::Error: Into<::http::Error>,
    {
        let url = url.try_into().map_err(|error| {
            let error: ::http::Error = error.into();
            Error::invalid(
                &Arc::from("(no URL)"),
                format!("{error}: say http://HOST/PATH or https://HOST/PATH"),
            )
        })?;
        let mut request = Request::new(Text::default());
        *request.uri_mut() = url;
        self.request(request).await
    }

    /// How it went so far.
    pub fn counts(&self) -> ClientCounts {
        self.pool.counts()
    }

    async fn bounded(
        &self,
        request: Request<Outgoing>,
        progress: &Cell<Instant>,
    ) -> Result<Response<ResponseBody>, Error> {
        let target = Target::of(request.uri())?;
        let state = State { stage: Cell::new(Stage::Connect), suspect: Cell::new(None) };
        let sent = self.sent(request, &target, &state);
        let Some(limit) = self.pool.settings.request else { return sent.await };
        let Some(answered) = within(limit, progress, sent).await else {
            state.suspect.take().into_iter().for_each(Suspect::retire);
            let what = match state.stage.get() {
                Stage::Response => "the server took the request and is silent",
                _ => "there was no connection by then",
            };
            let text = format!("{what}: given up after {limit:?} (request_timeout of the builder)");
            return Err(Error::new(state.stage.get(), &target.url, io::ErrorKind::TimedOut, text));
        };
        answered
    }

    async fn sent(
        &self,
        mut request: Request<Outgoing>,
        target: &Target,
        state: &State,
    ) -> Result<Response<ResponseBody>, Error> {
        let pool = &self.pool;
        pool.count(|counts| counts.requests += 1);
        let wants_second = request.version() == Version::HTTP_2;
        if wants_second && pool.settings.spoken != Spoken::Second && !target.key.secure {
            return Err(Error::invalid(&target.url, NO_SECOND));
        }
        let mut is_second_try = false;
        loop {
            let (line, is_reused) = self.line(target, state, is_second_try).await?;
            if wants_second && matches!(line, Line::First(_)) {
                return Err(Error::invalid(&target.url, NO_SECOND));
            }
            let again = (is_reused && !is_second_try).then(|| copy(&request)).flatten();
            if is_reused && !is_second_try {
                pool.count(|counts| counts.reused += 1);
            }
            state.stage.set(Stage::Response);
            state.suspect.set(line.suspect());
            let failed = match line.send(request).await {
                Ok((response, held)) => {
                    let (limit, url) = (pool.settings.read, Arc::clone(&target.url));
                    return Ok(response.map(|incoming| ResponseBody::new(incoming, held, limit, url)));
                }
                Err(failed) => failed,
            };
            let again = failed.request.or(again.filter(|_| failed.is_dead));
            match again.filter(|_| is_reused && !is_second_try) {
                Some(again) => request = again,
                None => return Err(Error::of_hyper(Stage::Response, &target.url, failed.error)),
            }
            is_second_try = true;
            pool.count(|counts| counts.retried += 1);
        }
    }

    /// What to send it by, and whether that has served others.
    async fn line(&self, target: &Target, state: &State, anew: bool) -> Result<(Line, bool), Error> {
        loop {
            match self.pool.find(&target.key, anew) {
                Found::First(sender, desk) => return Ok((Line::First(First::new(sender, desk)), true)),
                Found::Second(sender, desk) => return Ok((Line::Second(sender, Active::new(desk)), true)),
                Found::Wait(attempt) => attempt.wait().await?,
                Found::Make(making) => {
                    // In a box: most requests find a connection.
                    let made = Box::pin(self.made(target, state)).await;
                    if let (Err(error), Some(making)) = (&made, &making) {
                        making.fails(error);
                    }
                    return made.map(|line| (line, false));
                }
            }
        }
    }

    async fn made(&self, target: &Target, state: &State) -> Result<Line, Error> {
        let connected = connect(&self.pool.settings, target, &state.stage).await?;
        let begun = begin(&self.pool, &target.key, connected).await;
        begun.map_err(|error| Error::of_hyper(Stage::Connect, &target.url, error))
    }
}

const NO_SECOND: &str = "it asks for HTTP/2, which is not spoken to that server: say http2_only of the builder if the server speaks it without TLS, \
                         or set the request's version to HTTP/1.1";

/// How far a request is.
struct State {
    stage: Cell<Stage>,
    suspect: Cell<Option<Suspect>>,
}

/// The same request, if it may be sent twice.
fn copy(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let may = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE];
    if !request.body().is_empty() || !may.contains(request.method()) {
        return None;
    }
    let mut copy = Request::new(Outgoing::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// None if it took longer, counted from the last progress.
async fn within<T>(limit: Duration, progress: &Cell<Instant>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut sleep = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let sleep = sleep.get_or_insert_with(|| crate::time::sleep_until(progress.get() + limit));
        loop {
            std::task::ready!(Pin::new(&mut *sleep).poll(cx));
            let due = progress.get() + limit;
            if due <= crate::time::now() {
                return Poll::Ready(None);
            }
            sleep.reset(due);
        }
    })
    .await
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.pool).finish()
    }
}

impl<B> Service<Request<B>> for Client
where
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        Service::call(&mut &*self, request)
    }
}

impl<B> Service<Request<B>> for &Client
where
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let client = Client::clone(self);
        ResponseFuture(Box::pin(async move { client.request(request).await }))
    }
}

/// A response to come, of the [`Client`] as a service.
///
/// # Examples
/// As [`ClientBuilder`], whose requests have it where they are called as a service.
#[must_use = "nothing is sent until it is awaited"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Error>>>>);

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
