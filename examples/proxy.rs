//! A TCP proxy: what comes from a client goes to the target and back, without passing through the program.
//!
//! ```sh
//! cargo run --release --example proxy -- --to 127.0.0.1:8080     # listens at 127.0.0.1:7070
//! curl http://127.0.0.1:7070/Cargo.toml
//! ```
//! `io::copy` moves the bytes of two streams by splice(2). A connection holds two sockets, the futures of its two
//! directions, and in each direction at most one pipe's worth of bytes that the other end does not take, 256 KiB. While
//! nothing comes it holds no pipe.

#[path = "redis/stop.rs"]
mod stop;

use std::future::pending;
use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use annulus::io::copy;
use annulus::net::{TcpListener, TcpStream};
use annulus::task::JoinHandle;
use annulus::time::{sleep, timeout};
use annulus::{Driver, Runtime, spawn};
use clap::Parser;
use futures_util::future::{Either, select, try_join};
use futures_util::stream::{FuturesUnordered, StreamExt};

use stop::Stop;

/// How long connections may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

/// The connections that are being passed on.
type Open = FuturesUnordered<JoinHandle<()>>;

/// Passes connections on to another address.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7070")]
    addr: String,
    /// Where to pass connections on to, as HOST:PORT.
    #[arg(long)]
    to: String,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
    /// How many connections at once. Who comes beyond that waits until one has ended.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// How long the target may take to accept a connection, in seconds.
    #[arg(long, default_value_t = 5.0)]
    connect_timeout: f64,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    let runtime = Runtime::builder().driver(arguments.driver).build()?;
    runtime.run(proxy(arguments))?
}

async fn proxy(arguments: Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(arguments.addr.as_str()).await?;
    let stop = Stop::on_signal()?;
    let driver = Runtime::try_current().expect("inside of the loop").driver();
    eprintln!("passing {} on to {} ({driver})", listener.local_addr()?, arguments.to);

    let mut open = Open::new();
    let arguments = Rc::new(arguments);
    select(pin!(pass_all(&listener, &arguments, &mut open)), pin!(stop.asked())).await;
    drop(listener);
    let left = async { while open.next().await.is_some() {} };
    if timeout(GRACE, left).await.is_err() {
        eprintln!("proxy: {} connections are cut off", open.len());
    }
    Ok(())
}

/// Accepts as long as there is room, and makes room as connections end.
async fn pass_all(listener: &TcpListener, arguments: &Rc<Arguments>, open: &mut Open) {
    loop {
        let has_room = open.len() < arguments.limit.max(1);
        let accepted = {
            // Whichever of the two is dropped loses nothing.
            let accept = pin!(async { if has_room { listener.accept().await } else { pending().await } });
            let ended = pin!(async {
                if open.next().await.is_none() {
                    pending().await
                }
            });
            match select(accept, ended).await {
                Either::Left((accepted, _)) => accepted,
                Either::Right(_) => continue,
            }
        };
        match accepted {
            Ok((client, _)) => open.push(spawn(pass(client, Rc::clone(arguments)))),
            // Descriptors are used up, or something as passing. The client waits; so do we.
            Err(error) => {
                eprintln!("proxy: no connection can be accepted for now ({error})");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The life of a connection.
async fn pass(client: TcpStream, arguments: Rc<Arguments>) {
    let limit = Duration::from_secs_f64(arguments.connect_timeout);
    let connected = timeout(limit, TcpStream::connect(arguments.to.as_str())).await;
    let server = match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("proxy: {}: {error}", arguments.to);
            return refuse(&[&client]);
        }
    };
    drop(arguments);
    // What is passed on was put together by its sender.
    let set = client.set_nodelay(true).and(server.set_nodelay(true));
    let passed = try_join(one_way(&client, &server), one_way(&server, &client));
    // One end is gone. The other learns it, and nothing that is still on its way is taken for the whole.
    if set.is_err() || passed.await.is_err() {
        refuse(&[&client, &server]);
    }
}

/// Passes on all that comes one way, and then the end. The other way goes on.
async fn one_way(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown(Shutdown::Write).await
}

/// Has connections end by a reset when they are dropped.
fn refuse(streams: &[&TcpStream]) {
    for stream in streams {
        // One that is gone already needs no more.
        let _ = stream.set_linger(Some(Duration::ZERO));
    }
}
