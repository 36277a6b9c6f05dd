//! How a server ends: with what was begun, within its limit, or at once; and what a panic ends.

use std::io::ErrorKind;

use annulus::http;
use annulus::net::{UnixListener, UnixStream};
use annulus::time::{now, sleep};
use annulus::{spawn, yield_now};

use crate::second::{DATA, END_STREAM, GOAWAY, HEADERS, Second};
use crate::served::{App, Client, Server, span, until};
use crate::support::is_simulated;
use crate::support::outside::directory;

pub(crate) async fn who_is_busy_at_a_stop_is_answered_and_told_that_it_is_the_last() {
    let server = Server::start(|serve| serve).await;
    let mut busy = server.connect().await;
    let mut amid = server.connect().await;
    busy.says("GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await;
    // Of this one only the head has come, of its request's body nothing.
    amid.says("POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\n").await;
    until(|| server.seen.hanging.get() == 1 && server.handle.counts().requests == 2).await;
    server.handle.stop();
    sleep(span(4)).await;
    assert_eq!(server.handle.connections(), 2);
    server.seen.go.notify_one();
    let answer = busy.answer().await;
    assert!(answer.has("connection: close") && answer.body == b"it waited", "{answer:?}");
    assert_eq!(busy.rest().await, b"");
    amid.says("body").await;
    let answer = amid.answer().await;
    assert!(answer.has("connection: close") && answer.body == b"body", "{answer:?}");
    server.stops().await.unwrap();
}

pub(crate) async fn who_has_idled_for_long_may_ask_once_more_right_after_a_stop() {
    let server = Server::start(|serve| serve).await;
    let mut dozing = server.connect().await;
    let mut silent = server.connect().await;
    assert_eq!(dozing.asks("/before").await.status, 200);
    assert_eq!(silent.asks("/before").await.status, 200);
    // Longer than who is idle has after a stop.
    sleep(span(40)).await;
    server.handle.stop();
    let start = now();
    sleep(std::time::Duration::from_millis(50)).await;
    let answer = dozing.asks("/after").await;
    assert!(answer.has("connection: close") && answer.body == b"GET /after", "{answer:?}");
    assert_eq!(dozing.rest().await, b"");
    // The other one has half a second, and delays the end by no more.
    assert_eq!(silent.rest().await, b"");
    server.stops().await.unwrap();
    assert!(!is_simulated() || now() - start < span(1));
}

pub(crate) async fn who_had_connected_before_a_stop_is_answered() {
    let server = Server::start(|serve| serve).await;
    server.serves().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(server.connect().await);
        clients.last_mut().unwrap().says("GET /just HTTP/1.1\r\nhost: h\r\n\r\n").await;
    }
    server.handle.stop();
    for mut client in clients {
        assert_eq!(client.answer().await.body, b"GET /just");
    }
    server.stops().await.unwrap();
}

