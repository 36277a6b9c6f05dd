//! The command line of the server, and its end.

use std::io;
use std::time::Duration;

use annulus::net::TcpListener;
use annulus::signal::{SignalKind, signal};
use annulus::{CancelToken, Driver, Runtime, spawn};
use clap::Parser;

/// Sends each line back in capitals.
#[derive(Parser)]
struct Arguments {
    /// Where to listen. Port 0 is any that is free.
    #[arg(long, default_value = "127.0.0.1:7070")]
    address: String,
    /// How many seconds the connections that are there may take to finish, at the end.
    #[arg(long, default_value_t = 10)]
    drain: u64,
    /// auto, uring, readiness or sim:7.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let runtime = Runtime::builder().driver(arguments.driver).build()?;
    runtime.run(async {
        let stop = CancelToken::new();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let told = stop.clone();
        drop(spawn(async move {
            // Either, the first time.
            annulus::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            told.cancel();
        }));
        let listener = TcpListener::bind(arguments.address).await?;
        println!("listening on {}", listener.local_addr()?);
        let ended = shout::serve(listener, stop, Duration::from_secs(arguments.drain)).await;
        println!("{} connections were served, {} were cut off", ended.served, ended.cut_off);
        Ok(())
    })?
}
