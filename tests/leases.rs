//! Leases: bytes in buffers of the runtime's, one by one and as a stream.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use annulus::buf::Lease;
use annulus::net::TcpListener;
use annulus::time::{sleep, timeout};
use annulus::{Builder, Metrics, Runtime, spawn, yield_now};
use bytes::{Buf, Bytes};
use futures_util::{FutureExt, StreamExt, join};
use support::net::pair;
use support::{on_every_driver, outside};

on_every_driver! {
    a_lease_is_what_was_sent,
    an_empty_lease_is_the_end,
    an_idle_connection_has_no_buffer,
    a_lease_can_be_split_written_to_and_sent,
    a_lease_becomes_bytes_that_share_it,
    a_lease_may_be_dropped_on_another_thread,
    a_lease_outlives_its_runtime,
    leases_are_dropped_everywhere_while_their_runtime_ends,
    a_forgotten_lease_is_harmless,
    leases_that_are_kept_starve_nobody,
    the_pool_grows_and_no_further_than_it_may,
    a_pool_smaller_than_the_connections_serves_them_all,
    two_buffers_serve_a_hundred_connections,
    a_stream_of_leases_ends_with_the_connection,
    a_stream_of_leases_keeps_the_order,
    a_stream_that_nobody_reads_takes_no_more_than_its_share,
    a_dropped_receive_gives_its_bytes_to_the_next,
    a_dropped_stream_of_leases_gives_its_bytes_to_the_next_read,
    reads_and_leases_can_be_mixed,
    a_cancelled_receive_says_so,
    a_stream_of_leases_has_its_turn_in_the_direction,
    a_reset_is_told_once_and_before_the_end,
    an_idle_stream_of_leases_is_ended_by_closing,
    a_file_is_read_into_leases,
}

fn metrics() -> Metrics {
    Runtime::try_current().unwrap().metrics()
}

/// A loop with few small buffers.
fn small(builder: Builder) -> Builder {
    builder.lease_size(64).leases(4).leases_max(4)
}

/// Numbered bytes, so that a mixed-up order is seen.
fn numbered(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 7 + n / 251) as u8).collect()
}

async fn a_lease_is_what_was_sent() {
    let (client, server) = pair().await;
    for size in [1, 100, 16 << 10] {
        let sent = numbered(size);
        client.write_all(sent.clone()).await.0.unwrap();
        let mut came = Vec::new();
        while came.len() < size {
            let lease = server.recv().await.unwrap();
            assert!(!lease.is_empty() && lease.len() <= 16 << 10);
            came.extend_from_slice(&lease);
        }
        assert!(came == sent, "{size} bytes");
    }
    assert_eq!(metrics().leases_out, 0);
}

async fn an_empty_lease_is_the_end() {
    let (client, server) = pair().await;
    drop(client);
    assert!(server.recv().await.unwrap().is_empty());
    assert!(server.recv().await.unwrap().is_empty());
    assert_eq!(metrics().leases_out, 0);
}

fn an_idle_connection_has_no_buffer(builder: Builder) {
    small(builder)
        .build()
        .unwrap()
        .run(async {
            let mut pairs = Vec::new();
            for _ in 0..20 {
                pairs.push(pair().await);
            }
            let mut waiting: Vec<_> = pairs.iter().map(|(_, server)| Box::pin(server.recv())).collect();
            for recv in &mut waiting {
                assert!(recv.as_mut().now_or_never().is_none());
            }
            yield_now().await;
            assert_eq!((metrics().leases_out, metrics().lease_buffers), (0, 4));
        })
        .unwrap();
}

async fn a_lease_can_be_split_written_to_and_sent() {
    let (client, server) = pair().await;
    client.write_all("one two three").await.0.unwrap();
    let mut rest = server.recv().await.unwrap();
    let mut one = rest.split_to(3);
    let three = rest.split_off(5);
    one[0] = b'O';
    rest.advance(1);
    rest.truncate(3);
    assert_eq!((&*one, &*rest, &*three), (&b"One"[..], &b"two"[..], &b"three"[..]));
    assert_eq!(metrics().leases_out, 1, "three leases of one buffer");
    for part in [three, rest, one] {
        server.write_all(part).await.0.unwrap();
    }
    assert_eq!(client.read_exact(vec![0; 11].into_boxed_slice()).await.1[..], b"threetwoOne"[..]);
    assert_eq!(metrics().leases_out, 0);
}

async fn a_lease_becomes_bytes_that_share_it() {
    let (client, server) = pair().await;
    client.write_all("shared").await.0.unwrap();
    let lease = server.recv().await.unwrap();
    let place = lease.as_ptr();
    let bytes = Bytes::from(lease);
    assert_eq!(bytes.as_ptr(), place, "not copied");
    let part = bytes.slice(2..4);
    drop(bytes);
    assert_eq!((&part[..], metrics().leases_out), (&b"ar"[..], 1));
    drop(part);
    assert_eq!(metrics().leases_out, 0);
}

