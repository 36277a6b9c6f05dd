//! Sends back what it receives, to any number of connections on one thread.
//!
//! ```sh
//! cargo run --release --example echo -- --addr 127.0.0.1:7007 --driver uring
//! printf 'hello\n' | nc -N 127.0.0.1 7007
//! ```

use std::io;

use annulus::buf::IoBuf;
use annulus::net::{TcpListener, TcpStream};
use annulus::{Driver, Runtime, spawn};
use clap::Parser;

/// Sends back what it receives.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7007")]
    addr: String,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let runtime = Runtime::builder().driver(arguments.driver).build()?;
    runtime.run(async {
        let listener = TcpListener::bind(arguments.addr).await?;
        eprintln!("echoing at {} ({})", listener.local_addr()?, runtime.driver());
        loop {
            let (stream, peer) = listener.accept().await?;
            drop(spawn(async move {
                if let Err(error) = echo(stream).await {
                    eprintln!("{peer}: {error}");
                }
            }));
        }
    })?
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        // The buffer is given away for each operation and comes back with its result.
        let (result, filled) = stream.read(buffer).await;
        let count = result?;
        if count == 0 {
            return Ok(());
        }
        let (result, slice) = stream.write_all(filled.slice(..count)).await;
        result?;
        buffer = slice.into_inner();
    }
}
