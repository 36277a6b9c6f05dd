//! Who takes too long, and who does not.

use annulus::time::{now, sleep, timeout};
use annulus::{net::TcpStream, spawn};
use futures_util::join;

use crate::served::{Client, Server, span, until};
use crate::support::data::{Dice, bytes, seed};
use crate::support::is_simulated;

/// Time is counted in eighths of the shortest limit: so much sooner or later a limit may hold.
fn assert_near(took: std::time::Duration, limit: u32) {
    assert!(took >= span(limit) * 3 / 4, "{took:?} instead of {:?}", span(limit));
    // On a machine something else may run meanwhile.
    assert!(!is_simulated() || took <= span(limit) * 5 / 4, "{took:?} instead of {:?}", span(limit));
}

pub(crate) async fn a_head_that_drips_is_told_408_and_cut_off_while_others_are_served() {
    let server = Server::start(|serve| serve.header_timeout(span(20))).await;
    let start = now();
    let mut slow = server.connect().await;
    slow.says("GET / HTTP/1.1\r\nhost: h\r\nx-").await;
    loop {
        match timeout(span(2), slow.more()).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                let _ = slow.tries("a").await;
                server.serves().await;
            }
        }
    }
    let answer = String::from_utf8(slow.kept).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    assert!(answer.contains("connection: close"), "{answer:?}");
    assert_near(now() - start, 20);
    assert_eq!(server.handle.counts().lapsed, 1);
    server.serves().await;
    server.stops().await.unwrap();
}

pub(crate) async fn who_never_says_anything_is_let_go() {
    let server = Server::start(|serve| serve.header_timeout(span(20))).await;
    let start = now();
    let mut silent = server.connect().await;
    assert_eq!(silent.rest().await, b"");
    assert_near(now() - start, 20);
    assert_eq!(server.handle.connections(), 0);
    // Nor does half a word of HTTP/2 hold a place.
    let mut half = server.connect().await;
    half.says("PRI * HT").await;
    assert!(half.rest().await.starts_with(b"HTTP/1.1 408 "));
    server.stops().await.unwrap();
}

pub(crate) async fn an_idle_connection_dozes_and_is_closed_at_its_time() {
    let server = Server::start(|serve| serve.idle_timeout(span(60))).await;
    let mut client = server.connect().await;
    assert_eq!(client.asks("/a").await.status, 200);
    let start = now();
    until(|| server.handle.counts().dozing == 1).await;
    assert_eq!(client.rest().await, b"");
    assert_near(now() - start, 60);
    assert_eq!((server.handle.connections(), server.handle.counts().lapsed), (0, 1));
    server.stops().await.unwrap();
}

pub(crate) async fn a_request_after_dozing_is_answered_and_its_time_begins_anew() {
    let server = Server::start(|serve| serve.idle_timeout(span(60)).header_timeout(span(60))).await;
    let mut client = server.connect().await;
    for _ in 0..4 {
        assert_eq!(client.asks("/again").await.body, b"GET /again");
        until(|| server.handle.counts().dozing == 1).await;
        sleep(span(40)).await;
    }
    client.says("GET /end HTTP/1.1\r\nhost: h\r\n").await;
    sleep(span(40)).await;
    client.says("\r\n").await;
    assert_eq!(client.answer().await.body, b"GET /end");
    server.stops().await.unwrap();
}

