//! TLS by rustls, over any connection with borrowed buffers: [`TlsAcceptor`] for servers, [`TlsConnector`] for clients.
//!
//! Both end a handshake that takes too long by themselves ([`HANDSHAKE_LIMIT`]), may be cloned and sent to other loops, and give a
//! [`TlsStream`], which goes wherever a connection goes: it is [`PollRead`](crate::io::PollRead) and [`PollWrite`](crate::io::PollWrite), owned-buffer
//! [`AsyncRead`](crate::io::AsyncRead) and [`AsyncWrite`](crate::io::AsyncWrite), and by features what tokio, futures-io and hyper ask for.
//!
//! TLS 1.2 and 1.3 are spoken. Cryptography is `ring`'s, unless the process has installed another provider before
//! (`rustls::crypto::CryptoProvider::install_default`). What is not offered here is rustls' own: make an `Arc<ServerConfig>` or an
//! `Arc<ClientConfig>`, of [`rustls`], and take it as it is.
//!
//! # Examples
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! use annulus::io::{AsyncRead, AsyncWrite};
//! use annulus::net::{TcpListener, TcpStream};
//! use annulus::tls::{Certificate, TlsAcceptor, TlsConnector};
//!
//! annulus::run(async {
//!     let certificate = Certificate::from_pem_files("chain.pem", "key.pem")?;
//!     let acceptor = TlsAcceptor::builder(certificate).alpn(["http/1.1"]).build()?;
//!     let listener = TcpListener::bind("0.0.0.0:443").await?;
//!     annulus::spawn(async move {
//!         while let Ok((stream, _)) = listener.accept().await {
//!             let acceptor = acceptor.clone();
//!             // A handshake takes its time: the next connection does not wait for it.
//!             annulus::spawn(async move {
//!                 let mut stream = acceptor.accept(stream.into_poll()).await?;
//!                 stream.write_all("hello").await.0?;
//!                 stream.shutdown().await
//!             });
//!         }
//!     });
//!
//!     let connector = TlsConnector::new()?;
//!     let stream = TcpStream::connect("example.org:443").await?;
//!     let mut stream = connector.connect("example.org", stream.into_poll()).await?;
//!     let (result, text) = stream.read_to_string(String::new()).await;
//!     result?;
//!     assert_eq!(text, "hello");
//!     Ok(())
//! })?
//! # }
//! ```

mod acceptor;
mod certificate;
mod connector;
mod error;
mod plain;
mod stream;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use acceptor::{AcceptorBuilder, TlsAcceptor};
pub use certificate::{Certificate, ReloadableCertificate, Roots};
pub use connector::{ConnectorBuilder, TlsConnector};
pub use error::HandshakeError;
/// The crate itself, for what is not offered here.
pub use rustls;
pub use stream::TlsStream;

use rustls::crypto::CryptoProvider;

/// How long a handshake may take, unless something else is said.
///
/// # Examples
/// ```
/// println!("{:?}, unless another is said", annulus::tls::HANDSHAKE_LIMIT);
/// ```
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Who does the cryptography.
fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default().cloned();
    installed.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}

/// An error of ours: the cause and the remedy.
fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// A handshake that ends, one way or the other.
async fn bounded<T>(
    limit: Option<Duration>,
    handshake: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let Some(limit) = limit else { return handshake.await };
    crate::time::timeout(limit, handshake).await.unwrap_or_else(|_| {
        let text = format!(
            "the TLS handshake was not finished within {limit:?}: the other side is slow, silent, or does not speak TLS; \
             handshake_limit sets how long it may take"
        );
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}
