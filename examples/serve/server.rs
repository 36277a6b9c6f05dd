//! Accepting connections, within limits, and ending them all.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::task::AbortHandle;
use annulus::{Runtime, spawn, time};
use futures_util::future::select;

use crate::Arguments;
use crate::connection;
use crate::files::Files;
use crate::response::{self, Answer};
use crate::status::Status;
use crate::stop::Stop;

/// How long busy connections may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

/// What all connections share.
pub struct Server {
    pub arguments: Arguments,
    pub files: Files,
    pub status: Rc<Status>,
    /// Set when the server ends: answers then say that the connection closes.
    pub ending: Cell<bool>,
    /// Buffers for answers, so that an idle connection holds none.
    pub buffers: RefCell<Vec<Vec<u8>>>,
    open: RefCell<HashMap<u64, Open>>,
}

/// An open connection, as the server sees it.
struct Open {
    task: AbortHandle,
    /// Whether it waits for a request, so that it can be ended without loss.
    idle: Rc<Cell<bool>>,
}

/// Serves until it is asked to stop.
pub async fn serve(arguments: Arguments) -> io::Result<()> {
    let files = Files::new(&arguments.directory)?;
    let listener = TcpListener::bind(arguments.addr.as_str()).await?;
    let stop = Stop::on_signal()?;
    let driver = Runtime::try_current().expect("inside of the loop").driver();
    eprintln!("serving {} at http://{} ({driver})", files.root().display(), listener.local_addr()?);

    let status = Rc::new(Status::default());
    let line = (!arguments.quiet).then(|| spawn(Rc::clone(&status).show()));
    let server = Rc::new(Server {
        arguments,
        files,
        status,
        ending: Cell::new(false),
        buffers: RefCell::default(),
        open: RefCell::default(),
    });

    let stopped = pin!(stop.asked());
    select(pin!(accept_all(&server, &listener)), stopped).await;
    drop(listener);
    if let Some(line) = line {
        line.abort();
    }
    server.end().await;
    eprintln!("\n{}", server.status.summary());
    Ok(())
}

async fn accept_all(server: &Rc<Server>, listener: &TcpListener) {
    let mut pause = Pause::default();
    for id in 0.. {
        match listener.accept().await {
            Ok((stream, _)) => {
                pause = Pause::default();
                server.receive(id, stream);
            }
            // Descriptors are used up, or something as passing. The connection waits; so do we.
            Err(error) => pause.after(&error).await,
        }
    }
}

/// Grows while accepting fails, and says so once.
#[derive(Default)]
struct Pause(Option<Duration>);

impl Pause {
    async fn after(&mut self, error: &io::Error) {
        let pause = match self.0 {
            Some(before) => (before * 2).min(Duration::from_secs(1)),
            None => {
                eprintln!(
                    "\nserve: no connection can be accepted for now ({error}); if this lasts, raise `ulimit -n`"
                );
                Duration::from_millis(50)
            }
        };
        self.0 = Some(pause);
        time::sleep(pause).await;
    }
}

impl Server {
    fn receive(self: &Rc<Server>, id: u64, stream: TcpStream) {
        let count = &self.status.connections;
        if count.get() >= self.arguments.connections_max {
            Status::add(&self.status.refused, 1);
            // As many refusals at once as there are connections at most; beyond that, closing is the answer.
            if count.get() < 2 * self.arguments.connections_max {
                count.set(count.get() + 1);
                let server = Rc::clone(self);
                drop(spawn(async move {
                    let _counted = Counted(&server.status.connections);
                    let busy = response::head_only(&Answer::error(503), true);
                    let _ =
                        time::timeout(Duration::from_secs(1), connection::last_words(&stream, busy)).await;
                }));
            }
            return;
        }
        count.set(count.get() + 1);
        let idle = Rc::new(Cell::new(false));
        let server = Rc::clone(self);
        let waits = Rc::clone(&idle);
        let task = spawn(async move {
            // Also when this is aborted, or panics: then the future is dropped.
            let _open = Registered { server: &server, id };
            if connection::serve(&server, &stream, &waits).await.is_err() {
                Status::add(&server.status.broken, 1);
            }
        });
        self.open.borrow_mut().insert(id, Open { task: task.abort_handle(), idle });
        drop(task);
    }

    /// Ends idle connections at once, and lets busy ones finish for a while.
    async fn end(&self) {
        self.ending.set(true);
        let all_gone = async {
            while self.status.connections.get() > 0 {
                // Each time, for a busy one may have become idle meanwhile.
                for open in self.open.borrow().values().filter(|open| open.idle.get()) {
                    open.task.abort();
                }
                time::sleep(Duration::from_millis(10)).await;
            }
        };
        if time::timeout(GRACE, all_gone).await.is_err() {
            eprintln!(
                "\nserve: {} connections were still busy and are cut off",
                self.status.connections.get()
            );
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
