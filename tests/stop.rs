//! Stopping: by a time-out, a signal or a token, an operation resolves by itself and loses nothing.

mod support;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::fs::File;
use annulus::io::{AsyncRead, AsyncWrite, Incomplete};
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{now, sleep, timeout};
use annulus::{CancelToken, spawn, yield_now};
use support::data::{Dice, bytes};
use support::net::{pair, read_to_end};
use support::on_every_driver;
use support::outside::{self, directory};

on_every_driver! {
    a_read_whose_time_is_up_gives_its_buffer_back,
    a_read_that_is_answered_in_time_gives_its_data,
    an_accept_whose_time_is_up_loses_no_connection,
    the_time_of_an_operation_that_waits_for_its_turn_counts,
    a_time_out_that_is_past_lets_nothing_begin,
    a_signal_stops_an_operation,
    a_token_stops_many_operations_and_tasks,
    a_token_that_is_cancelled_stops_what_comes_later,
    children_of_a_token_are_cancelled_with_it_and_not_the_other_way,
    a_token_forgets_who_does_not_wait_any_more,
    a_guard_cancels_when_it_is_dropped,
    who_runs_until_cancelled_is_dropped,
    a_waker_that_cancels_again_is_harmless,
    dropped_whole_reads_lose_no_byte,
    a_whole_read_through_the_trait_loses_no_byte,
    what_a_dropped_write_sent_can_be_asked_for,
    a_write_that_follows_a_dropped_one_wins,
    whole_writes_of_two_tasks_do_not_interleave,
    an_interrupted_copy_says_how_far_it_came,
}

const SOON: Duration = Duration::from_millis(5);

fn begin<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

async fn a_read_whose_time_is_up_gives_its_buffer_back() {
    let (client, server) = pair().await;
    let start = now();
    let (result, buffer) = server.read(Vec::with_capacity(100)).timeout(SOON).await;
    assert!(now() - start >= SOON);
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::TimedOut, Some(libc::ETIMEDOUT)));
    assert_eq!(buffer.capacity(), 100);
    // The stream is as good as before.
    client.write_all("later").await.0.unwrap();
    assert_eq!(server.read(buffer).timeout(Duration::from_secs(30)).await.1, b"later");
}

async fn a_read_that_is_answered_in_time_gives_its_data() {
    let (client, server) = pair().await;
    client.write_all("there").await.0.unwrap();
    let (result, buffer) =
        server.read_exact(vec![0; 5].into_boxed_slice()).timeout(Duration::from_secs(30)).await;
    result.unwrap();
    assert_eq!(&*buffer, b"there");
}

async fn an_accept_whose_time_is_up_loses_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = listener.accept().timeout(SOON).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let client = spawn(TcpStream::connect(listener.local_addr().unwrap()));
    let (_, peer) = listener.accept().timeout(Duration::from_secs(30)).await.unwrap();
    assert_eq!(client.await.unwrap().unwrap().local_addr().unwrap(), peer);
}

async fn the_time_of_an_operation_that_waits_for_its_turn_counts() {
    let (client, server) = pair().await;
    let mut first = server.read(Vec::with_capacity(8));
    assert!(begin(&mut first).is_pending());
    let (result, _) = server.read(Vec::with_capacity(8)).timeout(SOON).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
    client.write_all("first").await.0.unwrap();
    assert_eq!(first.await.1, b"first");
}

async fn a_time_out_that_is_past_lets_nothing_begin() {
    let (client, server) = pair().await;
    client.write_all("waits").await.0.unwrap();
    let read = server.read(Vec::with_capacity(8)).timeout_at(now() - SOON);
    // The operation has the first word: what is answered at once is given. Otherwise it is stopped.
    if let (Err(error), _) = read.await {
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(server.read(Vec::with_capacity(8)).await.1, b"waits");
    }
}

async fn a_signal_stops_an_operation() {
    let (_client, server) = pair().await;
    let (result, buffer) = server.read(Vec::with_capacity(8)).cancel_when(sleep(SOON)).await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buffer.capacity(), 8);
}

async fn a_token_stops_many_operations_and_tasks() {
    let token = CancelToken::new();
    let (mut reads, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let (client, server) = pair().await;
        let read = server.read(Vec::with_capacity(64)).cancel_on(&token);
        reads.push(spawn(async move {
            let _kept = (client, server);
            read.await
        }));
        tasks.push(spawn(std::future::pending::<()>()));
        tasks.last().unwrap().abort_on(&token);
    }
    yield_now().await;
    assert!(reads.iter().all(|read| !read.is_finished()));
    token.cancel();
    for (read, task) in reads.into_iter().zip(tasks) {
        let (result, buffer) = read.await.unwrap();
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(buffer.capacity(), 64);
        assert!(task.await.unwrap_err().is_cancelled());
    }
}

