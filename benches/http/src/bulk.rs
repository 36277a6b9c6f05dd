//! Bulk transfer over TLS: a certificate, both ends' settings, and what a server does on a connection.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How much is given to the stream, and asked of it, at once.
pub const PIECE: usize = 64 << 10;

/// Which way the bytes go, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Down,
    Up,
}

impl Direction {
    /// What a client sends first: a byte for the direction, and the length.
    pub fn order(self, length: u64) -> [u8; 9] {
        let mut order = [0; 9];
        order[0] = if self == Direction::Down { b'd' } else { b'u' };
        order[1..].copy_from_slice(&length.to_be_bytes());
        order
    }
}

/// Writes a certificate for `localhost` and its key to `folder`.
///
/// # Errors
/// That it cannot be made, or written.
pub fn credentials(folder: &Path) -> io::Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    std::fs::write(folder.join("certificate.der"), made.cert.der())?;
    std::fs::write(folder.join("key.der"), made.signing_key.serialize_der())
}

fn certificate(folder: &Path) -> io::Result<CertificateDer<'static>> {
    Ok(CertificateDer::from(std::fs::read(folder.join("certificate.der"))?))
}

/// A server's settings, by what [`credentials`] wrote.
///
/// # Errors
/// That it cannot be read, or is none.
pub fn server(folder: &Path) -> io::Result<Arc<ServerConfig>> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(std::fs::read(folder.join("key.der"))?));
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate(folder)?], key).map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

/// A client's settings that trust this certificate only.
///
/// # Errors
/// That it cannot be read, or is none.
pub fn client(folder: &Path) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(folder)?).map_err(io::Error::other)?;
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

/// Does what each order asks: sends as many bytes, or takes as many and answers with one.
///
/// # Errors
/// The stream's, and an order that is none.
pub async fn transfer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut piece = vec![b'x'; PIECE];
    let mut order = [0; 9];
    while stream.read_exact(&mut order).await.is_ok() {
        let mut left = u64::from_be_bytes(order[1..].try_into().expect("eight bytes"));
        match order[0] {
            b'd' => {
                while left > 0 {
                    let part = left.min(PIECE as u64) as usize;
                    stream.write_all(&piece[..part]).await?;
                    left -= part as u64;
                }
            }
            b'u' => {
                while left > 0 {
                    let part = left.min(PIECE as u64) as usize;
                    match stream.read(&mut piece[..part]).await? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        count => left -= count as u64,
                    }
                }
                stream.write_all(b"!").await?;
            }
            other => return Err(io::Error::other(format!("an order begins with d or u, not {other}"))),
        }
        stream.flush().await?;
    }
    Ok(())
}
