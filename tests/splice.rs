//! Bytes that go from one descriptor to another without passing through the program: all of them, in order, and none lost.

mod support;

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

use annulus::fs::File;
use annulus::io::{Incomplete, copy, pipe};
use annulus::net::TcpStream;
use annulus::task::JoinHandle;
use annulus::time::{sleep, timeout};
use annulus::{Runtime, spawn};
use support::data::{Dice, assert_same, bytes};
use support::net::{pair, read_to_end};
use support::outside::{directory, write};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    every_byte_of_a_stream_goes_to_another,
    a_file_goes_to_a_stream,
    a_pipe_goes_to_a_stream_and_a_stream_to_a_pipe,
    what_a_dropped_read_left_goes_first,
    more_than_a_pipe_holds_may_have_been_left,
    a_dropped_copy_loses_nothing,
    copies_that_are_dropped_again_and_again_lose_nothing,
    a_copy_whose_target_is_gone_says_how_far_it_came_and_keeps_the_rest,
    a_reset_source_is_told,
    the_end_of_the_source_is_no_end_of_the_target,
    both_directions_at_once,
    a_copy_waits_without_making_the_loop_busy,
    a_part_of_a_file_is_sent,
    a_pipe_that_was_left_with_bytes_is_not_used_again,
}

on_real_drivers! {
    because "it counts the process' descriptors":
        idle_copies_hold_no_pipe,
        a_loop_that_ends_closes_its_pipes;
    because "the ring's own table is the ring's":
        connections_in_the_rings_own_table_are_as_good;
    because "it is about what the system has in memory":
        a_file_that_is_not_in_memory_is_sent_as_well;
}

/// Sends so many bytes and then the end.
fn send_all(stream: TcpStream, length: usize) -> JoinHandle<TcpStream> {
    let all = bytes(1, length);
    spawn(async move {
        for piece in all.chunks(77_777) {
            stream.write_all(piece.to_vec()).await.0.unwrap();
        }
        stream.shutdown(Shutdown::Write).await.unwrap();
        stream
    })
}

async fn every_byte_of_a_stream_goes_to_another() {
    const LENGTH: usize = 5 << 20;
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    let sending = send_all(client, LENGTH);
    let copying = spawn(async move {
        let moved = copy(&mut from, &mut to).await.unwrap();
        to.shutdown(Shutdown::Write).await.unwrap();
        moved
    });
    assert_same(&read_to_end(&server).await, &bytes(1, LENGTH));
    assert_eq!(copying.await.unwrap(), LENGTH as u64);
    sending.await.unwrap();
}

async fn a_file_goes_to_a_stream() {
    const LENGTH: usize = 3_000_001;
    let directory = directory().await;
    let path = directory.path().join("file");
    write(&path, bytes(1, LENGTH)).await;
    let (mut to, server) = pair().await;
    let copying = spawn(async move {
        let mut file = File::open(path).await.unwrap();
        assert_eq!(file.read_exact(vec![0; 1000]).await.1, bytes(1, LENGTH)[..1000]);
        copy(&mut file, &mut to).await.unwrap()
    });
    assert_same(&read_to_end(&server).await, &bytes(1, LENGTH)[1000..]);
    assert_eq!(copying.await.unwrap(), LENGTH as u64 - 1000);
}

async fn a_pipe_goes_to_a_stream_and_a_stream_to_a_pipe() {
    const LENGTH: usize = 1 << 20;
    let (mut reader, first) = pipe().await.unwrap();
    let (last, mut writer) = pipe().await.unwrap();
    let (mut client, mut server) = pair().await;
    drop(spawn(async move { first.write_all(bytes(1, LENGTH)).await.0.unwrap() }));
    drop(spawn(async move { copy(&mut reader, &mut client).await.unwrap() }));
    let copying = spawn(async move { copy(&mut server, &mut writer).await.unwrap() });
    let (result, got) = last.read_exact(vec![0; LENGTH]).await;
    result.unwrap();
    assert_same(&got, &bytes(1, LENGTH));
    assert_eq!(copying.await.unwrap(), LENGTH as u64);
}

/// Has a read dropped that then receives these bytes.
async fn leave(client: &TcpStream, server: &TcpStream, left: &[u8]) {
    let mut read = server.read(Vec::with_capacity(left.len()));
    assert!(timeout(Duration::from_millis(1), &mut read).await.is_err());
    client.write_all(left.to_vec()).await.0.unwrap();
    // It is answered, and nobody asks.
    sleep(Duration::from_millis(20)).await;
    drop(read);
}

