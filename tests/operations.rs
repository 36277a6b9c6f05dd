//! What becomes of operations, by their kinds: each answer is counted once, with its bytes or as an error, however it was come by.

mod support;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::time::Duration;

use annulus::buf::ReadBuf;
use annulus::fs::{File, OpenOptions};
use annulus::io::{PollRead, PollWrite};
use annulus::net::{TcpListener, TcpStream, UdpSocket};
use annulus::time::{sleep, timeout};
use annulus::{Builder, OperationMetrics, Runtime, nop, spawn};
use futures_util::FutureExt;
use support::data::bytes;
use support::net::pair;
use support::on_every_driver;
use support::outside::{arrival, directory};

on_every_driver! {
    what_is_sent_and_received_is_counted_in_bytes,
    a_descriptor_is_no_number_of_bytes,
    an_error_is_counted_and_a_stop_is_none,
    each_answer_of_many_counts,
    what_a_dropped_receive_brought_is_counted_once,
    a_read_that_is_answered_at_once_counts,
    calls_with_borrowed_memory_count,
    datagrams_in_bulk_are_counted_in_bytes,
    what_is_in_flight_is_not_completed,
    operations_are_told_by_name_and_only_those_that_were_done,
    numbers_never_go_down,
}

fn operations() -> Vec<OperationMetrics> {
    Runtime::try_current().unwrap().operations()
}

/// Completed, errors, bytes: of those kinds together.
fn of(kinds: &[&str]) -> (u64, u64, u64) {
    let all = operations();
    let wanted = all.iter().filter(|kind| kinds.contains(&kind.operation));
    wanted.fold((0, 0, 0), |sum, kind| (sum.0 + kind.completed, sum.1 + kind.errors, sum.2 + kind.bytes))
}

const RECEIVES: [&str; 4] = ["recv", "recv_lease", "recv_often", "recvmsg"];

async fn what_is_sent_and_received_is_counted_in_bytes() {
    let (client, server) = pair().await;
    let reading = spawn(async move {
        let (result, all) = server.read_exact(Vec::with_capacity(100_000)).await;
        result.unwrap();
        all.len()
    });
    for _ in 0..10 {
        client.write_all(bytes(1, 10_000)).await.0.unwrap();
    }
    assert_eq!(reading.await.unwrap(), 100_000);
    let (sends, errors, sent) = of(&["send"]);
    assert!(sends >= 10, "{sends}");
    assert_eq!((errors, sent), (0, 100_000));
    let (receives, errors, received) = of(&["recv"]);
    assert!(receives >= 1, "{receives}");
    assert_eq!((errors, received), (0, 100_000));
}

async fn a_descriptor_is_no_number_of_bytes() {
    let directory = directory().await;
    let file = OpenOptions::new().write(true).create(true).open(directory.path().join("a")).await.unwrap();
    assert_eq!(file.write_at("seven b", 0).await.0.unwrap(), 7);
    let _pair = pair().await;
    assert_eq!(of(&["openat"]), (1, 0, 0));
    assert_eq!(of(&["accept"]), (1, 0, 0));
    assert_eq!(of(&["connect"]), (1, 0, 0));
    assert_eq!(of(&["write"]), (1, 0, 7));
}

