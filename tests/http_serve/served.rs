//! A server on the running loop, whose service does what the request's path says, and a client that says bytes and reads answers.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use annulus::http::{self, Incoming, Request, Response, Serve, ServeHandle};
use annulus::net::{TcpListener, TcpStream};
use annulus::sync::Notify;
use annulus::task::JoinHandle;
use annulus::time::{Sleep, sleep, timeout};
use annulus::{io::AsyncRead, io::AsyncWrite, spawn};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http_body::{Body, Frame};
use tower_service::Service;

use crate::support::is_simulated;
use crate::support::quiet::boom;

/// So many seconds where time costs nothing, and a small part of them on a machine.
pub(crate) fn span(seconds: u32) -> Duration {
    seconds * if is_simulated() { Duration::from_secs(1) } else { Duration::from_millis(25) }
}

/// Waits for what must come.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let waits = async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(80), waits).await.expect("it comes to hold");
}

/// What the services of a server have seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Services that hang now.
    pub(crate) hanging: Cell<u32>,
    /// Bytes of `/endless` that were made.
    pub(crate) made: Cell<u64>,
    /// Bodies that are on their way now.
    pub(crate) bodies: Cell<u32>,
    /// Lets `/wait` go on.
    pub(crate) go: Notify,
}

/// Counts while it lives.
pub(crate) struct Counts(Rc<Seen>, fn(&Seen) -> &Cell<u32>);

impl Counts {
    fn new(seen: &Rc<Seen>, which: fn(&Seen) -> &Cell<u32>) -> Counts {
        which(seen).set(which(seen).get() + 1);
        Counts(Rc::clone(seen), which)
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        let cell = (self.1)(&self.0);
        cell.set(cell.get() - 1);
    }
}

#[derive(Clone, Default)]
pub(crate) struct App(pub(crate) Rc<Seen>);

impl Service<Request<Incoming>> for App {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = LocalBoxFuture<'static, Result<Response<Reply>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let seen = Rc::clone(&self.0);
        Box::pin(async move { Ok(answer(request, seen).await) })
    }
}

async fn answer(mut request: Request<Incoming>, seen: Rc<Seen>) -> Response<Reply> {
    let path = request.uri().path().to_owned();
    let reply = match path.as_str() {
        "/hang" => {
            let _counted = Counts::new(&seen, |seen| &seen.hanging);
            pending().await
        }
        "/wait" => {
            let _counted = Counts::new(&seen, |seen| &seen.hanging);
            seen.go.notified().await;
            Reply::whole("it waited")
        }
        "/panic" => {
            boom("a handler");
            unreachable!()
        }
        "/echo" => match collect(request.body_mut()).await {
            Ok(body) => Reply::whole(body),
            Err(_) => {
                let mut refused = Response::new(Reply::whole("that was no body"));
                *refused.status_mut() = http::StatusCode::BAD_REQUEST;
                return refused;
            }
        },
        "/endless" => Reply::Endless(Counts::new(&seen, |seen| &seen.bodies)),
        "/events" => {
            let counts = Counts::new(&seen, |seen| &seen.bodies);
            Reply::Events(counts, 20, Box::pin(sleep(span(2))))
        }
        "/upgrade" => {
            drop(spawn(async move {
                let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
                echo(upgraded).await;
            }));
            let answer = Response::builder().status(101).header("connection", "upgrade");
            return answer.header("upgrade", "echo").body(Reply::whole("")).unwrap();
        }
        _ => Reply::whole(format!("{} {}", request.method(), request.uri())),
    };
    Response::new(reply)
}

/// Says again what is said over an upgraded connection, until its end.
async fn echo(mut upgraded: hyper::upgrade::Upgraded) {
    use hyper::rt::{Read, ReadBuf, Write};
    loop {
        let mut room = [0; 1024];
        let mut buffer = ReadBuf::new(&mut room);
        let read = poll_fn(|cx| Pin::new(&mut upgraded).poll_read(cx, buffer.unfilled())).await;
        let mut heard = buffer.filled();
        if read.is_err() || heard.is_empty() {
            return;
        }
        while !heard.is_empty() {
            let written = poll_fn(|cx| Pin::new(&mut upgraded).poll_write(cx, heard)).await;
            let Ok(count) = written else { return };
            heard = &heard[count..];
        }
    }
}

/// A body as a whole.
pub(crate) async fn collect(body: &mut Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        all.extend(frame?.into_data().unwrap_or_default());
    }
    Ok(all)
}

