//! The file server of the examples on a loop of the test's own, with clients on the same loop: on every driver, and so
//! in a simulated world, too. `serve.rs` has it as a process of its own.

mod support;

#[path = "../examples/serve/connection.rs"]
mod connection;
#[path = "../examples/serve/files.rs"]
mod files;
#[path = "../examples/serve/listing.rs"]
mod listing;
#[path = "../examples/serve/request.rs"]
mod request;
#[path = "../examples/serve/response.rs"]
mod response;
#[path = "../examples/serve/server.rs"]
mod server;
#[path = "../examples/serve/status.rs"]
#[allow(dead_code, reason = "the line that shows it is the example's own")]
mod status;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::task::JoinHandle;
use annulus::time::{now, sleep, timeout};
use annulus::{CancelToken, spawn};
use files::Files;
use server::Limits;
use status::Status;
use support::data::{Dice, assert_same, bytes, seed};
use support::outside::{self, Directory, directory};
use support::{is_simulated, on_every_driver};

on_every_driver! {
    files_come_whole_in_part_and_not_at_all,
    what_has_not_changed_is_not_sent_again,
    pipelined_requests_are_answered_in_order,
    a_large_file_compares_equal_for_each_of_many,
    a_head_that_drips_in_is_not_waited_for,
    a_connection_that_asks_nothing_is_let_go,
    a_client_that_does_not_read_is_let_go,
    a_client_that_resets_hurts_nobody_else,
    who_comes_beyond_the_limit_is_told_so,
    idle_connections_end_at_once_when_it_stops,
    a_download_is_finished_when_it_stops,
    whatever_clients_do_each_is_told_the_truth,
}

/// So long at most does anything here wait for what must come: longer than a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(80);
/// More than a connection holds on its way.
const LARGE: usize = 16 << 20;

/// What the example has if nothing else is asked for, where time costs nothing.
fn limits() -> Limits {
    let scale = if is_simulated() { 1000 } else { 30 };
    Limits {
        connections_max: 100,
        header_timeout: Duration::from_millis(10 * scale),
        idle_timeout: Duration::from_millis(60 * scale),
        write_timeout: Duration::from_millis(30 * scale),
    }
}

/// A server on the running loop, on a directory of its own.
struct Server {
    address: SocketAddr,
    directory: Directory,
    status: Rc<Status>,
    stop: CancelToken,
    served: JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits) -> Server {
        let directory = directory().await;
        // A temporary directory may be called by a link.
        let root = match is_simulated() {
            true => directory.path().to_owned(),
            false => directory.path().canonicalize().unwrap(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (status, stop) = (Rc::new(Status::default()), CancelToken::new());
        let served = spawn({
            let (status, stop) = (Rc::clone(&status), stop.clone());
            async move {
                server::serve(listener, Files::new(root), limits, status, stop.cancelled()).await;
            }
        });
        Server { address, directory, status, stop, served }
    }

    /// Makes a file of so many bytes, and gives them.
    async fn file(&self, name: &str, length: usize) -> Vec<u8> {
        let content = bytes(length as u64, length);
        outside::write(self.directory.path().join(name), &content).await;
        content
    }

    async fn connect(&self) -> Client {
        connect(self.address).await
    }

    /// Waits until there is no connection left.
    async fn is_alone(&self) {
        let alone = async {
            while self.status.connections.get() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, alone).await.expect("each connection ends");
    }

    /// Asks it to end, and waits until it has.
    async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.served).await.expect("it ends").unwrap();
        assert_eq!(self.status.connections.get(), 0);
        // Dropping a listener does not wait until it is closed.
        sleep(Duration::from_millis(20)).await;
        let late = TcpStream::connect(self.address).await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::ConnectionRefused);
    }
}

async fn connect(address: SocketAddr) -> Client {
    Client { stream: Rc::new(TcpStream::connect(address).await.unwrap()), unread: Vec::new() }
}

/// A client's end of a connection.
struct Client {
    stream: Rc<TcpStream>,
    /// What came and belongs to the next answer.
    unread: Vec<u8>,
}

/// What a client is told.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.head))
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A request's head.
fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n")
}

impl Client {
    async fn say(&self, text: impl Into<String>) {
        self.stream.write_all(text.into()).await.0.unwrap();
    }

