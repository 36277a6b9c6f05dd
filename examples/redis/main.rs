//! A small server that speaks the protocol of Redis (RESP2), and an example of many small answers on annulus.
//!
//! ```sh
//! cargo run --release --example redis                      # at redis://127.0.0.1:6379
//! cargo run --release --example redis -- --addr 127.0.0.1:7000 --driver readiness
//! redis-cli -p 6379 set greeting hello ex 10
//! redis-benchmark -p 6379 -P 16 -t ping,set,get,incr -q
//! ```
//!
//! It has strings and their expiry, in memory only, and forgets them when it ends.
//!
//! - `main`: arguments, start, end
//! - `server`: accepting, limits, and the end of all connections
//! - `connection`: the life of one: all reading and writing is there
//! - `request`: commands, from bytes
//! - `inline`: commands as a person types them
//! - `reply`: answers, as bytes
//! - `commands`: what each command does
//! - `about`: what a client asks of the server itself
//! - `store`: keys, values, and when they expire
//! - `glob`: patterns of keys
//! - `stop`: Ctrl-C

mod about;
mod commands;
mod connection;
mod glob;
mod inline;
#[path = "../shared/inspect.rs"]
mod inspect;
mod reply;
mod request;
mod server;
mod stop;
mod store;

use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;

use annulus::net::TcpListener;
use annulus::{Driver, Runtime};
use clap::Parser;

use server::{Limits, Server};
use stop::Stop;

/// Keeps keys and values in memory, for clients of Redis.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:6379")]
    addr: String,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
    /// How many connections at most; who comes beyond that is told so.
    #[arg(long, default_value_t = 10_000)]
    connections_max: usize,
    /// How long a key or a value may be, in bytes.
    #[arg(long, default_value_t = 512 << 20)]
    bulk_max: usize,
    /// How many arguments a command may have.
    #[arg(long, default_value_t = 1 << 20)]
    arguments_max: usize,
    #[command(flatten)]
    inspect: inspect::Inspect,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redis: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    let _inspector = arguments.inspect.start()?;
    let runtime = arguments.inspect.record(Runtime::builder().driver(arguments.driver)).build()?;
    runtime.run(serve(arguments))?
}

async fn serve(arguments: Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(arguments.addr.as_str()).await?;
    let stop = Stop::on_signal()?;
    let driver = Runtime::try_current().expect("inside of the loop").driver();
    say(&format!("serving at redis://{} ({driver})", listener.local_addr()?));

    let limits = Limits {
        connections_max: arguments.connections_max,
        bulk_max: arguments.bulk_max,
        arguments_max: arguments.arguments_max,
    };
    let server = Rc::new(Server::new(limits));
    server::serve(&server, listener, stop.asked()).await;
    say(&server.summary());
    Ok(())
}

/// Says something on standard error. A server goes on when nobody listens there; `eprintln!` would panic.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
