//! Nothing is lost: not a byte, not a connection, not an error, however a wait for it was given up.

mod support;

use std::future::Future;
use std::io::{ErrorKind, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn, yield_now};
use futures_util::FutureExt;
use support::audit;
use support::child::alone;
use support::data::{Dice, assert_same, bytes};
use support::guarded::{self, Guarded};
use support::net::{pair, read_to_end};
use support::outside::{Peer, arrival, directory, with_peer};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    cancelling_a_read_gives_the_buffer_back,
    cancelling_a_read_that_is_answered_gives_the_data,
    cancelling_before_the_first_poll_submits_nothing,
    cancelling_twice_is_as_good_as_once,
    cancelling_one_read_leaves_the_others_waiting,
    cancelling_a_write_gives_the_buffer_back_and_tells_what_went,
    cancelling_an_accept_loses_no_connection,
    dropping_an_accept_loses_no_connection,
    dropping_a_read_loses_no_byte,
    dropping_a_read_whose_data_are_there_loses_no_byte,
    what_a_dropped_read_left_is_handed_out_in_pieces,
    what_a_dropped_read_left_makes_a_stream_readable,
    what_a_dropped_vectored_read_left_keeps_its_order,
    a_reset_that_a_dropped_read_was_told_is_told_to_the_next,
    an_end_that_a_dropped_read_was_told_is_told_to_the_next,
    a_write_begins_when_a_dropped_one_is_settled,
    select_drops_the_loser_and_loses_nothing,
    aborting_a_task_that_reads_loses_no_byte,
    a_queue_of_dropped_reads_blocks_nobody,
    a_dropped_open_closes_what_was_opened,
    a_dropped_connect_closes_what_was_opened,
    forgetting_an_operation_is_harmless,
    ten_thousand_reads_raced_against_time_outs_lose_no_byte,
    ten_thousand_accepts_raced_against_time_outs_lose_no_connection_and_no_descriptor,
    ten_thousand_dropped_operations_free_their_buffers_and_none_too_early,
}

on_real_drivers! {
    because "it reads a pipe of the machine's":
        a_read_dropped_at_the_cursor_of_a_pipe_loses_no_byte;
}

fn room(length: usize) -> Vec<u8> {
    Vec::with_capacity(length)
}

/// Polls once, so that what is polled is under way.
fn begin<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

const ECANCELED: Option<i32> = Some(libc::ECANCELED);

async fn cancelling_a_read_gives_the_buffer_back() {
    let (client, server) = pair().await;
    let mut read = server.read(room(100));
    assert!(timeout(Duration::from_millis(5), &mut read).await.is_err());
    read.cancel();
    let (result, buffer) = timeout(Duration::from_secs(5), read).await.unwrap();
    assert_eq!(result.unwrap_err().raw_os_error(), ECANCELED);
    assert_eq!(buffer.capacity(), 100);
    client.write_all("later").await.0.unwrap();
    assert_eq!(server.read(buffer).await.1, b"later");
}

async fn cancelling_a_read_that_is_answered_gives_the_data() {
    let (client, server) = pair().await;
    let mut read = server.read(room(100));
    assert!(begin(&mut read).is_pending());
    client.write_all("data").await.0.unwrap();
    arrival().await;
    read.cancel();
    let (result, buffer) = read.await;
    assert_eq!(result.unwrap(), 4);
    assert_eq!(buffer, b"data");
}

async fn cancelling_before_the_first_poll_submits_nothing() {
    let (client, server) = pair().await;
    client.write_all("data").await.0.unwrap();
    let submitted = annulus::Runtime::try_current().unwrap().metrics().submitted;
    let mut read = server.read(room(100));
    read.cancel();
    let (result, buffer) = read.await;
    assert_eq!(result.unwrap_err().raw_os_error(), ECANCELED);
    assert_eq!(buffer.capacity(), 100);
    assert_eq!(annulus::Runtime::try_current().unwrap().metrics().submitted, submitted);
    assert_eq!(server.read(buffer).await.1, b"data");
}

async fn cancelling_twice_is_as_good_as_once() {
    let (_client, server) = pair().await;
    let mut read = server.read(room(100));
    assert!(begin(&mut read).is_pending());
    read.cancel();
    read.cancel();
    yield_now().await;
    read.cancel();
    assert_eq!(read.await.0.unwrap_err().raw_os_error(), ECANCELED);
}

