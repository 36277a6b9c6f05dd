//! Servers for the client's tests: one of ours that does what the path says, and one that answers by hand, also against the rules.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use annulus::http::{Request, Response, ServeHandle, StatusCode};
use annulus::net::{TcpListener, TcpStream};
use annulus::task::JoinHandle;
use annulus::time::timeout;
use annulus::{http, spawn, yield_now};
use bytes::Bytes;
use http_body::{Body, Frame};

use super::support::is_simulated;

/// So long at most does anything here wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

/// A span that is over soon where time passes by itself.
pub(crate) fn span(seconds: u64) -> Duration {
    Duration::from_millis(seconds * if is_simulated() { 1000 } else { 10 })
}

/// Waits for what others do.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waits = async {
        while !is_so() {
            annulus::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waits).await.unwrap_or_else(|_| panic!("{what} does not come to be"));
}

/// A body of parts, whose length nobody says. One that hangs never ends.
pub(crate) struct Parts {
    pub(crate) parts: VecDeque<Bytes>,
    pub(crate) hangs: bool,
    pub(crate) taken: Rc<Cell<usize>>,
}

impl Parts {
    pub(crate) fn of(parts: impl IntoIterator<Item = &'static str>) -> Parts {
        let parts = parts.into_iter().map(Bytes::from).collect();
        Parts { parts, hangs: false, taken: Rc::default() }
    }

    pub(crate) fn large(count: usize) -> Parts {
        let part = |number: usize| Bytes::from(vec![200 + number as u8 % 50; 64 << 10]);
        Parts { parts: (0..count).map(part).collect(), hangs: false, taken: Rc::default() }
    }

    pub(crate) fn hanging(mut self) -> Parts {
        self.hangs = true;
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
        match self.parts.pop_front() {
            None if self.hangs => Poll::Pending,
            part => {
                self.taken.set(self.taken.get() + usize::from(part.is_some()));
                Poll::Ready(part.map(|part| Ok(Frame::data(part))))
            }
        }
    }
}

pub(crate) async fn gathered(mut body: impl Body<Data = Bytes, Error: std::fmt::Debug> + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.unwrap().into_data() {
            all.extend_from_slice(&data);
        }
    }
    all
}

/// One of ours.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServeHandle,
    pub(crate) served: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Server {
        // A listener that was dropped is closed when the kernel has answered what it was asked for.
        let bound = async {
            loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => return listener,
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}"),
                }
                annulus::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let listener = timeout(PATIENCE, bound).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = http::serve(listener, http::service_fn(answer));
        Server { address, handle: serve.handle(), served: spawn(serve.into_future()) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.handle.counts().accepted
    }
}

/// Does what the path says.
pub(crate) async fn answer(request: Request<http::Incoming>) -> Result<Response<Parts>, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match &*path {
        "/echo" => {
            let body = gathered(request.into_body()).await;
            Response::new(Parts { parts: [Bytes::from(body)].into(), hangs: false, taken: Rc::default() })
        }
        "/about" => {
            let host = request.headers().get("host").map_or("none", |host| host.to_str().unwrap());
            let text = format!("{} {:?} {host} {}", request.method(), request.version(), request.uri());
            Response::new(Parts { parts: [Bytes::from(text)].into(), hangs: false, taken: Rc::default() })
        }
        "/hangs" => pending().await,
        "/stalls" => Response::new(Parts::of(["begun"]).hanging()),
        "/large" => Response::new(Parts::large(64)),
        "/early" => {
            // What a server has not read when it closes may cost the client the answer.
            let (mut body, mut count) = (request.into_body(), 0);
            while count < 64 << 10 {
                let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
                count += frame.into_data().map_or(0, |data| data.len());
            }
            let mut early = Response::new(Parts::of(["enough"]));
            *early.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            early
        }
        _ => Response::new(Parts::of(["hello"])),
    })
}

/// What a server by hand does when a request has come.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Says(&'static str),
    Closes,
    Waits,
}

/// A server that answers by hand: each connection does what its list says, and closes at the end of it.
pub(crate) struct ByHand {
    pub(crate) address: SocketAddr,
    /// The heads that came, with the number of their connection.
    pub(crate) heard: Rc<RefCell<Vec<(usize, String)>>>,
    pub(crate) closed: Rc<Cell<usize>>,
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

impl ByHand {
    pub(crate) async fn start(connections: &'static [&'static [Then]]) -> ByHand {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, closed) = (Rc::<RefCell<Vec<_>>>::default(), Rc::<Cell<usize>>::default());
        let (hears, closes) = (Rc::clone(&heard), Rc::clone(&closed));
        drop(spawn(async move {
            for (number, todo) in connections.iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                let (heard, closed) = (Rc::clone(&hears), Rc::clone(&closes));
                drop(spawn(async move {
                    serve_by_hand(stream, number, todo, &heard).await;
                    closed.set(closed.get() + 1);
                }));
            }
            pending::<()>().await;
        }));
        ByHand { address, heard, closed }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// On which connection each request came.
    pub(crate) fn order(&self) -> Vec<usize> {
        self.heard.borrow().iter().map(|(number, _)| *number).collect()
    }
}

async fn serve_by_hand(
    stream: TcpStream,
    number: usize,
    todo: &'static [Then],
    heard: &RefCell<Vec<(usize, String)>>,
) {
    for then in todo {
        let Some(head) = head_of(&stream).await else { return };
        heard.borrow_mut().push((number, head));
        match then {
            Then::Says(text) => stream.write_all(*text).await.0.unwrap(),
            Then::Closes => return,
            // Until the client goes away.
            Then::Waits => drop(stream.read(Vec::with_capacity(64)).await),
        }
    }
    yield_now().await;
}

async fn head_of(stream: &TcpStream) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let (result, byte) = stream.read(Vec::with_capacity(1)).await;
        if result.ok()? == 0 {
            return None;
        }
        head.push(char::from(byte[0]));
    }
    Some(head)
}
