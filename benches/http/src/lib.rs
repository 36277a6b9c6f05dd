//! What all servers share, so that they differ in their runtime only: one Router, one listener, one command line, one
//! certificate.
//!
//! Each server is a program of its own that prints its address first and serves until it is killed. The runner is
//! `src/bin/http`.

mod bulk;
mod process;
mod tower;

pub use bulk::{Direction, PIECE, client, credentials, server, transfer};
pub use process::{Heap, pin, raise_limits, tell_heap};
pub use tower::TowerService;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use axum::body::Bytes;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Args;
use serde::Serialize;
use socket2::{Domain, Socket, Type};

/// What `GET /` answers.
pub const HELLO: &str = "hello";

/// What `GET /json` answers.
#[derive(Serialize)]
struct User {
    id: u32,
    name: &'static str,
    email: &'static str,
    active: bool,
}

/// The Router that all serve: a small text, a small JSON, and the body back.
pub fn router() -> Router {
    let user = || async { Json(User { id: 42, name: "Ada", email: "ada@example.com", active: true }) };
    Router::new()
        .route("/", get(|| async { HELLO }))
        .route("/json", get(user))
        .route("/echo", post(|body: Bytes| async { body }))
}

/// What every server may be told.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The core that the server is bound to.
    #[arg(long)]
    core: Option<usize>,
    /// Prints how much of the heap is in use, once for each line of the standard input.
    #[arg(long)]
    heap: bool,
}

impl Common {
    /// Binds this process, and listens at a free port of the loopback; its address goes to standard output.
    ///
    /// # Errors
    /// The system's, of binding and listening.
    pub fn listen(&self) -> io::Result<TcpListener> {
        if let Some(core) = self.core {
            pin(core)?;
        }
        raise_limits();
        if self.heap {
            tell_heap();
        }
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(8192)?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from(socket);
        writeln!(io::stdout(), "{}", listener.local_addr()?)?;
        io::stdout().flush()?;
        Ok(listener)
    }
}
