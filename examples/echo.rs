//! Sends back what it receives, to any number of connections on one thread, from leased buffers.
//!
//! ```sh
//! cargo run --release --example echo -- --addr 127.0.0.1:7007 --driver uring
//! printf 'hello\n' | nc -N 127.0.0.1 7007
//! ```

use std::io;

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
        let mut incoming = listener.incoming();
        while let Some(connection) = incoming.next().await {
            // One that says that descriptors are used up, for example: the next one comes when there may be some again.
            let Ok((stream, peer)) = connection.inspect_err(|error| eprintln!("accept: {error}")) else {
                continue;
            };
            drop(spawn(async move {
                if let Err(error) = echo(stream).await {
                    eprintln!("{peer}: {error}");
                }
            }));
        }
        Ok(())
    })?
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    // While nothing comes the connection has no buffer. What came is sent from where it is, and its buffer then serves the
    // next one.
    let mut leases = stream.recv_stream();
    while let Some(lease) = leases.next().await {
        stream.write_all(lease?).await.0?;
    }
    Ok(())
}
