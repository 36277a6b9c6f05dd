//! hyper's guarantees through this crate's adapters, over a connection that gives one byte at a time, is not ready by chance, and takes parts of
//! what is written: requests and answers compare equal, whatever the dice say.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use annulus::buf::ReadBuf;
use annulus::http::{Incoming, Request, Response};
use annulus::hyper::{LocalExecutor, Timer};
use annulus::io::{PollRead, PollWrite};
use annulus::net::UnixStream;
use annulus::spawn;
use annulus::task::LocalSend;
use bytes::Bytes;
use futures_util::future::join_all;
use http_body::{Body, Frame};

use crate::served::collect;
use crate::support::data::{Dice, assert_same, bytes, seed};
use crate::support::is_simulated;

/// A connection at the dice's mercy.
struct Diced<S> {
    stream: S,
    dice: Rc<RefCell<Dice>>,
}

impl<S> Diced<S> {
    /// Not ready by chance: then it is woken at once.
    fn poll_chance(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut dice = self.dice.borrow_mut();
        if dice.below(4) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // One byte as often as many.
        Poll::Ready(if dice.below(2) == 0 { 1 } else { dice.length(8192) })
    }
}

impl<S: PollRead + Unpin> hyper::rt::Read for Diced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let most = std::task::ready!(self.poll_chance(cx)).min(cursor.remaining());
        let mut room = [0; 8192];
        let mut buffer = ReadBuf::new(&mut room[..most]);
        std::task::ready!(self.stream.poll_read(cx, &mut buffer))?;
        cursor.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: PollWrite + Unpin> hyper::rt::Write for Diced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = std::task::ready!(self.poll_chance(cx)).min(bytes.len());
        self.stream.poll_write(cx, &bytes[..most])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let most = std::task::ready!(self.poll_chance(cx));
        // Whole parts, as far as they fit, and else a piece of the first.
        let mut total = 0;
        let fits = |part: &&IoSlice<'_>| {
            total += part.len();
            total <= most
        };
        let whole: Vec<_> = parts.iter().take_while(fits).map(|part| IoSlice::new(part)).collect();
        if whole.iter().any(|part| !part.is_empty()) {
            return self.stream.poll_write_vectored(cx, &whole);
        }
        let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
        self.stream.poll_write(cx, &first[..most.min(first.len())])
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_chance(cx));
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_chance(cx));
        self.stream.poll_shutdown(cx)
    }
}

/// A body of pieces, some of which are not there at once.
struct Pieces {
    rest: Bytes,
    says_length: bool,
    dice: Rc<RefCell<Dice>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let mut dice = self.dice.borrow_mut();
        if dice.below(4) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = dice.length(self.rest.len());
        drop(dice);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(count)))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.says_length {
            true => http_body::SizeHint::with_exact(self.rest.len() as u64),
            false => http_body::SizeHint::default(),
        }
    }
}

/// What is asked and answered in a round, in order.
struct Exchange {
    path: String,
    header: Vec<u8>,
    body: Vec<u8>,
    answer: Vec<u8>,
}

fn exchange(dice: &mut Dice, number: u64) -> Exchange {
    let mut length = |longest| if dice.below(3) == 0 { 0 } else { dice.length(longest) };
    let (path, header, body, answer) = (length(300), length(3000), length(40_000), length(40_000));
    Exchange {
        path: format!("/{number}/{}", "p".repeat(path)),
        header: bytes(number + 1, header).iter().map(|byte| b'a' + byte % 26).collect(),
        body: bytes(number + 2, body),
        answer: bytes(number + 3, answer),
    }
}

type Exchanges = Rc<Vec<Exchange>>;

async fn answers(
    mut request: Request<Incoming>,
    exchanges: Exchanges,
    dice: Rc<RefCell<Dice>>,
) -> Result<Response<Pieces>, hyper::Error> {
    let number = request.uri().path().split('/').nth(1).unwrap().parse::<usize>().unwrap();
    let wanted = &exchanges[number];
    assert_eq!(request.uri().path(), wanted.path);
    assert_eq!(request.headers()["x-long"].as_bytes(), wanted.header);
    assert_same(&collect(request.body_mut()).await?, &wanted.body);
    let says_length = dice.borrow_mut().below(2) == 0;
    let body = Pieces { rest: Bytes::from(wanted.answer.clone()), says_length, dice };
    Ok(Response::builder().header("x-back", &wanted.header[..]).body(body).unwrap())
}

