//! Peers that reset, close halfway, or come and go by the thousand: each future that waits is told the right error, and
//! a server goes on.

mod support;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn, spawn_blocking};
use support::audit;
use support::child::alone;
use support::data::{assert_same, bytes};
use support::guarded::{self, Guarded};
use support::on_every_driver;
use support::outside::{Peer, elsewhere, with_peer};

on_every_driver! {
    a_reset_ends_each_kind_of_future_that_waits,
    a_reset_is_told_once_to_all_that_queue_for_a_direction,
    a_close_amid_a_write_is_an_error_to_the_writer,
    the_end_of_one_direction_ends_what_waits_for_it_and_nothing_else,
    a_refusal_that_comes_late_ends_a_connect_that_waits,
    a_thousand_peers_that_are_gone_when_they_are_accepted_end_no_server,
    peers_that_are_reset_while_they_are_accepted_end_no_server,
    a_listener_that_closes_under_load_ends_all_accepts,
}

const SOON: Duration = Duration::from_secs(20);
/// More than a connection holds on its way.
const MUCH: usize = 16 << 20;

type Ended<T> = Pin<Box<dyn Future<Output = io::Result<T>>>>;

/// Begins what waits in a task, lets `happen` happen to it, and gives what it is told.
async fn told<T: 'static>(waits: Ended<T>, happen: impl AsyncFnOnce()) -> io::Result<T> {
    let waiting = spawn(waits);
    sleep(Duration::from_millis(10)).await;
    assert!(!waiting.is_finished(), "it waits");
    happen().await;
    timeout(SOON, waiting).await.expect("it is told").unwrap()
}

/// Futures of each kind that wait for a peer that neither reads nor writes.
fn reads_that_wait(stream: &Rc<TcpStream>) -> Vec<(&'static str, Ended<usize>)> {
    let own = || Rc::clone(stream);
    let (a, b, c) = (own(), own(), own());
    vec![
        ("read", Box::pin(async move { a.read(Guarded::new(10)).await.0 })),
        ("readv", Box::pin(async move { b.readv(vec![Guarded::new(10), Guarded::new(10)]).await.0 })),
        ("read_exact", Box::pin(async move { c.read_exact(Guarded::new(10)).await.0.map(|()| 0) })),
    ]
}

fn writes_that_wait(stream: &Rc<TcpStream>) -> Vec<(&'static str, Ended<usize>)> {
    let own = || Rc::clone(stream);
    let much = || Guarded::of(&vec![1; MUCH]);
    let (a, b, c) = (own(), own(), own());
    vec![
        ("write", Box::pin(async move { again(async || a.write(much()).await.0).await })),
        ("writev", Box::pin(async move { again(async || b.writev(vec![much(), much()]).await.0).await })),
        ("write_all", Box::pin(async move { c.write_all(much()).await.0.map(|()| 0) })),
    ]
}

/// One write may be done in part; the next one waits.
async fn again(mut write: impl AsyncFnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        write().await?;
    }
}

fn a_reset_ends_each_kind_of_future_that_waits(builder: Builder) {
    // Alone, for it counts the buffers of the whole process.
    alone(|| builder.build().unwrap().run(reset_amid_each_kind()).unwrap());
}