async fn cancelling_one_read_leaves_the_others_waiting() {
    let (client, server) = pair().await;
    let (mut first, mut second, mut third) =
        (server.read(room(4)), server.read(room(4)), server.read(room(4)));
    for read in [&mut first, &mut second, &mut third] {
        assert!(begin(read).is_pending());
    }
    second.cancel();
    first.cancel();
    assert_eq!(first.await.0.unwrap_err().raw_os_error(), ECANCELED);
    assert_eq!(second.await.0.unwrap_err().raw_os_error(), ECANCELED);
    let third = spawn(third);
    sleep(Duration::from_millis(5)).await;
    assert!(!third.is_finished());
    client.write_all("last").await.0.unwrap();
    assert_eq!(third.await.unwrap().1, b"last");
}

async fn cancelling_a_write_gives_the_buffer_back_and_tells_what_went() {
    const LENGTH: usize = 32 << 20;
    let (stream, peer) = with_peer().await;
    let sent = bytes(1, LENGTH);
    let mut write = stream.write_all(sent).boxed_local();
    assert!(timeout(Duration::from_millis(20), &mut write).await.is_err(), "more than the system holds");
    drop(write);
    // Single writes tell.
    let mut write = stream.write(vec![7; LENGTH]);
    let written = match timeout(Duration::from_millis(20), &mut write).await {
        Ok((result, _)) => result.unwrap(),
        Err(_) => {
            write.cancel();
            let (result, buffer) = timeout(Duration::from_secs(5), write).await.unwrap();
            assert_eq!(buffer.len(), LENGTH);
            match result {
                Ok(count) => count,
                Err(error) => {
                    assert_eq!(error.raw_os_error(), ECANCELED);
                    0
                }
            }
        }
    };
    drop(stream);
    let all = peer.read_to_end().await;
    let (before, after) = all.split_at(all.len() - written);
    assert!(after.iter().all(|byte| *byte == 7), "as many as were told");
    assert_same(before, &bytes(1, before.len()));
}

async fn cancelling_an_accept_loses_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut accept = listener.accept();
    assert!(begin(&mut accept).is_pending());
    accept.cancel();
    assert_eq!(accept.await.unwrap_err().raw_os_error(), ECANCELED);
    let mut accept = listener.accept();
    assert!(begin(&mut accept).is_pending());
    let client = TcpStream::connect(address).await.unwrap();
    accept.cancel();
    let (_, peer) = match accept.await {
        Ok(accepted) => accepted,
        Err(error) => {
            assert_eq!(error.raw_os_error(), ECANCELED);
            timeout(Duration::from_secs(5), listener.accept()).await.unwrap().unwrap()
        }
    };
    assert_eq!(peer, client.local_addr().unwrap());
}

async fn dropping_an_accept_loses_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for round in 0..100 {
        let mut accept = listener.accept();
        assert!(begin(&mut accept).is_pending());
        if round % 2 == 0 {
            // It is in the kernel.
            yield_now().await;
            sleep(Duration::from_micros(100)).await;
        }
        let client = Peer::connect(address).await.unwrap();
        if round % 3 == 0 {
            sleep(Duration::from_micros(100)).await;
        }
        drop(accept);
        let (_, peer) = timeout(Duration::from_secs(5), listener.accept()).await.unwrap().unwrap();
        assert_eq!(peer, client.local_addr(), "round {round}");
    }
}

async fn dropping_a_read_loses_no_byte() {
    let (client, server) = pair().await;
    for round in 0..100 {
        assert!(timeout(Duration::from_micros(50), server.read(room(64))).await.is_err());
        let text = format!("round {round}");
        client.write_all(text.clone()).await.0.unwrap();
        let (result, got) = timeout(Duration::from_secs(5), server.read(room(64))).await.unwrap();
        result.unwrap();
        assert_eq!(got, text.into_bytes());
    }
}

