//! Connections to Redis: the program opens the stream, redis-rs speaks over it, and a task of the loop carries what it says.

use std::io;

use annulus::net::{TcpStream, UnixStream};
use annulus::spawn;
use annulus::sync::across::mpsc;
use annulus::task::LocalSend;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ProtocolVersion, PushInfo, RedisResult};
use tokio::io::{AsyncRead, AsyncWrite};

/// What the server says unasked.
pub type Pushes = mpsc::UnboundedReceiver<PushInfo>;

/// Connects by TCP or by a Unix socket, as the address has it. All clones of the connection share it.
///
/// # Errors
/// That nobody listens there, or what the server has against it.
pub async fn connect(info: &ConnectionInfo) -> RedisResult<(MultiplexedConnection, Pushes)> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let tcp = TcpStream::connect((host.as_str(), *port)).await?;
            tcp.set_nodelay(true)?;
            speak(info, tcp.into_poll()).await
        }
        ConnectionAddr::Unix(path) => speak(info, UnixStream::connect(path).await?.into_poll()).await,
        other => Err(io::Error::other(format!("{other}: neither redis:// nor unix://")).into()),
    }
}

async fn speak<S>(info: &ConnectionInfo, stream: S) -> RedisResult<(MultiplexedConnection, Pushes)>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (sender, pushes) = mpsc::unbounded_channel();
    // The library's own time-outs are those of the runtimes that it knows, and would panic here; its default is one of half a second.
    // `annulus::time::timeout` around what is awaited does the same.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        // Without this it tells nobody of messages, and of the connection's end.
        .set_push_sender(sender);
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    // It wants a stream that may go to other threads. This one stays, and says so if it is moved.
    let stream = LocalSend::new(stream);
    let (connection, driver) = MultiplexedConnection::new_with_config(&settings, stream, config).await?;
    drop(spawn(driver));
    Ok((connection, pushes))
}
