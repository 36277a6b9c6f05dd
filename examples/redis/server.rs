//! Accepting connections, within limits, and ending them all.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulus::net::{TcpListener, TcpStream};
use annulus::task::AbortHandle;
use annulus::{spawn, time};
use futures_util::future::select;

use crate::connection;
use crate::say;
use crate::store::Store;

/// How long busy connections may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);
/// How often keys are looked for that have expired and that nobody asks for.
const SWEEP: Duration = Duration::from_millis(100);
/// How many of them are removed at once, so that nobody waits long.
const SWEPT_MAX: usize = 10_000;

/// What a connection may take, and how many there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Who comes beyond that many connections is told so.
    pub connections_max: usize,
    /// How long a key or a value may be, in bytes.
    pub bulk_max: usize,
    /// How many arguments a command may have.
    pub arguments_max: usize,
}

/// What all connections share. One thread, so plain cells will do.
pub struct Server {
    pub limits: Limits,
    pub store: RefCell<Store>,
    pub started: Instant,
    pub connections: Cell<usize>,
    pub accepted: Cell<u64>,
    pub commands: Cell<u64>,
    /// Set when the server ends: a connection then closes when it has answered.
    pub ending: Cell<bool>,
    open: RefCell<HashMap<u64, Open>>,
}

/// An open connection, as the server sees it.
struct Open {
    task: AbortHandle,
    /// Whether it waits for a command, so that it can be ended without loss.
    idle: Rc<Cell<bool>>,
}

/// Serves until `stop` comes, and returns when the last connection has ended.
pub async fn serve(server: &Rc<Server>, listener: TcpListener, stop: impl Future<Output = ()>) {
    let sweeping = spawn(sweep(Rc::clone(server)));
    select(pin!(accept_all(server, &listener)), pin!(stop)).await;
    drop(listener);
    server.end().await;
    sweeping.abort();
}

async fn accept_all(server: &Rc<Server>, listener: &TcpListener) {
    for id in 1.. {
        match listener.accept().await {
            Ok((stream, _)) => server.receive(id, stream),
            // Descriptors are used up, or something as passing. The connection waits; so do we.
            Err(error) => {
                say(&format!(
                    "no connection can be accepted for now ({error}); if this lasts, raise `ulimit -n`"
                ));
                time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Removes keys that have expired.
async fn sweep(server: Rc<Server>) {
    let mut beat = time::interval(SWEEP);
    loop {
        beat.tick().await;
        server.store.borrow_mut().sweep(time::now(), SWEPT_MAX);
    }
}

impl Server {
    pub fn new(limits: Limits) -> Server {
        Server {
            limits,
            store: RefCell::default(),
            started: time::now(),
            connections: Cell::new(0),
            accepted: Cell::new(0),
            commands: Cell::new(0),
            ending: Cell::new(false),
            open: RefCell::default(),
        }
    }

    fn receive(self: &Rc<Server>, id: u64, stream: TcpStream) {
        if self.connections.get() >= self.limits.connections_max {
            let words = b"-ERR max number of clients reached\r\n".to_vec();
            // As long as this task lives it counts, too, so that refusing has a bound; beyond it closing is the answer.
            if self.connections.get() < 2 * self.limits.connections_max {
                self.connections.set(self.connections.get() + 1);
                let server = Rc::clone(self);
                drop(spawn(async move {
                    let _counted = Counted(&server.connections);
                    connection::last_words(&stream, words).await;
                }));
            }
            return;
        }
        self.connections.set(self.connections.get() + 1);
        self.accepted.set(self.accepted.get() + 1);
        let idle = Rc::new(Cell::new(true));
        let waits = Rc::clone(&idle);
        let server = Rc::clone(self);
        let task = spawn(async move {
            // Dropped with the future also when this is aborted, or panics.
            let _open = Registered { server: &server, id };
            // An error means that the peer broke the connection off: nobody is left to be told.
            if let Ok(Some(words)) = connection::serve(&server, &stream, id, &waits).await {
                connection::last_words(&stream, words).await;
            }
        });
        self.open.borrow_mut().insert(id, Open { task: task.abort_handle(), idle });
        drop(task);
    }

    /// Ends idle connections at once, and lets busy ones finish for a while.
    async fn end(&self) {
        self.ending.set(true);
        let all_gone = async {
            while self.connections.get() > 0 {
                // Each time, for a busy one may have become idle meanwhile.
                for open in self.open.borrow().values().filter(|open| open.idle.get()) {
                    open.task.abort();
                }
                time::sleep(Duration::from_millis(10)).await;
            }
        };
        if time::timeout(GRACE, all_gone).await.is_err() {
            say(&format!("{} connections were still busy and are cut off", self.connections.get()));
        }
    }

    /// The totals, at the end.
    pub fn summary(&self) -> String {
        format!("{} commands of {} connections", self.commands.get(), self.accepted.get())
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
        drop(Counted(&self.server.connections));
        self.server.open.borrow_mut().remove(&self.id);
    }
}
