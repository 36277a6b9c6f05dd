//! A read raced against time, in two ways; neither loses a byte.
//!
//! ```sh
//! cargo run --example timeout
//! ```

use std::io;
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_millis(20);

fn main() -> io::Result<()> {
    annulus::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;

        // Dropped: the read is asked to end. What comes all the same goes to the next one.
        let dropped = timeout(PATIENCE, server.read(Vec::with_capacity(64))).await;
        println!("nothing in {PATIENCE:?}: {}", dropped.unwrap_err());
        client.write_all("first").await.0?;
        let (result, bytes) = server.read(Vec::with_capacity(64)).await;
        println!("then {} bytes: {:?}", result?, String::from_utf8_lossy(&bytes));

        // Stopped: the operation itself says how it ended, and gives the buffer back.
        let (result, buffer) = server.read(Vec::with_capacity(64)).timeout(PATIENCE).await;
        println!("stopped: {}; room for {} bytes came back", result.unwrap_err(), buffer.capacity());

        // A cancellation may lose the race, and then the data are there.
        let mut read = server.read(buffer);
        let _ = timeout(PATIENCE, &mut read).await;
        client.write_all("second").await.0?;
        sleep(PATIENCE).await;
        read.cancel();
        let (result, bytes) = read.await;
        println!("too late to cancel: {} bytes: {:?}", result?, String::from_utf8_lossy(&bytes));
        Ok(())
    })?
}
