//! Of nine clients one asks for much and does not read: what is for it waits in its task, and its memory with it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::task::Builder;
use annulus::time::sleep;

pub(crate) async fn run() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Builder::new().name("server").spawn(async move {
        for number in 0_u64.. {
            let (connection, _) = listener.accept().await?;
            drop(Builder::new().name(&format!("connection {number}")).spawn(serve(connection)));
        }
        io::Result::Ok(())
    });
    for number in 0..9 {
        drop(Builder::new().name(&format!("client {number}")).spawn(ask(address, number == 4)));
    }
    server.await?
}

/// Answers each byte with 64 KiB.
async fn serve(connection: TcpStream) -> io::Result<()> {
    let mut question = vec![0];
    loop {
        let (count, buffer) = connection.read(question).await;
        if count? == 0 {
            return Ok(());
        }
        question = buffer;
        // The mistake: no `timeout` around it. Who does not read keeps it waiting for ever.
        connection.write_all(vec![b'.'; 64 << 10]).await.0?;
    }
}

async fn ask(address: SocketAddr, is_lazy: bool) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    loop {
        stream.write_all(vec![b'?'; 1]).await.0?;
        match is_lazy {
            // Asks, and asks again, and never reads.
            true => sleep(Duration::from_millis(1)).await,
            false => {
                stream.read_exact(vec![0; 64 << 10]).await.0?;
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
