//! Connections to PostgreSQL: the program opens the stream, tokio-postgres speaks over it, and a task of the loop carries what it says.

use std::fmt;
use std::future::poll_fn;
use std::io;

use annulus::net::{TcpStream, UnixStream};
use annulus::spawn;
use annulus::sync::mpsc;
use futures_util::future::Either;
use tokio_postgres::config::Host;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Notification};

/// A connection: what asks, and what the server tells unasked.
pub struct Session {
    pub client: Client,
    pub notifications: mpsc::UnboundedReceiver<Notification>,
    /// Why the connection ended, once it has.
    pub ended: annulus::sync::oneshot::Receiver<Failure>,
}

/// Connects to the first host of the configuration, by TCP, or by the Unix socket in the folder that it names.
///
/// # Errors
/// That nobody listens there, or what the server has against it.
pub async fn connect(config: &Config) -> Result<Session, Failure> {
    match open(config).await? {
        Either::Left(tcp) => speak(config, tcp.into_poll()).await,
        Either::Right(unix) => speak(config, unix.into_poll()).await,
    }
}

/// Asks the server to stop what a client waits for. That goes by a connection of its own, as PostgreSQL has it.
///
/// # Errors
/// That nobody listens there any more. Whether there was something to stop is not told.
pub async fn cancel(config: &Config, client: &Client) -> Result<(), Failure> {
    let token = client.cancel_token();
    match open(config).await? {
        Either::Left(tcp) => token.cancel_query_raw(tcp.into_poll(), NoTls).await?,
        Either::Right(unix) => token.cancel_query_raw(unix.into_poll(), NoTls).await?,
    }
    Ok(())
}

async fn open(config: &Config) -> Result<Either<TcpStream, UnixStream>, Failure> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first() {
        Some(Host::Tcp(name)) => {
            let tcp = TcpStream::connect((name.as_str(), port)).await?;
            tcp.set_nodelay(true)?;
            Ok(Either::Left(tcp))
        }
        Some(Host::Unix(folder)) => {
            Ok(Either::Right(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?))
        }
        None => Err(Failure("the configuration names no host: give it one, as in host=127.0.0.1".into())),
    }
}

async fn speak<S>(config: &Config, stream: S) -> Result<Session, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let (client, mut connection) = config.connect_raw(stream, NoTls).await?;
    let (sender, notifications) = mpsc::unbounded();
    let (end, ended) = annulus::sync::oneshot::channel();
    drop(spawn(async move {
        let reason = loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(notification))) => drop(sender.send(notification)),
                Some(Ok(_)) => {}
                Some(Err(error)) => break Failure::from(error),
                None => break Failure("the connection was closed".into()),
            }
        };
        end.send(reason).ok();
    }));
    Ok(Session { client, notifications, ended })
}

/// What went wrong, with what it came from, as one line.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        // Its own text is "db error"; what the server said, or the system, is behind it.
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Failure(format!("{error}{}", cause.unwrap_or_default()))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure(error.to_string())
    }
}