async fn what_a_dropped_read_left_goes_first() {
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    leave(&client, &from, b"first, ").await;
    client.write_all("second").await.0.unwrap();
    client.close().await.unwrap();
    assert_eq!(copy(&mut from, &mut to).await.unwrap(), 13);
    drop(to);
    assert_eq!(read_to_end(&server).await, b"first, second");
}

async fn more_than_a_pipe_holds_may_have_been_left() {
    const LENGTH: usize = 1_500_000;
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    from.set_recv_buffer_size(4 << 20).unwrap();
    let sent = bytes(1, LENGTH);
    let sending = spawn(async move {
        client.write_all(sent).await.0.unwrap();
        client
    });
    // Dropped, it puts back what it gathered.
    assert!(timeout(Duration::from_millis(50), from.read_exact(vec![0; LENGTH + 1])).await.is_err());
    // So does a copy whose target does not read: in front of what it left of that.
    to.set_send_buffer_size(4096).unwrap();
    assert!(timeout(Duration::from_millis(50), copy(&mut from, &mut to)).await.is_err());
    let client = sending.await.unwrap();
    client.close().await.unwrap();
    let copying = spawn(async move { copy(&mut from, &mut to).await.unwrap() });
    assert_same(&read_to_end(&server).await, &bytes(1, LENGTH));
    assert!(copying.await.unwrap() < LENGTH as u64);
}

async fn a_dropped_copy_loses_nothing() {
    const LENGTH: usize = 8 << 20;
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    let sending = send_all(client, LENGTH);
    // Nobody reads what it writes, so in the end it has a full pipe.
    assert!(timeout(Duration::from_millis(100), copy(&mut from, &mut to)).await.is_err());
    let rest = spawn(async move { read_to_end(&from).await });
    to.close().await.unwrap();
    let mut got = read_to_end(&server).await;
    assert!(!got.is_empty() && got.len() < LENGTH, "{}", got.len());
    got.extend(rest.await.unwrap());
    assert_same(&got, &bytes(1, LENGTH));
    sending.await.unwrap();
}

async fn copies_that_are_dropped_again_and_again_lose_nothing() {
    const LENGTH: usize = 1 << 20;
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    let sending = send_all(client, LENGTH);
    let copying = spawn(async move {
        let mut dice = Dice::new(1);
        to.set_send_buffer_size(4096).unwrap();
        loop {
            let limit = Duration::from_micros(dice.below(200));
            if timeout(limit, copy(&mut from, &mut to)).await.is_ok() {
                break;
            }
            // Now and then by way of the program: in the same order.
            if dice.below(4) == 0 {
                let room = Vec::with_capacity(1 + dice.below(5000) as usize);
                if let Ok((result, piece)) =
                    timeout(Duration::from_micros(dice.below(100)), from.read(room)).await
                {
                    result.unwrap();
                    to.write_all(piece).await.0.unwrap();
                }
            }
        }
        to.shutdown(Shutdown::Write).await.unwrap();
    });
    assert_same(&read_to_end(&server).await, &bytes(1, LENGTH));
    copying.await.unwrap();
    sending.await.unwrap();
}

async fn a_copy_whose_target_is_gone_says_how_far_it_came_and_keeps_the_rest() {
    const LENGTH: usize = 8 << 20;
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    let sending = send_all(client, LENGTH);
    let copying = spawn(async move {
        let error = copy(&mut from, &mut to).await.unwrap_err();
        let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(gone.contains(&error.kind()), "{error}");
        let moved = Incomplete::of(&error).unwrap().done();
        (moved, read_to_end(&from).await)
    });
    server.read_exact(vec![0; 100_000]).await.0.unwrap();
    server.set_linger(Some(Duration::ZERO)).unwrap();
    server.close().await.unwrap();
    let (moved, rest) = copying.await.unwrap();
    assert!(moved >= 100_000);
    assert_same(&rest, &bytes(1, LENGTH)[moved..]);
    sending.await.unwrap();
}

async fn a_reset_source_is_told() {
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    client.write_all("word").await.0.unwrap();
    let copying = spawn(async move { copy(&mut from, &mut to).await.unwrap_err() });
    assert_eq!(server.read_exact(vec![0; 4]).await.1, b"word");
    client.set_linger(Some(Duration::ZERO)).unwrap();
    client.close().await.unwrap();
    let error = copying.await.unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(Incomplete::of(&error).unwrap().done(), 4);
}

