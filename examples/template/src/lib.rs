//! A server that sends each line back in capitals.

use std::io;
use std::time::Duration;

use annulus::CancelToken;
use annulus::io::codec::{FramedRead, LinesCodec};
use annulus::net::{TcpListener, TcpStream};
use annulus::task::JoinSet;
use annulus::time::{sleep, timeout};

/// A client that sends longer lines, or says nothing for so long, is disconnected.
const LINE_MAX: usize = 64 * 1024;
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What became of the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// They came to an end by themselves.
    pub served: usize,
    /// They had not ended when there was no more time.
    pub cut_off: usize,
}

/// Serves until `stop`; then those that are there finish what they have begun, for as long as `drain`.
pub async fn serve(listener: TcpListener, stop: CancelToken, drain: Duration) -> Ended {
    let mut connections = JoinSet::new();
    let mut ended = Ended::default();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                let stop = stop.clone();
                connections.spawn(async move {
                    if let Err(error) = shout(stream, stop).await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
            // Out of descriptors, for example: there may be some again in a moment.
            Err(error) => {
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {
            ended.served += 1;
        }
    }
    // Nobody is kept waiting for an answer: who connects from now on is refused.
    drop(listener);
    let rest = timeout(drain, async {
        while connections.join_next().await.is_some() {
            ended.served += 1;
        }
    });
    let is_late = rest.await.is_err();
    if is_late {
        ended.cut_off = connections.len();
        connections.shutdown().await;
    }
    ended
}

/// One connection. When the server is to stop, the line that is being answered is answered to its end.
async fn shout(stream: TcpStream, stop: CancelToken) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let mut lines = FramedRead::new(reader, LinesCodec::new().max_length(LINE_MAX));
    loop {
        let next = timeout(SILENCE_MAX, lines.next());
        let Some(next) = stop.run_until_cancelled(next).await else { return Ok(()) };
        let Some(line) = next.map_err(|_| io::ErrorKind::TimedOut)? else { return Ok(()) };
        writer.write_all(line?.to_uppercase() + "\n").await.0?;
    }
}