async fn dropping_a_read_whose_data_are_there_loses_no_byte() {
    let (client, server) = pair().await;
    for round in 0..100 {
        let mut read = server.read(room(64));
        assert!(begin(&mut read).is_pending());
        if round % 2 == 0 {
            sleep(Duration::from_micros(100)).await;
        }
        let text = format!("round {round}");
        client.write_all(text.clone()).await.0.unwrap();
        if round % 3 == 0 {
            sleep(Duration::from_micros(100)).await;
        }
        drop(read);
        let (result, got) =
            timeout(Duration::from_secs(5), server.read_exact(room(text.len()))).await.unwrap();
        result.unwrap();
        assert_eq!(got, text.into_bytes());
    }
}

/// Leaves `text` behind in the stream, as what a dropped read was answered.
async fn leave_behind(client: &TcpStream, server: &TcpStream, text: &'static str) {
    let mut read = server.read(room(64));
    assert!(begin(&mut read).is_pending());
    client.write_all(text).await.0.unwrap();
    arrival().await;
    drop(read);
}

async fn what_a_dropped_read_left_is_handed_out_in_pieces() {
    let (client, server) = pair().await;
    leave_behind(&client, &server, "abcdef").await;
    client.write_all("ghi").await.0.unwrap();
    assert_eq!(server.read(room(2)).await.1, b"ab");
    assert_eq!(server.read(Box::<[u8]>::from(*b"123")).await.1[..], *b"cde");
    assert_eq!(server.read(room(0)).await.0.unwrap(), 0);
    let (result, rest) = server.read_exact(room(4)).await;
    result.unwrap();
    assert_eq!(rest, b"fghi");
}

async fn what_a_dropped_read_left_makes_a_stream_readable() {
    let (client, server) = pair().await;
    leave_behind(&client, &server, "left").await;
    timeout(Duration::from_secs(5), server.readable()).await.unwrap().unwrap();
    assert_eq!(server.read(room(64)).await.1, b"left");
    assert!(timeout(Duration::from_millis(5), server.readable()).await.is_err());
}

async fn what_a_dropped_vectored_read_left_keeps_its_order() {
    let (client, server) = pair().await;
    let mut read = server.readv(vec![room(2), room(0), room(3), room(64)]);
    assert!(begin(&mut read).is_pending());
    client.write_all("abcdefgh").await.0.unwrap();
    arrival().await;
    drop(read);
    client.write_all("ijk").await.0.unwrap();
    let (result, rooms) = server.readv(vec![room(1), room(2)]).await;
    assert_eq!(result.unwrap(), 3);
    assert_eq!(rooms, [&b"a"[..], b"bc"]);
    assert_eq!(server.read(room(3)).await.1, b"def");
    let (result, rest) = server.read_exact(room(5)).await;
    result.unwrap();
    assert_eq!(rest, b"ghijk");
}

async fn a_reset_that_a_dropped_read_was_told_is_told_to_the_next() {
    for vectored in [false, true] {
        let (stream, peer) = with_peer().await;
        let (mut read, mut readv) = (stream.read(room(64)), stream.readv(vec![room(64)]));
        match vectored {
            false => assert!(begin(&mut read).is_pending()),
            true => assert!(begin(&mut readv).is_pending()),
        }
        sleep(Duration::from_millis(5)).await;
        peer.reset().await;
        arrival().await;
        drop((read, readv));
        let error = stream.read(room(64)).await.0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "vectored: {vectored}");
        assert_eq!(stream.read(room(64)).await.0.unwrap(), 0, "told once");
    }
}

async fn an_end_that_a_dropped_read_was_told_is_told_to_the_next() {
    let (client, server) = pair().await;
    let mut read = server.read(room(64));
    assert!(begin(&mut read).is_pending());
    drop(client);
    arrival().await;
    drop(read);
    assert_eq!(server.read(room(64)).await.0.unwrap(), 0);
}

async fn a_write_begins_when_a_dropped_one_is_settled() {
    const LENGTH: usize = 16 << 20;
    let (client, server) = pair().await;
    client.set_send_buffer_size(4096).unwrap();
    for _ in 0..20 {
        let mut write = client.write(vec![b'a'; LENGTH]);
        let _ = begin(&mut write);
        drop(write);
    }
    let last = spawn(async move { client.write_all("the last words").await.0.unwrap() });
    let all = read_to_end(&server).await;
    last.await.unwrap();
    let (dropped, rest) = all.split_at(all.len() - 14);
    assert_eq!(rest, b"the last words");
    assert!(dropped.iter().all(|byte| *byte == b'a'));
}