async fn the_end_of_the_source_is_no_end_of_the_target() {
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    client.write_all("one, ").await.0.unwrap();
    client.shutdown(Shutdown::Write).await.unwrap();
    assert_eq!(copy(&mut from, &mut to).await.unwrap(), 5);
    assert_eq!(copy(&mut from, &mut to).await.unwrap(), 0);
    to.write_all("two").await.0.unwrap();
    to.close().await.unwrap();
    assert_eq!(read_to_end(&server).await, b"one, two");
}

async fn both_directions_at_once() {
    const LENGTH: usize = 2 << 20;
    let ((client, middle), (other, server)) = (pair().await, pair().await);
    let way = async |mut from: &TcpStream, mut to: &TcpStream| {
        copy(&mut from, &mut to).await.unwrap();
        to.shutdown(Shutdown::Write).await.unwrap();
    };
    let proxy = spawn(async move {
        futures_util::future::join(way(&middle, &other), way(&other, &middle)).await;
    });
    let end = async |stream: TcpStream, seed| {
        let (reader, writer) = stream.into_split();
        let sending = spawn(async move {
            writer.write_all(bytes(seed, LENGTH)).await.0.unwrap();
            writer.shutdown(Shutdown::Write).await.unwrap();
        });
        let got = read_to_end(&reader).await;
        sending.await.unwrap();
        got
    };
    let there = spawn(end(server, 2));
    assert_same(&end(client, 1).await, &bytes(2, LENGTH));
    assert_same(&there.await.unwrap(), &bytes(1, LENGTH));
    proxy.await.unwrap();
}

async fn a_copy_waits_without_making_the_loop_busy() {
    let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
    let copying = spawn(async move { copy(&mut from, &mut to).await });
    client.write_all("word").await.0.unwrap();
    assert_eq!(server.read_exact(vec![0; 4]).await.1, b"word");
    sleep(Duration::from_millis(20)).await;
    let before = Runtime::try_current().unwrap().metrics();
    sleep(Duration::from_millis(50)).await;
    let after = Runtime::try_current().unwrap().metrics();
    assert!(after.turns - before.turns < 20, "{} turns", after.turns - before.turns);
    assert!(after.submitted - before.submitted < 5, "{} submissions", after.submitted - before.submitted);
    assert!(!copying.is_finished());
    client.close().await.unwrap();
    assert_eq!(copying.await.unwrap().unwrap(), 4);
}

fn idle_copies_hold_no_pipe(builder: annulus::Builder) {
    support::child::alone(move || {
        let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let mut peers = Vec::new();
                let mut middles = Vec::new();
                for _ in 0..100 {
                    let ((client, from), (to, server)) = (pair().await, pair().await);
                    peers.push((client, server));
                    middles.push((from, to));
                }
                let before = descriptors();
                let copy = |(mut from, mut to)| spawn(async move { copy(&mut from, &mut to).await });
                let _copies: Vec<_> = middles.into_iter().map(copy).collect();
                for (client, server) in &peers {
                    client.write_all("word").await.0.unwrap();
                    assert_eq!(server.read_exact(vec![0; 4]).await.1, b"word");
                }
                sleep(Duration::from_millis(20)).await;
                let pipes = descriptors() - before;
                assert!(pipes <= 2 * 32, "{pipes} descriptors more");
            })
            .unwrap();
    });
}

async fn a_part_of_a_file_is_sent() {
    const LENGTH: usize = 3_000_001;
    let directory = directory().await;
    let path = directory.path().join("file");
    write(&path, bytes(1, LENGTH)).await;
    let (to, server) = pair().await;
    let sending = spawn(async move {
        let file = File::open(path).await.unwrap();
        for (offset, length) in [(0, 5), (1000, 2_000_000), (7, 0), (LENGTH as u64 - 3, 100), (u64::MAX, 1)] {
            let expected = length.min((LENGTH as u64).saturating_sub(offset));
            match to.send_file(&file, offset, length).await {
                Ok(sent) => assert_eq!(sent, expected),
                // What is no offset is none: not the cursor, at least.
                Err(error) => assert_eq!((offset, error.kind()), (u64::MAX, ErrorKind::InvalidInput)),
            }
        }
    });
    let all = bytes(1, LENGTH);
    let expected = [&all[..5], &all[1000..2_001_000], &all[LENGTH - 3..]].concat();
    assert_same(&read_to_end(&server).await, &expected);
    sending.await.unwrap();
}

