//! Sixteen tasks write lines to a log, and each line is synced to the disk before the next: the disk decides how fast that is.

use std::io;

use annulus::fs::File;
use annulus::net::{TcpListener, TcpStream};
use annulus::task::{Builder, JoinSet};

pub(crate) async fn run() -> io::Result<()> {
    // A network that is quick, beside it.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    let (peer, _) = listener.accept().await?;
    drop(Builder::new().name("echo").spawn(async move {
        let mut buffer = vec![0; 64];
        loop {
            stream.write_all(vec![b'.'; 64]).await.0?;
            let (read, back) = peer.read_exact(buffer).await;
            read?;
            buffer = back;
        }
        #[allow(unreachable_code, reason = "it says what the errors are")]
        io::Result::Ok(())
    }));
    let directory = tempfile::tempdir()?;
    let mut logs = JoinSet::new();
    for number in 0..16 {
        let path = directory.path().join(format!("{number}.log"));
        logs.spawn(async move {
            let file = File::create(path).await?;
            for offset in (0_u64..).step_by(64) {
                file.write_all_at(vec![b'x'; 64], offset % (1 << 20)).await.0?;
                // The mistake: one sync for each line, where one for all that wait would do.
                file.sync_data().await?;
            }
            io::Result::Ok(())
        });
    }
    while let Some(ended) = logs.join_next().await {
        ended??;
    }
    Ok(())
}
