//! Accepting connections, within limits, and ending them all.
//!
//! What comes from outside is handed in: the listener, the files, the word to stop. So the same server runs in a test,
//! and in a simulated world.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulus::net::{TcpListener, TcpStream};
use annulus::task::AbortHandle;
use annulus::{spawn, time};
use futures_util::future::select;

use crate::connection;
use crate::files::Files;
use crate::response;
use crate::status::{self, Status};

/// How long busy connections may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);
/// How long a connection that ends is listened to, lest its last answer is lost.
const LINGER: Duration = Duration::from_secs(1);
/// How long accepting must have gone well to say again that it does not.
const CALM: Duration = Duration::from_secs(10);

/// What a connection may take, and how many there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Who comes beyond that many connections is told 503.
    pub connections_max: usize,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Duration,
    /// How long a peer may leave what it is sent unread.
    pub write_timeout: Duration,
}

/// What all connections share.
pub struct Server {
    pub limits: Limits,
    pub files: Files,
    pub status: Rc<Status>,
    /// Set when the server ends: answers then say that the connection closes.
    pub ending: Cell<bool>,
    /// Buffers for answers, so that an idle connection holds none.
    pub buffers: RefCell<Vec<Vec<u8>>>,
    open: RefCell<HashMap<u64, Open>>,
    /// Connections that are told their last words.
    leaving: Cell<usize>,
}

/// An open connection, as the server sees it.
struct Open {
    task: AbortHandle,
    /// Whether it waits for a request, so that it can be ended without loss.
    idle: Rc<Cell<bool>>,
}

/// Serves until `stop` comes, and returns when the last connection has ended.
pub async fn serve(
    listener: TcpListener,
    files: Files,
    limits: Limits,
    status: Rc<Status>,
    stop: impl Future<Output = ()>,
) {
    let server = Rc::new(Server {
        limits,
        files,
        status,
        ending: Cell::new(false),
        buffers: RefCell::default(),
        open: RefCell::default(),
        leaving: Cell::new(0),
    });
    select(pin!(accept_all(&server, &listener)), pin!(stop)).await;
    drop(listener);
    server.end().await;
}

async fn accept_all(server: &Rc<Server>, listener: &TcpListener) {
    let mut pause = Pause::default();
    for id in 0.. {
        match listener.accept().await {
            Ok((stream, _)) => {
                pause.length = Duration::ZERO;
                server.receive(id, stream);
            }
            // Descriptors are used up, or something as passing. The connection waits; so do we.
            Err(error) => pause.after(&error).await,
        }
    }
}

/// Grows while accepting fails, and says so once.
#[derive(Default)]
struct Pause {
    length: Duration,
    failed: Option<Instant>,
}

impl Pause {
    async fn after(&mut self, error: &io::Error) {
        // One free place does not end an episode: it is taken, and then accepting fails again.
        if self.failed.is_none_or(|at| time::now() - at > CALM) {
            status::say(&format!(
                "\nserve: no connection can be accepted for now ({error}); if this lasts, raise `ulimit -n`"
            ));
        }
        self.failed = Some(time::now());
        self.length = (self.length * 2).clamp(Duration::from_millis(50), Duration::from_secs(1));
        time::sleep(self.length).await;
    }
}

impl Server {
    fn receive(self: &Rc<Server>, id: u64, stream: TcpStream) {
        let server = Rc::clone(self);
        let count = &self.status.connections;
        if count.get() >= self.limits.connections_max {
            Status::add(&self.status.refused, 1);
            drop(spawn(async move { server.dismiss(&stream, response::refusal(503)).await }));
            return;
        }
        count.set(count.get() + 1);
        let idle = Rc::new(Cell::new(false));
        let waits = Rc::clone(&idle);
        let task = spawn(async move {
            // Dropped with the future also when this is aborted, or panics.
            let open = Registered { server: &server, id };
            let served = connection::serve(&server, &stream, &waits).await;
            drop(open);
            match served {
                Ok(None) => {}
                Ok(Some(words)) => server.dismiss(&stream, words).await,
                Err(_) => Status::add(&server.status.broken, 1),
            }
        });
        self.open.borrow_mut().insert(id, Open { task: task.abort_handle(), idle });
        drop(task);
    }

    /// Says the last words to a peer. Its connection has no place among the others any more.
    async fn dismiss(&self, stream: &TcpStream, words: Vec<u8>) {
        // As many at once as there are connections at most; beyond that, closing is the answer.
        if self.leaving.get() < self.limits.connections_max {
            self.leaving.set(self.leaving.get() + 1);
            let _leaving = Counted(&self.leaving);
            // What the peer makes of it is not our concern any more.
            let _ = time::timeout(LINGER, Box::pin(connection::last_words(stream, words))).await;
        }
    }

    /// Ends idle connections at once, and lets busy ones finish for a while.
    async fn end(&self) {
        self.ending.set(true);
        let all_gone = async {
            while self.status.connections.get() + self.leaving.get() > 0 {
                // Each time, for a busy one may have become idle meanwhile.
                for open in self.open.borrow().values().filter(|open| open.idle.get()) {
                    open.task.abort();
                }
                time::sleep(Duration::from_millis(10)).await;
            }
        };
        if time::timeout(GRACE, all_gone).await.is_err() {
            let left = self.status.connections.get();
            status::say(&format!("\nserve: {left} connections were still busy and are cut off"));
        }
    }
}

/// One of a count, for as long as it lives.
struct Counted<'a>(&'a Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// An entry among the open connections, for as long as it lives.
struct Registered<'a> {
    server: &'a Server,
    id: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        drop(Counted(&self.server.status.connections));
        self.server.open.borrow_mut().remove(&self.id);
    }
}
