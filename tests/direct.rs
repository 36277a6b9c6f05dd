//! Direct descriptors: accepted connections in the ring's own table. Nothing that a program sees is different.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn};
use futures_util::FutureExt;
use support::audit;
use support::child::alone;
use support::on_real_drivers;
use support::outside::Peer;

on_real_drivers! {
    because "the table is a ring's":
        connections_take_no_descriptor_of_the_process,
        beyond_the_table_connections_are_kept_as_usual,
        whatever_a_connection_can_do_it_does,
        options_and_names_are_those_of_the_connection,
        a_dropped_accept_loses_no_connection,
        places_are_used_again,
        a_loop_that_ends_closes_its_table;
}

/// Whether there is a table at all.
fn has_table() -> bool {
    Runtime::try_current().unwrap().driver() == "uring"
}

async fn connections(listener: &TcpListener, count: usize) -> Vec<(Peer, TcpStream)> {
    let mut pairs = Vec::new();
    for _ in 0..count {
        let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        assert_eq!(from, peer.local_addr());
        pairs.push((peer, stream));
    }
    pairs
}

/// What is closed through the ring is closed when the loop has told it.
async fn settle() {
    sleep(Duration::from_millis(20)).await;
}

async fn is_served((peer, stream): &mut (Peer, TcpStream)) {
    peer.write_all(b"question").await.unwrap();
    let (result, came) = stream.read_exact(Vec::with_capacity(8)).await;
    result.unwrap();
    assert_eq!(came, b"question");
    stream.write_all("answer").await.0.unwrap();
    assert_eq!(peer.read_exact(6).await.unwrap(), b"answer");
}

fn connections_take_no_descriptor_of_the_process(builder: Builder) {
    alone(|| {
        let runtime = builder.direct_descriptors(100).build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                drop(connections(&listener, 1).await);
                settle().await;
                let before = audit::descriptors();
                let pairs = connections(&listener, 50).await;
                let now = audit::descriptors().zip(before).map(|(now, before)| now - before);
                if !has_table() {
                    return println!("skipped: there is no ring");
                }
                let Some(now) = now else { return println!("skipped: nobody tells of descriptors") };
                match now {
                    100 => println!("skipped: this kernel has no table that descriptors can be taken from"),
                    now => assert_eq!(now, 50, "the clients' own"),
                }
                drop(pairs);
            })
            .unwrap();
    });
}

fn beyond_the_table_connections_are_kept_as_usual(builder: Builder) {
    let runtime = builder.direct_descriptors(5).build().unwrap();
    let served = runtime.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut pairs = connections(&listener, 20).await;
        for pair in &mut pairs {
            is_served(pair).await;
        }
        // Those that are given back are used again, and the listener's stream does the same.
        pairs.drain(..10);
        let mut incoming = listener.incoming();
        for _ in 0..10 {
            let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, from) = incoming.next().await.unwrap().unwrap();
            assert_eq!(from, peer.local_addr());
            pairs.push((peer, stream));
        }
        for pair in &mut pairs {
            is_served(pair).await;
        }
    });
    served.unwrap();
}