async fn an_error_is_counted_and_a_stop_is_none() {
    let directory = directory().await;
    for _ in 0..3 {
        let error = File::open(directory.path().join("nothing")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert_eq!(of(&["openat"]), (3, 3, 0));

    let (_client, server) = pair().await;
    let before = of(&["recv"]);
    let mut read = server.read(Vec::with_capacity(1));
    assert!((&mut read).now_or_never().is_none());
    read.cancel();
    assert!(read.await.0.is_err());
    let given_up = timeout(Duration::from_millis(1), server.read(Vec::with_capacity(1))).await;
    assert!(given_up.is_err());
    // What was dropped is counted when the driver has let go of it.
    while of(&["recv"]).0 < before.0 + 2 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(of(&["recv"]), (before.0 + 2, before.1, before.2));
}

async fn each_answer_of_many_counts() {
    const CONNECTIONS: usize = 9;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clients = spawn(async move {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        clients
    });
    let mut servers = Vec::new();
    let mut incoming = listener.incoming();
    for _ in 0..CONNECTIONS {
        servers.push(incoming.next().await.unwrap().unwrap().0);
    }
    drop(incoming);
    let clients = clients.await.unwrap();
    assert!(of(&["accept", "accept_often"]).0 >= CONNECTIONS as u64, "{:?}", operations());

    let mut leases = servers[0].recv_stream();
    for round in 1..=20 {
        clients[0].write_all(bytes(1, 100)).await.0.unwrap();
        let mut came = 0;
        while came < 100 {
            came += leases.next().await.unwrap().unwrap().len();
        }
        let (completed, errors, count) = of(&RECEIVES);
        assert!(completed >= round, "{:?}", operations());
        assert_eq!((errors, count), (0, 100 * round));
    }
}

async fn what_a_dropped_receive_brought_is_counted_once() {
    let (client, server) = pair().await;
    let mut received = 0;
    for round in 0..50u64 {
        let mut read = server.read(Vec::with_capacity(100));
        assert!((&mut read).now_or_never().is_none_or(|(result, _)| {
            received += result.unwrap() as u64;
            true
        }));
        client.write_all(bytes(1, 100)).await.0.unwrap();
        if round % 2 == 0 {
            arrival().await;
        }
        drop(read);
    }
    while received < 5000 {
        received += server.read(Vec::with_capacity(100)).await.0.unwrap() as u64;
    }
    let (completed, errors, count) = of(&["recv"]);
    assert!(completed >= 50, "{completed}");
    assert_eq!((errors, count), (0, 5000));
}

async fn a_read_that_is_answered_at_once_counts() {
    let directory = directory().await;
    let path = directory.path().join("file");
    annulus::fs::write(&path, bytes(1, 4096)).await.0.unwrap();
    let file = File::open(&path).await.unwrap();
    let before = of(&["read"]);
    for _ in 0..64 {
        assert_eq!(file.read_at(Vec::with_capacity(4096), 0).await.0.unwrap(), 4096);
    }
    assert_eq!(of(&["read"]), (before.0 + 64, 0, before.2 + 64 * 4096));
    assert_eq!(file.read_at(Vec::new(), 0).await.0.unwrap(), 0, "which asks nobody");
    assert_eq!(of(&["read"]), (before.0 + 65, 0, before.2 + 64 * 4096));
}

async fn calls_with_borrowed_memory_count() {
    let (client, server) = pair().await;
    let (mut client, mut server) = (client.into_poll(), server.into_poll());
    for _ in 0..10 {
        let mut sent = 0;
        while sent < 1000 {
            let rest = &[7; 1000][sent..];
            sent += poll_fn(|cx| Pin::new(&mut client).poll_write(cx, rest)).await.unwrap();
        }
        let mut room = [0; 1000];
        let mut buffer = ReadBuf::new(&mut room);
        while buffer.remaining() > 0 {
            poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buffer)).await.unwrap();
        }
    }
    let (sends, _, sent) = of(&["send"]);
    let (receives, _, came) = of(&["recv"]);
    assert!(sends >= 10 && receives >= 10, "{:?}", operations());
    assert_eq!((sent, came), (10_000, 10_000));
}

async fn datagrams_in_bulk_are_counted_in_bytes() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(server.local_addr().unwrap()).await.unwrap();
    let messages: Vec<_> = (1..=8usize).map(|length| annulus::net::Outgoing::new(bytes(1, length))).collect();
    let (sent, _) = client.send_many(messages).await;
    assert_eq!(sent.unwrap(), 8);
    let mut came = 0;
    while came < 8 {
        let rooms = (0..8).map(|_| Vec::with_capacity(16)).collect();
        came += server.recv_many(rooms).await.0.unwrap().len();
    }
    assert_eq!(of(&["send_many"]).2, 36);
    assert_eq!(of(&["recv_many"]).2, 36);
}

async fn what_is_in_flight_is_not_completed() {
    let (client, server) = pair().await;
    let mut read = server.read(Vec::with_capacity(1));
    assert!((&mut read).now_or_never().is_none());
    assert_eq!(of(&["recv"]), (0, 0, 0));
    client.write_all("x").await.0.unwrap();
    assert_eq!(read.await.0.unwrap(), 1);
    assert_eq!(of(&["recv"]), (1, 0, 1));
}

async fn operations_are_told_by_name_and_only_those_that_were_done() {
    assert!(operations().is_empty());
    nop().await.unwrap();
    let names: Vec<_> = operations().iter().map(|kind| kind.operation).collect();
    assert_eq!(names, ["nop"]);
    let _pair = pair().await;
    let names: Vec<_> = operations().iter().map(|kind| kind.operation).collect();
    assert!(names.is_sorted() && names.contains(&"accept"), "{names:?}");
}

/// Also while answers are late, repeated, or say that there is nothing after all.
fn numbers_never_go_down(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let looking = spawn(async {
                let mut before: Vec<OperationMetrics> = Vec::new();
                loop {
                    let now = operations();
                    for was in &before {
                        let is = now.iter().find(|kind| kind.operation == was.operation);
                        let is = is.unwrap_or_else(|| panic!("{} is gone", was.operation));
                        assert!(
                            is.completed >= was.completed && is.errors >= was.errors && is.bytes >= was.bytes,
                            "{was:?} and then {is:?}"
                        );
                    }
                    before = now;
                    annulus::yield_now().await;
                }
            });
            let mut work = Vec::new();
            for number in 0..8 {
                let (client, server) = pair().await;
                work.push(spawn(async move {
                    for _ in 0..50 {
                        client.write_all(bytes(1, 3000 + number)).await.0.unwrap();
                    }
                }));
                work.push(spawn(async move {
                    let mut left = 50 * (3000 + number);
                    for round in 0.. {
                        if left == 0 {
                            break;
                        }
                        let read = server.read(Vec::with_capacity(2000));
                        let span = Duration::from_micros(if round % 3 == 0 { 1 } else { 1_000_000 });
                        if let Ok((count, _)) = timeout(span, read).await {
                            left -= count.unwrap();
                        }
                    }
                }));
            }
            for task in work {
                task.await.unwrap();
            }
            assert!(!looking.is_finished(), "what it says is above");
            looking.abort();
        })
        .unwrap();
}
