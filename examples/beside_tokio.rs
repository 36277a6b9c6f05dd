//! tokio's runtime beside an annulus loop, each on a thread of its own: tokio has the connections, the loop has a file.
//!
//! ```sh
//! cargo run --release --example beside_tokio -- --file /tmp/journal      # listens at 127.0.0.1:7171
//! printf 'tea\nmore tea\n?\n' | nc -N 127.0.0.1 7171                     # a line is kept, `?` asks how much there is
//! cat /tmp/journal
//! ```
//! A line that is answered is on the disk. The two talk by what may go from one thread to another: the lines by the
//! channels of `sync::across`, the question by a `Remote`.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::thread;

use annulus::fs::{self, OpenOptions};
use annulus::sync::across::{mpsc, oneshot};
use annulus::{Driver, Remote, Runtime};
use clap::Parser;
use futures_util::future::{Either, select};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Keeps lines in a file: annulus beside tokio.
#[derive(Clone, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7171")]
    addr: String,
    /// Where the lines are kept.
    #[arg(long)]
    file: PathBuf,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
}

/// A line, and who is told its number once it is on the disk.
type Line = (String, oneshot::Sender<usize>);

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let (lines, arrived) = mpsc::channel(1024);
    let (ready, remote) = oneshot::channel();
    let Arguments { file, driver, .. } = arguments.clone();
    let keeping =
        thread::spawn(move || Runtime::builder().driver(driver).build()?.run(keep(file, arrived, ready))?);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        // Where there is no loop, or no file, its thread says why.
        let Ok(remote) = remote.await else { return Ok(()) };
        match select(pin!(lines.closed()), pin!(listen(arguments, &lines, remote))).await {
            Either::Left(((), _)) => Ok(()),
            Either::Right((failed, _)) => failed,
        }
    })?;
    keeping.join().expect("the loop's thread panicked")
}

/// The loop's part. It waits for what comes from tokio, and what has come while it wrote is written together: one sync
/// for all of it.
async fn keep(
    path: PathBuf,
    mut lines: mpsc::Receiver<Line>,
    ready: oneshot::Sender<Remote>,
) -> io::Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path).await?;
    drop(ready.send(Runtime::try_current().expect("this runs on it").remote()));
    let (mut batch, mut count) = (Vec::new(), 0);
    while lines.recv_many(&mut batch, 256).await > 0 {
        let text: String = batch.iter().flat_map(|(line, _)| [line, "\n"]).collect();
        file.write_all(text).await.0?;
        file.sync_data().await?;
        for (_, kept) in batch.drain(..) {
            count += 1;
            // Who asked may be gone.
            let _ = kept.send(count);
        }
    }
    Ok(())
}

/// tokio's part.
async fn listen(arguments: Arguments, lines: &mpsc::Sender<Line>, remote: Remote) -> io::Result<()> {
    let listener = TcpListener::bind(arguments.addr).await?;
    eprintln!("listening at {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let (lines, remote, file) = (lines.clone(), remote.clone(), arguments.file.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(stream, lines, remote, file).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve(
    mut stream: TcpStream,
    lines: mpsc::Sender<Line>,
    remote: Remote,
    file: PathBuf,
) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read).lines();
    while let Some(line) = read.next_line().await? {
        let reply = if line == "?" {
            // Made on the loop, where its operations belong; only the number comes back.
            let file = file.clone();
            let asked = remote.spawn(|| async { io::Result::Ok(fs::metadata(file).await?.len()) });
            format!("{} bytes\n", asked.await??)
        } else {
            let (sender, kept) = oneshot::channel();
            lines.send((line, sender)).await.map_err(io::Error::other)?;
            format!("line {}\n", kept.await.map_err(io::Error::other)?)
        };
        write.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}
