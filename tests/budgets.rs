//! What may not grow unnoticed: user-space instructions of the common operations, and the sizes of their futures.
//!
//! A speed in a test would be a wager on the machine. Instructions are not: callgrind counts the same ones on every run of
//! a build. So this is how a change that makes something slower is caught. The budgets are about a tenth above what was counted
//! when they were set; who comes to need more says why in the commit that raises one.
//!
//! `cargo test --release --test budgets -- --nocapture` (with `valgrind`; in a debug build nothing is counted)

mod support;

use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use annulus::buf::IoBuf;
use annulus::fs::File;
#[cfg(target_pointer_width = "64")]
use annulus::net::TcpListener;
use annulus::net::TcpStream;
use annulus::sync::{Notify, mpsc};
use annulus::{Driver, Runtime, nop, spawn, yield_now};
use support::net::pair;

/// What is counted, on which driver, and how many instructions one of it may take.
const BUDGETS: [(&str, Driver, u64); 12] = [
    // 140 of it are for those who look: what each kind of operation moved, and whether a flight recorder is on.
    ("echo", Driver::Uring, 2200),
    ("echo", Driver::Readiness, 3030),
    ("echo of leases", Driver::Uring, 2200),
    ("spawn one", Driver::Uring, 890),
    ("spawn a thousand", Driver::Uring, 460),
    ("yield", Driver::Uring, 300),
    // As above: 35.
    ("nop", Driver::Uring, 440),
    // Carries where the cursor was, for parts that the ring forgets to count: 16 bytes (op/cursor.rs).
    ("cached read", Driver::Uring, 410),
    ("cancelled timer", Driver::Uring, 510),
    ("channel", Driver::Uring, 950),
    ("notify", Driver::Uring, 830),
    ("wake", Driver::Uring, 370),
];

/// Tells the child what to do, and how often.
const WORK: &str = "ANNULUS_COUNTED_WORK";

