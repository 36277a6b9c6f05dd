//! What a request and its reply promise, when they are one operation.

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use annulus::CancelToken;
use annulus::io::Incomplete;
use annulus::net::TcpStream;
use annulus::spawn;
use annulus::time::{sleep, timeout};
use support::data::{assert_same, bytes};
use support::net::pair;

support::on_every_driver! {
    a_request_has_its_reply,
    exchanges_of_many_tasks_have_each_their_own_reply,
    a_large_request_is_sent_as_a_whole,
    the_end_is_no_reply,
    a_peer_that_is_gone_is_told,
    a_request_that_nobody_takes_gives_its_buffers_back_in_time,
    an_exchange_that_waits_for_its_turn_can_be_stopped,
    the_reply_of_a_dropped_exchange_is_read_next,
    nothing_to_send_is_sent_at_once,
}

/// Answers each line with the same line, in capitals.
async fn answer(server: TcpStream) {
    let mut line = Vec::new();
    loop {
        let (result, byte) = server.read(Vec::with_capacity(1)).await;
        match result {
            Ok(1) => line.extend(byte),
            _ => return,
        }
        if line.ends_with(b"\n") {
            let reply = line.to_ascii_uppercase();
            line.clear();
            if server.write_all(reply).await.0.is_err() {
                return;
            }
        }
    }
}

async fn a_request_has_its_reply() {
    let (client, server) = pair().await;
    drop(spawn(answer(server)));
    let mut reply = Vec::with_capacity(100);
    for word in ["one\n", "two\n", "three\n"] {
        let (result, request, got) = client.exchange(word, reply).await;
        assert_eq!((result.unwrap(), request), (word.len(), word));
        assert_eq!(got, word.to_ascii_uppercase().as_bytes());
        reply = got;
    }
}

async fn exchanges_of_many_tasks_have_each_their_own_reply() {
    let (client, server) = pair().await;
    drop(spawn(answer(server)));
    let client = std::rc::Rc::new(client);
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let client = std::rc::Rc::clone(&client);
            spawn(async move {
                for turn in 0..5 {
                    let request = format!("task {number}, turn {turn}\n");
                    let (result, request, reply) = client.exchange(request, Vec::with_capacity(100)).await;
                    result.unwrap();
                    assert_eq!(String::from_utf8(reply).unwrap(), request.to_uppercase());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn a_large_request_is_sent_as_a_whole() {
    const LENGTH: usize = 4 << 20;
    let (client, server) = pair().await;
    client.set_send_buffer_size(4096).unwrap();
    let peer = spawn(async move {
        let (result, got) = server.read_exact(vec![0; LENGTH]).await;
        result.unwrap();
        server.write_all("thanks").await.0.unwrap();
        got
    });
    let (result, request, reply) = client.exchange(bytes(1, LENGTH), Vec::with_capacity(100)).await;
    assert_eq!((result.unwrap(), &reply[..]), (6, &b"thanks"[..]));
    assert_same(&peer.await.unwrap(), &request);
}

async fn the_end_is_no_reply() {
    let (client, server) = pair().await;
    let peer = spawn(async move {
        server.read_exact(vec![0; 4]).await.0.unwrap();
        server.close().await.unwrap();
    });
    let (result, _, reply) = client.exchange("ping", Vec::with_capacity(100)).await;
    assert_eq!((result.unwrap(), reply.len()), (0, 0));
    peer.await.unwrap();
}

async fn a_peer_that_is_gone_is_told() {
    let (client, server) = pair().await;
    server.set_linger(Some(Duration::ZERO)).unwrap();
    server.close().await.unwrap();
    sleep(Duration::from_millis(20)).await;
    let (result, request, reply) = client.exchange("ping", Vec::with_capacity(100)).await;
    let error = result.unwrap_err();
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()), "{error}");
    assert_eq!((request, reply.capacity()), ("ping", 100));
}

async fn a_request_that_nobody_takes_gives_its_buffers_back_in_time() {
    let (client, server) = pair().await;
    let exchange = client.exchange(vec![7; 16 << 20], Vec::with_capacity(100));
    let (result, request, reply) = exchange.timeout(Duration::from_millis(30)).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let done = Incomplete::of(&error).unwrap().done();
    assert!(0 < done && done < request.len(), "{done}");
    assert_eq!(reply.capacity(), 100);
    // What went of it, went.
    let (result, got) = server.read_exact(vec![0; done]).await;
    result.unwrap();
    assert_same(&got, &request[..done]);

    let (client, _server) = pair().await;
    let (result, request, _) = client.exchange("ping", vec![0; 9]).timeout(Duration::from_millis(30)).await;
    assert_eq!((result.unwrap_err().kind(), request), (ErrorKind::TimedOut, "ping"));
}

async fn an_exchange_that_waits_for_its_turn_can_be_stopped() {
    let (client, server) = pair().await;
    let mut first = client.read(Vec::with_capacity(100));
    assert!(timeout(Duration::from_millis(5), &mut first).await.is_err());
    let stop = CancelToken::new();
    let mut second = client.exchange("ping", Vec::with_capacity(100)).cancel_on(&stop);
    assert!(timeout(Duration::from_millis(5), &mut second).await.is_err());
    stop.cancel();
    let (result, request, reply) = second.await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!((request, reply.capacity()), ("ping", 100));
    // It has left the queue, and nothing was sent.
    let third = spawn({
        let exchange = client.exchange("pong", Vec::with_capacity(100));
        async move { exchange.await.0.unwrap() }
    });
    server.write_all("first").await.0.unwrap();
    assert_eq!(first.await.1, b"first");
    assert_eq!(server.read_exact(vec![0; 4]).await.1, b"pong");
    server.write_all("third").await.0.unwrap();
    assert_eq!(third.await.unwrap(), 5);
}

async fn the_reply_of_a_dropped_exchange_is_read_next() {
    let (client, server) = pair().await;
    assert!(timeout(Duration::from_millis(10), client.exchange("ping", vec![0; 9])).await.is_err());
    assert_eq!(client.settle_writes().await.unwrap(), 4);
    assert_eq!(server.read_exact(vec![0; 4]).await.1, b"ping");
    server.write_all("pong").await.0.unwrap();
    assert_eq!(client.read_exact(vec![0; 4]).await.1, b"pong");
}

async fn nothing_to_send_is_sent_at_once() {
    let (client, server) = pair().await;
    server.write_all("greeting").await.0.unwrap();
    let (result, _, reply) = client.exchange("", Vec::with_capacity(100)).await;
    assert_eq!((result.unwrap(), &reply[..]), (8, &b"greeting"[..]));
}
