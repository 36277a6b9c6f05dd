//! Looking without taking, and sockets that come from the standard library or go to it: nothing is lost on the way.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use annulus::Builder;
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use support::net::{pair, with_std_peer};
use support::outside::{arrival, with_peer};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_peek_takes_nothing,
    a_peek_waits_for_bytes,
    a_dropped_peek_loses_nothing,
    a_peek_sees_what_a_dropped_read_received,
    a_peek_sees_the_end_and_leaves_it,
    a_reset_that_a_peek_saw_is_told_to_the_next_read,
    a_peek_that_was_stopped_leaves_no_error,
    a_peek_of_no_room_waits_for_nothing,
    a_peek_takes_its_turn_among_reads,
}

on_real_drivers! {
    because "std's sockets are the machine's":
        a_stream_of_std_is_used_and_given_back,
        a_stream_that_leaves_takes_what_dropped_reads_received_along,
        a_stream_that_leaves_ends_what_is_in_flight,
        a_stream_that_leaves_blocks_as_std_s_do,
        a_stream_comes_back_in_the_mode_in_which_it_came,
        a_stream_whose_error_was_told_to_nobody_stays_and_tells_it,
        a_stream_whose_reset_was_told_to_nobody_stays_and_tells_it,
        a_stream_that_comes_and_goes_is_the_same_connection,
        leaving_half_way_closes,
        a_listener_that_leaves_half_way_keeps_no_connection,
        a_listener_of_std_is_used_and_given_back,
        a_listener_that_leaves_takes_what_dropped_accepts_accepted_along,
        a_blocking_listener_does_not_hold_up_the_loop,
        a_descriptor_is_shown_for_a_call,
        a_number_that_left_is_not_closed;
}

#[cfg(feature = "sim")]
#[test]
fn simulated_sockets_stay_where_they_are() {
    let builder = Builder::new().driver(annulus::Driver::Sim(1));
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let (client, server) = pair().await;
            let not = client.into_std().await.unwrap_err();
            assert_eq!(not.error.kind(), ErrorKind::Unsupported, "{not}");
            not.socket.write_all("still whole").await.0.unwrap();
            assert_eq!(not.socket.with_fd(|_| ()).unwrap_err().kind(), ErrorKind::Unsupported);
            drop(not);
            assert_eq!(support::net::read_to_end(&server).await, b"still whole");
            let listener = StdListener::bind("127.0.0.1:0").unwrap();
            let stream = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(TcpStream::from_std(stream).unwrap_err().kind(), ErrorKind::Unsupported);
            assert_eq!(TcpListener::from_std(listener).unwrap_err().kind(), ErrorKind::Unsupported);
        })
        .unwrap();
}

async fn a_peek_takes_nothing() {
    let (client, server) = pair().await;
    client.write_all("abcdef").await.0.unwrap();
    for room in [1, 3, 6] {
        let (result, seen) = server.peek(Vec::with_capacity(room)).await;
        let count = result.unwrap();
        assert!((1..=room).contains(&count));
        assert_eq!(seen, b"abcdef"[..count]);
    }
    assert_eq!(server.read_exact(Vec::with_capacity(6)).await.1, b"abcdef");
}

async fn a_peek_waits_for_bytes() {
    let (stream, mut peer) = with_peer().await;
    let seen = annulus::spawn(stream.peek(Vec::with_capacity(8)));
    sleep(Duration::from_millis(5)).await;
    assert!(!seen.is_finished());
    peer.write_all(b"late").await.unwrap();
    assert_eq!(seen.await.unwrap().1, b"late");
    assert_eq!(stream.read_exact(Vec::with_capacity(4)).await.1, b"late");
}

async fn a_dropped_peek_loses_nothing() {
    let (stream, mut peer) = with_peer().await;
    for round in 0..20u8 {
        let peek = timeout(Duration::from_micros(300), stream.peek(Vec::with_capacity(8)));
        if round % 2 == 0 {
            peer.write_all(&[round]).await.unwrap();
            drop(peek.await);
        } else {
            drop(peek.await);
            peer.write_all(&[round]).await.unwrap();
        }
    }
    let got = stream.read_exact(Vec::with_capacity(20)).await.1;
    assert_eq!(got, (0..20).collect::<Vec<u8>>());
}

/// Has a read that is dropped receive these bytes.
async fn receive_for_nobody(stream: &TcpStream, peer: &mut support::outside::Peer, bytes: &[u8]) {
    // A read of more than there is, dropped with what it has gathered.
    peer.write_all(bytes).await.unwrap();
    arrival().await;
    let reading = stream.read_exact(Vec::with_capacity(bytes.len() + 1));
    assert!(timeout(Duration::from_millis(20), reading).await.is_err());
}

