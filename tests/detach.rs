//! Sockets that go from one loop to another, on another thread: nothing is lost on the way, nothing comes twice, and what
//! has nothing under way costs no call.

mod support;

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::AsRawFd;
use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use annulus::io::copy;
use annulus::net::{
    Ancillary, Detached, Family, Listener, NotHandedOver, Stream, TcpListener, TcpStream, UnixListener,
    UnixStream, ZeroCopy, splice,
};
use annulus::sync::across::mpsc;
use annulus::time::{sleep, timeout};
use annulus::{Builder, Driver, Runtime, spawn, spawn_blocking, yield_now};
use futures_util::FutureExt;
use support::child::alone;
use support::data::{Dice, assert_same, bytes, seed};
use support::net::{pair, reset, with_std_peer};
use support::on_real_drivers;
use support::outside::arrival;
use support::quiet::quietly;
use support::races::{self, Tally, begin};
use support::{audit, child, limits};

on_real_drivers! {
    because "a simulated socket is no descriptor that another loop could have":
        what_dropped_reads_received_comes_first_on_the_other_loop_and_back_here,
        a_dropped_read_that_is_not_settled_yet_loses_nothing,
        every_way_of_reading_has_what_was_left_first,
        two_hundred_hand_overs_lose_no_byte,
        what_a_stream_of_leases_had_and_nobody_took_comes_first,
        a_stream_whose_end_was_told_is_half_closed_there_as_well,
        a_peer_that_has_ended_is_still_written_to,
        what_is_in_flight_is_ended_and_closes_nothing_later,
        a_listener_takes_what_dropped_accepts_accepted_along,
        a_unix_listener_takes_what_dropped_accepts_accepted_along,
        a_unix_stream_takes_messages_and_their_descriptors_along,
        an_error_that_was_told_to_nobody_is_told_there,
        an_error_of_a_dropped_write_is_told_there_and_what_it_wrote,
        settings_of_the_loops_side_go_along,
        the_mode_in_which_it_came_is_remembered,
        connections_in_the_rings_own_table_leave_it,
        who_is_at_the_other_end_is_known_as_long_as_it_would_be_here,
        without_descriptors_what_is_in_the_table_stays_usable,
        what_nobody_attaches_is_closed_when_it_is_dropped,
        leaving_half_way_closes,
        outside_of_a_loop_attaching_panics_and_says_so,
        a_stream_of_a_loop_that_has_ended_stays,
        with_nothing_in_flight_no_call_is_made;
}

/// For so long at most anything is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn what_is_between_two_loops_may_be_anywhere() {
    fn goes_anywhere<T: Send + Sync + std::fmt::Debug + 'static>() {}
    goes_anywhere::<Detached<TcpStream>>();
    goes_anywhere::<Detached<UnixStream>>();
    goes_anywhere::<Detached<TcpListener>>();
    goes_anywhere::<Detached<UnixListener>>();
}

#[cfg(feature = "sim")]
#[test]
fn simulated_sockets_stay_on_their_loop() {
    let (mine, mut peer) = std_pair();
    let real = Builder::new().driver(Driver::Readiness).build().unwrap();
    let detached = real.run(async { TcpStream::from_std(mine).unwrap().detach().await.unwrap() }).unwrap();
    drop(real);
    let world = Builder::new().driver(Driver::Sim(1)).build().unwrap();
    let detached = world.run(async {
        let (client, server) = pair().await;
        let not = client.detach().await.unwrap_err();
        assert_eq!(not.error.kind(), ErrorKind::Unsupported, "{not}");
        not.socket.write_all("still whole").await.0.unwrap();
        drop(not);
        assert_eq!(support::net::read_to_end(&server).await, b"still whole");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let not = listener.detach().await.unwrap_err();
        assert_eq!(not.error.kind(), ErrorKind::Unsupported, "{not}");
        not.socket.local_addr().unwrap();
        // What does not belong there is given back as well.
        let not = detached.attach().unwrap_err();
        assert_eq!(not.error.kind(), ErrorKind::Unsupported, "{not}");
        not.socket
    });
    let real = Builder::new().driver(Driver::Readiness).build().unwrap();
    let written = real.run(async { detached.unwrap().attach().unwrap().write_all("and whole").await.0 });
    written.unwrap().unwrap();
    let mut heard = String::new();
    peer.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "and whole");
    support::skipped("the rest of this file in a simulated world", "its sockets are no descriptors");
}

