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
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use annulus::net::TcpListener;
use annulus::{Driver, Runtime, spawn};
use clap::Parser;

use files::Files;
use server::Limits;
use status::Status;
use stop::Stop;

/// Serves files over HTTP/1.1.
#[derive(Parser)]
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
    runtime.run(serve(arguments))?
}

async fn serve(arguments: Arguments) -> io::Result<()> {
    let root = real_directory(&arguments.directory)?;
    let listener = TcpListener::bind(arguments.addr.as_str()).await?;
    let stop = Stop::on_signal()?;
    let driver = Runtime::try_current().expect("inside of the loop").driver();
    status::say(&format!("serving {} at http://{} ({driver})", root.display(), listener.local_addr()?));

    let status = Rc::new(Status::default());
    let line = (!arguments.quiet).then(|| spawn(Rc::clone(&status).show()));
    let limits = Limits {
        connections_max: arguments.connections_max,
        header_timeout: arguments.header_timeout,
        idle_timeout: arguments.idle_timeout,
        write_timeout: arguments.write_timeout,
    };
    let stopped = async {
        stop.asked().await;
        if let Some(line) = line {
            line.abort();
        }
    };
    server::serve(listener, Files::new(root), limits, Rc::clone(&status), stopped).await;
    status::say(&format!("\n{}", status.summary()));
    Ok(())
}

/// The directory's own path, without links.
fn real_directory(directory: &Path) -> io::Result<PathBuf> {
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", directory.display()));
    let root = directory.canonicalize().map_err(told)?;
    if !root.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is no directory", root.display()),
        ));
    }
    Ok(root)
}
