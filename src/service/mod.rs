//! What a server owes the manager that runs it: systemd, another that speaks its protocols, or the server that it replaces.
//!
//! - [`inherited`] takes the sockets that this process was given, so that nobody who connects while it starts is refused.
//! - [`ready`], [`stopping`], [`reloading`], [`status`] and [`alive`] say how it is. Where nobody asks they answer
//!   `Ok(false)`, so a server calls them wherever it runs, and may ignore what they answer.
//! - [`Successor`] starts the program that takes over from this one, with its sockets: the kernel keeps what connects
//!   meanwhile in their queues, and no connection is lost.
//!
//! ```no_run
//! use annulus::{net::TcpListener, service};
//!
//! # async fn serve(_: TcpListener) -> std::io::Result<()> { Ok(()) }
//! fn main() -> std::io::Result<()> {
//!     annulus::run(async {
//!         let given = service::inherited()?.into_iter().find(|given| given.name() == "web");
//!         let listener = match given {
//!             Some(given) => TcpListener::from_std(given.into_tcp_listener()?)?,
//!             None => TcpListener::bind("127.0.0.1:8080").await?,
//!         };
//!         service::ready()?;
//!         serve(listener).await
//!     })?
//! }
//! ```
//!
//! A server that replaces itself runs under systemd with `Type=notify` and `NotifyAccess=all`; it says `MAINPID=` when it hands
//! over. `KillMode=mixed` belongs to it: by default a stop also reaches a predecessor that still finishes what it had begun. The variables are read when they are needed, and never changed: other threads may be reading the environment.
//!
//! Managers are the machine's: in a simulated world nobody asks, no socket is inherited, and starting a successor says
//! `Unsupported`.

mod inherited;
mod notify;
mod predecessor;
mod program;
mod successor;
mod variable;

pub use inherited::{Inherited, inherited};
pub use notify::{alive, notify, ready, reloading, status, stopping, watchdog};
pub use program::program;
pub use successor::{EndedEarly, Successor};

use crate::runtime::Runtime;

/// What a simulated world's server does must not reach the machine.
fn is_simulated() -> bool {
    Runtime::try_current().is_some_and(|current| current.driver() == "sim")
}
