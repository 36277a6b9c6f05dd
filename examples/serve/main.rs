//! A static file server over HTTP/1.1, and an example of a server on annulus.
//!
//! ```sh
//! cargo run --release --example serve                  # this directory, at http://127.0.0.1:8080
//! cargo run --release --example serve -- /srv --addr 0.0.0.0:80 --driver readiness
//! curl -r 0-99 http://127.0.0.1:8080/Cargo.toml
//! ```
//!
//! - `main`: arguments, start, end
//! - `server`: accepting, limits, and the end of all connections
//! - `connection`: the life of one
//! - `request`: what a client asks, from bytes
//! - `response`: what it is told, as bytes
//! - `files`: which file a path means, and whether it may be seen
//! - `listing`: pages that are made, not read
//! - `status`: what is counted, and the line that shows it
//! - `stop`: Ctrl-C

mod connection;
mod files;
mod listing;
mod request;
mod response;
mod server;
mod status;
mod stop;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use annulus::{Driver, Runtime};
use clap::Parser;

/// Serves files over HTTP/1.1.
#[derive(Parser, Clone)]
struct Arguments {
    /// The directory to serve.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: String,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
    /// How many connections at most; who comes beyond that is told 503.
    #[arg(long, default_value_t = 10_000)]
    connections_max: usize,
    /// How long a request's head may take, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    header_timeout: Duration,
    /// How long a connection may wait for its next request, in seconds.
    #[arg(long, default_value = "60", value_parser = seconds)]
    idle_timeout: Duration,
    /// How long a peer may leave what it is sent unread, in seconds.
    #[arg(long, default_value = "30", value_parser = seconds)]
    write_timeout: Duration,
    /// No line each second.
    #[arg(long)]
    quiet: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    let runtime = Runtime::builder().driver(arguments.driver).build()?;
    runtime.run(server::serve(arguments))?
}