async fn select_drops_the_loser_and_loses_nothing() {
    let (left, left_peer) = pair().await;
    let (right, right_peer) = pair().await;
    let sender = async |stream: TcpStream, seed: u64| {
        let mut dice = Dice::new(seed);
        for chunk in bytes(seed, 20_000).chunks(97) {
            stream.write_all(chunk.to_vec()).await.0.unwrap();
            if dice.below(4) == 0 {
                sleep(Duration::from_micros(dice.below(200))).await;
            }
        }
    };
    let sending = [spawn(sender(left_peer, 1)), spawn(sender(right_peer, 2))];
    let (mut from_left, mut from_right) = (Vec::new(), Vec::new());
    while from_left.len() < 20_000 || from_right.len() < 20_000 {
        // Both reads are made anew each time, and the one that loses is dropped.
        futures_util::select_biased! {
            (result, got) = left.read(room(61)).fuse() => {
                if result.unwrap() == 0 { break }
                from_left.extend(got);
            }
            (result, got) = right.read(room(61)).fuse() => {
                if result.unwrap() == 0 { break }
                from_right.extend(got);
            }
            () = sleep(Duration::from_micros(50)).fuse() => {}
        }
    }
    from_left.extend(read_to_end(&left).await);
    from_right.extend(read_to_end(&right).await);
    for task in sending {
        task.await.unwrap();
    }
    assert_same(&from_left, &bytes(1, 20_000));
    assert_same(&from_right, &bytes(2, 20_000));
}

async fn aborting_a_task_that_reads_loses_no_byte() {
    let (client, server) = pair().await;
    for round in 0..50 {
        let reading = spawn(server.read(room(64)));
        yield_now().await;
        if round % 2 == 0 {
            sleep(Duration::from_micros(100)).await;
        }
        let text = format!("round {round}");
        client.write_all(text.clone()).await.0.unwrap();
        reading.abort();
        let got = match reading.await {
            Ok((_, got)) => got,
            Err(error) => {
                assert!(error.is_cancelled());
                timeout(Duration::from_secs(5), server.read(room(64))).await.unwrap().1
            }
        };
        assert_eq!(got, text.into_bytes());
    }
}

async fn a_queue_of_dropped_reads_blocks_nobody() {
    let (client, server) = pair().await;
    let mut reads: Vec<_> = (0..30).map(|_| server.read(room(8))).collect();
    for read in &mut reads {
        assert!(begin(read).is_pending());
    }
    // From the middle, the end and the beginning; one is left.
    let last = reads.remove(17);
    reads.drain(10..15);
    reads.truncate(20);
    drop(reads);
    client.write_all("one left").await.0.unwrap();
    assert_eq!(timeout(Duration::from_secs(5), last).await.unwrap().1, b"one left");
    client.write_all("and more").await.0.unwrap();
    assert_eq!(timeout(Duration::from_secs(5), server.read(room(8))).await.unwrap().1, b"and more");
}

async fn a_read_dropped_at_the_cursor_of_a_pipe_loses_no_byte() {
    let (reader, mut writer) = support::pipe::pipe();
    let pipe = annulus::fs::File::from_std(reader);
    let mut all = Vec::new();
    for round in 0..50u8 {
        let mut read = pipe.read(room(64));
        assert!(begin(&mut read).is_pending());
        sleep(Duration::from_micros(u64::from(round % 3) * 200)).await;
        drop(read);
        writer.write_all(&[round; 10]).unwrap();
        let (result, got) = timeout(Duration::from_secs(5), pipe.read(room(64))).await.unwrap();
        result.unwrap();
        all.extend(got);
    }
    drop(writer);
    while let (Ok(1..), got) = pipe.read(room(64)).await {
        all.extend(got);
    }
    assert_same(&all, &(0..50u8).flat_map(|round| [round; 10]).collect::<Vec<_>>());
}

