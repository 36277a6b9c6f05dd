//! The server's side: settings, and one handshake a connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::error::explained;
use super::plain::Plain;
use super::{HANDSHAKE_LIMIT, ReloadableCertificate, Roots, TlsStream, bounded, invalid, provider};
use crate::io::{PollRead, PollWrite};

/// Makes TLS connections of those that come in. Cheap to clone; the clones, also on other threads, share what sessions are resumed by.
///
/// See the [module](super) for an example.
///
/// # Examples
/// As [`TlsStream`].
#[derive(Clone, Debug)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
    limit: Option<Duration>,
}

impl TlsAcceptor {
    /// Settings, with the certificate to show: a [`Certificate`](super::Certificate), or a [`ReloadableCertificate`].
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn builder(certificate: impl Into<ReloadableCertificate>) -> AcceptorBuilder {
        AcceptorBuilder {
            certificate: certificate.into(),
            alpn: Vec::new(),
            clients: Clients::Anybody,
            limit: Some(HANDSHAKE_LIMIT),
        }
    }

    /// How long a handshake may take; None is for ever, and then the time-out is the caller's ([`time::timeout`](crate::time::timeout)).
    ///
    /// # Examples
    /// As [`AcceptorBuilder::client_certificates_required`].
    #[must_use]
    pub fn handshake_limit(mut self, limit: impl Into<Option<Duration>>) -> TlsAcceptor {
        self.limit = limit.into();
        self
    }

    /// What rustls was told.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Has the handshake with a client. Spawn it: the next connection should not wait for it.
    ///
    /// # Errors
    /// `TimedOut` when [`HANDSHAKE_LIMIT`], or what was set, is over; `UnexpectedEof` if the client went away; `InvalidData` with a
    /// [`HandshakeError`](super::HandshakeError) if it does not speak TLS, shows no certificate that is trusted, and so on; those of the connection.
    ///
    /// # Panics
    /// Outside of a running loop, if there is a limit.
    ///
    /// # Cancel safety
    /// Dropping it drops the connection.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub async fn accept<S: PollRead + PollWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config));
        let handshake = acceptor.accept(Plain(stream));
        let accepted = bounded(self.limit, async { handshake.await.map_err(explained) }).await?;
        let name = accepted.get_ref().1.server_name().map(str::to_owned);
        Ok(TlsStream::new(accepted.into(), name))
    }
}

/// As rustls was told, with a handshake limit of [`HANDSHAKE_LIMIT`].
impl From<Arc<ServerConfig>> for TlsAcceptor {
    fn from(config: Arc<ServerConfig>) -> TlsAcceptor {
        TlsAcceptor { config, limit: Some(HANDSHAKE_LIMIT) }
    }
}

#[derive(Clone, Debug)]
enum Clients {
    Anybody,
    Known(Roots),
    KnownOrNobody(Roots),
}

/// Settings of a [`TlsAcceptor`].
///
/// # Examples
/// As [`TlsStream`].
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until build"]
pub struct AcceptorBuilder {
    certificate: ReloadableCertificate,
    alpn: Vec<Vec<u8>>,
    clients: Clients,
    limit: Option<Duration>,
}

impl AcceptorBuilder {
    /// Which protocols are spoken inside, the best first: `["h2", "http/1.1"]`. None by default. A client that names others only is refused; to
    /// one that names none nothing is said.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> AcceptorBuilder {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_owned()).collect();
        self
    }

    /// Clients must show a certificate that one of these has signed.
    ///
    /// # Examples
    /// ```
    /// use annulus::tls::{Certificate, HandshakeError, Roots, TlsAcceptor, TlsConnector};
    /// use annulus::net::UnixStream;
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let made = rcgen::generate_simple_self_signed(["server.example".to_owned()]).unwrap();
    ///     let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    ///     let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes())?;
    ///     let roots = Roots::from_pem(chain.as_bytes())?;
    ///     let acceptor = TlsAcceptor::builder(certificate)
    ///         .client_certificates_required(roots.clone().and(&roots))
    ///         .build()?
    ///         .handshake_limit(Duration::from_secs(5));
    ///     let connector = TlsConnector::builder().roots(roots).build()?.handshake_limit(Duration::from_secs(5));
    ///
    ///     // The client has none.
    ///     let (one, other) = UnixStream::pair()?;
    ///     let client = annulus::spawn(async move { connector.connect("server.example", one.into_poll()).await });
    ///     let error = acceptor.accept(other.into_poll()).await.unwrap_err();
    ///     let refused = error.get_ref().and_then(|error| error.downcast_ref::<HandshakeError>());
    ///     println!("{:?}", refused.expect("rustls refused it").rustls());
    ///     drop(client.await?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn client_certificates_required(mut self, roots: Roots) -> AcceptorBuilder {
        self.clients = Clients::Known(roots);
        self
    }

    /// Clients may show a certificate; if they do, one of these must have signed it.
    /// [`TlsStream::peer_certificates`] says who it is.
    ///
    /// # Examples
    /// As [`client_certificates_required`](Self::client_certificates_required), of which it asks and without which it goes on.
    pub fn client_certificates_optional(mut self, roots: Roots) -> AcceptorBuilder {
        self.clients = Clients::KnownOrNobody(roots);
        self
    }

    /// As [`TlsAcceptor::handshake_limit`].
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn handshake_limit(mut self, limit: impl Into<Option<Duration>>) -> AcceptorBuilder {
        self.limit = limit.into();
        self
    }

    /// The acceptor. Sessions are resumed by tickets, whose keys it has of its own and changes each six hours.
    ///
    /// # Errors
    /// `InvalidInput` if there are no roots for the clients' certificates, or the provider of cryptography knows no version of TLS.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn build(self) -> io::Result<TlsAcceptor> {
        let provider = provider();
        let verifier = |roots: Roots, optional: bool| -> io::Result<Arc<dyn ClientCertVerifier>> {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.0, Arc::clone(&provider));
            let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
            verifier
                .build()
                .map_err(|error| invalid(format!("clients' certificates cannot be checked: {error}")))
        };
        let clients = match self.clients {
            Clients::Anybody => WebPkiClientVerifier::no_client_auth(),
            Clients::Known(roots) => verifier(roots, false)?,
            Clients::KnownOrNobody(roots) => verifier(roots, true)?,
        };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                invalid(format!(
                    "the provider of cryptography that is installed has no version of TLS: {error}"
                ))
            })?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(self.certificate));
        config.alpn_protocols = self.alpn;
        config.ticketer =
            Ticketer::new().map_err(|error| invalid(format!("there is no chance to be had: {error}")))?;
        Ok(TlsAcceptor { config: Arc::new(config), limit: self.limit })
    }
}
