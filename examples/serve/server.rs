//! Taking connections, within limits, and ending them all.
//!
//! What comes from outside is handed in: the connections as they come, the files, what is counted. When no more connections
//! come the server ends. So the same server runs on each shard, in a test, and in a simulated world.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::ops::Deref;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use annulus::net::TcpStream;
use annulus::sync::Notify;
use annulus::{spawn, time};
use futures_util::stream::{Stream, StreamExt};

use crate::connection;
use crate::files::Files;
use crate::response;
use crate::status::{Place, Share};

/// How long a connection that ends is listened to, lest its last answer is lost.
const LINGER: Duration = Duration::from_secs(1);

/// What a connection may take, and how many there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Who comes beyond that many connections, of all shards, is told 503.
    pub connections_max: usize,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Duration,
    /// How long a connection may wait for one more request when the server ends.
    pub last_request_timeout: Duration,
    /// How long a peer may leave what it is sent unread.
    pub write_timeout: Duration,
}

/// What all connections of a shard share.
pub struct Server {
    pub limits: Limits,
    pub files: Rc<Files>,
    pub status: Share,
    /// Set when the server ends: answers then say that the connection closes.
    pub ending: Cell<bool>,
    /// Buffers for answers, so that an idle connection holds none.
    pub buffers: RefCell<Vec<Vec<u8>>>,
    open: RefCell<HashMap<u64, Rc<Open>>>,
    /// Connections that are told their last words.
    leaving: Cell<usize>,
    /// Told when a connection is no longer one of those.
    gone: Notify,
}

/// An open connection, as the server sees it: whatever has a stream.
struct Open<C: ?Sized = dyn Deref<Target = TcpStream>> {
    /// Whether it waits for a request, and has since before the server ends.
    waits: Cell<bool>,
    stream: C,
}

/// Serves connections as they come, until no more do, and returns when the last has ended.
///
/// Whoever runs it says how long it may take to end; dropped, it cuts off what is left.
pub async fn serve<C: Deref<Target = TcpStream> + 'static>(
    connections: impl Stream<Item = io::Result<C>>,
    files: Rc<Files>,
    limits: Limits,
    status: Share,
) {
    let server = Rc::new(Server {
        limits,
        files,
        status,
        ending: Cell::new(false),
        buffers: RefCell::default(),
        open: RefCell::default(),
        leaving: Cell::new(0),
        gone: Notify::new(),
    });
    server.take_all(connections).await;
    server.end().await;
}

impl Server {
    async fn take_all<C: Deref<Target = TcpStream> + 'static>(
        self: &Rc<Server>,
        connections: impl Stream<Item = io::Result<C>>,
    ) {
        let mut connections = pin!(connections.enumerate());
        while let Some((id, connection)) = connections.next().await {
            match connection {
                Ok(stream) => self.receive(id as u64, stream),
                // Descriptors are used up, or something as passing. The connection waits; so does whoever gives them to us.
                Err(error) => self.status.cannot_accept(&error),
            }
        }
    }

    fn receive<C: Deref<Target = TcpStream> + 'static>(self: &Rc<Server>, id: u64, stream: C) {
        let server = Rc::clone(self);
        let Some(place) = self.status.place(self.limits.connections_max) else {
            self.status.refused.add(1);
            drop(spawn(async move { server.dismiss(&stream, response::refusal(503)).await }));
            return;
        };
        let open = Rc::new(Open { waits: Cell::new(false), stream });
        self.open.borrow_mut().insert(id, Rc::clone(&open) as Rc<Open>);
        drop(spawn(async move {
            // Dropped with the future also when this panics.
            let registered = Registered { server: &server, id, _place: place };
            let served = connection::serve(&server, &open.stream, &open.waits).await;
            drop(registered);
            match served {
                Ok(None) => {}
                Ok(Some(words)) => server.dismiss(&open.stream, words).await,
                Err(_) => server.status.broken.add(1),
            }
        }));
    }

    /// Says the last words to a peer. Its connection has no place among the others any more.
    async fn dismiss(&self, stream: &TcpStream, words: Vec<u8>) {
        // As many at once as there are connections at most; beyond that, closing is the answer.
        if self.leaving.get() < self.limits.connections_max {
            self.leaving.set(self.leaving.get() + 1);
            let _leaving = Leaving(self);
            // What the peer makes of it is not our concern any more.
            let _ = time::timeout(LINGER, Box::pin(connection::last_words(stream, words))).await;
        }
    }

    /// Ends each connection when it has nothing more to say.
    ///
    /// A connection that waits may have a request on its way: closed at once, that would be lost. So it has the time of one more,
    /// which is answered with `Connection: close`. How long it has waited before makes no difference: a request that is on its
    /// way now is on its way just as well, and to wait for all of them takes no longer than for one.
    async fn end(&self) {
        self.ending.set(true);
        if time::timeout(self.limits.last_request_timeout, self.all_gone()).await.is_err() {
            let late = |open: &&Rc<Open>| open.waits.get();
            let late: Vec<_> = self.open.borrow().values().filter(late).cloned().collect();
            for open in late {
                // Its read comes to an end: but what has come until now is read before that, and answered.
                let _ = open.stream.shutdown(Shutdown::Read).await;
            }
            self.all_gone().await;
        }
    }

    async fn all_gone(&self) {
        while self.open.borrow().len() + self.leaving.get() > 0 {
            self.gone.notified().await;
        }
    }
}

/// One of those that are told their last words, for as long as it lives.
struct Leaving<'a>(&'a Server);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leaving.set(self.0.leaving.get() - 1);
        self.0.gone.notify_one();
    }
}

/// An entry among the open connections, for as long as it lives.
struct Registered<'a> {
    server: &'a Server,
    id: u64,
    _place: Place,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.server.open.borrow_mut().remove(&self.id);
        self.server.gone.notify_one();
    }
}