pub(crate) async fn an_upgrade_after_a_stop_is_one() {
    let server = Server::start(|serve| serve).await;
    let mut client = server.connect().await;
    assert_eq!(client.asks("/before").await.status, 200);
    server.handle.stop();
    sleep(std::time::Duration::from_millis(50)).await;
    client.says("GET /upgrade HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(answer.status == 101 && answer.has("connection: upgrade"), "{answer:?}");
    server.stops().await.unwrap();
    client.says("it goes on").await;
    while client.kept != b"it goes on" {
        assert!(client.more().await);
    }
}

pub(crate) async fn http_2_is_told_goaway_and_its_streams_end() {
    let server = Server::start(|serve| serve).await;
    let mut client = Second::connect(&server).await;
    client.gets(1, "/wait").await;
    until(|| server.seen.hanging.get() == 1).await;
    server.handle.stop();
    client.frame_of(GOAWAY).await;
    // Begun before it was told for the last time, so it is answered, too.
    client.gets(3, "/late").await;
    client.frame_of(HEADERS).await;
    server.seen.go.notify_one();
    loop {
        let frame = client.frame_of(DATA).await;
        if frame.stream == 1 && frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(server.stops().await.map_err(|error| error.kind()), Ok(()));
    client.until_the_end().await;
}

pub(crate) async fn http_2_that_begins_after_a_stop_is_told_goaway_too() {
    let server = Server::start(|serve| serve).await;
    let mut client = server.connect().await;
    // Accepted, and nothing is known of it.
    until(|| server.handle.connections() == 1).await;
    server.handle.stop();
    sleep(std::time::Duration::from_millis(20)).await;
    client.says("PRI * HTTP").await;
    let mut client = Second::over(client, &b"/2.0\r\n\r\nSM\r\n\r\n"[..]).await;
    client.gets(1, "/once").await;
    client.frame_of(GOAWAY).await;
    client.until_the_end().await;
    server.stops().await.unwrap();
}

pub(crate) async fn what_outlasts_the_drain_limit_is_cut_off_and_said() {
    let server = Server::start(|serve| serve.drain_limit(span(30))).await;
    let mut first = server.connect().await;
    first.says("GET /hang HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut second = Second::connect(&server).await;
    second.gets(1, "/hang").await;
    until(|| server.seen.hanging.get() == 2).await;
    let (seen, start) = (std::rc::Rc::clone(&server.seen), now());
    let error = server.stops().await.unwrap_err();
    assert!(now() - start >= span(30));
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("2 connections"), "{error}");
    assert_eq!(first.rest().await, b"");
    second.until_the_end().await;
    until(|| seen.hanging.get() == 0).await;
}

pub(crate) async fn a_server_that_is_dropped_ends_its_connections() {
    let server = Server::start(|serve| serve).await;
    let mut first = server.connect().await;
    first.says("GET /hang HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut second = Second::connect(&server).await;
    second.gets(1, "/hang").await;
    let mut dozing = server.connect().await;
    assert_eq!(dozing.asks("/").await.status, 200);
    until(|| server.seen.hanging.get() == 2 && server.handle.counts().dozing == 1).await;
    server.serving.abort();
    assert_eq!(first.rest().await, b"");
    assert_eq!(dozing.rest().await, b"");
    second.until_the_end().await;
    until(|| server.seen.hanging.get() == 0).await;
    assert_eq!(server.handle.connections(), 0);
}

pub(crate) async fn a_panic_in_a_handler_ends_its_connection_alone() {
    let server = Server::start(|serve| serve).await;
    let mut other = server.connect().await;
    assert_eq!(other.asks("/one").await.status, 200);
    let mut second = Second::connect(&server).await;
    second.gets(1, "/wait").await;
    until(|| server.seen.hanging.get() == 1).await;
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.says("GET /panic HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert_eq!(client.rest().await, b"");
    }
    // Of HTTP/2 it ends the stream, and those beside it go on.
    second.gets(3, "/panic").await;
    assert_eq!(second.frame_of(crate::second::RST_STREAM).await.stream, 3);
    server.seen.go.notify_one();
    assert_eq!(second.frame_of(DATA).await.stream, 1);
    assert_eq!(other.asks("/two").await.body, b"GET /two");
    drop(second);
    until(|| server.handle.connections() == 1).await;
    server.stops().await.unwrap();
}

pub(crate) async fn an_upgraded_connection_is_the_services_and_outlives_what_ends_others() {
    let limits = |serve: http::Serve<_, _>| serve.idle_timeout(span(40)).header_timeout(span(40));
    let server = Server::start(|serve| limits(serve).stall_timeout(span(40))).await;
    let mut client = server.connect().await;
    // Once it has dozed.
    assert_eq!(client.asks("/first").await.status, 200);
    until(|| server.handle.counts().dozing == 1).await;
    // What comes with the request is the upgraded connection's.
    let request = "GET /upgrade HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly ";
    client.says(request).await;
    assert_eq!(client.answer().await.status, 101);
    until(|| server.handle.connections() == 0).await;
    sleep(span(120)).await;
    client.says("and late").await;
    while client.kept.len() < 14 {
        assert!(client.more().await, "{:?}", client.kept);
    }
    assert_eq!(client.kept, b"early and late");
    server.stops().await.unwrap();
}

pub(crate) async fn a_unix_socket_is_served_as_well() {
    let directory = directory().await;
    let path = directory.path().join("http");
    let listener = UnixListener::bind(&path).await.unwrap();
    let serve = http::serve(listener, App::default());
    let handle = serve.handle();
    let serving = spawn(serve.into_future());
    let mut client = Client::new(UnixStream::connect(&path).await.unwrap());
    for _ in 0..2 {
        assert_eq!(client.asks("/unix").await.body, b"GET /unix");
        until(|| handle.counts().dozing == 1).await;
    }
    handle.stop();
    yield_now().await;
    serving.await.unwrap().unwrap();
    assert_eq!(client.rest().await, b"");
}

pub(crate) async fn an_answer_that_comes_before_the_end_of_an_upload_can_be_read() {
    let server = Server::start(|serve| serve).await;
    for round in 0..4 {
        let mut client = server.connect().await;
        client.says(format!("POST /{round} HTTP/1.1\r\nhost: h\r\ncontent-length: 4000000\r\n\r\n")).await;
        // It is answered already, and nobody wants what goes on to come.
        until(|| server.handle.counts().requests > round).await;
        for _ in 0..8 {
            client.says([b'u'; 64 << 10]).await;
            sleep(span(1) / 8).await;
        }
        assert_eq!(client.answer().await.status, 200);
    }
    // They are let go when they end as well, or in a second.
    until(|| server.handle.connections() == 0).await;
    server.stops().await.unwrap();
}

pub(crate) async fn who_ends_what_it_sends_while_it_is_answered_has_gone_unless_that_is_permitted() {
    for may in [false, true] {
        let server = Server::start(|serve| serve.half_close(may)).await;
        let mut client = server.connect().await;
        client.says("GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await;
        until(|| server.seen.hanging.get() == 1).await;
        client.stream.shutdown(std::net::Shutdown::Write).await.unwrap();
        match may {
            // The service's future is dropped.
            false => until(|| server.seen.hanging.get() == 0).await,
            true => {
                sleep(span(1)).await;
                server.seen.go.notify_one();
            }
        }
        let rest = String::from_utf8(client.rest().await).unwrap();
        assert_eq!(rest.ends_with("it waited"), may, "{rest}");
        server.stops().await.unwrap();
    }
}
