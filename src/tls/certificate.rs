//! Who somebody is, and whom to trust: certificates with their keys, one that is exchanged while connections run, and roots.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{invalid, provider};

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn certificates(pem: &[u8], whence: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(found) if found.is_empty() => {
            Err(invalid(format!("{whence} has no certificate: a PEM file with BEGIN CERTIFICATE is wanted")))
        }
        Ok(found) => Ok(found),
        Err(error) => {
            Err(invalid(format!("{whence} is no PEM file of certificates, or was cut off: {error}")))
        }
    }
}

/// A certificate with all that signs it but the root, and its private key. Cheap to clone.
///
/// # Examples
/// As [`TlsStream`](super::TlsStream).
#[derive(Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// Reads a chain, the own certificate first, and its key. Blocks for as long as reading two small files takes.
    ///
    /// # Errors
    /// Those of reading them, with the file's name. As [`from_pem`](Self::from_pem).
    ///
    /// # Examples
    /// As the [module](super).
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> io::Result<Certificate> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let names = (chain.display().to_string(), key.display().to_string());
        Certificate::parse(&read(chain)?, &read(key)?, &names.0, &names.1)
    }

    /// A chain, the own certificate first, and its key (PKCS #8, PKCS #1 or SEC 1), as the text of PEM files.
    ///
    /// # Errors
    /// `InvalidInput`, with the reason: there is no certificate or no key in it, the key is of a kind that is not known, or it is not the
    /// certificate's.
    ///
    /// # Examples
    /// As [`TlsStream`](super::TlsStream).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> io::Result<Certificate> {
        Certificate::parse(chain, key, "the chain", "the key")
    }

    fn parse(chain: &[u8], key: &[u8], chain_name: &str, key_name: &str) -> io::Result<Certificate> {
        let chain = certificates(chain, chain_name)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            invalid(format!("{key_name} has no private key: a PEM file with BEGIN PRIVATE KEY, not encrypted, is wanted: {error}"))
        })?;
        let key = provider().key_provider.load_private_key(key).map_err(|error| {
            invalid(format!("{key_name}: this kind of key is not known, ECDSA, Ed25519 and RSA are: {error}"))
        })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // Some keys cannot say what their public half is.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(error) => {
                return Err(invalid(format!(
                    "{key_name} is not the key of the first certificate of {chain_name}: the own one comes first: {error}"
                )));
            }
        }
        Ok(Certificate(Arc::new(certified)))
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Certificate {
    /// Says nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.0.cert.len()).finish_non_exhaustive()
    }
}

/// A certificate that is exchanged while its acceptor goes on: connections that run are unharmed, the next handshake has the new one.
///
/// A handle: its clones, also on other threads, are the same one. So an acceptor that several loops have is renewed by one call.
///
/// # Examples
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// use annulus::tls::{ReloadableCertificate, TlsAcceptor};
///
/// let certificate = ReloadableCertificate::from_pem_files("chain.pem", "key.pem")?;
/// let acceptor = TlsAcceptor::builder(certificate.clone()).build()?;
///
/// // When SIGHUP comes, or once a day:
/// if let Err(error) = certificate.reload() {
///     eprintln!("the certificate stays as it was: {error}");
/// }
/// # drop(acceptor);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReloadableCertificate(Arc<Shared>);

struct Shared {
    current: RwLock<Certificate>,
    files: Option<(PathBuf, PathBuf)>,
}

