//! An inspector at work: its thread, its settings, its end.

use std::fmt;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::counts::{Counters, Counts};
use super::listen::{Listening, SocketFile, listen};
use super::routes::Routes;
use super::{Address, UnknownAddress};
use crate::driver::Choice;
use crate::executor::prepare_to_ask;
use crate::http;
use crate::net::{TcpListener, UnixListener};
use crate::runtime::Builder as LoopBuilder;
use crate::sync::across::oneshot;

/// Viewers at once. More wait in the kernel.
const CONNECTIONS_MAX: usize = 32;
/// From here on connections end with their answer, so that those who wait have their turn.
const CROWDED: usize = CONNECTIONS_MAX / 2;
/// How long a head may take, and how long a client may take nothing of its answer.
const SLOW: Duration = Duration::from_secs(5);
/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(15);
/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(10);
/// How long those may take at the end that are answered.
const DRAIN: Duration = Duration::from_millis(100);
/// How long the loop waits at the end for what its helpers do.
const SHUTDOWN: Duration = Duration::from_millis(500);
/// How long whoever ends it waits at most. A thread that takes longer ends by itself.
const END: Duration = Duration::from_secs(2);
/// How much of a head is read.
const HEAD_MAX: usize = 16 << 10;
/// How many headers may be in it.
const HEADERS_MAX: usize = 64;
/// Threads for the doctor, the trace, and asking loops where they are.
const HELPERS: usize = 4;

/// Settings of an [`Inspector`].
///
/// # Examples
/// ```
/// use annulus::inspect::Inspector;
///
/// let inspector = Inspector::builder().address("[::1]:0").token("correct horse battery").start();
/// # drop(inspector);
/// ```
#[derive(Clone)]
#[must_use = "nothing is served until `start`"]
pub struct Builder {
    address: Result<Address, UnknownAddress>,
    token: Option<String>,
    public: bool,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            address: Ok(Address::Tcp((std::net::Ipv4Addr::LOCALHOST, 0).into())),
            token: None,
            public: false,
        }
    }

    /// Where it listens: text, a `SocketAddr`, a path, or an [`Address`]. Unless it is set, a free port of 127.0.0.1. What is wrong
    /// with it is told by [`start`](Self::start).
    ///
    /// Whoever is on the machine may connect to a port. A Unix socket is for the user alone who runs the program.
    pub fn address<A>(mut self, address: A) -> Builder
    where
        A: TryInto<Address>,
        A::Error: Into<UnknownAddress>,
    {
        self.address = address.try_into().map_err(Into::into);
        self
    }

    /// What whoever asks has to know: 16 signs or more, none of them a space. Unless it is set, nothing.
    ///
    /// The page is then opened as `/?token=...`, and programs send `Authorization: Bearer ...`. Nothing is encrypted: beyond this machine
    /// it is for networks that nobody else listens to.
    pub fn token(mut self, token: impl Into<String>) -> Builder {
        self.token = Some(token.into());
        self
    }

    /// Whether it may listen where other machines can connect. Then it has to have a [`token`](Self::token). False unless it is
    /// set.
    ///
    /// # Examples
    /// As [`Inspector`].
    pub fn public(mut self, yes: bool) -> Builder {
        self.public = yes;
        self
    }

    /// Listens, and serves from a thread of its own.
    ///
    /// # Errors
    /// `InvalidInput`: the address means nothing, or the token is none. `PermissionDenied`: others could reach the address, and that was not
    /// asked for, or there is no token. Those of bind(2), and of a thread and its loop that cannot be made. Each says what helps.
    ///
    /// # Examples
    /// ```
    /// use annulus::inspect::Inspector;
    ///
    /// let refused = Inspector::builder().address("0.0.0.0:0").start().unwrap_err();
    /// assert!(refused.to_string().contains("public(true)"));
    /// ```
    pub fn start(self) -> io::Result<Inspector> {
        let address = self.address?;
        check(&address, self.token.as_deref(), self.public)?;
        let (listening, address, file) = listen(&address)?;
        let counters = Arc::new(Counters::default());
        let (stop, stopped) = oneshot::channel();
        let (begun, begins) = mpsc::channel();
        let (ended, ends) = mpsc::channel();
        let serving = Serving { listening, token: self.token, counters: Arc::clone(&counters), begun };
        thread::Builder::new().name("annulus-inspect".to_owned()).spawn(move || {
            // Dropped at the end, however it comes: that is the word.
            let _ended: mpsc::Sender<()> = ended;
            serving.live(stopped);
        })?;
        let inspector = Inspector {
            address,
            counters,
            stop: Some(stop),
            ends: Mutex::new(ends),
            process: std::process::id(),
            _file: file,
        };
        // A thread that is gone without a word has panicked.
        let word = begins.recv().unwrap_or_else(|_| Err(io::Error::other("the inspector's thread panicked")));
        word.map(|()| inspector)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the token: it would be in somebody's log.
        f.debug_struct("Builder")
            .field("address", &self.address)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

fn check(address: &Address, token: Option<&str>, public: bool) -> io::Result<()> {
    let refused = |kind, text: String| Err(io::Error::new(kind, text));
    if let Some(token) = token {
        if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text = "the inspector's token has to have 16 signs or more, all of them visible ones of ASCII: \
                        what is shorter is guessed, and others cannot be sent";
            return refused(io::ErrorKind::InvalidInput, text.to_owned());
        }
    }
    if address.is_local() {
        return Ok(());
    }
    if !public {
        let text = format!(
            "the inspector would be reached at {address} by other machines, which would see all tasks and could stop them: \
             listen at 127.0.0.1, [::1] or a Unix socket, and come there by ssh -L; or ask for it by \
             Builder::public(true) and a token"
        );
        return refused(io::ErrorKind::PermissionDenied, text);
    }
    if token.is_none() {
        let text = format!(
            "the inspector would be reached at {address} by everybody: give it a secret by Builder::token"
        );
        return refused(io::ErrorKind::PermissionDenied, text);
    }
    Ok(())
}

