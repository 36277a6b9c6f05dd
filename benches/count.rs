//! Counts, which stand where time is noise: what an echoed message of 64 bytes costs the server in user-space
//! instructions and in system calls of the driver, with 64 busy connections.
//!
//! Each server runs in a process of its own, natively and under valgrind's callgrind, once for a number of messages
//! and once for twice as many: the difference of the two is the messages' alone. The client is this process, with
//! plain sockets and one poller: each connection sends its next message when the last one has come back.
//!
//! `cargo bench --bench count` (with `valgrind` installed; without it the instructions are left out)
#![allow(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use polling::{Event, Events, PollMode, Poller};

const CONNECTIONS: u64 = 64;
const MESSAGE: usize = 64;
const ROUNDS: u64 = 400;
/// What a server process is told to be.
const ROLE: &str = "ANNULUS_COUNT_SERVER";
/// A driver, and what it receives into: a buffer of each connection's own, leases one by one, or a stream of them.
const SERVERS: [&str; 7] =
    ["uring", "uring leases", "uring stream", "readiness", "readiness leases", "readiness stream", "tokio"];

fn main() -> io::Result<()> {
    match std::env::var(ROLE).as_deref() {
        Ok("tokio") => theirs::serve(),
        Ok(driver) => ours::serve(driver),
        // Cargo says so when it wants the figures, and not only to know that it starts.
        Err(_) if std::env::args().any(|argument| argument == "--bench") => report(),
        Err(_) => Ok(()),
    }
}

fn report() -> io::Result<()> {
    println!("an echoed message of {MESSAGE} bytes, {CONNECTIONS} busy connections, the server alone:");
    println!("{:18}{:>16}{:>16}{:>24}", "", "instructions", "enters", "enters under valgrind");
    let tool = Valgrind::try_new();
    for server in SERVERS {
        let Some(native) = per_message(server, None)? else {
            println!("{server:18}{:>16}", "not to be had");
            continue;
        };
        // There the server is so slow that the client never keeps it waiting: as busy as can be.
        let counted = tool.as_ref().map(|tool| per_message(server, Some(tool))).transpose()?.flatten();
        let number = |number: Option<f64>, decimals| match number {
            Some(number) => format!("{number:.decimals$}"),
            None => "-".to_owned(),
        };
        let enters = |counts: Counts| (server != "tokio").then_some(counts.enters);
        println!(
            "{server:18}{:>16}{:>16}{:>24}",
            number(counted.map(|counted| counted.instructions), 0),
            number(enters(native), 3),
            number(counted.and_then(enters), 3),
        );
    }
    Ok(())
}

/// What a server counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    instructions: f64,
    enters: f64,
}

/// What one message cost. None if the server cannot run here.
fn per_message(server: &str, tool: Option<&Valgrind>) -> io::Result<Option<Counts>> {
    let rounds = if tool.is_some() { ROUNDS } else { 10 * ROUNDS };
    let (Some(once), Some(twice)) = (run(server, tool, rounds)?, run(server, tool, 2 * rounds)?) else {
        return Ok(None);
    };
    let messages = (CONNECTIONS * rounds) as f64;
    Ok(Some(Counts {
        instructions: (twice.instructions - once.instructions) / messages,
        // These differ from run to run by more than starting costs.
        enters: (once.enters + twice.enters) / (3.0 * messages),
    }))
}

/// Starts the server, talks to it, and reads what it counted.
fn run(server: &str, tool: Option<&Valgrind>, rounds: u64) -> io::Result<Option<Counts>> {
    let this = std::env::current_exe()?;
    let mut command = match tool {
        Some(tool) => tool.command(&this),
        None => Command::new(this),
    };
    let mut process: Child =
        command.env(ROLE, server).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(process.stdout.take().expect("asked for")).lines();
    let address = lines.next().transpose()?.and_then(|line| line.parse::<SocketAddr>().ok());
    if let Some(address) = address {
        talk(address, rounds)?;
    }
    let counted = lines.next().transpose()?;
    if !process.wait()?.success() {
        return Ok(None);
    }
    let enters = counted.and_then(|count| count.parse().ok()).unwrap_or(0.0);
    let instructions = tool.map(Valgrind::instructions).transpose()?.unwrap_or(0.0);
    Ok(Some(Counts { instructions, enters }))
}

/// All connections are busy until each has had as many messages back.
fn talk(address: SocketAddr, rounds: u64) -> io::Result<()> {
    let poller = Poller::new()?;
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS as usize {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        // SAFETY: the stream is taken out again below, before it is closed.
        unsafe { poller.add_with_mode(&stream, Event::readable(number), PollMode::Level)? };
        (&stream).write_all(&[7; MESSAGE])?;
        connections.push((stream, 0, rounds));
    }
    let (mut events, mut busy) = (Events::new(), CONNECTIONS);
    while busy > 0 {
        events.clear();
        poller.wait(&mut events, None)?;
        for event in events.iter() {
            let (stream, got, left) = &mut connections[event.key];
            *got += stream.read(&mut [0; MESSAGE])?;
            if *got < MESSAGE {
                continue;
            }
            (*got, *left) = (0, *left - 1);
            match *left {
                0 => busy -= 1,
                // Next to nothing is under way, so there is room.
                _ => stream.write_all(&[7; MESSAGE])?,
            }
        }
    }
    connections.iter().try_for_each(|(stream, ..)| poller.delete(stream))
}

/// valgrind's callgrind, and where it writes what it counted.
struct Valgrind(tempfile::NamedTempFile);

impl Valgrind {
    fn try_new() -> Option<Valgrind> {
        let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
        found
            .is_ok_and(|status| status.success())
            .then(|| tempfile::NamedTempFile::new().ok().map(Valgrind))?
    }

    fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("valgrind");
        let out = format!("--callgrind-out-file={}", self.0.path().display());
        command.args(["--quiet", "--tool=callgrind", &out]).arg(program);
        command
    }

    fn instructions(&self) -> io::Result<f64> {
        let written = std::fs::read_to_string(self.0.path())?;
        let sum = written.lines().find_map(|line| line.strip_prefix("summary: "));
        sum.and_then(|sum| sum.trim().parse().ok()).ok_or_else(|| io::Error::other("callgrind wrote no sum"))
    }
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
            println!("{}", listener.local_addr()?);
            let mut tasks = Vec::new();
            for _ in 0..CONNECTIONS {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tasks.push(match shape {
                    "leases" => annulus::spawn(echo_leases(stream)),
                    "stream" => annulus::spawn(echo_stream(stream)),
                    _ => annulus::spawn(echo(stream)),
                });
            }
            for task in tasks {
                task.await??;
            }
            io::Result::Ok(())
        })??;
        println!("{}", runtime.metrics().enters);
        Ok(())
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
        let mut buffer = Vec::with_capacity(1024);
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
            println!("{}", listener.local_addr()?);
            let mut tasks = Vec::new();
            for _ in 0..CONNECTIONS {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tasks.push(spawn_local(echo(stream)));
            }
            for task in tasks {
                task.await??;
            }
            Ok(())
        })
    }

    async fn echo(mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 1024];
        loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..count]).await?;
        }
    }
}