async fn a_peek_sees_what_a_dropped_read_received() {
    let (stream, mut peer) = with_peer().await;
    receive_for_nobody(&stream, &mut peer, b"first").await;
    peer.write_all(b"then").await.unwrap();
    arrival().await;
    assert_eq!(stream.peek(Vec::with_capacity(3)).await.1, b"fir");
    assert_eq!(stream.peek(Vec::with_capacity(64)).await.1, b"first");
    assert_eq!(stream.read(Vec::with_capacity(2)).await.1, b"fi");
    assert_eq!(stream.peek(Vec::with_capacity(64)).await.1, b"rst");
    assert_eq!(stream.read_exact(Vec::with_capacity(7)).await.1, b"rstthen");
}

async fn a_peek_sees_the_end_and_leaves_it() {
    let (client, server) = pair().await;
    client.write_all("x").await.0.unwrap();
    drop(client);
    assert_eq!(server.read(Vec::with_capacity(4)).await.1, b"x");
    for _ in 0..2 {
        assert_eq!(server.peek(Vec::with_capacity(4)).await.0.unwrap(), 0);
    }
    assert_eq!(server.read(Vec::with_capacity(4)).await.0.unwrap(), 0);
}

async fn a_reset_that_a_peek_saw_is_told_to_the_next_read() {
    for waits in [true, false] {
        let (stream, peer) = with_peer().await;
        let peek = annulus::spawn(stream.peek(Vec::with_capacity(4)));
        if waits {
            sleep(Duration::from_millis(5)).await;
        }
        peer.reset().await;
        assert_eq!(peek.await.unwrap().0.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let (again, _) = stream.peek(Vec::with_capacity(4)).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let (result, _) = stream.read(Vec::with_capacity(4)).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.read(Vec::with_capacity(4)).await.0.unwrap(), 0);
    }
}

async fn a_peek_that_was_stopped_leaves_no_error() {
    let (stream, mut peer) = with_peer().await;
    let (result, room) = stream.peek(Vec::with_capacity(4)).timeout(Duration::from_millis(5)).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(room.capacity(), 4);
    peer.write_all(b"fine").await.unwrap();
    assert_eq!(stream.read(Vec::with_capacity(4)).await.1, b"fine");
}

async fn a_peek_of_no_room_waits_for_nothing() {
    let (_client, server) = pair().await;
    assert_eq!(server.peek(Vec::new()).await.0.unwrap(), 0);
}

async fn a_peek_takes_its_turn_among_reads() {
    let (client, server) = pair().await;
    let first = annulus::spawn(server.read(Vec::with_capacity(1)));
    let second = annulus::spawn(server.peek(Vec::with_capacity(1)));
    let third = annulus::spawn(server.read(Vec::with_capacity(1)));
    annulus::yield_now().await;
    client.write_all("ab").await.0.unwrap();
    assert_eq!(first.await.unwrap().1, b"a");
    assert_eq!(second.await.unwrap().1, b"b");
    assert_eq!(third.await.unwrap().1, b"b");
}

/// A connection, both ends of the standard library's.
fn std_pair() -> (StdStream, StdStream) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn is_blocking(socket: &impl std::os::fd::AsFd) -> bool {
    !socket2::SockRef::from(socket).nonblocking().unwrap()
}

async fn a_stream_of_std_is_used_and_given_back() {
    let (mine, mut peer) = std_pair();
    let stream = TcpStream::from_std(mine).unwrap();
    stream.write_all("question").await.0.unwrap();
    let mut room = [0; 8];
    peer.read_exact(&mut room).unwrap();
    assert_eq!(&room, b"question");
    let reading = annulus::spawn(stream.read(Vec::with_capacity(8)));
    sleep(Duration::from_millis(5)).await;
    peer.write_all(b"answer").unwrap();
    assert_eq!(reading.await.unwrap().1, b"answer");
    let (mut mine, rest) = stream.into_std().await.unwrap();
    assert_eq!(rest, b"");
    mine.write_all(b"and on").unwrap();
    drop(mine);
    let mut heard = String::new();
    peer.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "and on");
}

