//! tokio, one thread.

use std::io;
use std::net::TcpListener;

use annulus_peers::{ANSWER, Contestant, Requests};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Tokio;

fn main() -> io::Result<()> {
    annulus_peers::run::<Tokio>()
}

impl Contestant for Tokio {
    const VARIANTS: &'static [&'static str] = &["tokio"];

    fn echo(_: &str, listener: TcpListener, size: usize) -> io::Result<()> {
        block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (mut stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::task::spawn_local(async move {
                    let mut buffer = vec![0; size];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        if stream.write_all(&buffer[..length]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        })
    }

    fn http(_: &str, listener: TcpListener) -> io::Result<()> {
        block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (mut stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::task::spawn_local(async move {
                    let (mut buffer, mut requests) = (vec![0; 4096], Requests::default());
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        let Ok(ended) = requests.ended_in(&buffer[..length]) else { return };
                        if ended > 0 && stream.write_all(&ANSWER.repeat(ended)).await.is_err() {
                            return;
                        }
                    }
                });
            }
        })
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
