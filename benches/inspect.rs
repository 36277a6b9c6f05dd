//! What a viewer costs the loop that is looked at: the processor time of its thread, and the longest that it was awake at a stretch, with 10,000 tasks.
//!
//! Half of the tasks wait for a timer, half for each other's word; some hundreds have an operation in flight, and one ticks, so that the loop is not
//! asleep for good. One viewer asks once a second, as the page does; then as often as it can.
//!
//! `cargo bench --features inspect --bench inspect`, for seconds: `-- 30`

use std::cell::Cell;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use annulus::inspect::{self, Address, Inspector};
use annulus::net::UdpSocket;
use annulus::sync::across::oneshot;
use annulus::task;
use annulus::time::{interval, sleep};
use annulus::{Builder, Driver};

const TASKS: usize = 10_000;
const OPERATIONS: usize = 200;

thread_local! {
    static AWAKE_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn main() -> io::Result<()> {
    let spans = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let span = Duration::from_secs(spans.unwrap_or(10));
    for driver in [Driver::Uring, Driver::Readiness] {
        measure(driver, span)?;
    }
    Ok(())
}

fn measure(driver: Driver, span: Duration) -> io::Result<()> {
    let longest = Arc::new(AtomicU64::new(0));
    let (end, ended) = oneshot::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let noted = Arc::clone(&longest);
    let looked_at = thread::spawn(move || -> io::Result<()> {
        let builder = Builder::new()
            .driver(driver)
            .on_park(move || {
                if let Some(since) = AWAKE_SINCE.get() {
                    noted.fetch_max(since.elapsed().as_nanos() as u64, Ordering::Relaxed);
                }
            })
            .on_unpark(|| AWAKE_SINCE.set(Some(Instant::now())));
        let runtime = builder.build()?;
        runtime.run(async {
            for number in 0..TASKS {
                let named = task::Builder::new().name(&format!("connection-{number}"));
                match number {
                    0..OPERATIONS => {
                        let socket = UdpSocket::bind("127.0.0.1:0").await?;
                        drop(named.spawn(async move { drop(socket.recv_from(vec![0; 512]).await) }));
                    }
                    _ if number % 2 == 0 => drop(named.spawn(sleep(Duration::from_secs(3600)))),
                    _ => drop(named.spawn(std::future::pending::<()>())),
                }
            }
            drop(annulus::spawn(async {
                let mut ticks = interval(Duration::from_millis(10));
                loop {
                    ticks.tick().await;
                }
            }));
            annulus::yield_now().await;
            let thread = fs::read_link("/proc/thread-self")?;
            let _ = ready.send(thread);
            let _ = ended.await;
            Ok(())
        })?
    });
    let Ok(thread) = is_ready.recv() else { return looked_at.join().unwrap() };
    let inspector = inspect::serve("127.0.0.1:0")?;
    let spent = || processor_time(&thread);
    let say = |what: &str, before: Duration, asked: u64, begun: Instant| -> io::Result<Duration> {
        let (used, took) = (spent()? - before, begun.elapsed());
        println!(
            "{driver:?}, {what}: {:.3} % of a core, longest awake {:.3} ms, {asked} requests, {} surveys so far",
            used.as_secs_f64() / took.as_secs_f64() * 100.0,
            longest.swap(0, Ordering::Relaxed) as f64 / 1e6,
            inspector.counts().surveys,
        );
        Ok(used)
    };
    thread::sleep(Duration::from_millis(500));
    longest.store(0, Ordering::Relaxed);

    let (before, begun) = (spent()?, Instant::now());
    thread::sleep(span);
    say("nobody looks", before, 0, begun)?;

    let (before, begun) = (spent()?, Instant::now());
    let mut asked = 0;
    while begun.elapsed() < span {
        look(&inspector)?;
        asked += 1;
        thread::sleep(Duration::from_secs(1));
    }
    say("one viewer, once a second", before, asked, begun)?;

    let (before, begun) = (spent()?, Instant::now());
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) && look(&inspector).is_ok() {
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(span);
        over.store(true, Ordering::Relaxed);
    });
    say("four who ask all the time", before, asked.into_inner(), begun)?;
    drop(end);
    looked_at.join().unwrap()
}

/// As the page asks.
fn look(inspector: &Inspector) -> io::Result<usize> {
    let Address::Tcp(address) = inspector.address() else { unreachable!() };
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(
        b"GET /api/snapshot?sort=busy&order=desc&limit=50 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)
}

/// How long a thread has run: nanoseconds, where /proc has them.
fn processor_time(thread: &std::path::Path) -> io::Result<Duration> {
    let text = fs::read_to_string(std::path::Path::new("/proc").join(thread).join("schedstat"))?;
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::Error::other("no time in /proc/.../schedstat"))
}