fn driver() -> Driver {
    Runtime::try_current().unwrap().driver().parse().unwrap()
}

/// Runs something on a loop of this thread, and looks after what it leaves behind.
fn on_a_loop<T>(builder: Builder, body: impl Future<Output = T>) -> T {
    let runtime = builder.build().unwrap();
    let value = runtime.run(body).unwrap();
    assert_eq!(runtime.metrics().stray, 0, "every completion found its operation");
    assert_eq!(runtime.shutdown(PATIENCE), 0, "nothing is leaked");
    value
}

/// Runs something on a loop of another thread, by the same driver. This one goes on meanwhile.
async fn over_there<T, F>(body: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let driver = driver();
    spawn_blocking(move || on_a_loop(Builder::new().driver(driver), body())).await.unwrap()
}

/// A connection, both ends of the standard library's.
fn std_pair() -> (StdStream, StdStream) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = listener.accept().unwrap().0;
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    (client, server)
}

/// What the kernel has for the stream.
fn in_the_kernel(stream: &TcpStream) -> Vec<u8> {
    let looked = stream.with_fd(|fd| {
        // The same socket, and it does not wait.
        let same = StdStream::from(fd.try_clone_to_owned().unwrap());
        let mut room = [0; 256];
        let seen = same.peek(&mut room).unwrap_or(0);
        room[..seen].to_vec()
    });
    looked.unwrap()
}

/// Has a read that is dropped receive these bytes, which the peer sends now. Nothing is in the kernel afterwards.
async fn receive_for_nobody(stream: &TcpStream, peer: &mut StdStream, bytes: &[u8]) {
    peer.write_all(bytes).unwrap();
    let received = async {
        while !in_the_kernel(stream).ends_with(bytes) {
            sleep(Duration::from_millis(1)).await;
        }
        while !in_the_kernel(stream).is_empty() {
            let more_than_there_is = stream.read_exact(Vec::with_capacity(1024));
            assert!(timeout(Duration::from_millis(5), more_than_there_is).await.is_err());
        }
    };
    timeout(PATIENCE, received).await.expect("the bytes arrive");
}

async fn read_to_end<F: Family>(stream: &Stream<F>) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (result, got) = stream.read(Vec::with_capacity(64)).await;
        if result.unwrap() == 0 {
            return all;
        }
        all.extend_from_slice(&got);
    }
}

async fn what_dropped_reads_received_comes_first_on_the_other_loop_and_back_here() {
    let (stream, mut peer) = with_std_peer().await;
    receive_for_nobody(&stream, &mut peer, b"pushed back").await;
    assert_eq!(stream.read(Vec::with_capacity(1)).await.1, b"p");
    peer.write_all(b" and more").unwrap();
    let detached = stream.detach().await.unwrap();
    let (detached, mut peer) = over_there(|| async move {
        let stream = detached.attach().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), peer.local_addr().unwrap());
        assert_eq!(stream.read(Vec::with_capacity(4)).await.1, b"ushe");
        (stream.detach().await.unwrap(), peer)
    })
    .await;
    let stream = detached.attach().unwrap();
    assert_eq!(stream.read(Vec::with_capacity(64)).await.1, b"d back");
    // What comes later is behind what was left before, also if it is left in its turn.
    receive_for_nobody(&stream, &mut peer, b", the last").await;
    drop(peer);
    let detached = stream.detach().await.unwrap();
    // From there it may leave for std as well.
    let rest = over_there(|| async move {
        let (mut std, mut rest) = detached.attach().unwrap().into_std().await.unwrap();
        std.read_to_end(&mut rest).unwrap();
        rest
    })
    .await;
    assert_eq!(rest, b" and more, the last");
}

async fn a_dropped_read_that_is_not_settled_yet_loses_nothing() {
    for round in 0..20 {
        let (stream, mut peer) = with_std_peer().await;
        let mut read = stream.read(Vec::with_capacity(64));
        assert!(begin(&mut read).is_pending());
        if round % 2 == 0 {
            yield_now().await;
        }
        peer.write_all(b"whole").unwrap();
        drop(peer);
        drop(read);
        let detached = stream.detach().await.unwrap();
        let all = over_there(|| async move { read_to_end(&detached.attach().unwrap()).await }).await;
        assert_eq!(all, b"whole");
    }
}

