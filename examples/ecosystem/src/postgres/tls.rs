//! TLS to PostgreSQL by `annulus::tls`: what tokio-postgres asks of whoever brings it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use annulus::io::{PollRead, PollWrite};
use annulus::tls::{Roots, TlsConnector, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect};

/// A handshake with the server of a name.
pub struct Tls {
    connector: TlsConnector,
    name: String,
}

impl Tls {
    /// Trusts whom the file says, as libpq does, or else whom the system trusts.
    ///
    /// # Errors
    /// That the certificates cannot be read.
    pub fn to(name: &str, roots: Option<&Path>) -> io::Result<Tls> {
        let connector = match roots {
            Some(file) => TlsConnector::builder().roots(Roots::from_pem_file(file)?).build()?,
            None => TlsConnector::new()?,
        };
        Ok(Tls { connector, name: name.to_owned() })
    }
}

impl<S: PollRead + PollWrite + Unpin + 'static> TlsConnect<S> for Tls {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>>>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.connector.connect(&self.name, stream).await.map(Encrypted) })
    }
}

/// The stream has tokio's traits already; one more has to be said of it here, and so it has a name of its own.
pub struct Encrypted<S>(TlsStream<S>);

impl<S: PollRead + PollWrite + Unpin> tokio_postgres::tls::TlsStream for Encrypted<S> {
    /// That the password's exchange belongs to this connection could be shown as well. Where the server's certificate is checked, it has to be
    /// the right server.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: PollRead + PollWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: PollRead + PollWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.0), cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write_vectored(Pin::new(&mut self.0), cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        AsyncWrite::is_write_vectored(&self.0)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.0), cx)
    }
}