pub(crate) async fn pipelined_requests_survive_dozing_byte_for_byte() {
    let server = Server::start(|serve| serve).await;
    let mut dice = Dice::new(seed());
    for _ in 0..if is_simulated() { 30 } else { 3 } {
        let (mut asked, mut wanted) = (Vec::new(), Vec::new());
        for number in 0..8 {
            if dice.below(4) == 0 {
                let length = dice.length(30_000);
                let body = bytes(length as u64, length);
                let head = format!("POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n");
                asked.extend(head.bytes().chain(body.iter().copied()));
                wanted.push(body);
            } else {
                let path = format!("/{number}-{}", "x".repeat(dice.length(3000)));
                asked.extend(format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").bytes());
                wanted.push(format!("GET {path}").into_bytes());
            }
        }
        let client = TcpStream::connect(server.address).await.unwrap();
        client.set_nodelay(true).unwrap();
        let (reader, writer) = (&client, &client);
        let says = async {
            let mut rest = &asked[..];
            while !rest.is_empty() {
                let count = dice.length(rest.len().min(20_000));
                writer.write_all(rest[..count].to_vec()).await.0.unwrap();
                rest = &rest[count..];
                match dice.below(3) {
                    0 => sleep(span(8)).await,
                    1 => sleep(span(1)).await,
                    _ => {}
                }
            }
        };
        let hears = async {
            let mut client = Client::new(reader);
            for wanted in &wanted {
                let answer = client.answer().await;
                assert_eq!(answer.status, 200);
                assert_eq!(&answer.body, wanted);
            }
        };
        join!(says, hears);
    }
    server.stops().await.unwrap();
}

pub(crate) async fn half_a_head_behind_a_whole_one_has_its_time_too() {
    let server = Server::start(|serve| serve.header_timeout(span(40)).idle_timeout(span(400))).await;
    let mut client = server.connect().await;
    client.says("GET /whole HTTP/1.1\r\nhost: h\r\n\r\nGET /ha").await;
    assert_eq!(client.answer().await.body, b"GET /whole");
    let start = now();
    let rest = String::from_utf8(client.rest().await).unwrap();
    assert!(rest.starts_with("HTTP/1.1 408 "), "{rest:?} after {:?}, {:?}", now() - start, server.handle);
    assert!(!is_simulated() || now() - start < span(60));
    server.stops().await.unwrap();
}

pub(crate) async fn a_service_that_hangs_is_answered_for_by_503_and_dropped() {
    let server = Server::start(|serve| serve.request_timeout(span(20))).await;
    let mut client = server.connect().await;
    let start = now();
    let answer = client.asks("/hang").await;
    assert_eq!((answer.status, &answer.body[..]), (503, &b""[..]));
    assert!(now() - start >= span(20));
    assert_eq!(server.seen.hanging.get(), 0, "its future is gone");
    assert_eq!(client.asks("/next").await.body, b"GET /next");
    assert_eq!(server.handle.counts().late, 1);
    // Who has no limit waits for longer, and events go on for longer than any.
    let mut events = server.connect().await;
    assert_eq!(events.asks("/events").await.body, "event\n".repeat(20).into_bytes());
    server.stops().await.unwrap();
}

pub(crate) async fn an_upload_that_goes_on_slowly_is_not_cut() {
    let server = Server::start(|serve| {
        serve
            .request_timeout(span(40))
            .header_timeout(span(40))
            .stall_timeout(span(40))
            .idle_timeout(span(40))
    })
    .await;
    let mut client = server.connect().await;
    client.says("POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 20\r\n\r\n").await;
    for _ in 0..20 {
        sleep(span(8)).await;
        client.says("u").await;
    }
    assert_eq!(client.answer().await.body, b"u".repeat(20));
    // One that does not go on is.
    client.says("POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 20\r\n\r\nu").await;
    assert_eq!(client.answer().await.status, 503);
    server.stops().await.unwrap();
}

pub(crate) async fn a_client_that_does_not_read_is_cut_and_little_is_made_for_it() {
    let server = Server::start(|serve| serve.stall_timeout(span(40))).await;
    let mut client = server.connect().await;
    let start = now();
    client.says("GET /endless HTTP/1.1\r\nhost: h\r\n\r\n").await;
    until(|| server.seen.bodies.get() == 1).await;
    // Others are served meanwhile.
    server.serves().await;
    until(|| server.seen.bodies.get() == 0).await;
    assert_near(now() - start, 40);
    // What the kernel takes on both sides, and what hyper holds.
    assert!(server.seen.made.get() < 16 << 20, "{} bytes were made", server.seen.made.get());
    until(|| server.handle.connections() == 0).await;
    assert_eq!(server.handle.counts().lapsed, 1);
    client.rest().await;
    server.stops().await.unwrap();
}

pub(crate) async fn a_client_that_reads_slowly_is_not_cut() {
    let server = Server::start(|serve| serve.stall_timeout(span(40))).await;
    let mut client = server.connect().await;
    client.stream.set_recv_buffer_size(64 << 10).unwrap();
    client.says("GET /endless HTTP/1.1\r\nhost: h\r\n\r\n").await;
    for _ in 0..16 {
        client.kept.clear();
        while client.kept.len() < 512 << 10 {
            assert!(client.more().await);
        }
        sleep(span(16)).await;
    }
    assert_eq!(server.handle.counts().lapsed, 0);
    drop(client);
    until(|| server.handle.connections() == 0).await;
    server.stops().await.unwrap();
}

pub(crate) async fn no_more_than_connections_max_are_served_and_the_others_later() {
    let server = Server::start(|serve| serve.connections_max(3)).await;
    let mut first = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        assert_eq!(client.asks("/first").await.status, 200);
        first.push(client);
    }
    let mut later = Vec::new();
    for _ in 0..5 {
        let mut client = server.connect().await;
        client.says("GET /later HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
        later.push(spawn(async move { client.answer().await.body }));
    }
    sleep(span(4)).await;
    assert_eq!((server.handle.connections(), server.handle.counts().accepted), (3, 3));
    assert_eq!(first[2].asks("/still").await.body, b"GET /still");
    drop(first);
    for later in later {
        assert_eq!(later.await.unwrap(), b"GET /later");
    }
    server.stops().await.unwrap();
}

pub(crate) async fn limits_without_an_end_are_limits_too() {
    let ever = std::time::Duration::MAX;
    let server = Server::start(|serve| {
        let serve = serve.header_timeout(ever).idle_timeout(ever).request_timeout(ever);
        serve.stall_timeout(ever).drain_limit(ever)
    })
    .await;
    let mut client = server.connect().await;
    assert_eq!(client.asks("/a").await.status, 200);
    until(|| server.handle.counts().dozing == 1).await;
    client.says("GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await;
    until(|| server.seen.hanging.get() == 1).await;
    sleep(span(4)).await;
    server.handle.stop();
    sleep(span(4)).await;
    server.seen.go.notify_one();
    assert_eq!(client.answer().await.body, b"it waited");
    server.stops().await.unwrap();
}