/// Serves what is known of the process's loops, as long as it is there. Made by [`serve`](super::serve), or with settings by
/// [`Inspector::builder`].
///
/// Dropping it ends it: its connections, its thread, and the file of its Unix socket. That is waited for, for at most two seconds.
///
/// In a child of fork(2) there is none, whatever the parent had.
///
/// # Examples
/// ```
/// use annulus::inspect::Inspector;
///
/// let inspector = Inspector::builder().address("127.0.0.1:0").token("a-long-secret-of-its-own").public(false).start()?;
/// println!("{} at {}, {:?}", inspector.url(), inspector.address(), inspector.counts());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Inspector {
    address: Address,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    ends: Mutex<mpsc::Receiver<()>>,
    process: u32,
    /// Removed at the end.
    _file: Option<SocketFile>,
}

impl Inspector {
    /// Settings.
    ///
    /// # Examples
    /// As [`Inspector`].
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where it listens: with the port that was taken, and the whole path.
    ///
    /// # Examples
    /// As [`Inspector`].
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What to open in a browser, with a `/` at its end. Of a Unix socket `http+unix://`, and the path as one name, which browsers do not know:
    /// `curl --unix-socket PATH http://localhost/api/snapshot` does. The token is not in it.
    ///
    /// # Examples
    /// As [`Inspector`].
    pub fn url(&self) -> String {
        self.address.url()
    }

    /// How often it was asked, and asked the loops.
    ///
    /// # Examples
    /// As [`Inspector`].
    pub fn counts(&self) -> Counts {
        self.counters.now()
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A child of fork(2) does not have the thread.
        if self.process == std::process::id() {
            let ends = self.ends.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _ = ends.recv_timeout(END);
        }
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("address", &self.address)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// What the thread has to begin with.
struct Serving {
    listening: Listening,
    token: Option<String>,
    counters: Arc<Counters>,
    begun: mpsc::Sender<io::Result<()>>,
}

impl Serving {
    /// Until the other end of `stopped` is gone.
    fn live(self, stopped: oneshot::Receiver<()>) {
        let Serving { listening, token, counters, begun } = self;
        // Nobody is told of it, for it looks at the others. The plainest driver is always to be had.
        prepare_to_ask();
        let settings = LoopBuilder::new()
            .driver(Choice::Readiness)
            .debug(false)
            .helpers_max(HELPERS)
            .shutdown_limit(SHUTDOWN)
            .unlisted();
        let runtime = match settings.build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(begun.send(Err(error.into()))),
        };
        let served = runtime.run(async {
            let routes = Routes::new(token, counters);
            match listening {
                Listening::Tcp(listener) => match TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, routes, begun, stopped).await,
                    Err(error) => drop(begun.send(Err(error))),
                },
                Listening::Unix(listener) => match UnixListener::from_std(listener) {
                    Ok(listener) => serve(listener, routes, begun, stopped).await,
                    Err(error) => drop(begun.send(Err(error))),
                },
            }
        });
        // It was told that it has begun, and has nobody to tell that it does not go on.
        drop(served);
    }
}

async fn serve<L: http::IntoConnections + 'static>(
    listener: L,
    routes: Routes,
    begun: mpsc::Sender<io::Result<()>>,
    stopped: oneshot::Receiver<()>,
) {
    let routes = std::rc::Rc::new(routes);
    let handle = std::rc::Rc::new(std::cell::OnceCell::<http::ServeHandle>::new());
    let service = http::service_fn({
        let handle = std::rc::Rc::clone(&handle);
        move |request| {
            let routes = std::rc::Rc::clone(&routes);
            let is_crowded = handle.get().is_some_and(|handle| handle.connections() >= CROWDED);
            async move { routes.answer(request, is_crowded).await }
        }
    });
    let server = http::serve(listener, service)
        .http1_only()
        .http1(|http1| {
            http1.max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
        })
        .connections_max(CONNECTIONS_MAX)
        .header_timeout(SLOW)
        .stall_timeout(SLOW)
        .idle_timeout(IDLE)
        .request_timeout(ANSWER)
        .drain_limit(DRAIN)
        .graceful(async { drop(stopped.await) });
    let _ = handle.set(server.handle());
    let _ = begun.send(Ok(()));
    // Those that do not end are cut off.
    let _ = server.await;
}