async fn reset_amid_each_kind() {
    for n in 0..3 {
        let (stream, peer) = with_peer().await;
        let (kind, read) = reads_that_wait(&Rc::new(stream)).swap_remove(n);
        let error = told(read, async move || peer.reset().await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{kind}: {error}");

        let (stream, peer) = with_peer().await;
        let (kind, write) = writes_that_wait(&Rc::new(stream)).swap_remove(n);
        let error = told(write, async move || peer.reset().await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{kind}: {error}");
    }
    // To wait for readiness is not to be told: the transfer that follows is.
    let (stream, peer) = with_peer().await;
    let stream = Rc::new(stream);
    let own = Rc::clone(&stream);
    told(Box::pin(async move { own.readable().await }), async move || peer.reset().await).await.unwrap();
    let error = stream.read(vec![0; 1]).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(stream.write("x").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(guarded::mapped(), 0, "every buffer came back");
}

async fn a_reset_is_told_once_to_all_that_queue_for_a_direction() {
    let (stream, peer) = with_peer().await;
    let stream = Rc::new(stream);
    let reads: Vec<_> = reads_that_wait(&stream).into_iter().map(|(_, read)| spawn(read)).collect();
    sleep(Duration::from_millis(10)).await;
    peer.reset().await;
    let mut told = Vec::new();
    for read in reads {
        let result = timeout(SOON, read).await.expect("each is told something").unwrap();
        told.push(result.map_err(|error| error.kind()));
    }
    // The kernel tells the error once, and afterwards says that this is the end.
    let expected = [Err(ErrorKind::ConnectionReset), Ok(0), Err(ErrorKind::UnexpectedEof)];
    assert_eq!(told, expected);
}

/// Who closes with data unread resets.
async fn a_close_amid_a_write_is_an_error_to_the_writer() {
    for n in 0..3 {
        let (stream, peer) = with_peer().await;
        let (kind, write) = writes_that_wait(&Rc::new(stream)).swap_remove(n);
        let error = told(write, async move || peer.close().await).await.unwrap_err();
        let known = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(known.contains(&error.kind()), "{kind}: {error}");
    }
}

async fn the_end_of_one_direction_ends_what_waits_for_it_and_nothing_else() {
    for (n, expected) in [Ok(0), Ok(0), Err(ErrorKind::UnexpectedEof)].into_iter().enumerate() {
        let (stream, mut peer) = with_peer().await;
        let stream = Rc::new(stream);
        let write = spawn(writes_that_wait(&stream).swap_remove(2).1);
        let (kind, read) = reads_that_wait(&stream).swap_remove(n);
        let got = told(read, async || peer.end_writing().await).await;
        assert_eq!(got.map_err(|error| error.kind()), expected, "{kind}");
        // The other direction is what it was.
        assert!(!write.is_finished());
        peer.read_exact(MUCH).await.unwrap();
        write.await.unwrap().unwrap();
    }
    // And ours: the peer sees the end, and still may write.
    let (stream, mut peer) = with_peer().await;
    let stream = Rc::new(stream);
    stream.shutdown(Shutdown::Write).await.unwrap();
    assert_eq!(stream.write("x").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(peer.read(1).await.unwrap(), b"");
    let (_, read) = reads_that_wait(&stream).swap_remove(2);
    told(read, async move || peer.write_all(&[7; 4096]).await.unwrap()).await.unwrap();
}

/// A queue of connections that is full answers nothing at first; when its listener is gone, the next try is refused.
async fn a_refusal_that_comes_late_ends_a_connect_that_waits() {
    let listener = TcpListener::bind_with_backlog("127.0.0.1:0", 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    let waiting: Vec<_> = (0..4).map(|_| spawn(TcpStream::connect(address))).collect();
    sleep(Duration::from_millis(50)).await;
    let pending = waiting.iter().filter(|connect| !connect.is_finished()).count();
    if pending == 0 {
        return support::skipped("a late refusal", "this system's queue of connections is never full");
    }
    listener.close().await.unwrap();
    let mut refused = 0;
    for connect in waiting {
        match timeout(SOON, connect).await.expect("it is told").unwrap() {
            // One of those that found room.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(refused, pending);
}

/// Serves echoes until it is told to stop, and ends with the first error, as servers do that are written in a hurry.
async fn serve(listener: TcpListener, stop: Arc<AtomicBool>) -> io::Result<TcpListener> {
    while !stop.load(Ordering::SeqCst) {
        let (stream, _) = listener.accept().await?;
        drop(spawn(async move {
            let mut room = Vec::with_capacity(1000);
            loop {
                let (Ok(count), filled) = stream.read(room).await else { return };
                if count == 0 {
                    return;
                }
                let (Ok(()), sent) = stream.write_all(filled).await else { return };
                room = sent;
            }
        }));
    }
    Ok(listener)
}

/// Connects and is gone, without an end.
async fn come_and_go(address: SocketAddr) {
    Peer::connect(address).await.unwrap().reset().await;
}

/// Someone who came for something gets it, and the server stops afterwards.
async fn is_served(address: SocketAddr, stop: Arc<AtomicBool>) {
    let mut good = Peer::connect(address).await.unwrap();
    let line = bytes(1, 500);
    good.write_all(&line).await.unwrap();
    assert_same(&good.read_exact(500).await.unwrap(), &line);
    stop.store(true, Ordering::SeqCst);
    // For the accept that waits by now.
    drop(Peer::connect(address).await);
}

fn a_thousand_peers_that_are_gone_when_they_are_accepted_end_no_server(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                spawn_blocking(|| ()).await.unwrap();
                let before = audit::descriptors();
                for _ in 0..1000 {
                    come_and_go(address).await;
                }
                let stop = Arc::new(AtomicBool::new(false));
                let served = spawn(serve(listener, Arc::clone(&stop)));
                elsewhere(move || is_served(address, stop)).await.unwrap();
                let _listener = timeout(SOON, served).await.unwrap().unwrap().expect("the server goes on");
                sleep(Duration::from_millis(20)).await;
                audit::comes_back("descriptors", before, audit::descriptors);
            })
            .unwrap();
        let metrics = runtime.metrics();
        assert_eq!((metrics.in_flight, metrics.stray), (0, 0), "{metrics:?}");
    });
}

fn peers_that_are_reset_while_they_are_accepted_end_no_server(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                spawn_blocking(|| ()).await.unwrap();
                let before = audit::descriptors();
                let stop = Arc::new(AtomicBool::new(false));
                let served = spawn(serve(listener, Arc::clone(&stop)));
                let coming_and_going = elsewhere(move || async move {
                    for n in 0..1000 {
                        let mut peer = Peer::connect(address).await.unwrap();
                        // Some have asked for something that they do not wait for.
                        if n % 3 == 0 {
                            let _ = peer.write_all(b"never mind").await;
                        }
                        peer.reset().await;
                    }
                    is_served(address, stop).await;
                });
                coming_and_going.await.unwrap();
                let _listener = timeout(SOON, served).await.unwrap().unwrap().expect("the server goes on");
                sleep(Duration::from_millis(20)).await;
                audit::comes_back("descriptors", before, audit::descriptors);
            })
            .unwrap();
        assert_eq!(runtime.metrics().in_flight, 0);
    });
}

