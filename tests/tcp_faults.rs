//! Peers that go, stay silent or never read, and more connections than there are descriptors: each ends as it has to, and
//! no connection and no byte is lost.

mod support;

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use annulus::io::Incomplete;
use annulus::net::{TcpListener, TcpSocket, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn};
use support::child::alone;
use support::data::{assert_same, bytes};
use support::net::{pair, read_to_end};
use support::outside::{arrival, with_peer};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_reset_is_told_before_any_end,
    a_reset_is_told_though_every_read_before_it_was_dropped,
    a_reset_is_told_to_a_write_that_waits,
    a_peer_that_never_reads_holds_a_write_up_and_nothing_else,
    one_byte_at_a_time_arrives_whole,
    a_half_closed_peer_is_written_to_until_it_goes,
    a_connection_that_is_reset_in_the_queue_is_not_accepted_as_a_failure,
    a_thousand_connections_are_opened_and_closed_at_once,
}

on_real_drivers! {
    because "only a descriptor of the system's is shut down behind the listener's back":
        a_listener_that_was_shut_down_accepts_no_more;
    because "it counts the machine's descriptors and ports":
        twenty_thousand_connections_are_opened_and_closed;
}

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

async fn a_reset_is_told_before_any_end() {
    let (stream, mut peer) = with_peer().await;
    peer.write_all(b"first").await.unwrap();
    arrival().await;
    assert_eq!(stream.read(Vec::with_capacity(5)).await.1, b"first");
    peer.reset().await;
    arrival().await;
    let (result, _) = stream.read(Vec::with_capacity(5)).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
    for _ in 0..2 {
        assert_eq!(stream.read(Vec::with_capacity(5)).await.0.unwrap(), 0, "told once");
    }
}

async fn a_reset_is_told_though_every_read_before_it_was_dropped() {
    for wait in [0, 1, 5] {
        let (stream, peer) = with_peer().await;
        for _ in 0..3 {
            assert!(timeout(MILLI, stream.read(Vec::with_capacity(5))).await.is_err());
        }
        let reading = timeout(wait * MILLI, stream.read(Vec::with_capacity(5)));
        peer.reset().await;
        let told = match reading.await {
            Ok((result, _)) => result,
            Err(_) => stream.read(Vec::with_capacity(5)).await.0,
        };
        assert_eq!(told.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

async fn a_reset_is_told_to_a_write_that_waits() {
    let (stream, peer) = with_peer().await;
    let writing = spawn(stream.write_all(vec![7; 64 << 20]));
    sleep(10 * MILLI).await;
    assert!(!writing.is_finished());
    peer.reset().await;
    let (result, buffer) = timeout(5 * SECOND, writing).await.unwrap().unwrap();
    let error = result.unwrap_err();
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()), "{error}");
    assert!(Incomplete::of(&error).unwrap().done() > 0);
    assert_eq!(buffer.len(), 64 << 20, "the buffer comes back with the error");
}

async fn a_peer_that_never_reads_holds_a_write_up_and_nothing_else() {
    const LENGTH: usize = 4 << 20;
    let (client, server) = pair().await;
    client.set_send_buffer_size(64 << 10).unwrap();
    server.set_recv_buffer_size(64 << 10).unwrap();
    let (result, sent) = client.write_all(bytes(1, LENGTH)).timeout(50 * MILLI).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let done = Incomplete::of(&error).unwrap().done();
    assert!(done > 0 && done < LENGTH, "{done}");
    // The other direction goes on.
    server.write_all("hurry up").await.0.unwrap();
    assert_eq!(client.read(Vec::with_capacity(64)).await.1, b"hurry up");
    // And what is missing is said, to the byte.
    let rest = spawn(async move {
        client.write_all(sent[done..].to_vec()).await.0.unwrap();
    });
    let got = read_to_end(&server).await;
    rest.await.unwrap();
    assert_same(&got, &bytes(1, LENGTH));
}

async fn one_byte_at_a_time_arrives_whole() {
    const LENGTH: usize = 500;
    let (client, server) = pair().await;
    client.set_nodelay(true).unwrap();
    let sending = spawn(async move {
        for byte in bytes(2, LENGTH) {
            client.write_all(vec![byte]).await.0.unwrap();
        }
    });
    let (result, got) = server.read_exact(Vec::with_capacity(LENGTH)).await;
    result.unwrap();
    sending.await.unwrap();
    assert_same(&got, &bytes(2, LENGTH));
    assert_eq!(server.read(Vec::with_capacity(1)).await.0.unwrap(), 0);
}

async fn a_half_closed_peer_is_written_to_until_it_goes() {
    let (stream, mut peer) = with_peer().await;
    peer.end_writing().await;
    assert_eq!(stream.read(Vec::with_capacity(4)).await.0.unwrap(), 0);
    for _ in 0..3 {
        stream.write_all("word").await.0.unwrap();
        assert_eq!(peer.read_exact(4).await.unwrap(), b"word");
    }
    peer.close().await;
    let failed = timeout(5 * SECOND, async {
        loop {
            if let Err(error) = stream.write_all("word").await.0 {
                return error;
            }
            sleep(MILLI).await;
        }
    });
    let error = failed.await.unwrap();
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()), "{error}");
}

