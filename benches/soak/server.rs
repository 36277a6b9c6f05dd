//! The server: sends back what comes, in one of five ways, each with what the crate has against silent and dead clients.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::fs;
use std::io::{self, BufRead};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use annulus::buf::IoBuf;
use annulus::net::{TcpListener, TcpStream};
use annulus::sync::mpsc;
use annulus::task::JoinSet;
use annulus::time::{sleep, timeout};
use annulus::{Current, Driver, Runtime, random};

use crate::PATIENCE;
use crate::told::Sample;

/// The system's allocator, and how much of it is in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ACCEPTED: AtomicU64 = AtomicU64::new(0);
static TIMED_OUT: AtomicU64 = AtomicU64::new(0);
static ABORTED: AtomicU64 = AtomicU64::new(0);
static RESET: AtomicU64 = AtomicU64::new(0);

pub fn serve(driver: Driver) -> io::Result<()> {
    let runtime = Runtime::builder().driver(driver).build().map_err(io::Error::other)?;
    let remote = runtime.remote();
    runtime.run(async {
        let listener = TcpListener::bind_with_backlog("0.0.0.0:0", 4096).await?;
        println!("{}", listener.local_addr()?.port());
        drop(annulus::spawn(accept(listener)));
        // For each line one with the numbers, until there are no more.
        let asked = annulus::spawn_blocking(move || {
            for line in io::stdin().lock().lines() {
                let (Ok(_), Ok(sample)) = (line, remote.run(sample).wait()) else { return };
                println!("{sample}");
            }
        });
        asked.await.map_err(io::Error::from)
    })?
}

fn sample() -> Sample {
    let loop_of = Runtime::try_current().expect("it is asked on the loop");
    let metrics = Current::metrics(&loop_of);
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Sample {
        seconds: 0,
        resident: pages * 4096,
        heap: IN_USE.load(Relaxed) as u64,
        // Without the one by which they are looked at.
        descriptors: fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64 - 1),
        tasks: metrics.alive as u64,
        operations: metrics.in_flight as u64,
        orphans: metrics.orphans as u64,
        timers: metrics.timers as u64,
        leases: metrics.leases_out as u64,
        buffers: metrics.lease_buffers as u64,
        accepted: ACCEPTED.load(Relaxed),
        timed_out: TIMED_OUT.load(Relaxed),
        aborted: ABORTED.load(Relaxed),
        reset: RESET.load(Relaxed),
        completed: metrics.completed,
        stray: metrics.stray,
        overflows: metrics.overflows,
    }
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    let mut incoming = listener.incoming();
    let mut connections = JoinSet::new();
    // Some of them, to be aborted: the newest of each number.
    let victims: Rc<RefCell<Vec<annulus::task::AbortHandle>>> = Rc::default();
    drop(annulus::spawn(abort_some(victims.clone())));
    let mut number = 0_u64;
    while let Some(connection) = incoming.next().await {
        while let Some(ended) = connections.try_join_next() {
            count(ended);
        }
        let Ok((stream, _)) = connection.inspect_err(|error| eprintln!("accept: {error}")) else { continue };
        ACCEPTED.fetch_add(1, Relaxed);
        number += 1;
        let handle = match number % 5 {
            0 => connections.spawn(by_stream(stream)),
            1 => connections.spawn(by_lease(stream)),
            2 => connections.spawn(by_buffer(stream)),
            3 => connections.spawn(by_race(stream)),
            _ => connections.spawn(by_two(stream)),
        };
        if number % 16 == 0 {
            let mut victims = victims.borrow_mut();
            match victims.len() < 256 {
                true => victims.push(handle),
                false => victims[random() as usize % 256] = handle,
            }
        }
    }
    Ok(())
}

fn count(ended: Result<io::Result<()>, annulus::task::JoinError>) {
    let which = match ended {
        Ok(Ok(())) => return,
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => &TIMED_OUT,
        Ok(Err(_)) => &RESET,
        Err(_) => &ABORTED,
    };
    which.fetch_add(1, Relaxed);
}

/// One in a while, whatever it does.
async fn abort_some(victims: Rc<RefCell<Vec<annulus::task::AbortHandle>>>) {
    loop {
        sleep(Duration::from_millis(50)).await;
        let mut victims = victims.borrow_mut();
        if !victims.is_empty() {
            let which = random() as usize % victims.len();
            victims.swap_remove(which).abort();
        }
    }
}

/// A stream of leases, and a time-out around each.
async fn by_stream(stream: TcpStream) -> io::Result<()> {
    let mut leases = stream.recv_stream();
    while let Some(lease) = timeout(PATIENCE, leases.next()).await? {
        stream.write_all(lease?).timeout(PATIENCE).await.0?;
    }
    Ok(())
}

/// A lease a message; the time-out stops the operation.
async fn by_lease(stream: TcpStream) -> io::Result<()> {
    loop {
        let lease = stream.recv().timeout(PATIENCE).await?;
        if lease.is_empty() {
            return Ok(());
        }
        stream.write_all(lease).timeout(PATIENCE).await.0?;
    }
}

/// A buffer of its own for each connection, which comes back with each result.
async fn by_buffer(stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let (result, filled) = stream.read(buffer).timeout(PATIENCE).await;
        let count = result?;
        if count == 0 {
            return Ok(());
        }
        let (result, sent) = stream.write_all(filled.slice(..count)).timeout(PATIENCE).await;
        result?;
        buffer = sent.into_inner();
    }
}

/// Each read is raced against a short sleep and dropped when it loses, many times: what came meanwhile is there for the next.
async fn by_race(stream: TcpStream) -> io::Result<()> {
    let mut silent = Duration::ZERO;
    loop {
        let span = Duration::from_millis(50 + random() % 400);
        match timeout(span, stream.read(Vec::with_capacity(1024))).await {
            Err(_) if silent > PATIENCE => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) => silent += span,
            Ok((result, filled)) => {
                silent = Duration::ZERO;
                if result? == 0 {
                    return Ok(());
                }
                timeout(PATIENCE, stream.write_all(filled)).await?.0?;
            }
        }
    }
}

/// A task that reads and one that writes, with a channel between; helper threads see some of it.
async fn by_two(stream: TcpStream) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(4);
    let mut both = JoinSet::<io::Result<()>>::new();
    both.spawn(async move {
        while let Some(message) = receiver.recv().await {
            writer.write_all(message).timeout(PATIENCE).await.0?;
        }
        Ok(())
    });
    both.spawn(async move {
        loop {
            let (result, mut filled) = reader.read(Vec::with_capacity(4096)).timeout(PATIENCE).await;
            if result? == 0 {
                return Ok(());
            }
            if random() % 16 == 0 {
                filled = annulus::spawn_blocking(move || filled).await?;
            }
            if sender.send(filled).await.is_err() {
                return Ok(());
            }
        }
    });
    // Dropped with this task, they are aborted.
    while let Some(ended) = both.join_next().await {
        ended??;
    }
    Ok(())
}
