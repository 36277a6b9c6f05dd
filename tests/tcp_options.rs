//! What TCP sockets are told and asked: each option is as it was set, on each type that has it, and does what it says.
#![cfg(target_os = "linux")]

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use annulus::net::{Keepalive, TcpListener, TcpSocket, TcpStream};
use annulus::time::timeout;
use support::net::{pair, read_to_end};
use support::{on_every_driver, on_real_drivers};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

on_every_driver! {
    what_all_types_have_is_as_it_was_set,
    what_is_set_before_is_as_it_was_set,
    a_connection_has_the_options_of_its_listener,
    a_connection_has_the_options_of_its_socket,
    keepalive_is_one_value,
    keepalive_counts_whole_seconds,
    spans_are_not_rounded_to_none,
    what_the_system_refuses_is_an_error,
    names_that_are_too_long_say_so,
    a_number_that_is_too_large_is_the_system_s_to_refuse,
    version_six_has_its_own,
}

on_real_drivers! {
    because "the simulated network only keeps them":
        with_defer_accept_a_connection_without_bytes_is_not_accepted,
        with_fast_open_the_first_write_connects,
        a_cork_holds_back_what_does_not_fill_a_segment,
        a_peer_that_is_asked_after_does_not_end_the_connection;
}

macro_rules! all_types {
    ($socket:ident => $body:block) => {{
        let (stream, _peer) = pair().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fresh = TcpSocket::new_v4().await.unwrap();
        {
            let $socket = &fresh;
            $body
        }
        {
            let $socket = &stream;
            $body
        }
        {
            let $socket = &listener;
            $body
        }
    }};
}

async fn what_all_types_have_is_as_it_was_set() {
    all_types!(socket => {
        for on in [true, false] {
            socket.set_nodelay(on).unwrap();
            assert_eq!(socket.nodelay().unwrap(), on);
            socket.set_keepalive(on).unwrap();
            assert_eq!(socket.keepalive().unwrap(), on);
        }
        socket.set_linger(Some(3 * SECOND)).unwrap();
        assert_eq!(socket.linger().unwrap(), Some(3 * SECOND));
        socket.set_linger(None).unwrap();
        socket.set_ttl(33).unwrap();
        assert_eq!(socket.ttl().unwrap(), 33);
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        socket.set_recv_buffer_size(20_000).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 20_000);
        socket.set_send_buffer_size(20_000).unwrap();
        assert!(socket.send_buffer_size().unwrap() >= 20_000);
        socket.set_mss(1000).unwrap();
        assert!(socket.mss().unwrap() > 0);
        socket.set_user_timeout(Some(1500 * MILLI)).unwrap();
        assert_eq!(socket.user_timeout().unwrap(), Some(1500 * MILLI));
        socket.set_user_timeout(None).unwrap();
        assert_eq!(socket.user_timeout().unwrap(), None);
        socket.set_notsent_lowat(16 << 10).unwrap();
        assert_eq!(socket.notsent_lowat().unwrap(), 16 << 10);
        socket.set_congestion("reno").unwrap();
        assert_eq!(socket.congestion().unwrap(), "reno");
        socket.set_incoming_cpu(0).unwrap();
        assert_eq!(socket.incoming_cpu().unwrap(), Some(0));
        assert_eq!(socket.busy_poll().unwrap(), 0);
    });
}

async fn what_is_set_before_is_as_it_was_set() {
    let socket = TcpSocket::new_v4().await.unwrap();
    assert!(!socket.reuseaddr().unwrap() && !socket.reuseport().unwrap());
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    assert!(socket.reuseaddr().unwrap() && socket.reuseport().unwrap());
    socket.set_fastopen(8).unwrap();
    assert_eq!(socket.fastopen().unwrap(), 8);
    assert!(!socket.fastopen_connect().unwrap());
    socket.set_defer_accept(Some(SECOND)).unwrap();
    assert_eq!(socket.defer_accept().unwrap(), Some(SECOND));
    socket.set_defer_accept(None).unwrap();
    assert_eq!(socket.defer_accept().unwrap(), None);
    socket.set_freebind(true).unwrap();
    assert!(socket.freebind().unwrap() && !socket.transparent().unwrap());
    socket.set_cork(true).unwrap();
    assert!(socket.cork().unwrap());
    assert!(socket.quickack().unwrap());
    socket.set_quickack(false).unwrap();
    assert!(!socket.quickack().unwrap());
    assert_eq!(socket.device().unwrap(), None);
    socket.bind_device(Some(b"lo")).unwrap();
    assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
    assert_eq!(socket.incoming_cpu().unwrap(), None);
    assert!(socket.take_error().unwrap().is_none());
}