    async fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    async fn ask(&mut self, method: &str, target: &str, headers: &str) -> Answer {
        self.say(request(method, target, headers)).await;
        self.answer(method).await.unwrap()
    }

    /// Reads once. Where the end comes: an error.
    async fn more(&mut self) -> io::Result<()> {
        let read = self.stream.read(Vec::with_capacity(64 * 1024));
        match timeout(PATIENCE, read).await.expect("an answer, or the end") {
            (Ok(0), _) => Err(io::ErrorKind::UnexpectedEof.into()),
            (Ok(_), got) => {
                self.unread.extend(got);
                Ok(())
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The head of an answer.
    async fn head(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).expect("heads are text");
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {head:?}"));
        Ok(Answer { status, head, body: Vec::new() })
    }

    /// The answer to a request of that method.
    async fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let mut answer = self.head().await?;
        if method != "HEAD" && answer.status != 304 {
            let length = answer.header("Content-Length").parse().unwrap();
            while self.unread.len() < length {
                self.more().await?;
            }
            answer.body = self.unread.drain(..length).collect();
        }
        Ok(answer)
    }

    /// Asserts that the connection ends, and that nothing more is said.
    async fn ends(mut self) {
        let end = self.more().await.unwrap_err();
        let ends = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
        assert!(ends.contains(&end.kind()), "{end}");
        assert_eq!(self.unread, b"");
    }
}

async fn files_come_whole_in_part_and_not_at_all() {
    let server = Server::start(limits()).await;
    let (small, index) = (server.file("small.txt", 1000).await, server.file("index.html", 77).await);
    let mut client = server.connect().await;
    let whole = client.get("/small.txt").await;
    assert_eq!((whole.status, whole.header("Content-Type")), (200, "text/plain; charset=utf-8"));
    assert_same(&whole.body, &small);
    assert_same(&client.get("/").await.body, &index);

    let part = client.ask("GET", "/small.txt", "Range: bytes=100-299\r\n").await;
    assert_eq!((part.status, part.header("Content-Range")), (206, "bytes 100-299/1000"));
    assert_same(&part.body, &small[100..300]);
    let rest = client.ask("GET", "/small.txt", "Range: bytes=-10\r\n").await;
    assert_same(&rest.body, &small[990..]);
    let beyond = client.ask("GET", "/small.txt", "Range: bytes=1000-\r\n").await;
    assert_eq!((beyond.status, beyond.header("Content-Range")), (416, "bytes */1000"));

    let head = client.ask("HEAD", "/small.txt", "").await;
    assert_eq!((head.status, head.header("Content-Length")), (200, "1000"));
    for nowhere in ["/none", "/small.txt/", "/small.txt/below", "/none/small.txt"] {
        assert_eq!(client.get(nowhere).await.status, 404, "{nowhere}");
    }
    assert_eq!(client.get("/../small.txt").await.status, 403);
    assert_eq!(client.ask("POST", "/small.txt", "").await.status, 405);
    // All on one connection; who asks for the end gets it.
    let last = client.ask("GET", "/small.txt", "Connection: close\r\n").await;
    assert_eq!((last.status, last.header("Connection")), (200, "close"));
    client.ends().await;
    server.end().await;
}

async fn what_has_not_changed_is_not_sent_again() {
    let server = Server::start(limits()).await;
    server.file("page.html", 500).await;
    let mut client = server.connect().await;
    let first = client.get("/page.html").await;
    let (tag, date) = (first.header("ETag"), first.header("Last-Modified"));
    for (same, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"other\", {tag}\r\n"), 304),
        ("If-None-Match: \"other\"\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {date}\r\n"), 304),
    ] {
        let answer = client.ask("GET", "/page.html", &same).await;
        assert_eq!(answer.status, status, "{same}");
        assert_eq!(answer.header("ETag"), tag);
    }
    // What was found is believed for a second; then the new one is seen.
    let other = server.file("page.html", 501).await;
    sleep(Duration::from_millis(1100)).await;
    let changed = client.ask("GET", "/page.html", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!(changed.status, 200);
    assert_same(&changed.body, &other);
    drop(client);
    server.end().await;
}