pub(crate) enum Reply {
    Whole(Option<Bytes>),
    Endless(Counts),
    Events(#[allow(dead_code, reason = "it counts while it lives")] Counts, u32, Pin<Box<Sleep>>),
}

impl Reply {
    fn whole(bytes: impl Into<Bytes>) -> Reply {
        Reply::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Reply::Whole(bytes) => bytes.take(),
            Reply::Endless(counts) => {
                let made = &counts.0.made;
                made.set(made.get() + (64 << 10));
                Some(Bytes::from_static(&[b'x'; 64 << 10]))
            }
            Reply::Events(_, 0, _) => None,
            Reply::Events(_, left, sleeps) => {
                std::task::ready!(sleeps.as_mut().poll(cx));
                sleeps.set(sleep(span(2)));
                *left -= 1;
                Some(Bytes::from_static(b"event\n"))
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Reply::Whole(None) | Reply::Events(_, 0, _))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Reply::Whole(bytes) => {
                http_body::SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            _ => http_body::SizeHint::default(),
        }
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServeHandle,
    pub(crate) serving: JoinHandle<io::Result<()>>,
    pub(crate) seen: Rc<Seen>,
}

impl Server {
    /// With time-outs that no test waits for, unless it sets them.
    pub(crate) async fn start(
        set: impl FnOnce(Serve<TcpListener, App>) -> Serve<TcpListener, App>,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = App::default();
        let seen = Rc::clone(&app.0);
        let long = span(4000);
        let serve = http::serve(listener, app).header_timeout(long).idle_timeout(long);
        let serve = set(serve.request_timeout(long).stall_timeout(long).drain_limit(long));
        let handle = serve.handle();
        Server { address, handle, serving: spawn(serve.into_future()), seen }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// Somebody else is served meanwhile.
    pub(crate) async fn serves(&self) {
        let mut client = self.connect().await;
        client.says("GET /others HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"GET /others"[..]));
        assert_eq!(client.rest().await, b"");
    }

    /// Stops it, and waits for its end.
    pub(crate) async fn stops(self) -> io::Result<()> {
        self.handle.stop();
        timeout(Duration::from_secs(20_000), self.serving).await.expect("it ends").unwrap()
    }
}

/// A client that says bytes as they are.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    /// What has come and was not looked at.
    pub(crate) kept: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.lines().any(|found| found.eq_ignore_ascii_case(line))
    }
}

impl<S: AsyncRead + AsyncWrite> Client<S> {
    pub(crate) fn new(stream: S) -> Client<S> {
        Client { stream, kept: Vec::new() }
    }

    pub(crate) async fn tries(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref().to_vec()).await.0
    }

    pub(crate) async fn says(&mut self, bytes: impl AsRef<[u8]>) {
        self.tries(bytes).await.unwrap();
    }

    /// Reads more, if there is more before the end. A reset is an end, too.
    pub(crate) async fn more(&mut self) -> bool {
        let (result, got) = self.stream.read(Vec::with_capacity(16 << 10)).await;
        self.kept.extend_from_slice(&got);
        result.is_ok_and(|count| count > 0)
    }

    async fn takes(&mut self, count: usize) -> Vec<u8> {
        while self.kept.len() < count {
            assert!(self.more().await, "the end came amid {:?}", String::from_utf8_lossy(&self.kept));
        }
        self.kept.drain(..count).collect()
    }

    async fn takes_through(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(place) = self.kept.windows(end.len()).position(|window| window == end) {
                return self.takes(place + end.len()).await;
            }
            assert!(self.more().await, "the end came amid {:?}", String::from_utf8_lossy(&self.kept));
        }
    }

    pub(crate) async fn answer_head(&mut self) -> Answer {
        let head = String::from_utf8(self.takes_through(b"\r\n\r\n").await).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: Vec::new() }
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.answer_head().await;
        let head = answer.head.to_ascii_lowercase();
        if head.contains("transfer-encoding: chunked") {
            loop {
                let line = self.takes_through(b"\r\n").await;
                let length = std::str::from_utf8(&line[..line.len() - 2]).unwrap();
                let length = usize::from_str_radix(length, 16).unwrap();
                answer.body.extend(self.takes(length + 2).await);
                answer.body.truncate(answer.body.len() - 2);
                if length == 0 {
                    return answer;
                }
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        answer.body = self.takes(length.map_or(0, |length| length.parse().unwrap())).await;
        answer
    }

    pub(crate) async fn asks(&mut self, path: &str) -> Answer {
        self.says(format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n")).await;
        self.answer().await
    }

    /// All that comes before the end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.kept)
    }
}