/// Runs a body in a process of its own and asserts that it leaves no descriptor open.
fn leaves_no_descriptor<F: Future<Output = ()>>(builder: Builder, body: impl Fn() -> F) {
    alone(|| {
        let outside = audit::descriptors();
        let runtime = builder.build().unwrap();
        // What is made once and kept: helpers, registrations.
        runtime.run(body()).unwrap();
        let before = audit::descriptors();
        runtime.run(body()).unwrap();
        runtime.run(sleep(Duration::from_millis(20))).unwrap();
        audit::comes_back("descriptors", before, audit::descriptors);
        let metrics = runtime.metrics();
        assert_eq!((metrics.in_flight, metrics.orphans, metrics.stray), (0, 0, 0), "{metrics:?}");
        drop(runtime);
        audit::comes_back("descriptors without the runtime", outside, audit::descriptors);
    });
}

fn a_dropped_open_closes_what_was_opened(builder: Builder) {
    leaves_no_descriptor(builder, || async {
        let directory = directory().await;
        let mut dice = Dice::new(1);
        for n in 0..500 {
            let mut open = pin!(annulus::fs::File::create(directory.path().join(n.to_string())));
            let _ = open.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if dice.below(2) == 0 {
                yield_now().await;
            }
        }
        sleep(Duration::from_millis(20)).await;
    });
}

fn a_dropped_connect_closes_what_was_opened(builder: Builder) {
    leaves_no_descriptor(builder, || async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        let mut dice = Dice::new(2);
        for _ in 0..500 {
            let mut connect = pin!(TcpStream::connect(address));
            for _ in 0..dice.below(5) {
                if connect.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
                yield_now().await;
            }
        }
        sleep(Duration::from_millis(20)).await;
        accepting.abort();
        assert!(accepting.await.unwrap_err().is_cancelled());
    });
}

fn forgetting_an_operation_is_harmless(builder: Builder) {
    let start = std::time::Instant::now();
    let runtime = builder.shutdown_limit(Duration::from_secs(20)).build().unwrap();
    runtime
        .run(async {
            let (client, server) = pair().await;
            for _ in 0..100 {
                let (one, other) = pair().await;
                let mut read = one.read(room(64));
                assert!(begin(&mut read).is_pending());
                std::mem::forget(read);
                let mut nop = annulus::nop();
                let _ = begin(&mut nop);
                std::mem::forget(nop);
                drop(other);
            }
            client.write_all("goes on").await.0.unwrap();
            assert_eq!(server.read(room(64)).await.1, b"goes on");
        })
        .unwrap();
    drop(runtime);
    assert!(start.elapsed() < Duration::from_secs(10), "finished slots of forgotten futures do not count");
}

async fn ten_thousand_reads_raced_against_time_outs_lose_no_byte() {
    const RACES: usize = 10_000;
    let (client, server) = pair().await;
    let sending = spawn(async move {
        let mut dice = Dice::new(11);
        let mut sent = Vec::new();
        for round in 0..RACES as u64 {
            let (result, piece) = client.write_all(bytes(round, 1 + dice.below(200) as usize)).await;
            result.unwrap();
            sent.extend(piece);
            if dice.below(3) == 0 {
                sleep(Duration::from_micros(dice.below(100))).await;
            } else {
                yield_now().await;
            }
        }
        sent
    });
    let mut dice = Dice::new(12);
    let (mut got, mut lost, mut won) = (Vec::new(), 0, 0);
    for race in 0..RACES {
        let limit = Duration::from_micros(dice.below(60));
        let length = 1 + dice.below(300) as usize;
        if race % 5 == 4 {
            match timeout(limit, server.readv(vec![room(length), room(length)])).await {
                Ok((result, rooms)) => {
                    result.unwrap();
                    got.extend(rooms.concat());
                    won += 1;
                }
                Err(_) => lost += 1,
            }
        } else {
            match timeout(limit, server.read(room(length))).await {
                Ok((result, piece)) => {
                    result.unwrap();
                    got.extend(piece);
                    won += 1;
                }
                Err(_) => lost += 1,
            }
        }
    }
    got.extend(read_to_end(&server).await);
    let sent = sending.await.unwrap();
    assert_same(&got, &sent);
    assert!(lost > RACES / 50 && won > RACES / 50, "a race: {lost} time-outs, {won} reads");
}

