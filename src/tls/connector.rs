//! The client's side: whom to trust, who one is, and one handshake a connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;

use super::error::explained;
use super::plain::Plain;
use super::{Certificate, HANDSHAKE_LIMIT, Roots, TlsStream, bounded, invalid, provider};
use crate::io::{PollRead, PollWrite};

/// Makes TLS connections to servers. Cheap to clone; the clones, also on other threads, share what sessions are resumed by.
///
/// See the [module](super) for an example.
///
/// # Examples
/// As [`TlsStream`].
#[derive(Clone, Debug)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
    limit: Option<Duration>,
}

impl TlsConnector {
    /// One that trusts whom the system trusts.
    ///
    /// # Errors
    /// As [`Roots::system`].
    ///
    /// # Examples
    /// As the [module](super).
    pub fn new() -> io::Result<TlsConnector> {
        TlsConnector::builder().build()
    }

    /// Settings.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn builder() -> ConnectorBuilder {
        ConnectorBuilder { roots: None, certificate: None, alpn: Vec::new(), limit: Some(HANDSHAKE_LIMIT) }
    }

    /// How long a handshake may take; None is for ever, and then the time-out is the caller's ([`time::timeout`](crate::time::timeout)).
    ///
    /// # Examples
    /// As [`AcceptorBuilder::client_certificates_required`](super::AcceptorBuilder::client_certificates_required).
    #[must_use]
    pub fn handshake_limit(mut self, limit: impl Into<Option<Duration>>) -> TlsConnector {
        self.limit = limit.into();
        self
    }

    /// What rustls was told.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// Has the handshake with the server of that name, which its certificate must be for: a host's name, or an IP address.
    ///
    /// # Errors
    /// `InvalidInput` if the name is neither; `TimedOut` when [`HANDSHAKE_LIMIT`], or what was set, is over; `UnexpectedEof` if the server
    /// went away; `InvalidData` with a [`HandshakeError`](super::HandshakeError) if its certificate is not trusted or for another name, if it does not
    /// speak TLS, and so on; those of the connection. What a server says against the client's certificate in TLS 1.3 comes with the first read.
    ///
    /// # Panics
    /// Outside of a running loop, if there is a limit.
    ///
    /// # Cancel safety
    /// Dropping it drops the connection.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub async fn connect<S: PollRead + PollWrite + Unpin>(
        &self,
        name: &str,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            invalid(format!(
                "{name:?} is neither a host's name nor an IP address: without a scheme, a port and brackets it may be one"
            ))
        })?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.config));
        let handshake = connector.connect(server, Plain(stream));
        let connected = bounded(self.limit, async { handshake.await.map_err(explained) }).await?;
        Ok(TlsStream::new(connected.into(), Some(name.to_owned())))
    }
}

/// As rustls was told, with a handshake limit of [`HANDSHAKE_LIMIT`].
impl From<Arc<ClientConfig>> for TlsConnector {
    fn from(config: Arc<ClientConfig>) -> TlsConnector {
        TlsConnector { config, limit: Some(HANDSHAKE_LIMIT) }
    }
}

/// Settings of a [`TlsConnector`].
///
/// # Examples
/// As [`TlsStream`].
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until build"]
pub struct ConnectorBuilder {
    roots: Option<Roots>,
    certificate: Option<Certificate>,
    alpn: Vec<Vec<u8>>,
    limit: Option<Duration>,
}

impl ConnectorBuilder {
    /// Whom to trust, instead of whom the system trusts. For both: `Roots::system()?.and(&own)`.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn roots(mut self, roots: Roots) -> ConnectorBuilder {
        self.roots = Some(roots);
        self
    }

    /// What to show to servers that ask who the client is.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::tls::{Certificate, Roots, TlsConnector};
    ///
    /// let made = rcgen::generate_simple_self_signed(["client.example".to_owned()]).unwrap();
    /// let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let connector = TlsConnector::builder()
    ///     .roots(Roots::from_pem(chain.as_bytes())?)
    ///     .certificate(Certificate::from_pem(chain.as_bytes(), key.as_bytes())?)
    ///     .build()?;
    /// assert!(connector.config().client_auth_cert_resolver.has_certs());
    /// # Ok(())
    /// # }
    /// ```
    pub fn certificate(mut self, certificate: Certificate) -> ConnectorBuilder {
        self.certificate = Some(certificate);
        self
    }

    /// Which protocols are spoken inside, the best first: `["h2", "http/1.1"]`. None by default.
    /// [`TlsStream::alpn_protocol`] says which one it is.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> ConnectorBuilder {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_owned()).collect();
        self
    }

    /// As [`TlsConnector::handshake_limit`].
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn handshake_limit(mut self, limit: impl Into<Option<Duration>>) -> ConnectorBuilder {
        self.limit = limit.into();
        self
    }

    /// The connector. Sessions are resumed, of 256 servers at most.
    ///
    /// # Errors
    /// As [`Roots::system`], unless roots were given; `InvalidInput` if the provider of cryptography knows no version of TLS.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn build(self) -> io::Result<TlsConnector> {
        let roots = match self.roots {
            Some(roots) => roots,
            None => Roots::system()?,
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                invalid(format!(
                    "the provider of cryptography that is installed has no version of TLS: {error}"
                ))
            })?
            .with_root_certificates(roots.0);
        let mut config = match self.certificate {
            Some(certificate) => config.with_client_cert_resolver(Arc::new(Always(certificate))),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        Ok(TlsConnector { config: Arc::new(config), limit: self.limit })
    }
}

/// The same certificate for each server that asks.
#[derive(Debug)]
struct Always(Certificate);

impl ResolvesClientCert for Always {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let certified = self.0.certified();
        certified.key.choose_scheme(schemes).is_some().then_some(certified)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