/// Reads to the end in one of several ways.
async fn read_by(way: usize, mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match way {
        0 => all = read_to_end(&stream).await,
        1 => loop {
            let (result, rooms) = stream.readv(vec![Vec::with_capacity(2), Vec::with_capacity(3)]).await;
            match result.unwrap() {
                0 => break,
                _ => all.extend(rooms.concat()),
            }
        },
        2 => loop {
            match stream.recv().await.unwrap() {
                end if end.is_empty() => break,
                lease => all.extend_from_slice(&lease),
            }
        },
        3 => {
            let mut leases = stream.recv_stream();
            while let Some(lease) = leases.next().await {
                all.extend_from_slice(&lease.unwrap());
            }
        }
        4 => {
            let (result, seen) = stream.peek(Vec::with_capacity(4)).await;
            assert_eq!((result.unwrap(), seen), (4, b"left".to_vec()));
            all = read_to_end(&stream).await;
        }
        5 => {
            let (result, got) = stream.read_exact(Vec::with_capacity(11)).await;
            result.unwrap();
            all = got;
            all.extend(read_to_end(&stream).await);
        }
        _ => {
            let (mut to, from) = pair().await;
            match way {
                6 => assert_eq!(splice(&stream, &to, u64::MAX).await.unwrap(), 11),
                _ => assert_eq!(copy(&mut stream, &mut to).await.unwrap(), 11),
            }
            drop(to);
            all = read_to_end(&from).await;
        }
    }
    all
}

async fn every_way_of_reading_has_what_was_left_first() {
    for way in 0..8 {
        let (stream, mut peer) = with_std_peer().await;
        receive_for_nobody(&stream, &mut peer, b"left, ").await;
        peer.write_all(b"fresh").unwrap();
        drop(peer);
        let detached = stream.detach().await.unwrap();
        let all = over_there(move || async move { read_by(way, detached.attach().unwrap()).await }).await;
        assert_eq!(all, b"left, fresh", "way {way}");
    }
}

/// A connection on its way, and what has come over it.
struct Baton {
    connection: Detached<TcpStream>,
    got: Vec<u8>,
    hops: usize,
    tally: Tally,
}

const LENGTH: usize = 4 << 20;
const HOPS: usize = 200;

/// Receives its part whenever the connection comes by, and hands it on. Gives all of it to who has the last part.
async fn carry(mut from: mpsc::Receiver<Baton>, to: mpsc::Sender<Baton>, seed: u64) -> Option<Vec<u8>> {
    let mut dice = Dice::new(seed);
    while let Some(Baton { connection, mut got, hops, mut tally }) = from.recv().await {
        let stream = connection.attach().unwrap();
        stream.write_all(vec![hops as u8]).await.0.unwrap();
        let part = LENGTH * (hops + 1) / HOPS;
        while got.len() < part {
            races::read(&stream, &mut dice, 16 << 10, &mut tally, |piece| got.extend_from_slice(piece)).await;
        }
        // One that is under way when it leaves.
        let mut read = stream.read(Vec::with_capacity(dice.length(8 << 10)));
        if let Poll::Ready((result, piece)) = begin(&mut read) {
            assert!(result.unwrap() > 0, "the end came too early");
            got.extend(piece);
        }
        match dice.below(3) {
            0 => yield_now().await,
            1 => sleep(dice.micros(200)).await,
            _ => {}
        }
        drop(read);
        if hops + 1 == HOPS {
            println!("{tally:?}");
            assert!(tally.bytes_at_hand > 0, "nothing was ever left: {tally:?}");
            return Some(got);
        }
        let connection = stream.detach().await.unwrap();
        to.send(Baton { connection, got, hops: hops + 1, tally }).await.expect("the other loop is there");
    }
    None
}

async fn two_hundred_hand_overs_lose_no_byte() {
    let seed = seed();
    let (stream, mut peer) = with_std_peer().await;
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let sending = thread::spawn(move || {
        let mut dice = Dice::new(seed);
        let mut rest = &bytes(seed, LENGTH)[..];
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(dice.length(64 << 10).min(rest.len()));
            peer.write_all(piece).unwrap();
            rest = later;
        }
        let mut heard = vec![0; HOPS];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(heard, (0..HOPS).map(|hop| hop as u8).collect::<Vec<_>>());
        peer
    });
    let ((to_here, here), (to_there, there)) = (mpsc::channel(1), mpsc::channel(1));
    let connection = stream.detach().await.unwrap();
    let first = Baton { connection, got: Vec::new(), hops: 0, tally: Tally::default() };
    to_there.send(first).await.unwrap();
    let other = spawn(over_there(move || carry(there, to_here, seed + 1)));
    let mine = carry(here, to_there, seed + 2).await;
    let got = other.await.unwrap().or(mine).expect("one of them has the last part");
    assert_same(&got, &bytes(seed, LENGTH));
    drop(spawn_blocking(|| sending.join().unwrap()).await.unwrap());
}