fn a_listener_that_closes_under_load_ends_all_accepts(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        let before = runtime
            .run(async {
                spawn_blocking(|| ()).await.unwrap();
                let before = audit::descriptors();
                for round in 0..20 {
                    let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
                    let address = listener.local_addr().unwrap();
                    // Fewer come than are waited for, so some accepts get nobody.
                    let load = elsewhere(move || async move {
                        for _ in 0..5 + round {
                            drop(Peer::connect(address).await);
                        }
                    });
                    // Accepts that outlive their listener: each holds only what it needs.
                    let accepts: Vec<_> = (0..40).map(|_| spawn(listener.accept())).collect();
                    sleep(Duration::from_micros(50 * round)).await;
                    let listener = Rc::into_inner(listener).expect("nobody else has it");
                    timeout(SOON, listener.close()).await.expect("it closes").unwrap();
                    let mut accepted = 0;
                    for accept in accepts {
                        match timeout(SOON, accept).await.expect("each accept ends").unwrap() {
                            Ok(_) => accepted += 1,
                            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}"),
                        }
                    }
                    assert!(accepted <= 5 + round);
                    timeout(SOON, load).await.expect("the port is closed").unwrap();
                }
                sleep(Duration::from_millis(20)).await;
                before
            })
            .unwrap();
        audit::comes_back("descriptors", before, audit::descriptors);
        assert_eq!(runtime.metrics().in_flight, 0);
    });
}