async fn pipelined_requests_are_answered_in_order() {
    const REQUESTS: usize = 50;
    let server = Server::start(limits()).await;
    let mut files = Vec::new();
    for n in 0..5 {
        files.push(server.file(&format!("{n}"), [0, 1, 700, 65_536, 200_000][n]).await);
    }
    let mut client = server.connect().await;
    let mut all = String::new();
    for n in 0..REQUESTS {
        all += &request(if n % 7 == 6 { "HEAD" } else { "GET" }, &format!("/{}", n % 6), "");
    }
    // In pieces that end anywhere.
    let mut dice = Dice::new(1);
    let mut rest = &all[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(dice.length(500)));
        client.say(now).await;
        rest = later;
        sleep(dice.micros(300)).await;
    }
    for n in 0..REQUESTS {
        let method = if n % 7 == 6 { "HEAD" } else { "GET" };
        let answer = client.answer(method).await.unwrap();
        match files.get(n % 6) {
            None => assert_eq!(answer.status, 404, "request {n}"),
            Some(_) if method == "HEAD" => assert_eq!(answer.status, 200, "request {n}"),
            Some(content) => assert_same(&answer.body, content),
        }
    }
    assert_eq!(server.status.requests.get(), REQUESTS as u64);
    drop(client);
    server.end().await;
}