async fn a_token_that_is_cancelled_stops_what_comes_later() {
    let token = CancelToken::new();
    token.cancel();
    token.cancel();
    assert!(token.is_cancelled());
    token.cancelled().await;
    let (_client, server) = pair().await;
    let (result, _) = server.read(Vec::with_capacity(8)).cancel_on(&token).await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    let task = spawn(std::future::pending::<()>());
    task.abort_on(&token);
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(token.child_token().is_cancelled());
}

async fn children_of_a_token_are_cancelled_with_it_and_not_the_other_way() {
    let server = CancelToken::new();
    let connections: Vec<_> = (0..100).map(|_| server.child_token()).collect();
    let below = connections[7].child_token();
    connections[7].cancel();
    assert!(below.is_cancelled() && !server.is_cancelled() && !connections[8].is_cancelled());
    let waits = spawn({
        let token = connections[8].clone();
        async move { token.cancelled().await }
    });
    yield_now().await;
    server.cancel();
    assert!(connections.iter().all(CancelToken::is_cancelled));
    waits.await.unwrap();
}

/// In a server each connection has a child of one token, registers tasks with it, and goes away.
async fn a_token_forgets_who_does_not_wait_any_more() {
    let token = CancelToken::new();
    for _ in 0..1000 {
        let waits = token.cancelled();
        assert!(begin(&mut pin!(waits)).is_pending());
        drop(token.child_token());
        let task = spawn(async {});
        task.abort_on(&token);
        task.await.unwrap();
    }
    // Whose waker is dropped is told nothing; who waits is.
    let waits = spawn({
        let token = token.clone();
        async move { token.cancelled().await }
    });
    yield_now().await;
    token.cancel();
    waits.await.unwrap();
}

async fn a_guard_cancels_when_it_is_dropped() {
    let token = CancelToken::new();
    drop(token.clone().drop_guard().disarm());
    assert!(!token.is_cancelled());
    let guard = token.clone().drop_guard();
    let task = spawn(async move {
        let _guard = guard;
        sleep(Duration::from_secs(60)).await;
    });
    yield_now().await;
    task.abort();
    token.cancelled().await;
}

async fn who_runs_until_cancelled_is_dropped() {
    let token = CancelToken::new();
    assert_eq!(token.run_until_cancelled(async { 7 }).await, Some(7));
    let held = Rc::new(());
    let forever = {
        let held = Rc::clone(&held);
        async move {
            std::future::pending::<()>().await;
            drop(held);
        }
    };
    let task = spawn({
        let token = token.clone();
        async move { token.run_until_cancelled(forever).await }
    });
    yield_now().await;
    token.cancel();
    assert_eq!(task.await.unwrap(), None);
    assert_eq!(Rc::strong_count(&held), 1);
}

/// A waker that comes back to the token while the token tells everybody.
struct ComesBack;

thread_local! {
    static TOKEN: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
    static CAME: Cell<u32> = const { Cell::new(0) };
}

impl std::task::Wake for ComesBack {
    fn wake(self: std::sync::Arc<Self>) {
        CAME.set(CAME.get() + 1);
        let token = TOKEN.with_borrow(|token| token.clone().unwrap());
        token.cancel();
        drop(token.child_token());
        assert!(begin(&mut pin!(token.cancelled())).is_ready());
    }
}

