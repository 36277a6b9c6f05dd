//! What a client is told before it is made.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ::hyper::client::conn::{http1, http2};

use super::Client;
use super::pool::Pool;
use crate::hyper::{LocalExecutor, Timer};

pub(super) struct Settings {
    pub(super) connect: Duration,
    pub(super) request: Option<Duration>,
    pub(super) read: Option<Duration>,
    pub(super) idle: Duration,
    pub(super) idle_max: usize,
    pub(super) idle_per_host_max: usize,
    pub(super) spoken: Spoken,
    pub(super) path: Option<PathBuf>,
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<LocalExecutor>,
    #[cfg(feature = "rustls")]
    pub(super) tls: super::secure::Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// What ALPN agrees on; without TLS HTTP/1.
    Either,
    First,
    Second,
}

/// Settings of a [`Client`]: had by [`Client::builder`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use annulus::{http, net::TcpListener};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let service = http::service_fn(async |_| Ok::<_, Infallible>(http::Response::new(http::text("some tea"))));
///     let server = annulus::spawn(http::serve(listener, service).into_future());
///
///     let client = http::Client::builder()
///         .connect_timeout(Duration::from_secs(5))
///         .request_timeout(Duration::from_secs(20))
///         .read_timeout(Duration::from_secs(20))
///         .idle_timeout(Duration::from_secs(60))
///         .idle_max(100)
///         .idle_max_per_host(8)
///         .http1(|http1| drop(http1.max_headers(64)))
///         .http2(|http2| drop(http2.max_concurrent_streams(64)))
///         .http1_only()
///         .build();
///     let mut body = client.get(format!("http://{address}/")).await?.into_body();
///     // Piece by piece, or all of it, up to so many bytes.
///     let first = body.chunk().await?.unwrap();
///     let rest = body.bytes(1 << 20).await?;
///     assert_eq!([&first[..], &rest[..]].concat(), b"some tea");
///     assert_eq!(client.counts().requests, 1);
///     server.abort();
///     Ok(())
/// })?
/// # }
/// ```
#[must_use = "settings do nothing until build"]
pub struct ClientBuilder {
    settings: Settings,
}

impl ClientBuilder {
    pub(super) fn new() -> ClientBuilder {
        let mut http2 = http2::Builder::new(LocalExecutor);
        http2.timer(Timer);
        let settings = Settings {
            connect: Duration::from_secs(10),
            request: Some(Duration::from_secs(30)),
            read: Some(Duration::from_secs(30)),
            idle: Duration::from_secs(90),
            idle_max: 256,
            idle_per_host_max: 32,
            spoken: Spoken::Either,
            path: None,
            http1: http1::Builder::new(),
            http2,
            #[cfg(feature = "rustls")]
            tls: Default::default(),
        };
        ClientBuilder { settings }
    }

    /// How long a connection may take to be there, with the look-up of the name and TLS. 10 s unless it is set.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn connect_timeout(mut self, span: Duration) -> Self {
        self.settings.connect = span;
        self
    }

    /// How long the head of a response may take, from when the request was made, or a part of its body was last taken. 30 s unless
    /// it is set; None is for ever. Connecting is a part of it.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn request_timeout(mut self, span: impl Into<Option<Duration>>) -> Self {
        self.settings.request = span.into();
        self
    }

    /// How long the body of a response may pause while it is waited for. 30 s unless it is set; None is for ever, as streams of events want it.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn read_timeout(mut self, span: impl Into<Option<Duration>>) -> Self {
        self.settings.read = span.into();
        self
    }

    /// How long a connection is kept that has nothing to do. 90 s unless it is set.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn idle_timeout(mut self, span: Duration) -> Self {
        self.settings.idle = span;
        self
    }

    /// How many connections with nothing to do are kept, of all servers together. 256 unless it is set; with 0 none is used twice.
    /// One more, and the one that has idled for the longest is closed. Those of HTTP/2 are not counted: there is one a server.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn idle_max(mut self, count: usize) -> Self {
        self.settings.idle_max = count;
        self
    }

    /// How many connections with nothing to do are kept of one server. 32 unless it is set.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn idle_max_per_host(mut self, count: usize) -> Self {
        self.settings.idle_per_host_max = count;
        self
    }

    /// Speaks HTTP/1 alone: also where TLS could agree on HTTP/2.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn http1_only(mut self) -> Self {
        self.settings.spoken = Spoken::First;
        self
    }

    /// Speaks HTTP/2 alone, without asking (prior knowledge): gRPC's servers want it without TLS.
    ///
    /// # Examples
    /// ```
    /// let client = annulus::http::Client::builder().http2_only().unix_socket("/run/server.sock").build();
    /// assert_eq!(client.counts().open, 0);
    /// ```
    pub fn http2_only(mut self) -> Self {
        self.settings.spoken = Spoken::Second;
        self
    }

    /// Connects to the Unix socket at that path, whatever host a URL says: `http://localhost/containers/json`. Without TLS.
    ///
    /// # Examples
    /// As [`http2_only`](Self::http2_only).
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.path = Some(path.into());
        self
    }

    /// hyper's own settings of HTTP/1, for connections that are made later.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn http1(mut self, set: impl FnOnce(&mut http1::Builder)) -> Self {
        set(&mut self.settings.http1);
        self
    }

    /// hyper's own settings of HTTP/2, such as pings that tell whether a server is still there.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn http2(mut self, set: impl FnOnce(&mut http2::Builder<LocalExecutor>)) -> Self {
        set(&mut self.settings.http2);
        self
    }

    /// Whom to trust, and who one is, for `https`. Unless it is set, whom the system trusts, whose certificates are read with the first such request.
    /// Which protocols are offered is the client's to say, unless the connector says it.
    ///
    /// # Examples
    /// As [`Serve::tls`](crate::http::Serve::tls).
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn tls(mut self, connector: crate::tls::TlsConnector) -> Self {
        self.settings.tls = super::secure::Tls::of(connector);
        self
    }

    /// The client.
    ///
    /// # Examples
    /// As [`ClientBuilder`].
    pub fn build(self) -> Client {
        Client { pool: Rc::new(Pool::new(self.settings)) }
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder").field("spoken", &self.settings.spoken).finish_non_exhaustive()
    }
}
