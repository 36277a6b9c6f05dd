//! Connections as they come: `Listener::incoming`.

mod support;

use std::cell::Cell;
use std::net::TcpStream as StdStream;
use std::rc::Rc;
use std::time::Duration;

use annulus::net::TcpListener;
use annulus::time::{now, sleep, timeout};
use annulus::{Builder, Metrics, Runtime, spawn, spawn_blocking};
use futures_util::{FutureExt, StreamExt};
use support::child::alone;
use support::limits;
use support::outside::Peer;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    connections_come_in_their_order,
    it_goes_on_where_it_was_left,
    connections_that_nobody_took_go_to_the_next_accept,
    a_listener_that_is_dropped_ends_it,
    another_accept_waits_for_its_turn,
    connections_that_are_reset_at_once_end_nothing,
}

on_real_drivers! {
    because "it takes the process' descriptors":
        it_waits_while_descriptors_are_used_up_and_then_serves_all;
    because "it asks what the ring was given":
        the_ring_is_asked_once;
}

fn metrics() -> Metrics {
    Runtime::try_current().unwrap().metrics()
}

async fn connections_come_in_their_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut incoming = listener.incoming();
    for _ in 0..20 {
        let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, from) = incoming.next().await.unwrap().unwrap();
        assert_eq!((from, stream.peer_addr().unwrap()), (peer.local_addr(), peer.local_addr()));
    }
}

async fn it_goes_on_where_it_was_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut incoming = listener.incoming();
    for _ in 0..20 {
        assert!(timeout(Duration::from_millis(1), incoming.next()).await.is_err());
        let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
        // As an item of a stream this time.
        let (_, from) = StreamExt::next(&mut incoming).await.unwrap().unwrap();
        assert_eq!(from, peer.local_addr());
    }
}

async fn connections_that_nobody_took_go_to_the_next_accept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut incoming = listener.incoming();
    assert!(incoming.next().now_or_never().is_none(), "under way");
    sleep(Duration::from_millis(1)).await;
    let mut peers = Vec::new();
    for _ in 0..10 {
        peers.push(Peer::connect(listener.local_addr().unwrap()).await.unwrap());
    }
    sleep(Duration::from_millis(5)).await;
    drop(incoming);
    let (_first, from) = listener.accept().await.unwrap();
    assert_eq!(from, peers[0].local_addr());
    let mut again = listener.incoming();
    for peer in &peers[1..5] {
        assert_eq!(again.next().await.unwrap().unwrap().1, peer.local_addr());
    }
    drop(again);
    for peer in &peers[5..] {
        assert_eq!(listener.accept().await.unwrap().1, peer.local_addr());
    }
}

async fn a_listener_that_is_dropped_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut incoming = listener.incoming();
    assert!(incoming.next().now_or_never().is_none());
    drop(listener);
    assert!(incoming.next().await.is_none());
    assert!(incoming.next().await.is_none(), "and stays so");
}

async fn another_accept_waits_for_its_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut incoming = listener.incoming();
    assert!(incoming.next().now_or_never().is_none());
    let mut accept = Box::pin(listener.accept());
    assert!(accept.as_mut().now_or_never().is_none());
    let first = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
    assert_eq!(incoming.next().await.unwrap().unwrap().1, first.local_addr());
    drop(incoming);
    let second = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
    assert_eq!(accept.await.unwrap().1, second.local_addr());
}

async fn connections_that_are_reset_at_once_end_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut incoming = listener.incoming();
    for _ in 0..50 {
        let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
        peer.ends_by_a_reset();
        drop(peer);
    }
    let last = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
    loop {
        let (_, from) = incoming.next().await.unwrap().unwrap();
        if from == last.local_addr() {
            return;
        }
    }
}

fn it_waits_while_descriptors_are_used_up_and_then_serves_all(builder: Builder) {
    const CLIENTS: usize = 30;
    alone(|| {
        builder
            .build()
            .unwrap()
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                spawn_blocking(|| ()).await.unwrap();
                let clients: Vec<_> = (0..CLIENTS).map(|_| StdStream::connect(address).unwrap()).collect();
                let taken = support::audit::descriptors().unwrap() as u64;
                limits::limit_descriptors(taken + 3);
                let refused = Rc::new(Cell::new(0_u32));
                let count = Rc::clone(&refused);
                let (start, before) = (now(), metrics());
                // A server that goes on after errors, and does not wait by itself.
                let server = spawn(async move {
                    let mut served = 0;
                    let mut incoming = listener.incoming();
                    let mut kept = Vec::new();
                    while served < CLIENTS {
                        match incoming.next().await.unwrap() {
                            Ok((stream, _)) => {
                                served += 1;
                                kept.push(stream);
                            }
                            Err(error) => {
                                assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                                count.set(count.get() + 1);
                                // The third time it gives some up.
                                if count.get() % 3 == 0 {
                                    kept.clear();
                                }
                            }
                        }
                    }
                });
                server.await.unwrap();
                let submitted = metrics().submitted - before.submitted;
                assert!(refused.get() >= 3, "it was to run out: {}", refused.get());
                // 5 ms, then 10, then the next.
                assert!(now() - start >= Duration::from_millis(15) * (refused.get() / 3), "it does not spin");
                assert!(submitted < 200, "{submitted} operations");
                drop(clients);
            })
            .unwrap();
    });
}

async fn the_ring_is_asked_once() {
    if Runtime::try_current().unwrap().driver() != "uring" {
        return println!("skipped: there is no ring to ask");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut incoming = listener.incoming();
    let mut peers = Vec::new();
    let before = metrics();
    for _ in 0..50 {
        peers.push((Peer::connect(listener.local_addr().unwrap()).await.unwrap(), incoming.next().await));
    }
    let submitted = metrics().submitted - before.submitted;
    if metrics().fallbacks > before.fallbacks {
        return println!("skipped: this kernel accepts one by one");
    }
    assert_eq!(submitted, 1, "one submission for 50 connections");
    // And a stream of leases.
    let (mut peer, stream) = peers.pop().unwrap();
    let (stream, _) = stream.unwrap().unwrap();
    let mut leases = stream.recv_stream();
    let before = metrics();
    for _ in 0..50 {
        peer.write_all(b"bytes").await.unwrap();
        assert_eq!(leases.next().await.unwrap().unwrap(), "bytes");
    }
    let submitted = metrics().submitted - before.submitted;
    if metrics().fallbacks > before.fallbacks {
        return println!("skipped: this kernel receives one by one");
    }
    assert_eq!(submitted, 1, "one submission for 50 leases");
}
