//! What an echoed message costs: 64 bytes over TCP on loopback, at 1 and at 64 connections, beside tokio.
//!
//! Both ends are tasks of the measured loop, on one thread: another thread as the client would measure how the two
//! are scheduled, which on a small machine is most of the time and all of the noise. So each figure is of one
//! message there and back: two sends and two receives. For the server alone, in instructions and system calls: the
//! bench `count`.
//!
//! `cargo bench --bench echo`

mod support;

use std::io;
use std::time::{Duration, Instant};

use annulus::Runtime;
use annulus::buf::IoBuf;
use annulus::net::{TcpListener, TcpStream};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use support::{Tokio, in_rounds, loops};

const MESSAGE: usize = 64;

/// Pairs of connected streams, in annulus.
async fn pairs(count: u64) -> io::Result<Vec<(TcpStream, TcpStream)>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        pairs.push((client, server));
    }
    Ok(pairs)
}

/// Sends back what it receives, until the end.
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

/// The same from leases, one by one.
async fn echo_leases(stream: TcpStream) -> io::Result<()> {
    loop {
        let lease = stream.recv().await?;
        if lease.is_empty() {
            return Ok(());
        }
        stream.write_all(lease).await.0?;
    }
}

/// The same from a stream of leases.
async fn echo_stream(stream: TcpStream) -> io::Result<()> {
    let mut leases = stream.recv_stream();
    while let Some(lease) = leases.next().await {
        stream.write_all(lease?).await.0?;
    }
    Ok(())
}

/// What the server receives into.
#[derive(Clone, Copy)]
enum Into {
    Owned,
    Leases,
    Stream,
}

async fn ask(stream: TcpStream, rounds: u64) -> io::Result<()> {
    let (mut message, mut reply) = (vec![7; MESSAGE], Vec::with_capacity(MESSAGE));
    for _ in 0..rounds {
        let (sent, ours) = stream.write_all(message).await;
        sent?;
        let (received, theirs) = stream.read_exact(reply).await;
        received?;
        (message, reply) = (ours, theirs);
    }
    Ok(())
}

async fn messages(connections: u64, rounds: u64, into: Into) -> io::Result<Duration> {
    let pairs = pairs(connections).await?;
    let start = Instant::now();
    let both = |(client, server)| {
        let echo = match into {
            Into::Owned => annulus::spawn(echo(server)),
            Into::Leases => annulus::spawn(echo_leases(server)),
            Into::Stream => annulus::spawn(echo_stream(server)),
        };
        (annulus::spawn(ask(client, rounds)), echo)
    };
    let tasks: Vec<_> = pairs.into_iter().map(both).collect();
    let mut echoing = Vec::new();
    for (asking, echo) in tasks {
        asking.await??;
        echoing.push(echo);
    }
    let took = start.elapsed();
    for echo in echoing {
        echo.await??;
    }
    Ok(took)
}

/// The same in tokio.
mod theirs {
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::spawn_local;

    use super::*;

    async fn pairs(count: u64) -> io::Result<Vec<(TcpStream, TcpStream)>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            let client = TcpStream::connect(listener.local_addr()?).await?;
            let (server, _) = listener.accept().await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            pairs.push((client, server));
        }
        Ok(pairs)
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

    async fn ask(mut stream: TcpStream, rounds: u64) -> io::Result<()> {
        let (message, mut reply) = ([7; MESSAGE], [0; MESSAGE]);
        for _ in 0..rounds {
            stream.write_all(&message).await?;
            stream.read_exact(&mut reply).await?;
        }
        Ok(())
    }

    pub async fn messages(connections: u64, rounds: u64) -> io::Result<Duration> {
        let pairs = pairs(connections).await?;
        let start = Instant::now();
        let both = |(client, server)| (spawn_local(ask(client, rounds)), spawn_local(echo(server)));
        let tasks: Vec<_> = pairs.into_iter().map(both).collect();
        let mut echoing = Vec::new();
        for (asking, echo) in tasks {
            asking.await??;
            echoing.push(echo);
        }
        let took = start.elapsed();
        for echo in echoing {
            echo.await??;
        }
        Ok(took)
    }
}

fn benches(criterion: &mut Criterion) {
    let (ours, tokio): (Vec<Runtime>, _) = (loops(), Tokio::new());
    for connections in [1, 64] {
        let mut group = criterion.benchmark_group(format!("echo of 64 bytes, {connections} connections"));
        for runtime in &ours {
            for (into, name) in
                [(Into::Owned, ""), (Into::Leases, ", leases"), (Into::Stream, ", stream of leases")]
            {
                group.bench_function(format!("{}{name}", runtime.driver()), |bencher| {
                    bencher.iter_custom(|count| {
                        in_rounds(count, connections, |rounds| {
                            runtime.run(messages(connections, rounds, into)).unwrap().unwrap()
                        })
                    })
                });
            }
        }
        group.bench_function("tokio", |bencher| {
            bencher.iter_custom(|count| {
                in_rounds(count, connections, |rounds| {
                    tokio.run(theirs::messages(connections, rounds)).unwrap()
                })
            })
        });
        group.finish();
    }
}

criterion_group! { name = all; config = support::settings(); targets = benches }
criterion_main!(all);