async fn a_waker_that_cancels_again_is_harmless() {
    let token = CancelToken::new();
    TOKEN.set(Some(token.clone()));
    let mut waits = [token.cancelled(), token.cancelled()];
    for wait in &mut waits {
        let waker = Waker::from(std::sync::Arc::new(ComesBack));
        assert!(Pin::new(wait).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    token.cancel();
    assert_eq!(CAME.get(), 2);
    TOKEN.set(None);
}

/// Whole reads of random sizes, dropped at random moments while the peer sends piece by piece.
async fn dropped_whole_reads_lose_no_byte() {
    let (client, server) = pair().await;
    let sent = bytes(5, 300_000);
    let writer = spawn({
        let sent = sent.clone();
        async move {
            let mut dice = Dice::new(6);
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(rest.len().min(1 + dice.below(2000) as usize));
                client.write_all(piece.to_vec()).await.0.unwrap();
                rest = later;
                if dice.below(3) == 0 {
                    sleep(Duration::from_micros(dice.below(100))).await;
                }
            }
        }
    });
    let mut dice = Dice::new(7);
    let mut got = Vec::new();
    let mut dropped = 0;
    loop {
        let room = vec![0; 1 + dice.below(5000) as usize].into_boxed_slice();
        let wanted = room.len();
        let span = Duration::from_micros(dice.below(300));
        match timeout(span, server.read_exact(room)).await {
            Err(_) => dropped += 1,
            Ok((Ok(()), piece)) => got.extend_from_slice(&piece),
            Ok((Err(error), piece)) => {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                let done = Incomplete::of(&error).unwrap();
                assert_eq!(done.wanted(), Some(wanted));
                got.extend_from_slice(&piece[..done.done()]);
                break;
            }
        }
    }
    writer.await.unwrap();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    assert!(dropped > 0);
}

/// As code that is generic over readers does it.
async fn gather<R: AsyncRead>(reader: &mut R, length: usize) -> Option<Vec<u8>> {
    let read = reader.read_exact(Vec::with_capacity(length));
    timeout(SOON, read).await.ok().map(|(_, buffer)| buffer)
}

async fn a_whole_read_through_the_trait_loses_no_byte() {
    let (client, server) = pair().await;
    let (mut whole, mut half) = (&server, server.split().0);
    client.write_all("four").await.0.unwrap();
    assert_eq!(gather(&mut whole, 100).await, None);
    assert_eq!(gather(&mut &mut half, 100).await, None);
    assert_eq!(gather(&mut half, 4).await.unwrap(), b"four");
}

async fn what_a_dropped_write_sent_can_be_asked_for() {
    let (client, server) = pair().await;
    let sent = bytes(9, 8 << 20);
    assert_eq!(client.settle_writes().await.unwrap(), 0);
    let mut told = 0;
    // Nobody reads yet, so they cannot go.
    for _ in 0..3 {
        let rest = sent[told..].to_vec();
        assert!(timeout(SOON, client.write_all(rest)).await.is_err());
        told += client.settle_writes().await.unwrap();
    }
    assert!(0 < told && told < sent.len());
    let reader = spawn(async move { read_to_end(&server).await });
    client.write_all(sent[told..].to_vec()).await.0.unwrap();
    client.shutdown(Shutdown::Write).await.unwrap();
    assert!(reader.await.unwrap() == sent, "from what was told the writer could go on");
}

async fn a_write_that_follows_a_dropped_one_wins() {
    const LENGTH: usize = 64 * 1024;
    let directory = directory().await;
    let path = directory.path().join("file");
    for round in 0..200 {
        let file = File::create(&path).await.unwrap();
        let mut dropped: Vec<_> = (0..3).map(|_| file.write_all_at(vec![b'a'; LENGTH], 0)).collect();
        dropped.iter_mut().for_each(|write| assert!(begin(write).is_pending()));
        if round % 2 == 0 {
            yield_now().await;
        }
        drop(dropped);
        file.write_all_at(vec![b'b'; LENGTH], 0).await.0.unwrap();
        let (result, bytes) =
            File::open(&path).await.unwrap().read_exact_at(vec![0; LENGTH].into_boxed_slice(), 0).await;
        result.unwrap();
        assert!(bytes.iter().all(|byte| *byte == b'b'), "overtaken in round {round}");
        file.close().await.unwrap();
        assert!(
            outside::read(&path).await.iter().all(|byte| *byte == b'b'),
            "changed later, in round {round}"
        );
    }
}

async fn whole_writes_of_two_tasks_do_not_interleave() {
    const LENGTH: usize = 3 << 20;
    let (client, server) = pair().await;
    let client = Rc::new(client);
    let writers: Vec<_> = [b'a', b'b']
        .map(|byte| {
            let client = Rc::clone(&client);
            spawn(async move { (&*client).write_all_by_trait(vec![byte; LENGTH]).await })
        })
        .into();
    let (result, got) = server.read_exact(vec![0; 2 * LENGTH].into_boxed_slice()).await;
    result.unwrap();
    let (first, second) = got.split_at(LENGTH);
    assert!(first.iter().all(|byte| *byte == first[0]) && second.iter().all(|byte| *byte == second[0]));
    for writer in writers {
        writer.await.unwrap();
    }
}

trait WriteAll {
    async fn write_all_by_trait(&mut self, bytes: Vec<u8>);
}

impl<W: AsyncWrite> WriteAll for W {
    async fn write_all_by_trait(&mut self, bytes: Vec<u8>) {
        self.write_all(bytes).await.0.unwrap();
    }
}

async fn an_interrupted_copy_says_how_far_it_came() {
    let (mut client, server) = pair().await;
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, bytes(3, 64 << 20)).await;
    let mut from = File::open(&path).await.unwrap();
    let peer = spawn(async move {
        server.read_exact(vec![0; 100_000].into_boxed_slice()).await.0.unwrap();
        server.set_linger(Some(Duration::ZERO)).unwrap();
    });
    let error = annulus::io::copy(&mut from, &mut client).await.unwrap_err();
    peer.await.unwrap();
    let incomplete = Incomplete::of(&error).expect("it says how far it came");
    assert!(incomplete.done() >= 100_000, "{incomplete}");
    assert_eq!(incomplete.wanted(), None);
    assert!(incomplete.error().raw_os_error().is_some());
}
