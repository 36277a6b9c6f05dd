//! A connection that speaks TLS, after its handshake.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::pki_types::CertificateDer;
use rustls::{CommonState, HandshakeKind, ProtocolVersion, Reader};
use tokio::io::{AsyncBufRead as _, AsyncWrite as _};

use super::plain::Plain;
use crate::buf::{IoBuf, IoBufMut, ReadBuf};
use crate::io::{AsyncRead, AsyncWrite, PollRead, PollWrite};

/// A connection that speaks TLS, of a client or a server: made by a [`TlsAcceptor`](super::TlsAcceptor) or a
/// [`TlsConnector`](super::TlsConnector).
///
/// It reads and writes as the connection below does, with borrowed or owned buffers. Writing with borrowed ones gathers what the
/// socket does not take at once: [`poll_flush`](PollWrite::poll_flush) has it on its way. Writing with owned ones waits for that by itself.
///
/// **The end is said.** A read gives 0 bytes when the other side has said so (close_notify). If the connection below ends without
/// that, somebody may have cut it off: the read is an `UnexpectedEof`, and what came before was read before.
/// [`shutdown`](AsyncWrite::shutdown) says it to the other side; to drop the stream without it looks like a cut.
///
/// # Cancel safety
/// A read that is dropped loses nothing. A write that is dropped may have been written; what it gathered goes out with the next write or flush.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::net::UnixStream;
/// use annulus::tls::{Certificate, ReloadableCertificate, Roots, TlsAcceptor, TlsConnector};
///
/// annulus::run(async {
///     // A certificate that vouches for itself: for tests.
///     let made = rcgen::generate_simple_self_signed(["server.example".to_owned()]).unwrap();
///     let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
///     let certificate = ReloadableCertificate::from(Certificate::from_pem(chain.as_bytes(), key.as_bytes())?);
///
///     let limit = Duration::from_secs(5);
///     let acceptor = TlsAcceptor::builder(certificate.clone()).alpn(["tea/1"]).handshake_limit(limit).build()?;
///     let roots = Roots::from_pem(chain.as_bytes())?;
///     let connector = TlsConnector::builder().roots(roots).alpn(["tea/1"]).handshake_limit(limit).build()?;
///     println!("{:?} and {:?}", acceptor.config().alpn_protocols, connector.config().alpn_protocols);
///
///     let (one, other) = UnixStream::pair()?;
///     let serving = annulus::spawn(async move { acceptor.accept(other.into_poll()).await });
///     let client = connector.connect("server.example", one.into_poll()).await?;
///     let server = serving.await??;
///     assert_eq!(client.alpn_protocol(), Some(&b"tea/1"[..]));
///     assert_eq!(server.server_name(), Some("server.example"));
///     assert!(client.peer_certificates().is_some() && !client.is_resumed());
///     println!("{:?}, {:?}", client.protocol_version(), client.handshake_kind());
///     assert!(client.get_ref().get_ref().take_error()?.is_none());
///
///     // Who connects from now on is shown another.
///     certificate.replace(certificate.current());
///     Ok(())
/// })?
/// # }
/// ```
pub struct TlsStream<S> {
    /// A kilobyte of state, which is not to move with the handle.
    inner: Box<tokio_rustls::TlsStream<Plain<S>>>,
    name: Option<String>,
}

impl<S> TlsStream<S> {
    pub(super) fn new(inner: tokio_rustls::TlsStream<Plain<S>>, name: Option<String>) -> TlsStream<S> {
        TlsStream { inner: Box::new(inner), name }
    }

    /// The connection below, for its addresses and options.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn get_ref(&self) -> &S {
        &self.inner.get_ref().0.0
    }

    fn state(&self) -> &CommonState {
        self.inner.get_ref().1
    }

    /// The protocol that both sides have agreed upon, if they have: `b"h2"`.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.state().alpn_protocol()
    }

    /// The certificates that the other side has shown, its own first; None if it has shown none. They were checked.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.state().peer_certificates()
    }

    /// The server's name: for a client the one that it connected to, for a server the one that the client asked for, if it did.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn server_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The version of TLS.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.state().protocol_version()
    }

    /// How the handshake went.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.state().handshake_kind()
    }

    /// Whether an earlier session was resumed, without certificates and their signatures.
    ///
    /// # Examples
    /// As [`TlsStream`].
    pub fn is_resumed(&self) -> bool {
        self.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What was decrypted.
    fn reader(&mut self) -> Reader<'_> {
        match &mut *self.inner {
            tokio_rustls::TlsStream::Client(client) => client.get_mut().1.reader(),
            tokio_rustls::TlsStream::Server(server) => server.get_mut().1.reader(),
        }
    }
}

impl<S: PollRead + PollWrite + Unpin> TlsStream<S> {
    /// Takes some of what was decrypted, or waits for more; 0 is the end.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        let count = take(ready!(Pin::new(&mut *self.inner).poll_fill_buf(cx))?);
        Pin::new(&mut *self.inner).consume(count);
        Poll::Ready(Ok(count))
    }
}

impl<S: PollRead + PollWrite + Unpin> PollRead for TlsStream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let put = |buffer: &mut ReadBuf<'_>, bytes: &[u8]| {
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..count]);
            count
        };
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut count = ready!(self.poll_take(cx, |bytes| put(buffer, bytes)))?;
        // What else has been decrypted, without a look at the connection below.
        while count > 0 && buffer.remaining() > 0 {
            count = self.reader().into_first_chunk().map_or(0, |bytes| put(buffer, bytes));
            Pin::new(&mut *self.inner).consume(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: PollRead + PollWrite + Unpin> PollWrite for TlsStream<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_shutdown(cx)
    }
}

crate::compat::foreign_traits!(<S> for TlsStream<S> where S: PollRead + PollWrite + Unpin);

impl<S: PollRead + PollWrite + Unpin> AsyncRead for TlsStream<S> {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        if buffer.bytes_total() == 0 {
            return (Ok(0), buffer);
        }
        let result = poll_fn(|cx| self.poll_take(cx, |bytes| buffer.fill_from(bytes))).await;
        (result, buffer)
    }
}

impl<S: PollRead + PollWrite + Unpin> AsyncWrite for TlsStream<S> {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        let written = poll_fn(|cx| self.poll_write(cx, buffer.as_init())).await;
        let result = match written {
            Ok(count) => self.flush().await.map(|()| count),
            Err(error) => Err(error),
        };
        (result, buffer)
    }

    async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("stream", self.get_ref())
            .field("server_name", &self.name)
            .field("protocol", &self.alpn_protocol().map(String::from_utf8_lossy))
            .finish_non_exhaustive()
    }
}
