//! From a name to a connection over which both ends agree what is spoken.

use std::cell::Cell;
use std::io;

use super::builder::{Settings, Spoken};
use super::error::{Error, Stage};
use super::target::Target;
use crate::http::transport::Transport;
use crate::net::{TcpStream, UnixStream, lookup_host};
use crate::time::{now, timeout_at};

/// A connection, and whether HTTP/2 is spoken.
pub(super) struct Connected {
    pub(super) transport: Transport,
    pub(super) is_second: bool,
}

/// Makes one within the time that it may take. `stage` tells meanwhile how far it is.
pub(super) async fn connect(
    settings: &Settings,
    target: &Target,
    stage: &Cell<Stage>,
) -> Result<Connected, Error> {
    let deadline = now() + settings.connect;
    let transport = timeout_at(deadline, async {
        stage.set(Stage::Connect);
        if let Some(path) = &settings.path {
            if target.key.secure {
                let text = "https is not spoken over a Unix socket: say http";
                return Err(Error::invalid(&target.url, text));
            }
            let stream = UnixStream::connect(path).await;
            let stream = stream.map_err(|error| Error::of_io(Stage::Connect, &target.url, error))?;
            return Ok(Transport::Unix(stream.into_buffered()));
        }
        stage.set(Stage::Resolve);
        let found = lookup_host((&*target.key.host, target.key.port)).await;
        let found = found.map_err(|error| Error::of_io(Stage::Resolve, &target.url, error))?;
        stage.set(Stage::Connect);
        let stream =
            TcpStream::connect_timeout(found.collect::<Vec<_>>(), deadline.saturating_duration_since(now()))
                .await
                .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
                .map_err(|error| Error::of_io(Stage::Connect, &target.url, error))?;
        match target.key.secure {
            #[cfg(feature = "rustls")]
            true => {
                stage.set(Stage::Tls);
                let connector = settings.tls.connector(settings.spoken).await;
                let connected = match connector {
                    Ok(connector) => connector.connect(&target.key.host, stream.into_poll()).await,
                    Err(error) => Err(error),
                };
                match connected {
                    Ok(stream) => Ok(Transport::Tls(Box::new(stream), None)),
                    Err(error) => Err(Error::of_io(Stage::Tls, &target.url, error)),
                }
            }
            _ => Ok(Transport::Tcp(stream.into_buffered())),
        }
    });
    let transport = transport.await.unwrap_or_else(|_| {
        let what = match stage.get() {
            Stage::Resolve => "its name servers do not answer",
            Stage::Tls => "the server is slow, silent, or does not speak TLS at that port",
            _ => "the server does not answer, or something on the way drops what is sent",
        };
        let text = format!("{what}: given up after {:?} (connect_timeout of the builder)", settings.connect);
        Err(Error::new(stage.get(), &target.url, io::ErrorKind::TimedOut, text))
    })?;
    let is_second = agreed(settings, target, &transport)?;
    Ok(Connected { transport, is_second })
}

/// Whether HTTP/2 is spoken.
fn agreed(settings: &Settings, target: &Target, transport: &Transport) -> Result<bool, Error> {
    #[cfg(feature = "rustls")]
    if matches!(transport, Transport::Tls(..)) {
        let is_second = transport.has_agreed_on_second();
        if settings.spoken == Spoken::Second && !is_second {
            let text = "the server did not agree on HTTP/2, and the client speaks nothing else (http2_only)";
            return Err(Error::new(Stage::Tls, &target.url, io::ErrorKind::Unsupported, text));
        }
        return Ok(is_second);
    }
    let _ = (target, transport);
    Ok(settings.spoken == Spoken::Second)
}