async fn what_a_stream_of_leases_had_and_nobody_took_comes_first() {
    for round in 0..10u64 {
        let (stream, mut peer) = with_std_peer().await;
        let sent = bytes(round, 100_000);
        let (first, second) = sent.split_at(50_000);
        let mut leases = stream.recv_stream();
        let mut got = Vec::new();
        for piece in first.chunks(10_000) {
            peer.write_all(piece).unwrap();
            if got.is_empty() {
                got.extend_from_slice(&leases.next().await.unwrap().unwrap());
            }
        }
        sleep(Duration::from_millis(round % 3)).await;
        drop(leases);
        let detached = stream.detach().await.unwrap();
        let mut rest = second.to_vec();
        let sending = thread::spawn(move || peer.write_all(&std::mem::take(&mut rest)));
        let more = over_there(|| async move {
            let stream = detached.attach().unwrap();
            // A lease that is kept, those that come in a stream, and one from here again.
            let kept = stream.recv().await.unwrap();
            let mut leases = stream.recv_stream();
            let next = leases.next().await.unwrap().unwrap();
            drop(leases);
            let mut more = [&kept[..], &next[..]].concat();
            while let Some(lease) = Some(stream.recv().await.unwrap()).filter(|lease| !lease.is_empty()) {
                more.extend_from_slice(&lease);
            }
            more
        })
        .await;
        got.extend(more);
        assert_same(&got, &sent);
        sending.join().unwrap().unwrap();
    }
}

async fn a_stream_whose_end_was_told_is_half_closed_there_as_well() {
    let (stream, mut peer) = with_std_peer().await;
    stream.write_all("the last").await.0.unwrap();
    stream.shutdown(Shutdown::Write).await.unwrap();
    receive_for_nobody(&stream, &mut peer, b"left").await;
    let detached = stream.detach().await.unwrap();
    let mut heard = String::new();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    // Its end is told while the connection belongs to nobody.
    peer.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "the last");
    peer.write_all(b" and answered").unwrap();
    drop(peer);
    over_there(|| async move {
        let stream = detached.attach().unwrap();
        assert_eq!(read_to_end(&stream).await, b"left and answered");
        assert_eq!(stream.write_all("x").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
    })
    .await;
}

async fn a_peer_that_has_ended_is_still_written_to() {
    let (stream, mut peer) = with_std_peer().await;
    receive_for_nobody(&stream, &mut peer, b"question").await;
    peer.shutdown(Shutdown::Write).unwrap();
    let detached = stream.detach().await.unwrap();
    over_there(|| async move {
        let stream = detached.attach().unwrap();
        assert_eq!(read_to_end(&stream).await, b"question");
        stream.write_all("answer").await.0.unwrap();
    })
    .await;
    let mut heard = String::new();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "answer");
}