fn whatever_a_connection_can_do_it_does(builder: Builder) {
    let run = |builder: Builder| {
        let runtime = builder.build().unwrap();
        let all = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut pairs = connections(&listener, 2).await;
            let (peer, stream) = &mut pairs[0];
            peer.write_all(b"0123456789").await.unwrap();
            stream.readable().await.unwrap();
            let (result, rooms) = stream.readv(vec![Vec::with_capacity(2), Vec::with_capacity(3)]).await;
            assert_eq!((result.unwrap(), rooms.concat()), (5, b"01234".to_vec()));
            assert_eq!(stream.recv().await.unwrap(), "56789");
            let mut leases = stream.recv_stream();
            peer.write_all(b"more").await.unwrap();
            assert_eq!(leases.next().await.unwrap().unwrap(), "more");
            drop(leases);
            stream.writable().await.unwrap();
            stream.writev(vec!["an", "swer"]).await.0.unwrap();
            assert_eq!(peer.read_exact(6).await.unwrap(), b"answer");
            let (read, write) = pairs.pop().unwrap().1.into_split();
            drop((read, write));
            let (mut peer, stream) = pairs.pop().unwrap();
            let mut read = stream.read(Vec::with_capacity(8));
            assert!((&mut read).now_or_never().is_none());
            read.cancel();
            assert_eq!(read.await.0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            stream.shutdown(Shutdown::Write).await.unwrap();
            assert!(peer.read_exact(1).await.is_err(), "the end");
            peer.write_all(b"the last").await.unwrap();
            assert_eq!(stream.read_exact(vec![0; 8]).await.1, b"the last");
            stream.close().await.unwrap();
        };
        runtime.run(async { timeout(Duration::from_secs(20), all).await.expect("an end") }).unwrap();
    };
    run(builder.clone().direct_descriptors(10));
    // What the ring does not know is done with a descriptor that is made for it.
    for name in ["recv", "send", "recv_lease", "recv_often", "close", "shutdown", "recvmsg", "sendmsg"] {
        run(builder.clone().direct_descriptors(10).without_operation(name));
    }
}

fn options_and_names_are_those_of_the_connection(builder: Builder) {
    let runtime = builder.direct_descriptors(10).build().unwrap();
    let asked = runtime.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut pairs = connections(&listener, 3).await;
        for (peer, stream) in &mut pairs {
            stream.set_nodelay(true).unwrap();
            assert!(stream.nodelay().unwrap());
            assert_eq!(stream.local_addr().unwrap(), listener.local_addr().unwrap());
            assert_eq!(stream.peer_addr().unwrap(), peer.local_addr());
        }
        for pair in &mut pairs {
            is_served(pair).await;
        }
        let (mut peer, stream) = pairs.pop().unwrap();
        // Out of the table, and back as usual.
        let (other_peer, other) = pairs.pop().unwrap();
        let (std, bytes) = other.into_std().await.unwrap();
        assert!(bytes.is_empty());
        assert_eq!(std.peer_addr().unwrap(), other_peer.local_addr());
        is_served(&mut (other_peer, TcpStream::from_std(std).unwrap())).await;
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        let ended = peer.read_exact(1).await.unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    });
    asked.unwrap();
}

fn a_dropped_accept_loses_no_connection(builder: Builder) {
    let runtime = builder.direct_descriptors(10).build().unwrap();
    let served = runtime.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for round in 0..100 {
            let mut accept = listener.accept();
            assert!((&mut accept).now_or_never().is_none());
            if round % 2 == 0 {
                annulus::yield_now().await;
            }
            let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
            if round % 3 == 0 {
                annulus::yield_now().await;
            }
            drop(accept);
            let (stream, from) = listener.accept().await.unwrap();
            assert_eq!(from, peer.local_addr());
            is_served(&mut (peer, stream)).await;
        }
    });
    served.unwrap();
}

fn places_are_used_again(builder: Builder) {
    alone(|| {
        let runtime = builder.direct_descriptors(8).build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let before = audit::descriptors();
                for round in 0..200 {
                    let mut pairs = connections(&listener, 4).await;
                    if round % 2 == 0 {
                        pairs[0].1.set_nodelay(true).unwrap();
                    }
                    is_served(&mut pairs[round % 4]).await;
                }
                settle().await;
                audit::comes_back("descriptors", before, audit::descriptors);
            })
            .unwrap();
    });
}

fn a_loop_that_ends_closes_its_table(builder: Builder) {
    let runtime = builder.direct_descriptors(8).build().unwrap();
    let (mut client, stream) = runtime
        .run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            // It has a descriptor of the process's as well.
            stream.set_nodelay(true).unwrap();
            drop(spawn(async { std::future::pending::<()>().await }));
            (client, stream)
        })
        .unwrap();
    client.write_all(b"unread").unwrap();
    drop(runtime);
    drop(stream);
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The kernel clears the ring away, and may interrupt the call by that.
    let end = loop {
        match client.read(&mut [0; 8]) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            end => break end,
        }
    };
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(matches!(&end, Ok(0)) || end.as_ref().is_err_and(reset), "{end:?}");
}