async fn a_large_file_compares_equal_for_each_of_many() {
    let server = Server::start(limits()).await;
    let content = Rc::new(server.file("large", 1_234_567).await);
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let (content, address) = (Rc::clone(&content), server.address);
            spawn(async move {
                let mut client = connect(address).await;
                let from = n * 100_000;
                let answer = client.ask("GET", "/large", &format!("Range: bytes={from}-\r\n")).await;
                assert_eq!(answer.status, 206);
                assert_same(&answer.body, &content[from..]);
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    server.end().await;
}

async fn a_head_that_drips_in_is_not_waited_for() {
    let limits = limits();
    let server = Server::start(limits.clone()).await;
    let mut client = server.connect().await;
    let start = now();
    // A byte now and then is not enough: the time is that of the whole head.
    let dripping = spawn({
        let (stream, pause) = (Rc::clone(&client.stream), limits.header_timeout / 20);
        async move {
            for byte in request("GET", "/small", "").into_bytes() {
                if stream.write_all(vec![byte]).await.0.is_err() {
                    return;
                }
                sleep(pause).await;
            }
        }
    });
    assert_eq!(client.answer("GET").await.unwrap().status, 408);
    let waited = now() - start;
    assert!(waited >= limits.header_timeout && waited < limits.header_timeout * 10, "{waited:?}");
    dripping.abort();
    drop((dripping, client));
    server.is_alone().await;
    server.end().await;
}

async fn a_connection_that_asks_nothing_is_let_go() {
    let limits = limits();
    let server = Server::start(limits.clone()).await;
    let small = server.file("small", 10).await;
    let (never, mut once) = (server.connect().await, server.connect().await);
    assert_same(&once.get("/small").await.body, &small);
    let start = now();
    never.ends().await;
    once.ends().await;
    assert!(now() - start >= limits.idle_timeout / 2);
    server.is_alone().await;
    server.end().await;
}

async fn a_client_that_does_not_read_is_let_go() {
    let limits = limits();
    let server = Server::start(limits.clone()).await;
    server.file("large", LARGE).await;
    let client = server.connect().await;
    let start = now();
    client.say(request("GET", "/large", "")).await;
    sleep(Duration::from_millis(10)).await;
    server.is_alone().await;
    assert!(now() - start >= limits.write_timeout);
    assert_eq!(server.status.broken.get(), 1);
    drop(client);
    server.end().await;
}

async fn a_client_that_resets_hurts_nobody_else() {
    let server = Server::start(limits()).await;
    let content = server.file("large", LARGE).await;
    let mut good = server.connect().await;
    good.say(request("GET", "/large", "")).await;
    for n in 0..10 {
        let mut bad = server.connect().await;
        // Before a request, amid one, and amid the answer.
        match n % 3 {
            0 => {}
            1 => bad.say("GET /lar").await,
            _ => {
                bad.say(request("GET", "/large", "")).await;
                bad.head().await.unwrap();
            }
        }
        bad.stream.set_linger(Some(Duration::ZERO)).unwrap();
    }
    let answer = good.answer("GET").await.unwrap();
    assert_same(&answer.body, &content);
    let gone = async {
        while server.status.connections.get() > 1 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("those that are gone are not kept");
    assert!(server.status.broken.get() >= 3, "{}", server.status.broken.get());
    assert_same(&good.ask("GET", "/large", "Range: bytes=5-9\r\n").await.body, &content[5..10]);
    drop(good);
    server.end().await;
}

async fn who_comes_beyond_the_limit_is_told_so() {
    let server = Server::start(Limits { connections_max: 2, ..limits() }).await;
    let small = server.file("small", 10).await;
    let mut clients = [server.connect().await, server.connect().await];
    for client in &mut clients {
        assert_same(&client.get("/small").await.body, &small);
    }
    let mut third = server.connect().await;
    let answer = third.answer("GET").await.unwrap();
    assert_eq!((answer.status, answer.header("Retry-After")), (503, "1"));
    third.ends().await;
    drop(clients);
    server.is_alone().await;
    assert_same(&server.connect().await.get("/small").await.body, &small);
    assert_eq!(server.status.refused.get(), 1);
    server.end().await;
}

async fn idle_connections_end_at_once_when_it_stops() {
    // Nobody's time is up before.
    let server = Server::start(Limits { idle_timeout: Duration::from_secs(600), ..limits() }).await;
    let small = server.file("small", 10).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect().await;
        assert_same(&client.get("/small").await.body, &small);
        clients.push(client);
    }
    let start = now();
    server.end().await;
    // They would have five seconds if they were busy.
    assert!(now() - start < Duration::from_secs(4), "{:?}", now() - start);
    for client in clients {
        client.ends().await;
    }
}

async fn a_download_is_finished_when_it_stops() {
    let server = Server::start(limits()).await;
    let content = server.file("large", LARGE).await;
    let mut client = server.connect().await;
    client.say(request("GET", "/large", "")).await;
    let head = client.head().await.unwrap();
    assert_eq!(head.header("Content-Length"), LARGE.to_string());
    server.stop.cancel();
    sleep(Duration::from_millis(50)).await;
    assert!(!server.served.is_finished(), "it waits for the download");
    while client.unread.len() < LARGE {
        client.more().await.unwrap();
    }
    assert_same(&client.unread, &content);
    client.unread.clear();
    client.ends().await;
    server.end().await;
}

/// What a client of [`whatever_clients_do_each_is_told_the_truth`] does, by chance. An error is its connection's end.
async fn whatever(address: SocketAddr, files: Rc<Vec<Vec<u8>>>, seed: u64) -> io::Result<()> {
    let mut dice = Dice::new(seed);
    sleep(dice.micros(20_000)).await;
    let mut client = connect(address).await;
    for _ in 0..dice.below(12) {
        let n = dice.below(files.len() as u64) as usize;
        let content = &files[n];
        let from = dice.below(content.len() as u64 + 1) as usize;
        let (headers, wanted, status) = match dice.below(3) {
            0 if from < content.len() => (format!("Range: bytes={from}-\r\n"), &content[from..], 206),
            _ => (String::new(), &content[..], 200),
        };
        let text = request("GET", &format!("/{n}"), &headers);
        let (now, later) = text.split_at(dice.below(text.len() as u64) as usize);
        client.stream.write_all(now.to_owned()).await.0?;
        sleep(dice.micros(2000)).await;
        client.stream.write_all(later.to_owned()).await.0?;
        match dice.below(12) {
            // Gone amid the answer, in either way.
            0 => return Ok(()),
            1 => {
                let _ = client.head().await?;
                return client.stream.set_linger(Some(Duration::ZERO));
            }
            _ => {}
        }
        let answer = client.answer("GET").await?;
        assert_eq!(answer.status, status);
        assert_same(&answer.body, wanted);
    }
    Ok(())
}

async fn whatever_clients_do_each_is_told_the_truth() {
    const CLIENTS: usize = 60;
    let seed = seed();
    let server = Server::start(limits()).await;
    let mut files = Vec::new();
    for (n, length) in [0, 1, 4096, 65_536, 65_537, 400_000].into_iter().enumerate() {
        files.push(server.file(&n.to_string(), length).await);
    }
    let files = Rc::new(files);
    let mut dice = Dice::new(seed);
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| spawn(whatever(server.address, Rc::clone(&files), dice.next()))).collect();
    for (n, client) in clients.into_iter().enumerate() {
        client.await.unwrap().unwrap_or_else(|error| panic!("client {n} was let down: {error}"));
    }
    server.is_alone().await;
    server.end().await;
}