async fn a_connection_has_the_options_of_its_listener() {
    let socket = TcpSocket::new_v4().await.unwrap();
    let asking = Keepalive::new().with_time(50 * SECOND).with_interval(5 * SECOND).with_retries(3);
    socket.set_tcp_keepalive(&asking).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_user_timeout(Some(7 * SECOND)).unwrap();
    socket.set_congestion("reno").unwrap();
    socket.set_tos_v4(8).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    assert_eq!(server.tcp_keepalive().unwrap(), Some(asking));
    assert!(server.nodelay().unwrap());
    assert_eq!(server.user_timeout().unwrap(), Some(7 * SECOND));
    assert_eq!(server.congestion().unwrap(), "reno");
    assert_eq!(server.tos_v4().unwrap(), 8);
}

async fn a_connection_has_the_options_of_its_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_recv_buffer_size(30_000).unwrap();
    let room = socket.recv_buffer_size().unwrap();
    let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
    assert!(stream.nodelay().unwrap());
    assert_eq!(stream.recv_buffer_size().unwrap(), room);
}

async fn keepalive_is_one_value() {
    all_types!(socket => {
        assert_eq!(socket.tcp_keepalive().unwrap(), None);
        let asking = Keepalive::new().with_time(61 * SECOND).with_interval(11 * SECOND).with_retries(4);
        socket.set_tcp_keepalive(&asking).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive().unwrap(), Some(asking));
        // What is not said stays.
        socket.set_tcp_keepalive(&Keepalive::new().with_retries(9)).unwrap();
        assert_eq!(socket.tcp_keepalive().unwrap(), Some(asking.with_retries(9)));
        socket.set_keepalive(false).unwrap();
        assert_eq!(socket.tcp_keepalive().unwrap(), None);
    });
    assert_eq!(Keepalive::new(), Keepalive::default());
}

