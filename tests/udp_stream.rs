//! Datagrams as they come, in leases.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use annulus::net::UdpSocket;
use annulus::net::unix::UnixDatagram;
use annulus::time::timeout;
use annulus::{Builder, Metrics, Runtime, yield_now};
use futures_util::{FutureExt, StreamExt};
use support::on_every_driver;

on_every_driver! {
    datagrams_come_whole_in_their_order_and_with_their_senders,
    an_empty_datagram_is_a_datagram,
    what_a_buffer_has_no_room_for_is_told_to_be_cut_off,
    what_nobody_took_goes_to_the_next_receive,
    dropped_streams_lose_no_datagram,
    an_idle_socket_has_no_buffer,
    datagrams_that_are_kept_starve_nobody,
    buffers_that_are_too_small_are_an_error_with_the_remedy,
    a_socket_that_is_dropped_ends_it,
    a_unix_socket_streams_as_well,
}

fn metrics() -> Metrics {
    Runtime::try_current().unwrap().metrics()
}

async fn pair() -> (UdpSocket, UdpSocket, SocketAddr) {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(server.local_addr().unwrap()).await.unwrap();
    let from = client.local_addr().unwrap();
    (server, client, from)
}

async fn send(client: &UdpSocket, bytes: &[u8]) {
    client.send(bytes.to_vec()).await.0.unwrap();
}

async fn datagrams_come_whole_in_their_order_and_with_their_senders() {
    let (server, client, from) = pair().await;
    let mut datagrams = server.recv_stream();
    for round in 0..50u8 {
        for part in 0..3u8 {
            send(&client, &vec![round; usize::from(part) * 100 + 1]).await;
        }
        for part in 0..3 {
            let (lease, told) = datagrams.next().await.unwrap().unwrap();
            assert_eq!((&*lease, told.from), (&vec![round; part * 100 + 1][..], from));
            assert_eq!((told.len, told.truncated), (lease.len(), false));
        }
    }
    drop(datagrams);
    assert_eq!(metrics().leases_out, 0);
}

async fn an_empty_datagram_is_a_datagram() {
    let (server, client, from) = pair().await;
    let mut datagrams = server.recv_stream();
    for _ in 0..3 {
        send(&client, b"").await;
        send(&client, b"full").await;
        let (lease, told) = datagrams.next().await.unwrap().unwrap();
        assert_eq!((lease.len(), told.from), (0, from));
        assert_eq!(datagrams.next().await.unwrap().unwrap().0, "full");
    }
}

fn what_a_buffer_has_no_room_for_is_told_to_be_cut_off(builder: Builder) {
    let runtime = builder.lease_size(144 + 10).build().unwrap();
    let told = runtime.run(async {
        let (server, client, _) = pair().await;
        let mut datagrams = server.recv_stream();
        for length in [9, 10, 11, 1000] {
            send(&client, &vec![b'x'; length]).await;
            let (lease, told) = datagrams.next().await.unwrap().unwrap();
            assert_eq!((lease.len(), told.truncated), (length.min(10), length > 10), "{length}");
        }
    });
    told.unwrap();
}

async fn what_nobody_took_goes_to_the_next_receive() {
    let (server, client, from) = pair().await;
    let mut datagrams = server.recv_stream();
    assert!(datagrams.next().now_or_never().is_none(), "under way");
    yield_now().await;
    for number in 0..10u8 {
        send(&client, &[number; 3]).await;
    }
    assert_eq!(datagrams.next().await.unwrap().unwrap().0, &[0u8; 3]);
    drop(datagrams);
    let (told, bytes) = server.recv_from(Vec::with_capacity(10)).await;
    assert_eq!((told.unwrap().from, bytes), (from, vec![1; 3]));
    let (told, bytes) = server.peek_from(Vec::with_capacity(10)).await;
    assert_eq!((told.unwrap().from, bytes), (from, vec![2; 3]));
    let (told, bytes) = server.recv(Vec::with_capacity(2)).await;
    assert_eq!((told.unwrap().truncated, bytes), (true, vec![2; 2]));
    let mut again = server.recv_stream();
    for number in 3..10u8 {
        let (lease, told) = again.next().await.unwrap().unwrap();
        assert_eq!((&*lease, told.from), (&[number; 3][..], from));
    }
    assert!(again.next().now_or_never().is_none());
}

async fn dropped_streams_lose_no_datagram() {
    let (server, client, _) = pair().await;
    let mut expected = 0u32;
    for round in 0..300u32 {
        send(&client, &round.to_be_bytes()).await;
        let mut datagrams = server.recv_stream();
        for _ in 0..round % 3 {
            if let Ok(Some(next)) = timeout(Duration::from_micros(300), datagrams.next()).await {
                assert_eq!(next.unwrap().0, &expected.to_be_bytes());
                expected += 1;
            }
        }
        drop(datagrams);
        if round % 7 == 0 {
            yield_now().await;
        }
    }
    while expected < 300 {
        let (told, bytes) = server.recv(Vec::with_capacity(10)).await;
        told.unwrap();
        assert_eq!(bytes, expected.to_be_bytes());
        expected += 1;
    }
    assert_eq!(metrics().leases_out, 0);
}

fn an_idle_socket_has_no_buffer(builder: Builder) {
    let runtime = builder.lease_size(1024).leases(4).leases_max(4).build().unwrap();
    let idle = runtime.run(async {
        let mut streams = Vec::new();
        for _ in 0..20 {
            let (server, ..) = pair().await;
            let mut stream = server.recv_stream();
            assert!(stream.next().now_or_never().is_none());
            streams.push((server, stream));
        }
        yield_now().await;
        assert_eq!(metrics().leases_out, 0);
    });
    idle.unwrap();
}

fn datagrams_that_are_kept_starve_nobody(builder: Builder) {
    let runtime = builder.lease_size(1024).leases(4).leases_max(4).build().unwrap();
    let kept = runtime.run(async {
        let (server, client, from) = pair().await;
        let mut datagrams = server.recv_stream();
        let mut kept = Vec::new();
        for number in 0..50u8 {
            send(&client, &[number; 20]).await;
            kept.push(datagrams.next().await.unwrap().unwrap());
        }
        for (number, (lease, told)) in kept.iter().enumerate() {
            assert_eq!((&**lease, told.from), (&[number as u8; 20][..], from));
        }
        assert!(metrics().leases_copied > 40);
    });
    kept.unwrap();
}

fn buffers_that_are_too_small_are_an_error_with_the_remedy(builder: Builder) {
    let runtime = builder.lease_size(144).build().unwrap();
    let refused = runtime.run(async {
        let (server, ..) = pair().await;
        let error = server.recv_stream().next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("Builder::lease_size of at least 145"), "{error}");
    });
    refused.unwrap();
}

async fn a_socket_that_is_dropped_ends_it() {
    let (server, ..) = pair().await;
    let mut datagrams = server.recv_stream();
    assert!(datagrams.next().now_or_never().is_none());
    drop(server);
    assert!(datagrams.next().await.is_none());
    assert!(StreamExt::next(&mut datagrams).await.is_none(), "and stays so");
}

async fn a_unix_socket_streams_as_well() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let mut datagrams = other.recv_stream();
    for bytes in ["first", "second"] {
        one.send(bytes).await.0.unwrap();
        let (lease, told) = datagrams.next().await.unwrap().unwrap();
        assert_eq!(lease, bytes);
        assert!(told.from.is_unnamed());
    }
}