async fn what_is_in_flight_is_ended_and_closes_nothing_later() {
    let (stream, mut peer) = with_std_peer().await;
    let reads: Vec<_> = (0..3).map(|_| spawn(stream.read(Vec::with_capacity(8)))).collect();
    // One that nobody polls again before the connection is elsewhere, and one that nobody has polled.
    let mut idle = stream.read(Vec::with_capacity(8));
    assert!(begin(&mut idle).is_pending());
    let never = stream.read(Vec::with_capacity(8));
    yield_now().await;
    let detached = timeout(PATIENCE, stream.detach()).await.expect("it leaves").unwrap();
    let stream = detached.attach().unwrap();
    for (result, _) in [idle.await, never.await] {
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    }
    for read in reads {
        assert_eq!(read.await.unwrap().0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    }
    sleep(Duration::from_millis(5)).await;
    peer.write_all(b"open").unwrap();
    drop(peer);
    assert_eq!(read_to_end(&stream).await, b"open");
}

/// Has accepts that are dropped accept connections, in several ways. Gives the peers, in the order in which they came.
async fn accept_for_nobody<F: Family, C>(listener: &Listener<F>, mut connect: impl FnMut() -> C) -> Vec<C> {
    let mut clients = Vec::new();
    let mut accept = listener.accept();
    assert!(begin_accept(&mut accept));
    yield_now().await;
    clients.push(connect());
    yield_now().await;
    drop(accept);
    // All that come while nobody asks. The first goes to who asks once.
    let mut incoming = listener.incoming();
    assert!(timeout(PATIENCE, incoming.next()).await.is_ok_and(|accepted| accepted.is_some()));
    drop(clients.remove(0));
    let mut waiting = incoming.next().boxed_local();
    assert!((&mut waiting).now_or_never().is_none());
    for _ in 0..4 {
        clients.push(connect());
    }
    sleep(Duration::from_millis(5)).await;
    drop(waiting);
    drop(incoming);
    clients
}

fn begin_accept<F: Family>(accept: &mut annulus::net::Accept<F>) -> bool {
    accept.now_or_never().is_none()
}

async fn a_listener_takes_what_dropped_accepts_accepted_along() {
    for _ in 0..10 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients = accept_for_nobody(&listener, || StdStream::connect(address).unwrap()).await;
        let detached = listener.detach().await.unwrap();
        let late = StdStream::connect(address).unwrap();
        over_there(move || async move {
            let listener = detached.attach().unwrap();
            assert_eq!(listener.local_addr().unwrap(), address);
            for (number, mut client) in clients.into_iter().chain([late]).enumerate() {
                let accepted = timeout(PATIENCE, listener.accept()).await.expect("it was accepted");
                let (stream, from) = accepted.unwrap();
                assert_eq!(from, client.local_addr().unwrap(), "connection {number}");
                client.write_all(b"hello").unwrap();
                assert_eq!(stream.read_exact(Vec::with_capacity(5)).await.1, b"hello");
            }
        })
        .await;
    }
}

async fn a_unix_listener_takes_what_dropped_accepts_accepted_along() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("door");
    let listener = UnixListener::bind(&path).await.unwrap();
    let connect = || std::os::unix::net::UnixStream::connect(&path).unwrap();
    let clients = accept_for_nobody(&listener, connect).await;
    let detached = listener.detach().await.unwrap();
    over_there(move || async move {
        let listener = detached.attach().unwrap();
        for (number, mut client) in clients.into_iter().enumerate() {
            client.write_all(&[number as u8]).unwrap();
            let accepted = timeout(PATIENCE, listener.accept()).await.expect("it was accepted");
            assert_eq!(accepted.unwrap().0.read(Vec::with_capacity(2)).await.1, [number as u8]);
        }
    })
    .await;
}

async fn a_unix_stream_takes_messages_and_their_descriptors_along() {
    for taken in [true, false] {
        let (stream, peer) = UnixStream::pair().unwrap();
        let (mut reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut receive = stream.recv_message(Vec::with_capacity(64));
        assert!(begin(&mut receive).is_pending());
        yield_now().await;
        let with = Ancillary::new().with_descriptors([writer.into()]);
        peer.send_message("take it", with).await.0.unwrap();
        peer.write_all(", and more").await.0.unwrap();
        arrival().await;
        drop(receive);
        reader.set_read_timeout(Some(PATIENCE)).unwrap();
        drop(peer);
        let detached = stream.detach().await.unwrap();
        if !taken {
            drop(detached);
        } else {
            over_there(|| async move {
                let stream = detached.attach().unwrap();
                let (message, room) = stream.recv_message(Vec::with_capacity(64)).await;
                let descriptor = message.unwrap().control.take_descriptors().remove(0);
                std::fs::File::from(descriptor).write_all(b"through it").unwrap();
                let all = [room, read_to_end(&stream).await].concat();
                assert_eq!(all, b"take it, and more");
            })
            .await;
        }
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, if taken { "through it" } else { "" });
    }
}

