//! An annulus loop inside of a tokio program, on one thread: a server here, its client and a ticking timer there.
//!
//! ```sh
//! cargo run --example inside_tokio
//! ANNULUS_DRIVER=readiness cargo run --example inside_tokio
//! ```

use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;

use annulus::Runtime;
use annulus::net::TcpListener;
use futures_util::future::{Either, select};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

const MESSAGES: u32 = 1000;

/// Gives the loop its turns for as long as this is polled.
async fn drive(runtime: &Runtime) -> io::Result<()> {
    // Newer versions of tokio would have `register_with_interest`, which is unsafe: the descriptor must stay open. It is borrowed.
    #[allow(deprecated)]
    let descriptor = AsyncFd::with_interest(runtime.as_fd()?, Interest::READABLE)?;
    loop {
        while runtime.turn(Some(Duration::ZERO))? {
            // tokio's own tasks have a turn between two of ours.
            tokio::task::yield_now().await;
        }
        let due = async {
            match runtime.next_deadline() {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => pending().await,
            }
        };
        if let Either::Left((told, _)) = select(pin!(descriptor.readable()), pin!(due)).await {
            // Before the turn: what comes from now on is told again.
            told?.clear_ready();
        }
    }
}

async fn echo(listener: TcpListener) -> io::Result<u64> {
    let (stream, _) = listener.accept().await?;
    let (mut leases, mut bytes) = (stream.recv_stream(), 0);
    while let Some(lease) = leases.next().await {
        let lease = lease?;
        bytes += lease.len() as u64;
        stream.write_all(lease).await.0?;
        // A timer of this loop's, which tokio waits for.
        if bytes % 100 == 0 {
            annulus::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(bytes)
}

async fn talk(runtime: &Runtime) -> io::Result<()> {
    let listener = runtime.spawn(TcpListener::bind("127.0.0.1:0")).await??;
    let address = listener.local_addr()?;
    let server = runtime.spawn(echo(listener));

    let ticks = tokio::spawn(async {
        let mut interval = tokio::time::interval(Duration::from_millis(2));
        for _ in 0..10 {
            interval.tick().await;
        }
    });
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    for message in 0..MESSAGES {
        stream.write_all(&[message as u8]).await?;
        assert_eq!(stream.read_u8().await?, message as u8);
    }
    drop(stream);
    // The handle of one loop's task is awaited by the other.
    println!("{} bytes echoed by the {} driver", server.await??, runtime.driver());
    ticks.await?;
    println!("and tokio's timer ticked");
    Ok(())
}

fn main() -> io::Result<()> {
    let runtime = Runtime::new()?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        match select(pin!(talk(&runtime)), pin!(drive(&runtime))).await {
            Either::Left((outcome, _)) | Either::Right((outcome, _)) => outcome,
        }
    })
}
