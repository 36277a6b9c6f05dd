//! Connections to PostgreSQL: the program opens the stream, tokio-postgres speaks over it, and a task of the loop carries what it says.

mod tls;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;

use annulus::net::{Inet, PollStream, TcpStream, Unix, UnixStream};
use annulus::spawn;
use annulus::sync::{mpsc, oneshot};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::TlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Notification};

pub use tls::Tls;

/// A connection: what asks, and what the server tells unasked.
pub struct Session {
    pub client: Client,
    pub notifications: mpsc::UnboundedReceiver<Notification>,
    /// Why the connection ended, once it has.
    pub ended: oneshot::Receiver<Failure>,
}

/// Connects to the first host of the configuration, by TCP, or by the Unix socket in the folder that it names.
///
/// With `sslmode=require` by TLS, and then the server has to show a certificate for the host's name that is trusted: by the file in the variable
/// PGSSLROOTCERT, as psql has it, or by the system.
///
/// # Errors
/// That nobody listens there, or what the server has against it.
pub async fn connect(config: &Config) -> Result<Session, Failure> {
    match open(config).await? {
        Opened::Tls(stream, tls) => speak(config, stream, tls).await,
        Opened::Tcp(stream) => speak(config, stream, NoTls).await,
        Opened::Unix(stream) => speak(config, stream, NoTls).await,
    }
}

/// Asks the server to stop what a client waits for. That goes by a connection of its own, as PostgreSQL has it.
///
/// # Errors
/// That nobody listens there any more. Whether there was something to stop is not told.
pub async fn cancel(config: &Config, client: &Client) -> Result<(), Failure> {
    let token = client.cancel_token();
    match open(config).await? {
        Opened::Tls(stream, tls) => token.cancel_query_raw(stream, tls).await?,
        Opened::Tcp(stream) => token.cancel_query_raw(stream, NoTls).await?,
        Opened::Unix(stream) => token.cancel_query_raw(stream, NoTls).await?,
    }
    Ok(())
}

enum Opened {
    Tls(PollStream<Inet>, Tls),
    Tcp(PollStream<Inet>),
    Unix(PollStream<Unix>),
}

async fn open(config: &Config) -> Result<Opened, Failure> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first() {
        Some(Host::Tcp(name)) => {
            let tcp = TcpStream::connect((name.as_str(), port)).await?;
            tcp.set_nodelay(true)?;
            if config.get_ssl_mode() == SslMode::Require {
                let roots = std::env::var_os("PGSSLROOTCERT").map(PathBuf::from);
                return Ok(Opened::Tls(tcp.into_poll(), Tls::to(name, roots.as_deref())?));
            }
            Ok(Opened::Tcp(tcp.into_poll()))
        }
        Some(Host::Unix(folder)) => {
            let unix = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?;
            Ok(Opened::Unix(unix.into_poll()))
        }
        None => Err(Failure("the configuration names no host: give it one, as in host=127.0.0.1".into())),
    }
}

async fn speak<S, T>(config: &Config, stream: S, tls: T) -> Result<Session, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    T: TlsConnect<S, Stream: 'static>,
{
    let (client, mut connection) = config.connect_raw(stream, tls).await?;
    let (sender, notifications) = mpsc::unbounded();
    let (end, ended) = oneshot::channel();
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