async fn an_error_that_was_told_to_nobody_is_told_there() {
    let (stream, mut peer) = with_std_peer().await;
    receive_for_nobody(&stream, &mut peer, b"last words").await;
    let mut reading = stream.read_exact(Vec::with_capacity(64));
    assert!(timeout(Duration::from_millis(5), &mut reading).await.is_err());
    reset(peer);
    arrival().await;
    drop(reading);
    let detached = stream.detach().await.unwrap();
    over_there(|| async move {
        let stream = detached.attach().unwrap();
        assert_eq!(stream.read(Vec::with_capacity(64)).await.1, b"last words");
        let (result, _) = stream.read(Vec::with_capacity(64)).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.read(Vec::with_capacity(64)).await.0.unwrap(), 0, "it is told once");
    })
    .await;
}

async fn an_error_of_a_dropped_write_is_told_there_and_what_it_wrote() {
    const LENGTH: usize = 64 << 20;
    let (stream, peer) = with_std_peer().await;
    let mut writing = stream.write_all(vec![7; LENGTH]);
    // Looked at again and again, for each part goes on from what came of the one before: until it waits for room.
    for _ in 0..20 {
        assert!(timeout(Duration::from_millis(10), &mut writing).await.is_err(), "nobody reads");
    }
    reset(peer);
    timeout(PATIENCE, stream.readable()).await.expect("the reset arrives").unwrap();
    arrival().await;
    drop(writing);
    let detached = stream.detach().await.unwrap();
    over_there(|| async move {
        let stream = detached.attach().unwrap();
        let told = stream.settle_writes().await.unwrap_err().kind();
        assert!(matches!(told, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{told:?}");
        let written = stream.settle_writes().await.unwrap();
        assert!(0 < written && written < LENGTH, "{written}");
        assert_eq!(stream.settle_writes().await.unwrap(), 0, "it is told once");
    })
    .await;
}

async fn settings_of_the_loops_side_go_along() {
    let (stream, _peer) = with_std_peer().await;
    stream.set_zero_copy(ZeroCopy::Auto { threshold: 4711 });
    stream.set_nodelay(true).unwrap();
    let stream = stream.detach().await.unwrap().attach().unwrap();
    assert_eq!(stream.zero_copy(), ZeroCopy::Auto { threshold: 4711 });
    assert!(stream.nodelay().unwrap());
}

fn is_blocking(socket: &impl std::os::fd::AsFd) -> bool {
    !socket2::SockRef::from(socket).nonblocking().unwrap()
}

async fn the_mode_in_which_it_came_is_remembered() {
    for blocking in [true, false] {
        let (mine, _peer) = std_pair();
        mine.set_nonblocking(!blocking).unwrap();
        // It shares the mode, so that it can be looked at while the connection is under way.
        let same = mine.try_clone().unwrap();
        let detached = TcpStream::from_std(mine).unwrap().detach().await.unwrap();
        assert!(!is_blocking(&same), "it is not set to and fro");
        over_there(move || async move {
            let stream = detached.attach().unwrap();
            assert!(!is_blocking(&same));
            let (std, _) = stream.into_std().await.unwrap();
            assert_eq!(is_blocking(&std), blocking);
        })
        .await;
    }
    let (stream, _peer) = with_std_peer().await;
    let detached = stream.detach().await.unwrap();
    let (std, _) = detached.attach().unwrap().into_std().await.unwrap();
    assert!(is_blocking(&std), "as std's own are");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap().detach().await.unwrap();
    assert!(is_blocking(&listener.attach().unwrap().into_std().await.unwrap().0));
}

fn connections_in_the_rings_own_table_leave_it(builder: Builder) {
    let builder = builder.direct_descriptors(4);
    let (detached, listener, mut peers) = on_a_loop(builder.clone(), async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut detached, mut peers) = (Vec::new(), Vec::new());
        // More than have a place at once.
        for _ in 0..12 {
            let mut peer = StdStream::connect(address).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let mut read = stream.read(Vec::with_capacity(64));
            assert!(begin(&mut read).is_pending());
            yield_now().await;
            peer.write_all(b"left").unwrap();
            drop(read);
            detached.push(stream.detach().await.unwrap());
            peers.push(peer);
        }
        // With connections in its table that nobody has asked for.
        peers.extend(accept_for_nobody(&listener, || StdStream::connect(address).unwrap()).await);
        (detached, listener.detach().await.unwrap(), peers)
    });
    let there = thread::spawn(move || {
        on_a_loop(builder, async move {
            let mut streams: Vec<_> = detached.into_iter().map(|one| one.attach().unwrap()).collect();
            let listener = listener.attach().unwrap();
            while streams.len() < peers.len() {
                let accepted = timeout(PATIENCE, listener.accept()).await.expect("it was accepted");
                streams.push(accepted.unwrap().0);
            }
            for (number, (peer, stream)) in peers.iter_mut().zip(&streams).enumerate() {
                assert_eq!(stream.peer_addr().unwrap(), peer.local_addr().unwrap(), "connection {number}");
                peer.write_all(b", then").unwrap();
                peer.shutdown(Shutdown::Write).unwrap();
                let wanted: &[u8] = if number < 12 { b"left, then" } else { b", then" };
                assert_eq!(read_to_end(stream).await, wanted, "connection {number}");
                assert!(stream.with_fd(|fd| fd.as_raw_fd()).unwrap() < 1 << 30);
            }
        });
    });
    there.join().unwrap();
}

