//! A static file server over HTTP/1.1, and an example of a server on annulus: a loop on each processor, by `annulus::launch`.
//!
//! ```sh
//! cargo run --release --example serve                  # this directory, at http://127.0.0.1:8080
//! cargo run --release --example serve -- /srv --addr 0.0.0.0:80 --threads 4 --driver readiness
//! curl -r 0-99 http://127.0.0.1:8080/Cargo.toml
//! kill -USR2 $(pgrep -x serve)                         # a new process takes over, and no request is lost
//! ```
//!
//! SIGTERM and SIGINT end it when what was asked is answered, and the second time at once. SIGHUP has it look all files up anew,
//! SIGUSR2 has another process of the program take over with the listening sockets. Under systemd it takes the sockets of a unit
//! (LISTEN_FDS): serve.service and serve.socket are here, and `--help` has them.
//!
//! - `main`: start, end, and what is said between
//! - `arguments`: what it is started with
//! - `server`: taking connections, limits, and the end of all connections
//! - `connection`: the life of one
//! - `request`: what a client asks, from bytes
//! - `response`: what it is told, as bytes
//! - `files`: which file a path means, and whether it may be seen
//! - `inspect`: a page of what its loops do
//! - `listing`: pages that are made, not read
//! - `status`: what is counted, and the line that shows it

mod arguments;
mod connection;
mod files;
#[path = "../shared/inspect.rs"]
mod inspect;
mod listing;
mod request;
mod response;
mod server;
mod status;

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use annulus::launch::{Cause, Failure, Notice, Shard};
use annulus::topology::Topology;
use annulus::{Runtime, spawn};
use clap::Parser;
use futures_util::stream;

use arguments::Arguments;
use files::Files;
use server::Limits;
use status::{Line, Share, Status, say};

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<ExitCode> {
    let root = real_directory(&arguments.directory)?;
    let threads = arguments.threads.map_or_else(|| Topology::read().loops(), NonZeroUsize::get);
    let (driver, limits, status) = (arguments.driver, arguments.limits(), Status::new(threads));
    let driver_is = Arc::new(OnceLock::new());
    let _inspector = arguments.inspect.start()?;
    let inspect = arguments.inspect.clone();

    let launch = annulus::launch()
        .shards(threads)
        .name("serve")
        .runtime(move |_, builder| inspect.record(builder.driver(driver)))
        .balance(arguments.balance.into())
        .on_failure(arguments.on_failure.into())
        .drain_limit(arguments.drain_limit)
        .listen(arguments.addr.as_str())
        .on_notice({
            let status = Arc::clone(&status);
            move |notice| tell(notice, &status)
        })
        .as_service();
    let launched = launch.start({
        let (root, status, driver_is) = (root.clone(), Arc::clone(&status), Arc::clone(&driver_is));
        move |shard| {
            let share = status.share(shard.index());
            serve(shard, root.clone(), limits.clone(), share, Arc::clone(&driver_is))
        }
    })?;

    let mut line = None;
    if launched.wait_until_ready() {
        let driver = *driver_is.get().expect("a shard that serves has said it");
        let more = if threads > 1 { format!(", {threads} threads") } else { String::new() };
        say(&format!("serving {} at http://{} ({driver}){more}", root.display(), launched.addresses()[0]));
        if !arguments.quiet {
            line = Some(Line::show(Arc::clone(&status), driver)?);
        }
    }
    let outcomes = launched.outcomes();
    drop(line);
    say(&format!("\n{}", status.summary()));
    Ok(code(outcomes))
}

/// Serves on one shard, until it is told to stop.
async fn serve(
    shard: Shard,
    root: PathBuf,
    limits: Limits,
    share: Share,
    driver_is: Arc<OnceLock<&'static str>>,
) -> io::Result<()> {
    let driver = Runtime::try_current().expect("inside of the loop").driver();
    // All have the same.
    driver_is.get_or_init(|| driver);
    let files = Rc::new(Files::new(root));
    let (mut reloads, known) = (shard.reloads(), Rc::clone(&files));
    drop(spawn(async move {
        while reloads.changed().await.is_ok() {
            known.forget();
        }
    }));
    let connections = stream::unfold(shard.incoming()?, |mut incoming| async move {
        let connection = incoming.next().await?;
        Some((connection, incoming))
    });
    server::serve(connections, files, limits, share).await;
    Ok(())
}

/// Says what happens to the server.
fn tell(notice: &Notice<'_>, status: &Status) {
    match notice {
        // The first line says so.
        Notice::Ready => {}
        Notice::CuttingOff => {
            say(&format!("\nserve: {} connections were still busy and are cut off", status.connections()));
        }
        Notice::Reloading => say("\nserve: all files are looked up anew"),
        notice => say(&format!("\nserve: {notice}")),
    }
}

/// How the program ends: whoever was cut off, or never began, has not failed. What has failed was told when it did.
fn code(outcomes: Vec<Result<(), Failure>>) -> ExitCode {
    let mut failures = outcomes.into_iter().filter_map(Result::err);
    match failures.any(|failure| !matches!(failure.cause, Cause::CutOff | Cause::NeverBegan)) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
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
