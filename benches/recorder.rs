//! What the flight recorder costs: a poll, and an echoed message, with it and without, in turn, so that what slows the machine slows both.
//!
//! Processor time of the thread, the least of many short rounds: noise only adds.
//!
//! `cargo bench --bench recorder`

use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::{Driver, Runtime, spawn, yield_now};

const ROUNDS: usize = 60;
const YIELDS: u32 = 20_000;
const MESSAGES: u32 = 400;
const CONNECTIONS: usize = 16;

fn main() {
    for driver in [Driver::Uring, Driver::Readiness] {
        let Ok(plain) = Runtime::builder().driver(driver).build() else {
            eprintln!("not measured: {driver} cannot be had here");
            continue;
        };
        let recorded = Runtime::builder().driver(driver).flight_recorder(16_384).build().unwrap();
        for (what, count, work) in [
            ("a poll", YIELDS, (|runtime| time_of(runtime, polls())) as fn(&Runtime) -> Duration),
            ("an echoed message, 64 B, 16 connections", MESSAGES * CONNECTIONS as u32, |runtime| {
                time_of(runtime, echo())
            }),
        ] {
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                without.push(work(&plain));
                with.push(work(&recorded));
            }
            let each = |times: &mut Vec<Duration>| {
                times.sort();
                [times[0], times[times.len() / 2]].map(|time| time.as_nanos() as f64 / f64::from(count))
            };
            let ([least, median], [least_with, median_with]) = (each(&mut without), each(&mut with));
            println!(
                "{driver}, {what}: {least:.1} ns without, {least_with:.1} with: {:+.2} ns, {:+.2} %; medians {median:.1}, {median_with:.1}",
                least_with - least,
                (least_with / least - 1.0) * 100.0
            );
        }
    }
}

/// How long this thread worked for it.
fn time_of(runtime: &Runtime, work: impl Future<Output = ()>) -> Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    runtime
        .run(async {
            let begun = now();
            work.await;
            now() - begun
        })
        .unwrap()
}

async fn polls() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}

async fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        tasks.push(spawn(async move {
            let mut buffer = vec![0; 64];
            for _ in 0..MESSAGES {
                let (read, filled) = server.read_exact(buffer).await;
                read.unwrap();
                let (written, back) = server.write_all(filled).await;
                written.unwrap();
                buffer = back;
            }
        }));
        tasks.push(spawn(async move {
            let mut buffer = vec![b'.'; 64];
            for _ in 0..MESSAGES {
                let (written, back) = client.write_all(buffer).await;
                written.unwrap();
                let (read, filled) = client.read_exact(back).await;
                read.unwrap();
                buffer = filled;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}