async fn a_pipe_that_was_left_with_bytes_is_not_used_again() {
    let directory = directory().await;
    let path = directory.path().join("file");
    write(&path, vec![0xee; 16 << 20]).await;
    let file = File::open(path).await.unwrap();
    for _ in 0..3 {
        // Nobody reads, so it ends with something in a pipe.
        let (deaf, _server) = pair().await;
        assert!(timeout(Duration::from_millis(50), deaf.send_file(&file, 0, u64::MAX)).await.is_err());
        deaf.settle_writes().await.unwrap();
        let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
        client.write_all("something else").await.0.unwrap();
        drop(client);
        assert_eq!(copy(&mut from, &mut to).await.unwrap(), 14);
        drop(to);
        assert_eq!(read_to_end(&server).await, b"something else");
    }
}

fn a_loop_that_ends_closes_its_pipes(builder: annulus::Builder) {
    support::child::alone(move || {
        let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        // What the first loop of a process opens for good.
        drop(builder.clone().build().unwrap());
        let before = descriptors();
        for _ in 0..3 {
            let runtime = builder.clone().build().unwrap();
            runtime
                .run(async {
                    for _ in 0..4 {
                        let ((client, mut from), (mut to, server)) = (pair().await, pair().await);
                        drop(spawn(async move {
                            client.write_all(vec![0; 32 << 20]).await.0.unwrap();
                            drop(server);
                        }));
                        drop(spawn(async move { copy(&mut from, &mut to).await }));
                    }
                    // All are stuck, with something in their pipes.
                    sleep(Duration::from_millis(50)).await;
                })
                .unwrap();
            assert_eq!(runtime.shutdown(Duration::from_secs(10)), 0, "nothing is leaked");
            assert_eq!(descriptors(), before);
        }
    });
}

async fn a_file_that_is_not_in_memory_is_sent_as_well() {
    use std::os::fd::AsRawFd;

    const LENGTH: usize = 5 << 20;
    let directory = directory().await;
    let path = directory.path().join("file");
    write(&path, bytes(1, LENGTH)).await;
    for _ in 0..3 {
        let file = std::fs::File::open(&path).unwrap();
        file.sync_all().unwrap();
        forget(file.as_raw_fd());
        let (to, server) = pair().await;
        let path = path.clone();
        let sending = spawn(async move {
            let file = File::open(path).await.unwrap();
            to.send_file(&file, 1, u64::MAX).await.unwrap()
        });
        assert_same(&read_to_end(&server).await, &bytes(1, LENGTH)[1..]);
        assert_eq!(sending.await.unwrap(), LENGTH as u64 - 1);
    }
}

/// Has the system forget a file's pages, where they are on a disk.
#[allow(unsafe_code)]
fn forget(number: i32) {
    #[cfg(target_os = "linux")]
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::posix_fadvise(number, 0, 0, libc::POSIX_FADV_DONTNEED) }, 0);
    let _ = number;
}

fn connections_in_the_rings_own_table_are_as_good(builder: annulus::Builder) {
    const LENGTH: usize = 1 << 20;
    let runtime = builder.direct_descriptors(8).build().unwrap();
    runtime
        .run(async {
            // Those that were accepted are in the table.
            let ((client, mut from), (server, mut to)) = (pair().await, pair().await);
            let sending = send_all(client, LENGTH);
            let copying = spawn(async move {
                copy(&mut from, &mut to).await.unwrap();
                to.set_zero_copy(annulus::net::ZeroCopy::Always);
                let (result, released) = to.write_all_zc(bytes(2, 100_000)).await;
                assert_eq!(result.unwrap(), 100_000);
                let (result, _, reply) = to.exchange("last words", Vec::with_capacity(10)).await;
                assert_eq!((result.unwrap(), reply), (0, Vec::new()));
                drop(to);
                released.await
            });
            server.shutdown(Shutdown::Write).await.unwrap();
            let expected = [bytes(1, LENGTH), bytes(2, 100_000), b"last words".to_vec()].concat();
            assert_same(&read_to_end(&server).await, &expected);
            assert_eq!(copying.await.unwrap().len(), 100_000);
            sending.await.unwrap();
        })
        .unwrap();
    assert_eq!(runtime.shutdown(Duration::from_secs(10)), 0, "nothing is leaked");
}