fn who_is_at_the_other_end_is_known_as_long_as_it_would_be_here(builder: Builder) {
    on_a_loop(builder.direct_descriptors(4), async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = StdStream::connect(address).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        reset(peer);
        timeout(PATIENCE, stream.readable()).await.expect("the reset arrives").unwrap();
        // The kernel says from now on that it is not connected. What came into the table came with its peer's name.
        let known = stream.peer_addr().ok();
        println!("{known:?}");
        let stream = stream.detach().await.unwrap().attach().unwrap();
        assert_eq!(stream.peer_addr().ok(), known);
    });
}

/// Leaves no room for any more descriptors. Gives the limit that was.
fn leave_no_room() -> u64 {
    // The lowest number that is free is where the next one would be.
    let next = std::fs::File::open("/dev/null").unwrap();
    let number = next.as_raw_fd() as u64;
    drop(next);
    limits::limit_descriptors(number)
}

/// What was not handed over, for want of a descriptor.
fn stays<S>(not: NotHandedOver<S>) -> S {
    assert_eq!(not.error.raw_os_error(), Some(libc::EMFILE), "{}", not.error);
    not.socket
}

fn without_descriptors_what_is_in_the_table_stays_usable(builder: Builder) {
    alone(|| {
        on_a_loop(builder.direct_descriptors(10), async {
            let is_ring = driver() == Driver::Uring;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut peer = StdStream::connect(address).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let clients = accept_for_nobody(&listener, || StdStream::connect(address).unwrap()).await;
            let before = leave_no_room();
            let (stream, listener) = (stream.detach().await, listener.detach().await);
            limits::limit_descriptors(before);
            if stream.is_ok() && listener.is_ok() {
                let why = if is_ring { "this kernel has no such table" } else { "there is no ring" };
                support::skipped(&child::name(), why);
            }
            // What was not in the table is none the worse for it.
            let stream = match stream {
                Err(not) => stays(not),
                Ok(detached) => detached.attach().unwrap(),
            };
            let listener = match listener {
                Err(not) => stays(not),
                Ok(detached) => detached.attach().unwrap(),
            };
            peer.write_all(b"still whole").unwrap();
            drop(peer);
            assert_eq!(read_to_end(&stream).await, b"still whole");
            for client in clients {
                let accepted = timeout(PATIENCE, listener.accept()).await.expect("it was accepted");
                assert_eq!(accepted.unwrap().1, client.local_addr().unwrap());
            }
        });
    });
}

fn what_nobody_attaches_is_closed_when_it_is_dropped(builder: Builder) {
    alone(|| {
        on_a_loop(builder, async {
            // What is made once for the whole loop is made before.
            drop(pair().await);
            spawn_blocking(|| ()).await.unwrap();
            sleep(Duration::from_millis(5)).await;
            let before = audit::descriptors();
            let (stream, mut peer) = with_std_peer().await;
            receive_for_nobody(&stream, &mut peer, b"left").await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let clients = accept_for_nobody(&listener, || StdStream::connect(address).unwrap()).await;
            let detached = (stream.detach().await.unwrap(), listener.detach().await.unwrap());
            // On a thread without a loop.
            spawn_blocking(move || drop(detached)).await.unwrap();
            for mut peer in clients.into_iter().chain([peer]) {
                peer.set_read_timeout(Some(PATIENCE)).unwrap();
                let told = spawn_blocking(move || peer.read(&mut [0])).await.unwrap();
                let told = told.map_err(|error| error.kind());
                // A connection that nobody had accepted is reset.
                assert!(matches!(told, Ok(0) | Err(ErrorKind::ConnectionReset)), "{told:?}");
            }
            sleep(Duration::from_millis(5)).await;
            audit::comes_back("descriptors", before, audit::descriptors);
        });
    });
}

