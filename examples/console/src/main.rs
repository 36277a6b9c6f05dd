//! An echo server with some clients, for tokio-console to look at. In this folder, which has a setting that console-subscriber wants:
//!
//! ```text
//! cargo run            # or with another port: cargo run -- 7000
//! tokio-console        # tokio-console http://127.0.0.1:7000
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::task::{self, JoinHandle};
use annulus::time::{interval, sleep};
use annulus::{fs, spawn_blocking};

const QUESTION: &[u8] = &[b'?'; 64];
const LINE: &[u8] = &[b'.'; 512];

fn main() -> io::Result<()> {
    let port = match std::env::args().nth(1).map(|port| port.parse()) {
        None => 6669,
        Some(Ok(port)) => port,
        Some(Err(error)) => {
            return Err(io::Error::other(format!("the port that tokio-console connects to: {error}")));
        }
    };
    // It has a thread of its own. From here on all tasks are seen.
    console_subscriber::ConsoleLayer::builder()
        .server_addr((Ipv4Addr::LOCALHOST, port))
        .publish_interval(Duration::from_millis(250))
        .init();
    annulus::run(serve())?
}

#[track_caller]
fn start<F: Future + 'static>(name: &str, future: F) -> JoinHandle<F::Output> {
    task::Builder::new().name(name).spawn(future)
}

async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(start("clock", tick()));
    drop(start("journal", write_journal()));
    drop(start("digest", compute()));
    for number in 1..=3 {
        drop(start(&format!("client {number}"), ask(address, number)));
    }
    let mut number = 0;
    loop {
        let (stream, _) = listener.accept().await?;
        number += 1;
        drop(start(&format!("connection {number}"), echo(stream)));
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut leases = stream.recv_stream();
    while let Some(lease) = leases.next().await {
        stream.write_all(lease?).await.0?;
    }
    Ok(())
}

async fn ask(address: SocketAddr, number: u64) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let mut buffer = vec![0; 64].into_boxed_slice();
    loop {
        stream.write_all(QUESTION).await.0?;
        let (result, answer) = stream.read_exact(buffer).await;
        result?;
        buffer = answer;
        sleep(Duration::from_millis(100 * number)).await;
    }
}

/// A file that has no name any more.
async fn write_journal() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("annulus-console-{}", std::process::id()));
    let file = fs::File::create(&path).await?;
    fs::remove_file(&path).await?;
    for line in 0.. {
        file.write_all_at(LINE, line % 1024 * 512).await.0?;
        file.sync_data().await?;
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn tick() {
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
    }
}

/// What would hold up the loop is done by a helper thread.
async fn compute() {
    loop {
        let sum = || (0..2_000_000_u64).fold(0, |sum: u64, number| sum.wrapping_mul(31).wrapping_add(number));
        spawn_blocking(sum).await.expect("it does not panic");
        sleep(Duration::from_millis(700)).await;
    }
}
