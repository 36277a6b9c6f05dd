//! What an idle connection costs the server in memory, by what it waits into: a buffer of its own, a lease, a stream of
//! leases; beside tokio.
//!
//! Each server runs in a process of its own. The client connects 8,000 times, has a message of 64 bytes echoed on each
//! connection, and then is silent. Told is what that added: to the heap, as an allocator counts that is put around the
//! system's, and to the resident memory. The kernel's own, which is the same for all, is not told.
//!
//! `cargo bench --bench memory`
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

const CONNECTIONS: usize = 8000;
const MESSAGE: usize = 64;
/// What a server process is told to be.
const ROLE: &str = "ANNULUS_MEMORY_SERVER";
const SERVERS: [&str; 7] = [
    "uring 4096",
    "uring leases",
    "uring stream",
    "readiness 4096",
    "readiness leases",
    "readiness stream",
    "tokio 4096",
];

/// The system's allocator, and how much of it is in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> io::Result<()> {
    match std::env::var(ROLE) {
        Ok(role) if role.starts_with("tokio") => theirs::serve(),
        Ok(role) => ours::serve(&role),
        // Cargo says so when it wants the figures, and not only to know that it starts.
        Err(_) if std::env::args().any(|argument| argument == "--bench") => report(),
        Err(_) => Ok(()),
    }
}

fn report() -> io::Result<()> {
    println!("bytes an idle connection, of {CONNECTIONS}:");
    println!("{:18}{:>10}{:>10}", "", "heap", "resident");
    for server in SERVERS {
        match measure(server)? {
            Some([heap, resident]) => println!("{server:18}{heap:>10}{resident:>10}"),
            None => println!("{server:18} not to be had"),
        }
    }
    Ok(())
}

/// Heap and resident memory a connection. None if the server cannot run here.
fn measure(server: &str) -> io::Result<Option<[usize; 2]>> {
    let mut process = Command::new(std::env::current_exe()?)
        .env(ROLE, server)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut lines = BufReader::new(process.stdout.take().expect("asked for")).lines();
    let mut tell = process.stdin.take().expect("asked for");
    let mut numbers = |wanted: &[u8]| -> io::Result<Option<[usize; 2]>> {
        tell.write_all(wanted)?;
        let Some(line) = lines.next().transpose()? else { return Ok(None) };
        let mut numbers = line.split(' ').map(|number| number.parse().unwrap_or(0));
        Ok(Some([numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)]))
    };
    let Some([port, _]) = numbers(b"")? else { return Ok(None) };
    let address = SocketAddr::from(([127, 0, 0, 1], port as u16));
    // What is made once.
    drop(echoed(address)?);
    let Some(before) = numbers(b"?")? else { return Ok(None) };
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(echoed(address)?);
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let Some(after) = numbers(b"?")? else { return Ok(None) };
    drop(connections);
    process.kill()?;
    process.wait()?;
    Ok(Some([0, 1].map(|which| after[which].saturating_sub(before[which]) / CONNECTIONS)))
}

fn echoed(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&[7; MESSAGE])?;
    stream.read_exact(&mut [0; MESSAGE])?;
    Ok(stream)
}

/// Answers each byte on the standard input with two numbers, on a thread of its own.
fn answer_on_stdin(port: u16) {
    println!("{port} 0");
    std::thread::spawn(|| {
        for byte in io::stdin().lock().bytes() {
            let Ok(_) = byte else { return };
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
            let pages: usize = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
            println!("{} {}", IN_USE.load(Ordering::Relaxed), pages * 4096);
        }
    });
}

mod ours {
    use annulus::buf::IoBuf;
    use annulus::net::{TcpListener, TcpStream};

    use super::*;

    pub fn serve(role: &str) -> io::Result<()> {
        let (driver, shape) = role.split_once(' ').unwrap_or((role, ""));
        let driver = driver.parse().map_err(io::Error::other)?;
        let runtime = annulus::Runtime::builder().driver(driver).build()?;
        runtime.run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            answer_on_stdin(listener.local_addr()?.port());
            loop {
                let (stream, _) = listener.accept().await?;
                drop(match shape {
                    "leases" => annulus::spawn(echo_leases(stream)),
                    "stream" => annulus::spawn(echo_stream(stream)),
                    _ => annulus::spawn(echo(stream)),
                });
            }
        })?
    }

    async fn echo_leases(stream: TcpStream) -> io::Result<()> {
        loop {
            let lease = stream.recv().await?;
            if lease.is_empty() {
                return Ok(());
            }
            stream.write_all(lease).await.0?;
        }
    }

    async fn echo_stream(stream: TcpStream) -> io::Result<()> {
        let mut leases = stream.recv_stream();
        while let Some(lease) = leases.next().await {
            stream.write_all(lease?).await.0?;
        }
        Ok(())
    }

    async fn echo(stream: TcpStream) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(4096);
        loop {
            let (received, filled) = stream.read(buffer).await;
            let count = received?;
            if count == 0 {
                return Ok(());
            }
            let (sent, slice) = stream.write_all(filled.slice(..count)).await;
            sent?;
            buffer = slice.into_inner();
        }
    }
}

/// The same in tokio, on one thread.
mod theirs {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    pub fn serve() -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            answer_on_stdin(listener.local_addr()?.port());
            loop {
                let (stream, _) = listener.accept().await?;
                drop(spawn_local(echo(stream)));
            }
        })
    }

    async fn echo(mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 4096];
        loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..count]).await?;
        }
    }
}