async fn a_stream_that_leaves_takes_what_dropped_reads_received_along() {
    let (stream, mut peer) = with_peer().await;
    receive_for_nobody(&stream, &mut peer, b"pushed back").await;
    assert_eq!(stream.read(Vec::with_capacity(1)).await.1, b"p");
    peer.write_all(b" and more").await.unwrap();
    peer.close().await;
    let (mut std, mut all) = stream.into_std().await.unwrap();
    assert_eq!(all, b"ushed back");
    std.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"ushed back and more");

    // Also where the dropped read is not settled yet when the stream leaves.
    for _ in 0..20 {
        let (stream, mut peer) = with_peer().await;
        let mut read = stream.read(Vec::with_capacity(64));
        assert!(futures_util::poll!(&mut read).is_pending());
        annulus::yield_now().await;
        peer.write_all(b"whole").await.unwrap();
        peer.close().await;
        drop(read);
        let (mut std, mut all) = stream.into_std().await.unwrap();
        std.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"whole");
    }
}

async fn a_stream_that_leaves_ends_what_is_in_flight() {
    let (stream, mut peer) = with_std_peer().await;
    let reads: Vec<_> = (0..3).map(|_| annulus::spawn(stream.read(Vec::with_capacity(8)))).collect();
    // One that nobody will ever poll again.
    let mut idle = stream.read(Vec::with_capacity(8));
    assert!(futures_util::poll!(&mut idle).is_pending());
    sleep(Duration::from_millis(5)).await;
    let (mut std, rest) =
        timeout(Duration::from_secs(5), stream.into_std()).await.expect("it leaves").unwrap();
    assert_eq!(rest, b"");
    // It has its turn until it is asked.
    assert_eq!(idle.await.0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    for read in reads {
        assert_eq!(read.await.unwrap().0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    }
    peer.write_all(b"for std").unwrap();
    let mut room = [0; 7];
    std.read_exact(&mut room).unwrap();
    assert_eq!(&room, b"for std");
}

async fn a_stream_that_leaves_blocks_as_std_s_do() {
    let (stream, mut peer) = with_std_peer().await;
    let (mut std, _) = stream.into_std().await.unwrap();
    assert!(is_blocking(&std));
    let waiting = annulus::spawn_blocking(move || {
        let mut room = [0; 4];
        std.read_exact(&mut room).map(|()| room)
    });
    sleep(Duration::from_millis(5)).await;
    peer.write_all(b"here").unwrap();
    assert_eq!(&waiting.await.unwrap().unwrap(), b"here");
}

async fn a_stream_comes_back_in_the_mode_in_which_it_came() {
    for blocking in [true, false] {
        let (mine, _peer) = std_pair();
        mine.set_nonblocking(!blocking).unwrap();
        let (mine, _) = TcpStream::from_std(mine).unwrap().into_std().await.unwrap();
        assert_eq!(is_blocking(&mine), blocking);
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(!blocking).unwrap();
        let (listener, _) = TcpListener::from_std(listener).unwrap().into_std().await.unwrap();
        assert_eq!(is_blocking(&listener), blocking);
    }
}

async fn a_stream_whose_error_was_told_to_nobody_stays_and_tells_it() {
    let (stream, mut peer) = with_peer().await;
    receive_for_nobody(&stream, &mut peer, b"last words").await;
    let mut reading = stream.read_exact(Vec::with_capacity(64));
    assert!(timeout(Duration::from_millis(20), &mut reading).await.is_err());
    peer.reset().await;
    arrival().await;
    drop(reading);
    let not = stream.into_std().await.unwrap_err();
    assert_eq!(not.error.kind(), ErrorKind::ConnectionReset, "{not}");
    let stream = not.socket;
    assert_eq!(stream.read(Vec::with_capacity(64)).await.1, b"last words");
    assert_eq!(stream.read(Vec::with_capacity(64)).await.0.unwrap(), 0);
    let (mut std, rest) = stream.into_std().await.unwrap();
    assert_eq!((rest.len(), std.read(&mut [0; 4]).unwrap()), (0, 0));
}

async fn a_stream_whose_reset_was_told_to_nobody_stays_and_tells_it() {
    let (stream, peer) = with_peer().await;
    let mut reading = stream.read(Vec::with_capacity(64));
    assert!(timeout(Duration::from_millis(20), &mut reading).await.is_err());
    peer.reset().await;
    arrival().await;
    drop(reading);
    let not = stream.into_std().await.unwrap_err();
    assert_eq!(not.error.kind(), ErrorKind::ConnectionReset, "{not}");
    not.socket.into_std().await.unwrap();
}

async fn a_stream_that_comes_and_goes_is_the_same_connection() {
    let (mut mine, mut peer) = std_pair();
    let (number, address) = (mine.as_raw_fd(), mine.local_addr().unwrap());
    for round in 0..10u8 {
        let stream = TcpStream::from_std(mine).unwrap();
        assert_eq!(stream.local_addr().unwrap(), address);
        let reading = annulus::spawn(stream.read(Vec::with_capacity(8)));
        annulus::yield_now().await;
        peer.write_all(&[round]).unwrap();
        assert_eq!(reading.await.unwrap().1, [round]);
        mine = stream.into_std().await.unwrap().0;
        assert_eq!(mine.as_raw_fd(), number);
    }
}

async fn leaving_half_way_closes() {
    let (stream, mut peer) = with_std_peer().await;
    let mut idle = stream.read(Vec::with_capacity(8));
    assert!(futures_util::poll!(&mut idle).is_pending());
    sleep(Duration::from_millis(2)).await;
    let mut leaving = Box::pin(stream.into_std());
    drop(futures_util::poll!(&mut leaving));
    drop(leaving);
    drop(idle);
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let told = annulus::spawn_blocking(move || peer.read(&mut [0; 8])).await.unwrap();
    assert_eq!(told.unwrap(), 0);
}

async fn a_listener_that_leaves_half_way_keeps_no_connection() {
    for _ in 0..20 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accept = listener.accept();
        assert!(futures_util::poll!(&mut accept).is_pending());
        annulus::yield_now().await;
        let mut client = StdStream::connect(address).unwrap();
        drop(accept);
        let mut leaving = Box::pin(listener.into_std());
        drop(futures_util::poll!(&mut leaving));
        drop(leaving);
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // An end, or a reset, when the loop has come so far.
        let told = annulus::spawn_blocking(move || client.read(&mut [0; 1])).await.unwrap();
        let told = told.map_err(|error| error.kind());
        assert!(matches!(told, Ok(0) | Err(ErrorKind::ConnectionReset)), "{told:?}");
    }
}

async fn a_listener_of_std_is_used_and_given_back() {
    let std = StdListener::bind("127.0.0.1:0").unwrap();
    let address = std.local_addr().unwrap();
    let listener = TcpListener::from_std(std).unwrap();
    let accepting = annulus::spawn(listener.accept());
    sleep(Duration::from_millis(5)).await;
    let _client = StdStream::connect(address).unwrap();
    drop(accepting.await.unwrap().unwrap());
    let waiting = annulus::spawn(listener.accept());
    sleep(Duration::from_millis(5)).await;
    let (std, accepted) = listener.into_std().await.unwrap();
    assert!(accepted.is_empty());
    assert_eq!(waiting.await.unwrap().unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    let _client = StdStream::connect(address).unwrap();
    std.accept().unwrap();
}

async fn a_listener_that_leaves_takes_what_dropped_accepts_accepted_along() {
    for _ in 0..20 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accept = listener.accept();
        assert!(futures_util::poll!(&mut accept).is_pending());
        annulus::yield_now().await;
        let mut client = StdStream::connect(address).unwrap();
        drop(accept);
        let (std, mut accepted) = listener.into_std().await.unwrap();
        let mut server = accepted.pop().unwrap_or_else(|| std.accept().unwrap().0);
        assert!(is_blocking(&server) && accepted.is_empty());
        client.write_all(b"hello").unwrap();
        let mut room = [0; 5];
        server.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"hello");
    }
}