impl ReloadableCertificate {
    /// As [`Certificate::from_pem_files`]; it knows where to read again.
    ///
    /// # Errors
    /// As there.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> io::Result<ReloadableCertificate> {
        let (chain, key) = (chain.as_ref().to_owned(), key.as_ref().to_owned());
        let current = RwLock::new(Certificate::from_pem_files(&chain, &key)?);
        Ok(ReloadableCertificate(Arc::new(Shared { current, files: Some((chain, key)) })))
    }

    /// Reads the files again. Blocks for as long as reading two small files takes.
    ///
    /// # Errors
    /// As [`Certificate::from_pem_files`], also while one file is new and the other still old; `InvalidInput` if it was not made from files.
    /// The old certificate stays then.
    pub fn reload(&self) -> io::Result<()> {
        let Some((chain, key)) = &self.0.files else {
            return Err(invalid(
                "this certificate was not made from files: replace it by another one".to_owned(),
            ));
        };
        self.replace(Certificate::from_pem_files(chain, key)?);
        Ok(())
    }

    /// From now on this one is shown.
    ///
    /// # Examples
    /// As [`TlsStream`](super::TlsStream).
    pub fn replace(&self, certificate: Certificate) {
        // Nothing panics while it is held.
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// The one that is shown now.
    ///
    /// # Examples
    /// As [`TlsStream`](super::TlsStream).
    pub fn current(&self) -> Certificate {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<Certificate> for ReloadableCertificate {
    fn from(certificate: Certificate) -> ReloadableCertificate {
        ReloadableCertificate(Arc::new(Shared { current: RwLock::new(certificate), files: None }))
    }
}

impl ResolvesServerCert for ReloadableCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified())
    }
}

impl fmt::Debug for ReloadableCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadableCertificate")
            .field("current", &self.current())
            .field("files", &self.0.files)
            .finish()
    }
}

/// Whose signature is trusted. Cheap to clone.
///
/// # Examples
/// As [`TlsStream`](super::TlsStream).
#[derive(Clone, Debug)]
pub struct Roots(pub(super) Arc<RootCertStore>);

impl Roots {
    /// Those that the system trusts, or the files that SSL_CERT_FILE and SSL_CERT_DIR name. Blocks while it reads them: some milliseconds.
    ///
    /// # Errors
    /// `NotFound` if there are none: a container without the package ca-certificates, for example.
    ///
    /// # Examples
    /// ```
    /// use annulus::tls::Roots;
    ///
    /// match Roots::system() {
    ///     Ok(_roots) => println!("as the system trusts"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// ```
    pub fn system() -> io::Result<Roots> {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(found.certs);
        if added == 0 {
            let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            let text = format!(
                "the system has no root certificates: install its package ca-certificates, let SSL_CERT_FILE name a file of them, or \
                 give the connector roots of its own [{}]",
                reasons.join("; ")
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Roots(Arc::new(store)))
    }

    /// The certificates in the text of a PEM file.
    ///
    /// # Errors
    /// `InvalidInput`, with the reason, if there are none or one is broken.
    ///
    /// # Examples
    /// As [`TlsStream`](super::TlsStream).
    pub fn from_pem(pem: &[u8]) -> io::Result<Roots> {
        Roots::parse(pem, "the text")
    }

    /// The certificates of a PEM file. Blocks while it reads it.
    ///
    /// # Errors
    /// Those of reading it. As [`from_pem`](Self::from_pem).
    ///
    /// # Examples
    /// As [`from_pem`](Self::from_pem), of a file.
    pub fn from_pem_file(path: impl AsRef<Path>) -> io::Result<Roots> {
        let path = path.as_ref();
        Roots::parse(&read(path)?, &path.display().to_string())
    }

    fn parse(pem: &[u8], whence: &str) -> io::Result<Roots> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(pem, whence)? {
            store
                .add(certificate)
                .map_err(|error| invalid(format!("{whence} has a root that cannot be used: {error}")))?;
        }
        Ok(Roots(Arc::new(store)))
    }

    /// These and those.
    ///
    /// # Examples
    /// As [`AcceptorBuilder::client_certificates_required`](super::AcceptorBuilder::client_certificates_required).
    pub fn and(mut self, others: &Roots) -> Roots {
        Arc::make_mut(&mut self.0).extend(others.0.roots.iter().cloned());
        self
    }
}