#[test]
fn no_operation_takes_more_instructions_than_its_budget() {
    if cfg!(debug_assertions) {
        println!("skipped: instructions are counted in release builds, cargo test --release --test budgets");
        return;
    }
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: valgrind, which counts, is not installed");
        return;
    }
    let mut over = Vec::new();
    for (work, driver, budget) in BUDGETS {
        if Runtime::builder().driver(driver).build().is_err() {
            println!("skipped: {work} on {driver:?}, which this system does not give");
            continue;
        }
        let (once, twice) = (counted(work, driver, 2000), counted(work, driver, 4000));
        let each = (twice - once) / 2000;
        println!("{work:20}{driver:?}{each:>8} of {budget}");
        if each > budget {
            over.push(format!("{work} on {driver:?}: {each} instructions, {budget} are its budget"));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

/// The instructions of a process that does it so often.
fn counted(work: &str, driver: Driver, times: u64) -> u64 {
    let written = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", written.path().display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "what_is_counted", "--test-threads", "1"])
        .env(WORK, format!("{work}/{}/{times}", if driver == Driver::Uring { "uring" } else { "readiness" }))
        .output()
        .unwrap();
    assert!(output.status.success(), "{work}: {}", String::from_utf8_lossy(&output.stdout));
    let text = std::fs::read_to_string(written.path()).unwrap();
    let sum = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    sum.and_then(|sum| sum.trim().parse().ok()).expect("callgrind writes a sum")
}

/// The child's part; nothing else asks for it.
#[test]
fn what_is_counted() {
    let Ok(asked) = std::env::var(WORK) else { return };
    let [work, driver, times] = asked.split('/').collect::<Vec<_>>()[..] else { panic!("{asked}") };
    let (driver, times) = (driver.parse::<Driver>().unwrap(), times.parse::<u64>().unwrap());
    let runtime = Runtime::builder().driver(driver).build().unwrap();
    match work {
        "echo" => runtime.run(echoes(times, false)).unwrap(),
        "echo of leases" => runtime.run(echoes(times, true)).unwrap(),
        "spawn one" => runtime
            .run(async {
                for _ in 0..times {
                    spawn(async {}).await.unwrap()
                }
            })
            .unwrap(),
        "spawn a thousand" => runtime.run(spawns(times)).unwrap(),
        "yield" => runtime
            .run(async {
                for _ in 0..times {
                    yield_now().await
                }
            })
            .unwrap(),
        "nop" => runtime.run(nops(times)).unwrap(),
        "cached read" => runtime.run(reads(times)).unwrap(),
        "cancelled timer" => runtime.run(timers(times)).unwrap(),
        "channel" => runtime.run(messages(times)).unwrap(),
        "notify" => runtime.run(words(times)).unwrap(),
        "wake" => runtime.run(wakes(times)).unwrap(),
        other => panic!("{other}"),
    }
}

/// Each of `times` messages goes there and back, both ends in this loop: two transfers of each kind.
async fn echoes(times: u64, with_leases: bool) {
    const CONNECTIONS: u64 = 20;
    async fn serve(stream: TcpStream, with_leases: bool) {
        if with_leases {
            let mut leases = stream.recv_stream();
            while let Some(lease) = leases.next().await {
                stream.write_all(lease.unwrap()).await.0.unwrap();
            }
            return;
        }
        let mut buffer = Vec::with_capacity(64);
        loop {
            let (count, filled) = stream.read(buffer).await;
            let count = count.unwrap();
            if count == 0 {
                return;
            }
            let (sent, slice) = stream.write_all(filled.slice(..count)).await;
            sent.unwrap();
            buffer = slice.into_inner();
        }
    }
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, server) = pair().await;
        drop(spawn(serve(server, with_leases)));
        clients.push(spawn(async move {
            let mut buffer = Vec::with_capacity(64);
            for _ in 0..times / CONNECTIONS {
                client.write_all("sixteen bytes!!!").await.0.unwrap();
                let (count, filled) = client.read(buffer).await;
                assert_eq!(count.unwrap(), 16);
                buffer = filled;
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
}

async fn spawns(times: u64) {
    for _ in 0..times / 1000 {
        let handles: Vec<_> = (0..1000).map(|_| spawn(async {})).collect();
        for handle in handles {
            handle.await.unwrap();
        }
    }
}

async fn nops(times: u64) {
    let all: Vec<_> = (0..20)
        .map(|_| {
            spawn(async move {
                for _ in 0..times / 20 {
                    nop().await.unwrap();
                }
            })
        })
        .collect();
    for task in all {
        task.await.unwrap();
    }
}

async fn reads(times: u64) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &[7; 4096]).unwrap();
    let file = File::open(file.path()).await.unwrap();
    let mut buffer = Vec::with_capacity(4096);
    for _ in 0..times {
        let (count, filled) = file.read_at(buffer, 0).await;
        assert_eq!(count.unwrap(), 4096);
        buffer = filled;
    }
}

async fn timers(times: u64) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..times {
        let sleep = std::pin::pin!(annulus::time::sleep(Duration::from_secs(1)));
        assert!(std::future::Future::poll(sleep, &mut context).is_pending());
    }
}

async fn messages(times: u64) {
    let (to, mut theirs) = mpsc::channel(1);
    let (back, mut ours) = mpsc::channel(1);
    drop(spawn(async move {
        while let Some(message) = theirs.recv().await {
            back.send(message).await.unwrap();
        }
    }));
    for number in 0..times {
        to.send(number).await.unwrap();
        assert_eq!(ours.recv().await, Some(number));
    }
}

async fn words(times: u64) {
    let (to, back) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
    let (theirs, answer) = (Rc::clone(&to), Rc::clone(&back));
    drop(spawn(async move {
        for _ in 0..times {
            theirs.notified().await;
            answer.notify_one();
        }
    }));
    for _ in 0..times {
        to.notify_one();
        back.notified().await;
    }
}

/// Two tasks wake each other by their wakers.
async fn wakes(times: u64) {
    use std::cell::RefCell;
    use std::future::poll_fn;
    use std::task::{Poll, Waker};
    let seats: Rc<[RefCell<Option<Waker>>; 2]> = Rc::default();
    let player = |mine: usize, seats: Rc<[RefCell<Option<Waker>>; 2]>| async move {
        for _ in 0..times / 2 {
            let mut waited = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut waited, true) {
                    return Poll::Ready(());
                }
                let mut seat = seats[mine].borrow_mut();
                if !seat.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    *seat = Some(cx.waker().clone());
                }
                match &*seats[1 - mine].borrow() {
                    Some(other) => other.wake_by_ref(),
                    None => cx.waker().wake_by_ref(),
                }
                Poll::Pending
            })
            .await;
        }
        if let Some(other) = &*seats[1 - mine].borrow() {
            other.wake_by_ref();
        }
    };
    let (one, other) = (spawn(player(0, Rc::clone(&seats))), spawn(player(1, Rc::clone(&seats))));
    one.await.unwrap();
    other.await.unwrap();
}

/// In bytes, on 64-bit systems. A future lies in its task: what it grows by, every connection grows by.
#[test]
#[cfg(target_pointer_width = "64")]
fn futures_are_no_larger_than_they_were() {
    Runtime::new()
        .unwrap()
        .run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            // What a timer keeps for those who look at it by `tracing`: where it was made, and its spans.
            let seen = if cfg!(feature = "tracing") { 16 } else { 0 };
            let sizes = [
                ("nop", size_of_val(&nop()), 32),
                ("read", size_of_val(&stream.read(Vec::new())), 72),
                ("write_all", size_of_val(&stream.write_all("")), 64),
                ("recv", size_of_val(&stream.recv()), 40),
                ("accept", size_of_val(&listener.accept()), 56),
                ("sleep", size_of_val(&annulus::time::sleep(Duration::ZERO)), 40 + seen),
                (
                    "timeout of a read",
                    size_of_val(&stream.read(Vec::new()).timeout(Duration::ZERO)),
                    120 + seen,
                ),
                ("yield_now", size_of_val(&yield_now()), 2),
                ("JoinHandle", size_of::<annulus::task::JoinHandle<()>>(), 16),
                ("TcpStream", size_of::<TcpStream>(), 8),
                ("Lease", size_of::<annulus::buf::Lease>(), 24),
                ("mpsc::Sender", size_of::<mpsc::Sender<u64>>(), 8),
            ];
            let grown: Vec<_> = sizes.iter().filter(|(_, size, limit)| size > limit).collect();
            println!("{sizes:?}");
            assert!(grown.is_empty(), "name, size, limit: {grown:?}");
        })
        .unwrap();
}