fn asks(number: usize, exchanges: &Exchanges, dice: &Rc<RefCell<Dice>>) -> Request<Pieces> {
    let wanted = &exchanges[number];
    let says_length = dice.borrow_mut().below(2) == 0;
    let rest = Bytes::from(wanted.body.clone());
    Request::post(format!("http://h{}", wanted.path))
        .header("host", "h")
        .header("x-long", &wanted.header[..])
        .body(Pieces { rest, says_length, dice: Rc::clone(dice) })
        .unwrap()
}

async fn compares(answer: Result<Response<Incoming>, hyper::Error>, wanted: &Exchange) {
    let mut answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-back"].as_bytes(), wanted.header);
    assert_same(&collect(answer.body_mut()).await.unwrap(), &wanted.answer);
}

/// One connection of `seed`, with some exchanges over it.
async fn round(seed: u64, is_second: bool) {
    let dice = Rc::new(RefCell::new(Dice::new(seed)));
    let diced = || Rc::new(RefCell::new(Dice::new(dice.borrow_mut().next())));
    let exchanges: Exchanges =
        Rc::new((0..3).map(|number| exchange(&mut dice.borrow_mut(), number)).collect());
    let (client, server) = UnixStream::pair().unwrap();
    let service = {
        let (exchanges, dice) = (Rc::clone(&exchanges), diced());
        hyper::service::service_fn(move |request| answers(request, Rc::clone(&exchanges), Rc::clone(&dice)))
    };
    // Each view at one of the ends, by turns.
    macro_rules! over {
        ($client:expr, $server:expr) => {{
            let client = Diced { stream: $client, dice: diced() };
            let server = Diced { stream: $server, dice: diced() };
            if is_second {
                let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
                let serving = spawn(builder.timer(Timer).serve_connection(server, service));
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(LocalExecutor, client).await.unwrap();
                let connected = spawn(connection);
                // All at once.
                let asked: Vec<_> = (0..exchanges.len())
                    .map(|number| sender.send_request(asks(number, &exchanges, &dice)))
                    .collect();
                let compared = asked
                    .into_iter()
                    .zip(&*exchanges)
                    .map(async |(answer, wanted)| compares(answer.await, wanted).await);
                join_all(compared).await;
                drop(sender);
                // Both say goodbye, and to whoever is gone already that cannot be said.
                let _ = (connected.await.unwrap(), serving.await.unwrap());
            } else {
                let mut builder = hyper::server::conn::http1::Builder::new();
                let serving = builder.timer(Timer).serve_connection(LocalSend::new(server), service);
                let serving = spawn(serving.with_upgrades());
                let (mut sender, connection) = hyper::client::conn::http1::handshake(client).await.unwrap();
                let connected = spawn(connection);
                for (number, wanted) in exchanges.iter().enumerate() {
                    sender.ready().await.unwrap();
                    let answer = sender.send_request(asks(number, &exchanges, &dice)).await;
                    compares(answer, wanted).await;
                }
                drop(sender);
                connected.await.unwrap().unwrap();
                serving.await.unwrap().unwrap();
            }
        }};
    }
    let which = dice.borrow_mut().below(2);
    match which {
        0 => over!(client.into_poll(), server.into_buffered()),
        _ => over!(client.into_buffered(), server.into_poll()),
    }
}

async fn rounds(is_second: bool) {
    let first = seed();
    for seed in first..first + if is_simulated() { 100 } else { 20 } {
        println!("ANNULUS_SEED={seed}");
        round(seed, is_second).await;
    }
}

pub(crate) async fn http_1_compares_equal_whatever_the_dice_say() {
    rounds(false).await;
}

pub(crate) async fn http_2_compares_equal_whatever_the_dice_say() {
    rounds(true).await;
}