async fn leaving_half_way_closes() {
    let (stream, mut peer) = with_std_peer().await;
    let mut idle = stream.read(Vec::with_capacity(8));
    assert!(begin(&mut idle).is_pending());
    yield_now().await;
    let mut leaving = Box::pin(stream.detach());
    drop(futures_util::poll!(&mut leaving));
    drop(leaving);
    drop(idle);
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = spawn_blocking(move || peer.read(&mut [0; 8])).await.unwrap();
    assert_eq!(told.unwrap(), 0);
}

fn outside_of_a_loop_attaching_panics_and_says_so(builder: Builder) {
    let (detached, mut peer) = on_a_loop(builder, async {
        let (stream, peer) = with_std_peer().await;
        (stream.detach().await.unwrap(), peer)
    });
    let panic = quietly(AssertUnwindSafe(|| drop(detached.attach()))).unwrap_err();
    let text = panic.downcast_ref::<String>().map_or("", String::as_str);
    assert!(text.contains("outside of"), "{text:?}");
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "it is closed");
}

fn a_stream_of_a_loop_that_has_ended_stays(builder: Builder) {
    let (stream, mut peer) = on_a_loop(builder, with_std_peer());
    let refused = stream.detach().now_or_never().expect("nothing is waited for").unwrap_err();
    assert!(refused.error.to_string().contains("has ended"), "{refused}");
    drop(refused);
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "it is closed");
}

/// Leaves a mark among the system calls.
fn mark(text: &str) {
    // SAFETY: the bytes are there for the time of the call.
    #[allow(unsafe_code, reason = "one system call, and no lock or buffer about it")]
    let written = unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    assert_eq!(written, text.len() as isize);
}

fn with_nothing_in_flight_no_call_is_made(builder: Builder) {
    let test = child::name();
    if child::is_child(&test) {
        let here = builder.clone().build().unwrap();
        let (fresh, used, _peers) = here
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let mut peer = StdStream::connect(listener.local_addr().unwrap()).unwrap();
                let (used, _) = listener.accept().await.unwrap();
                let mut read = used.read(Vec::with_capacity(8));
                assert!(timeout(Duration::from_millis(5), &mut read).await.is_err());
                peer.write_all(b"it has waited").unwrap();
                read.await.0.unwrap();
                let other = StdStream::connect(listener.local_addr().unwrap()).unwrap();
                let (fresh, _) = listener.accept().await.unwrap();
                mark("<fresh>\n");
                let fresh = fresh.detach().await.unwrap();
                mark("</fresh>\n");
                mark("<used>\n");
                let used = used.detach().await.unwrap();
                mark("</used>\n");
                (fresh, used, [peer, other])
            })
            .unwrap();
        let there = builder.build().unwrap();
        let attached = there.run(async {
            mark("<attach>\n");
            let streams = (fresh.attach().unwrap(), used.attach().unwrap());
            mark("</attach>\n");
            streams.0.write_all("it serves").await.0
        });
        return attached.unwrap().unwrap();
    }
    let Some(text) = support::traced::traced(&[]) else { return };
    let between = |what: &str| {
        let begin = |line: &&str| line.contains("write(2,") && line.contains(&format!("<{what}>"));
        let thread = text.lines().find(begin).and_then(|line| line.split(' ').next()).expect("a mark");
        let own = text.lines().filter(|line| line.starts_with(thread)).skip_while(|line| !begin(line));
        let calls = own.skip(1).take_while(|line| !line.contains(&format!("</{what}>")));
        // More memory is asked for whenever it is used up, by whoever comes then.
        let memory = ["mmap(", "munmap(", "brk(", "madvise(", "mremap("];
        calls.filter(|line| !memory.iter().any(|call| line.contains(call))).collect::<Vec<_>>()
    };
    let (fresh, used, attach) = (between("fresh"), between("used"), between("attach"));
    println!("a fresh one: {fresh:?}, one that has waited: {used:?}, two attached: {attach:?}");
    assert!(fresh.is_empty() && attach.is_empty(), "{fresh:#?} {attach:#?}");
    assert!(used.len() <= 1 && used.iter().all(|call| call.contains("epoll_ctl")), "{used:#?}");
}
