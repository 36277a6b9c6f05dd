//! What went wrong with a request: where on its way, with whom, the likely cause, and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::http::answering::BoxError;

/// How far a request had come when it failed.
///
/// # Examples
/// As [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It cannot be sent as it is: its URL, mostly.
    Request,
    /// The host's name is looked up.
    Resolve,
    /// A connection is made.
    Connect,
    /// The two ends agree on TLS.
    Tls,
    /// It is sent.
    Send,
    /// It is sent, and the head of the response is waited for.
    Response,
    /// The head is there, and the body comes.
    Body,
}

impl Stage {
    fn failed(self) -> &'static str {
        match self {
            Stage::Request => "the request cannot be sent",
            Stage::Resolve => "the host was not found",
            Stage::Connect => "no connection",
            Stage::Tls => "no connection by TLS",
            Stage::Send => "the request was not sent",
            Stage::Response => "no response",
            Stage::Body => "the response is not whole",
        }
    }
}

/// Why there is no response, or not all of it.
///
/// Its text says at which [`Stage`] it was, the URL without credentials and query, the likely cause, and a remedy. Cheap to clone: those who
/// waited for the same connection have the same error.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::http;
///
/// annulus::run(async {
///     // Nobody listens there.
///     let closed = annulus::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
///     let error = http::Client::new().get(format!("http://{closed}/")).await.unwrap_err();
///     assert!(!error.is_timeout() && error.url().starts_with("http://127.0.0.1:"));
///     println!("{:?}, {:?}: {error}", error.stage(), error.kind());
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    stage: Stage,
    url: Arc<str>,
    kind: io::ErrorKind,
    text: String,
    source: Option<BoxError>,
}

impl Error {
    pub(super) fn new(stage: Stage, url: &Arc<str>, kind: io::ErrorKind, text: impl Into<String>) -> Error {
        Error(Arc::new(Inner { stage, url: Arc::clone(url), kind, text: text.into(), source: None }))
    }

    /// A request that cannot be sent.
    pub(super) fn invalid(url: &Arc<str>, text: impl Into<String>) -> Error {
        Error::new(Stage::Request, url, io::ErrorKind::InvalidInput, text)
    }

    pub(super) fn of_io(stage: Stage, url: &Arc<str>, error: io::Error) -> Error {
        let hint = match (stage, error.kind()) {
            (Stage::Connect, io::ErrorKind::ConnectionRefused) => {
                ": nobody listens there: is the server running, and is it this port?"
            }
            (Stage::Connect, io::ErrorKind::NotFound) => {
                ": there is no such socket: is the server running, and is it this path?"
            }
            _ => "",
        };
        let text = format!("{error}{hint}");
        let (kind, url) = (error.kind(), Arc::clone(url));
        Error(Arc::new(Inner { stage, url, kind, text, source: Some(error.into()) }))
    }

    pub(super) fn of_hyper(stage: Stage, url: &Arc<str>, error: ::hyper::Error) -> Error {
        use io::ErrorKind::{ConnectionAborted, InvalidData, Other, UnexpectedEof};
        let below = below(&error).map(io::Error::kind);
        let (stage, kind, hint) = match () {
            () if error.is_user() => (Stage::Send, Other, "the request's own body, or its head, is at fault"),
            () if error.is_parse_too_large() => {
                (stage, InvalidData, "its head is larger than is taken: http1 of the builder has the limit")
            }
            () if error.is_parse() => {
                (stage, InvalidData, "the server speaks something else than HTTP, or another version of it")
            }
            () if error.is_incomplete_message() => match stage {
                Stage::Body => (stage, UnexpectedEof, "the server closed the connection in the middle of it"),
                _ => (stage, UnexpectedEof, "the server closed the connection without a word"),
            },
            () if error.is_body_write_aborted() => {
                (Stage::Send, ConnectionAborted, "the server did not take all of it")
            }
            () if error.is_canceled() || error.is_closed() => {
                (stage, ConnectionAborted, "the connection was closed")
            }
            () if error.is_timeout() => {
                (stage, io::ErrorKind::TimedOut, "the server does not answer pings, and may be gone")
            }
            () => (stage, below.unwrap_or(Other), "the connection, or the server, gave up"),
        };
        let text = match StdError::source(&error) {
            Some(source) => format!("{hint} ({error}: {source})"),
            None => format!("{hint} ({error})"),
        };
        let (kind, url) = (below.unwrap_or(kind), Arc::clone(url));
        Error(Arc::new(Inner { stage, url, kind, text, source: Some(error.into()) }))
    }

    /// How far the request had come.
    ///
    /// # Examples
    /// As [`Error`].
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// Whether a time-out was over: the client's own, or one of the system.
    ///
    /// # Examples
    /// As [`Error`].
    pub fn is_timeout(&self) -> bool {
        self.0.kind == io::ErrorKind::TimedOut
    }

    /// What kind of error it is, in the words of `std::io`.
    ///
    /// # Examples
    /// As [`Error`].
    pub fn kind(&self) -> io::ErrorKind {
        self.0.kind
    }

    /// The URL, without credentials and query.
    ///
    /// # Examples
    /// As [`Error`].
    pub fn url(&self) -> &str {
        &self.0.url
    }
}

/// The error of the connection that hyper passes on.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let found = error.downcast_ref();
    found.or_else(|| error.source().and_then(below))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.0.url, self.0.stage.failed(), self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("stage", &self.0.stage)
            .field("url", &self.0.url)
            .field("kind", &self.0.kind)
            .field("text", &self.0.text)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}