async fn a_blocking_listener_does_not_hold_up_the_loop() {
    let std = StdListener::bind("127.0.0.1:0").unwrap();
    assert!(is_blocking(&std));
    let listener = TcpListener::from_std(std).unwrap();
    assert!(timeout(Duration::from_millis(10), listener.accept()).await.is_err());
    let (mine, _peer) = std_pair();
    let stream = TcpStream::from_std(mine).unwrap();
    assert!(timeout(Duration::from_millis(10), stream.read(Vec::with_capacity(1))).await.is_err());
}

async fn a_descriptor_is_shown_for_a_call() {
    let (stream, _peer) = with_std_peer().await;
    stream.with_fd(|fd| socket2::SockRef::from(&fd).set_tcp_nodelay(true)).unwrap().unwrap();
    assert!(stream.nodelay().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.with_fd(|fd| socket2::SockRef::from(&fd).local_addr()).unwrap().unwrap();
    assert_eq!(address.as_socket(), listener.local_addr().ok());
}

fn a_number_that_left_is_not_closed(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (mut std, mut peer) = runtime
        .run(async {
            let (stream, peer) = with_std_peer().await;
            // It knows of the stream after it has left.
            let read = stream.read(Vec::with_capacity(8));
            let (std, _) = stream.into_std().await.unwrap();
            assert_eq!(read.await.0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            (std, peer)
        })
        .unwrap();
    drop(runtime);
    std.write_all(b"still").unwrap();
    let mut room = [0; 5];
    peer.read_exact(&mut room).unwrap();
    assert_eq!(&room, b"still");
}