/// The issue's own figure.
fn ten_thousand_accepts_raced_against_time_outs_lose_no_connection_and_no_descriptor(builder: Builder) {
    const CONNECTIONS: u32 = 5_000;
    alone(|| {
        let runtime = builder.build().unwrap();
        let before = audit::descriptors();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let clients = spawn(async move {
                    let mut dice = Dice::new(21);
                    for number in 0..CONNECTIONS {
                        let stream = TcpStream::connect(address).await.unwrap();
                        stream.write_all(number.to_le_bytes().to_vec()).await.0.unwrap();
                        // Gone by a reset, so that no port waits: the server has answered by then.
                        let (result, answer) = stream.read_exact(room(1)).await;
                        result.unwrap_or_else(|error| panic!("connection {number} was lost: {error}"));
                        assert_eq!(answer, b"+");
                        stream.set_linger(Some(Duration::ZERO)).unwrap();
                        if dice.below(3) == 0 {
                            sleep(Duration::from_micros(dice.below(100))).await;
                        }
                    }
                });
                let mut dice = Dice::new(22);
                let (mut races, mut lost) = (0u32, 0u32);
                for wanted in 0..CONNECTIONS {
                    let stream = loop {
                        races += 1;
                        match timeout(Duration::from_micros(dice.below(80)), listener.accept()).await {
                            Ok(accepted) => break accepted.unwrap().0,
                            Err(_) => lost += 1,
                        }
                    };
                    let mut number = Vec::new();
                    while number.len() < 4 {
                        races += 1;
                        let limit = Duration::from_micros(dice.below(40));
                        match timeout(limit, stream.read(room(4 - number.len()))).await {
                            Ok((result, got)) => {
                                assert_ne!(result.unwrap(), 0, "an end before the number");
                                number.extend(got);
                            }
                            Err(_) => lost += 1,
                        }
                    }
                    assert_eq!(number, wanted.to_le_bytes(), "in the order in which they came");
                    stream.write_all("+").await.0.unwrap();
                }
                clients.await.unwrap();
                assert!(races >= 2 * CONNECTIONS && lost > 100, "a race: {races} of which time won {lost}");
                println!("{races} accepts and reads raced, time won {lost}");
            })
            .unwrap();
        runtime.run(sleep(Duration::from_millis(20))).unwrap();
        audit::comes_back("descriptors", before, audit::descriptors);
        let metrics = runtime.metrics();
        assert_eq!((metrics.in_flight, metrics.orphans, metrics.stray), (0, 0, 0), "{metrics:?}");
    });
}

/// Each buffer is a mapping of its own: one that is freed while the kernel still has it gives EFAULT, or a crash.
fn ten_thousand_dropped_operations_free_their_buffers_and_none_too_early(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let mut dice = Dice::new(31);
                for _ in 0..100 {
                    let (client, server) = pair().await;
                    let mut sent = 0;
                    let mut under_way = Vec::new();
                    for _ in 0..100 {
                        let mut read = server.read(Guarded::new(1));
                        match begin(&mut read) {
                            Poll::Ready((result, _)) => sent -= result.unwrap(),
                            Poll::Pending => under_way.push(read),
                        }
                        match dice.below(4) {
                            0 => yield_now().await,
                            1 => {
                                client.write_all("some bytes").await.0.unwrap();
                                sent += 10;
                            }
                            2 if !under_way.is_empty() => {
                                let place = dice.below(under_way.len() as u64) as usize;
                                drop(under_way.swap_remove(place));
                            }
                            _ => under_way.truncate(dice.below(10) as usize),
                        }
                    }
                    drop(under_way);
                    drop(client);
                    let mut got = 0;
                    loop {
                        let (result, buffer) = server.read(Guarded::new(4096)).await;
                        match result.expect("no EFAULT: no buffer was gone") {
                            0 => break,
                            count => {
                                assert!(
                                    b"some bytessome bytes"
                                        .windows(buffer.bytes().len().min(10))
                                        .any(|window| buffer.bytes().starts_with(window))
                                );
                                got += count;
                            }
                        }
                    }
                    assert_eq!(got, sent, "every byte was read once");
                }
                sleep(Duration::from_millis(20)).await;
            })
            .unwrap();
        let metrics = runtime.metrics();
        assert_eq!((metrics.in_flight, metrics.orphans, metrics.stray), (0, 0, 0), "{metrics:?}");
        assert_eq!(guarded::mapped(), 0, "every buffer was freed");
    });
}