fn a_lease_may_be_dropped_on_another_thread(builder: Builder) {
    small(builder)
        .build()
        .unwrap()
        .run(async {
            let (client, server) = pair().await;
            for round in 0..50u8 {
                client.write_all(vec![round; 8]).await.0.unwrap();
                let lease = server.recv().await.unwrap();
                annulus::spawn_blocking(move || assert_eq!(*lease, [round; 8])).await.unwrap();
            }
            // They come back to the pool: nothing had to be copied for want of a buffer.
            assert_eq!((metrics().leases_out, metrics().leases_copied), (0, 0));
        })
        .unwrap();
}

fn a_lease_outlives_its_runtime(builder: Builder) {
    let lease = builder
        .build()
        .unwrap()
        .run(async {
            let (client, server) = pair().await;
            client.write_all("still there").await.0.unwrap();
            server.recv().await.unwrap()
        })
        .unwrap();
    assert_eq!(lease, "still there");
    std::thread::spawn(move || assert_eq!(lease, "still there")).join().unwrap();
}

fn leases_are_dropped_everywhere_while_their_runtime_ends(builder: Builder) {
    for round in 0..50 {
        let runtime = small(builder.clone()).leases_max(16).build().unwrap();
        let mut leases = runtime
            .run(async {
                let (client, server) = pair().await;
                let mut leases = Vec::new();
                for number in 0..12u8 {
                    client.write_all(vec![number; 32]).await.0.unwrap();
                    let mut lease = server.recv().await.unwrap();
                    leases.push((number, lease.split_off(16)));
                    leases.push((number, lease));
                }
                leases
            })
            .unwrap();
        let (to_one, to_other) = (leases.split_off(16), leases.split_off(8));
        let drop_all = |leases: Vec<(u8, Lease)>| {
            for (number, lease) in leases {
                assert_eq!(*lease, [number; 16]);
                std::thread::yield_now();
            }
        };
        let threads = [to_one, to_other].map(|leases| std::thread::spawn(move || drop_all(leases)));
        if round % 2 == 0 {
            drop(runtime);
            drop_all(leases);
        } else {
            drop_all(leases);
            drop(runtime);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

async fn a_forgotten_lease_is_harmless() {
    let (client, server) = pair().await;
    client.write_all("forgotten").await.0.unwrap();
    std::mem::forget(server.recv().await.unwrap());
    client.write_all("next").await.0.unwrap();
    assert_eq!(server.recv().await.unwrap(), "next");
}

fn leases_that_are_kept_starve_nobody(builder: Builder) {
    small(builder)
        .build()
        .unwrap()
        .run(async {
            let (client, server) = pair().await;
            let (other_client, other_server) = pair().await;
            let mut kept: Vec<Lease> = Vec::new();
            for round in 0..100u8 {
                client.write_all(vec![round; 8]).await.0.unwrap();
                kept.push(server.recv().await.unwrap());
                other_client.write_all("served").await.0.unwrap();
                assert_eq!(other_server.recv().await.unwrap(), "served");
            }
            for (round, lease) in kept.iter().enumerate() {
                assert_eq!(**lease, [round as u8; 8], "nobody writes to a lease that is kept");
            }
            let found = metrics();
            assert_eq!(found.lease_buffers, 4);
            assert!(found.leases_out <= 4 && found.leases_copied >= 90, "{found:?}");
            drop(kept);
            assert_eq!(metrics().leases_out, 0);
        })
        .unwrap();
}

fn the_pool_grows_and_no_further_than_it_may(builder: Builder) {
    builder
        .lease_size(64)
        .leases(2)
        .leases_max(12)
        .build()
        .unwrap()
        .run(async {
            let (client, server) = pair().await;
            let mut kept = Vec::new();
            let mut sizes = Vec::new();
            for _ in 0..30 {
                client.write_all("12345678").await.0.unwrap();
                kept.push(server.recv().await.unwrap());
                sizes.push(metrics().lease_buffers);
            }
            sizes.dedup();
            assert_eq!(sizes, [2, 4, 8, 12]);
        })
        .unwrap();
}

fn a_pool_smaller_than_the_connections_serves_them_all(builder: Builder) {
    small(builder)
        .build()
        .unwrap()
        .run(async {
            let mut echoes = Vec::new();
            let mut pairs = Vec::new();
            for _ in 0..30 {
                let (client, server) = pair().await;
                pairs.push(client);
                echoes.push(spawn(async move {
                    let mut leases = server.recv_stream();
                    while let Some(lease) = leases.next().await {
                        server.write_all(lease.unwrap()).await.0.unwrap();
                    }
                }));
            }
            for round in 0..5u8 {
                // All at once, and more than a buffer holds.
                for client in &pairs {
                    client.write_all(vec![round; 200]).await.0.unwrap();
                }
                for client in &pairs {
                    let (result, came) = client.read_exact(vec![0; 200].into_boxed_slice()).await;
                    result.unwrap();
                    assert_eq!(*came, [round; 200]);
                }
            }
            drop(pairs);
            for echo in echoes {
                echo.await.unwrap();
            }
            assert_eq!(metrics().leases_out, 0);
        })
        .unwrap();
}

/// Much comes at once on each, and there are two buffers: streams run dry, are begun again, and nobody waits for ever.
fn two_buffers_serve_a_hundred_connections(builder: Builder) {
    let bytes = if support::is_simulated() { 32 << 10 } else { 1 << 20 };
    let runtime = builder.lease_size(4096).leases(2).leases_max(2).build().unwrap();
    let served = runtime.run(async {
        let mut tasks = Vec::new();
        for number in 0..100usize {
            let (client, server) = pair().await;
            let expected: Vec<u8> =
                (0..bytes).map(|place| (place * 31 + number + place / 509) as u8).collect();
            let sent = expected.clone();
            tasks.push(spawn(async move { client.write_all(sent).await.0.unwrap() }));
            tasks.push(spawn(async move {
                let mut leases = server.recv_stream();
                let mut came = 0;
                while let Some(lease) = leases.next().await {
                    let lease = lease.unwrap();
                    assert!(*lease == expected[came..][..lease.len()], "connection {number} at {came}");
                    came += lease.len();
                }
                assert_eq!(came, expected.len());
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((metrics().leases_out, metrics().lease_buffers), (0, 2));
    });
    served.unwrap();
}

async fn a_stream_of_leases_ends_with_the_connection() {
    let (client, server) = pair().await;
    client.write_all("the last words").await.0.unwrap();
    drop(client);
    let came: Vec<_> = server.recv_stream().map(|lease| lease.unwrap().to_vec()).collect().await;
    assert_eq!(came.concat(), b"the last words");
    let mut again = server.recv_stream();
    assert!(again.next().await.is_none());
    assert!(again.next().await.is_none(), "and stays so");
}

async fn a_stream_of_leases_keeps_the_order() {
    let (client, server) = pair().await;
    let sent = numbered(1 << 20);
    let expected = sent.clone();
    let writer = spawn(async move {
        for chunk in sent.chunks(3000) {
            client.write_all(chunk.to_vec()).await.0.unwrap();
        }
    });
    let mut leases = server.recv_stream();
    let mut came = Vec::new();
    while let Some(lease) = leases.next().await {
        came.extend_from_slice(&lease.unwrap());
    }
    writer.await.unwrap();
    assert!(came == expected);
    assert_eq!(metrics().leases_out, 0);
}

fn a_stream_that_nobody_reads_takes_no_more_than_its_share(builder: Builder) {
    builder
        .lease_size(1024)
        .leases(8)
        .leases_max(16)
        .build()
        .unwrap()
        .run(async {
            let (client, server) = pair().await;
            let (other_client, other_server) = pair().await;
            let mut unread = server.recv_stream();
            assert!(unread.next().now_or_never().is_none(), "armed");
            let sent = Rc::new(Cell::new(0));
            let count = Rc::clone(&sent);
            let flood = spawn(async move {
                while client.write_all(numbered(1000)).await.0.is_ok() {
                    count.set(count.get() + 1000);
                }
            });
            for _ in 0..200 {
                other_client.write_all("served").await.0.unwrap();
                assert_eq!(other_server.recv().await.unwrap(), "served");
            }
            sleep(Duration::from_millis(20)).await;
            let found = metrics();
            assert!(found.leases_out <= 16, "{found:?}");
            // Whoever comes back to it finds everything, in its order.
            let mut came = Vec::new();
            while came.len() < 400_000 {
                came.extend_from_slice(&unread.next().await.unwrap().unwrap());
            }
            let expected = numbered(1000).repeat(came.len() / 1000 + 1);
            assert!(came[..] == expected[..came.len()]);
            flood.abort();
        })
        .unwrap();
}

async fn a_dropped_receive_gives_its_bytes_to_the_next() {
    let (client, server) = pair().await;
    for round in 0..100u32 {
        let mut lost = 0;
        let mut recv = Box::pin(server.recv());
        for _ in 0..round % 4 {
            assert!(recv.as_mut().now_or_never().is_none());
            yield_now().await;
        }
        client.write_all(round.to_be_bytes().to_vec()).await.0.unwrap();
        if round % 3 == 0 {
            yield_now().await;
        }
        drop(recv);
        lost += 1;
        let lease = timeout(Duration::from_secs(10), server.recv()).await.expect("bytes").unwrap();
        assert_eq!((&*lease, lost), (&round.to_be_bytes()[..], 1));
    }
    assert_eq!(metrics().leases_out, 0);
}

async fn a_dropped_stream_of_leases_gives_its_bytes_to_the_next_read() {
    let (client, server) = pair().await;
    let sent = numbered(200_000);
    let expected = sent.clone();
    let writer = spawn(async move {
        for chunk in sent.chunks(1234) {
            client.write_all(chunk.to_vec()).await.0.unwrap();
            yield_now().await;
        }
    });
    let mut came = Vec::new();
    let mut round = 0;
    while came.len() < expected.len() {
        round += 1;
        let mut leases = server.recv_stream();
        for _ in 0..round % 4 {
            if let Ok(Some(lease)) = timeout(Duration::from_millis(1), leases.next()).await {
                came.extend_from_slice(&lease.unwrap());
            }
        }
        drop(leases);
        if round % 3 == 0 && came.len() < expected.len() {
            let (result, bytes) = server.read(Vec::with_capacity(700)).await;
            result.unwrap();
            came.extend_from_slice(&bytes);
        }
    }
    writer.await.unwrap();
    assert!(came == expected, "all of it, in its order");
    assert_eq!(metrics().leases_out, 0);
}

async fn reads_and_leases_can_be_mixed() {
    let (client, server) = pair().await;
    client.write_all("abcdefghij").await.0.unwrap();
    let mut came = Vec::new();
    came.extend(server.read(Vec::with_capacity(3)).await.1);
    came.extend_from_slice(&server.recv().await.unwrap());
    client.write_all("klm").await.0.unwrap();
    came.extend(server.read_exact(Vec::with_capacity(2)).await.1);
    came.extend_from_slice(&server.recv_stream().next().await.unwrap().unwrap());
    assert_eq!(came, b"abcdefghijklm");
}

async fn a_cancelled_receive_says_so() {
    let (client, server) = pair().await;
    let mut recv = server.recv();
    assert!((&mut recv).now_or_never().is_none());
    recv.cancel();
    assert_eq!(recv.await.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    let timed_out = server.recv().timeout(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(timed_out.kind(), std::io::ErrorKind::TimedOut);
    client.write_all("after that").await.0.unwrap();
    assert_eq!(server.recv().await.unwrap(), "after that");
}

async fn a_stream_of_leases_has_its_turn_in_the_direction() {
    let (client, server) = pair().await;
    let mut leases = server.recv_stream();
    client.write_all("first").await.0.unwrap();
    assert_eq!(leases.next().await.unwrap().unwrap(), "first");
    let read = async {
        let (_, bytes) = server.read(Vec::with_capacity(16)).await;
        bytes
    };
    let rest = async {
        for _ in 0..3 {
            yield_now().await;
        }
        client.write_all("second").await.0.unwrap();
        assert_eq!(leases.next().await.unwrap().unwrap(), "second");
        drop(leases);
        client.write_all("third").await.0.unwrap();
    };
    let (read, ()) = join!(read, rest);
    assert_eq!(read, b"third");
}

async fn a_reset_is_told_once_and_before_the_end() {
    let (client, server) = pair().await;
    let mut leases = server.recv_stream();
    assert!(leases.next().now_or_never().is_none());
    client.set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    let error = leases.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(leases.next().await.is_none());
}

async fn an_idle_stream_of_leases_is_ended_by_closing() {
    let (client, server) = pair().await;
    let mut leases = server.recv_stream();
    assert!(leases.next().now_or_never().is_none());
    yield_now().await;
    drop(server);
    let error = leases.next().await.unwrap().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    assert!(leases.next().await.is_none());
    assert_eq!(client.read(Vec::with_capacity(1)).await.0.unwrap(), 0, "the peer sees the end");
    drop(TcpListener::bind("127.0.0.1:0").await.unwrap());
}

async fn a_file_is_read_into_leases() {
    let directory = outside::directory().await;
    let path = directory.path().join("file");
    let content = numbered(100_000);
    outside::write(&path, content.clone()).await;
    let file = annulus::fs::File::open(&path).await.unwrap();
    let mut came = Vec::new();
    loop {
        let lease = file.read_lease(came.len() as u64).await.unwrap();
        if lease.is_empty() {
            break;
        }
        came.extend_from_slice(&lease);
    }
    assert!(came == content);
    // Many at once, and dropped ones among them.
    let reads: Vec<_> = (0..100).map(|n| file.read_lease(n * 1000)).collect();
    for (n, mut read) in reads.into_iter().enumerate() {
        if n % 3 == 0 {
            assert!((&mut read).now_or_never().is_none_or(|lease| lease.is_ok()));
            continue;
        }
        let lease = read.await.unwrap();
        assert!(*lease == content[n * 1000..][..lease.len()] && !lease.is_empty());
    }
    while metrics().in_flight > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(metrics().leases_out, 0);
}