async fn keepalive_counts_whole_seconds() {
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.set_tcp_keepalive(&Keepalive::new().with_time(1500 * MILLI).with_interval(MILLI)).unwrap();
    let asking = socket.tcp_keepalive().unwrap().unwrap();
    assert_eq!((asking.time(), asking.interval()), (Some(2 * SECOND), Some(SECOND)));
    let error = socket.set_tcp_keepalive(&Keepalive::new().with_time(Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn spans_are_not_rounded_to_none() {
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.set_user_timeout(Some(Duration::from_nanos(1))).unwrap();
    assert_eq!(socket.user_timeout().unwrap(), Some(MILLI));
    socket.set_user_timeout(Some(Duration::ZERO)).unwrap();
    assert_eq!(socket.user_timeout().unwrap(), Some(MILLI), "none is said by None");
    socket.set_defer_accept(Some(MILLI)).unwrap();
    assert_eq!(socket.defer_accept().unwrap(), Some(SECOND));
}

async fn what_the_system_refuses_is_an_error() {
    let (stream, _peer) = pair().await;
    assert_eq!(stream.set_congestion("hopeless").unwrap_err().raw_os_error(), Some(libc::ENOENT));
    assert_eq!(stream.set_ttl(0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    assert_eq!(stream.set_mss(20).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    let socket = TcpSocket::new_v4().await.unwrap();
    assert_eq!(socket.bind_device(Some(b"nosuch0")).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    assert_eq!(socket.set_only_v6(true).unwrap_err().raw_os_error(), Some(libc::ENOPROTOOPT));
}

async fn names_that_are_too_long_say_so() {
    let socket = TcpSocket::new_v4().await.unwrap();
    let error = socket.bind_device(Some(b"a-device-of-a-long-name")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("at most 15 bytes"), "{error}");
    assert_eq!(socket.set_congestion("a-name-that-is-long").unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn a_number_that_is_too_large_is_the_system_s_to_refuse() {
    let socket = TcpSocket::new_v4().await.unwrap();
    assert_eq!(socket.set_mss(u32::MAX).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    socket.set_user_timeout(Some(Duration::MAX)).unwrap();
    assert_eq!(socket.user_timeout().unwrap(), Some(Duration::from_millis(i32::MAX as u64)));
}

async fn version_six_has_its_own() {
    let socket = match TcpSocket::new_v6().await {
        Ok(socket) => socket,
        Err(error) => return support::skipped("options of version six", &error.to_string()),
    };
    socket.set_tclass_v6(0x20).unwrap();
    assert_eq!(socket.tclass_v6().unwrap(), 0x20);
    for on in [true, false] {
        socket.set_only_v6(on).unwrap();
        assert_eq!(socket.only_v6().unwrap(), on);
    }
    socket.set_ttl(5).unwrap();
    assert_eq!(socket.ttl().unwrap(), 5);
}

async fn with_defer_accept_a_connection_without_bytes_is_not_accepted() {
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.set_defer_accept(Some(60 * SECOND)).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    assert!(timeout(50 * MILLI, listener.accept()).await.is_err());
    client.write_all("now").await.0.unwrap();
    let (server, _) = timeout(20 * SECOND, listener.accept()).await.unwrap().unwrap();
    drop(client);
    assert_eq!(read_to_end(&server).await, b"now");
}

async fn with_fast_open_the_first_write_connects() {
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.set_fastopen(4).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4).unwrap();
    // The first connection may bring a cookie, and the second one use it.
    for round in 0..3 {
        let socket = TcpSocket::new_v4().await.unwrap();
        if let Err(error) = socket.set_fastopen_connect(true) {
            return support::skipped("fast open", &error.to_string());
        }
        let client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(format!("round {round}")).await.0.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        server.write_all("heard").await.0.unwrap();
        assert_eq!(client.read_exact(Vec::with_capacity(5)).await.1, b"heard");
        drop(client);
        assert_eq!(read_to_end(&server).await, format!("round {round}").into_bytes());
    }
}

async fn a_cork_holds_back_what_does_not_fill_a_segment() {
    let (client, server) = pair().await;
    client.set_cork(true).unwrap();
    client.write_all("head ").await.0.unwrap();
    assert!(timeout(20 * MILLI, server.readable()).await.is_err());
    client.write_all("and body").await.0.unwrap();
    client.set_cork(false).unwrap();
    assert_eq!(server.read(Vec::with_capacity(64)).await.1, b"head and body");
}

async fn a_peer_that_is_asked_after_does_not_end_the_connection() {
    let (client, server) = pair().await;
    let asking = Keepalive::new().with_time(SECOND).with_interval(SECOND).with_retries(1);
    client.set_tcp_keepalive(&asking).unwrap();
    client.set_user_timeout(Some(SECOND)).unwrap();
    assert!(timeout(1200 * MILLI, client.readable()).await.is_err());
    server.write_all("still here").await.0.unwrap();
    assert_eq!(client.read(Vec::with_capacity(64)).await.1, b"still here");
}

#[cfg(feature = "sim")]
#[test]
fn in_a_world_what_is_lost_for_too_long_ends_the_connection() {
    use annulus::sim::{self, World};
    let world = World::new(3);
    let server = world.host("server", || async {
        let (stream, _) = TcpListener::bind("0.0.0.0:80").await.unwrap().accept().await.unwrap();
        read_to_end(&stream).await
    });
    let client = world.host("client", sim::idle);
    world.run_for(SECOND);
    let stream = client.run(TcpStream::connect("server:80")).unwrap().unwrap();
    stream.set_user_timeout(Some(5 * SECOND)).unwrap();
    world.partition(&[&client], &[&server]);
    let before = world.now();
    let told = client.run(async move {
        stream.write_all("hello?").await.0.unwrap();
        stream.read(Vec::with_capacity(8)).await.0
    });
    assert_eq!(told.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    let span = world.now() - before;
    assert!(span >= 5 * SECOND && span < 6 * SECOND, "{span:?}");
}