async fn a_connection_that_is_reset_in_the_queue_is_not_accepted_as_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..10 {
        support::outside::Peer::connect(address).await.unwrap().reset().await;
    }
    let client = TcpStream::connect(address).await.unwrap();
    client.write_all("alive").await.0.unwrap();
    drop(client);
    let alive = timeout(5 * SECOND, async {
        loop {
            let (stream, _) =
                listener.accept().await.expect("a peer that is gone is no failure of the listener's");
            if stream.read(Vec::with_capacity(5)).await.1 == b"alive" {
                return;
            }
        }
    });
    alive.await.unwrap();
}

async fn a_listener_that_was_shut_down_accepts_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let waiting = spawn(listener.accept());
    sleep(5 * MILLI).await;
    listener.with_fd(|fd| socket2::SockRef::from(&fd).shutdown(std::net::Shutdown::Both)).unwrap().unwrap();
    let told = timeout(5 * SECOND, waiting).await.expect("it is told").unwrap();
    assert_eq!(told.unwrap_err().raw_os_error(), Some(libc::EINVAL));
    assert_eq!(listener.accept().await.unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

/// Opens so many connections, so many of them at a time; each carries a byte there and back.
async fn open_and_close(count: usize, at_once: usize) {
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let listener = socket.listen(4096).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = spawn(async move {
        for _ in 0..count {
            let (stream, _) = listener.accept().await.unwrap();
            drop(spawn(async move {
                let (result, byte) = stream.read(Vec::with_capacity(1)).await;
                assert_eq!(result.unwrap(), 1);
                stream.write_all(byte).await.0.unwrap();
                // The client closes first, by a reset, so that its port is free at once.
                let _ = stream.read(Vec::with_capacity(1)).await;
            }));
        }
    });
    let (begun, open, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let clients: Vec<_> = (0..at_once)
        .map(|_| {
            let (begun, open, most) = (Rc::clone(&begun), Rc::clone(&open), Rc::clone(&most));
            spawn(async move {
                while begun.get() < count {
                    begun.set(begun.get() + 1);
                    let stream = TcpStream::connect(address).await.unwrap();
                    open.set(open.get() + 1);
                    most.set(most.get().max(open.get()));
                    stream.set_linger(Some(Duration::ZERO)).unwrap();
                    let mark = begun.get() as u8;
                    stream.write_all(vec![mark]).await.0.unwrap();
                    assert_eq!(stream.read(Vec::with_capacity(1)).await.1, [mark]);
                    stream.close().await.unwrap();
                    open.set(open.get() - 1);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    serving.await.unwrap();
    assert_eq!((begun.get(), open.get()), (count, 0));
    println!("{count} connections, {} of them at a time", most.get());
}

async fn a_thousand_connections_are_opened_and_closed_at_once() {
    // The process has other tests, and descriptors for 1024.
    let at_once = if support::is_simulated() { 1000 } else { 100 };
    open_and_close(1000, at_once).await;
}

fn twenty_thousand_connections_are_opened_and_closed(builder: Builder) {
    alone(|| {
        let room = support::limits::raise_descriptors();
        // Both ends are here. More than the queue of the listener would wait for a second.
        let at_once = ((room as usize).saturating_sub(200) / 2).min(4000);
        let runtime = builder.build().unwrap();
        runtime.run(open_and_close(20_000, at_once)).unwrap();
        assert_eq!(runtime.metrics().stray, 0);
        assert_eq!(runtime.shutdown(20 * SECOND), 0);
    });
}
