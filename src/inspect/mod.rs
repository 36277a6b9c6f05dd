//! Seeing inside a running program: its loops, their tasks, and what each waits for, as a page and as JSON (feature `inspect`).
//!
//! [`serve`] starts an [`Inspector`], which answers over HTTP from a thread of its own, with a loop of its own. Nothing is asked of the program's loops while
//! nobody looks, and then at most five times a second, however many look.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use annulus::{http, inspect};
//!
//! let inspector = inspect::serve("127.0.0.1:0")?;
//! println!("look at {}", inspector.url());
//! annulus::run(async {
//!     let waiting = annulus::task::Builder::new().name("waiting").spawn(std::future::pending::<()>());
//!     let client = http::Client::new();
//!     let response = client.get(format!("{}api/snapshot?filter=waiting", inspector.url())).await?;
//!     let snapshot = response.into_body().text(1 << 20).await?;
//!     assert!(snapshot.contains("\"name\":\"waiting\""));
//!     waiting.abort();
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! # Starting it
//! It is off unless it is asked for: by the program, or by whoever runs it. `ANNULUS_INSPECT=127.0.0.1:7070` or `ANNULUS_INSPECT=unix:/run/program.sock`
//! starts one when the first loop is made, and says on standard error where it is, or why there is none, which is never an
//! error of the program. The file of such a Unix socket is left when the process ends, and replaced by the next one's.
//!
//! # Who may look
//! Whoever is on this machine, if it is a port; the user who runs the program, and nobody else, if it is a Unix socket (mode 0600). Beyond this machine
//! nobody, unless [`Builder::public`] says so, and then by a [token](Builder::token). Requests that name another host than an IP address or localhost are
//! refused, and what changes something wants a header, so that pages of others cannot ask in a viewer's name.
//!
//! # What is served
//! | request | answer |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /api/snapshot` | all loops, tasks, and operations in flight |
//! | `GET /api/doctor` | the [report](mod@crate::report), made once |
//! | `GET /api/trace` | what the flight recorders have, for Perfetto; 404 if none is on |
//! | `POST /api/loops/LOOP/tasks/TASK/abort`, with the header `X-Annulus: 1` | `{"aborted":true}`, or false if there is no such task, or it is the one that [`run`](crate::run) was given |
//!
//! A snapshot has 200 tasks unless `limit` says otherwise (at most 100,000), from `offset` on. `sort` is one of id, name, spawned_at, state, polls, busy, age and waiting,
//! `order` asc or desc; `filter` is a part of a name, a place in the source, a number, or an operation that is waited for; `state` is running, ready or waiting;
//! `loop` is a loop's number. Operations in flight come oldest first, up to `limit`. What is wrong with a request is told as `{"error":"..."}`.
//!
//! # A loop that does not answer
//! It has a quarter of a second. Then the last that is known of it is shown, and how old that is (`age_ms`). One that is in the same turn all
//! the time is `stalled`, with the task that holds it up and the lines in which it is (with feature `backtrace`, on Linux). The other loops are
//! shown as they are.

mod address;
mod body;
mod counts;
mod data;
mod deeds;
mod environment;
mod gate;
mod inspector;
mod listen;
mod look;
mod numbers;
mod pace;
mod page;
mod process;
mod query;
mod routes;
mod rows;
mod snapshot;

use std::io;

pub use address::{Address, UnknownAddress};
pub use counts::Counts;
pub(crate) use environment::start_by_environment;
pub use inspector::{Builder, Inspector};

/// Starts an inspector at an address: `"127.0.0.1:7070"`, `"[::1]:0"` for a free port, `"unix:/run/program.sock"`, a `SocketAddr`, a path.
///
/// It serves until it is dropped. [`Inspector::builder`] has settings.
///
/// # Errors
/// As [`Builder::start`].
///
/// # Examples
/// ```
/// let inspector = annulus::inspect::serve("127.0.0.1:0")?;
/// println!("look at {}", inspector.url());
/// # std::io::Result::Ok(())
/// ```
pub fn serve<A>(address: A) -> io::Result<Inspector>
where
    A: TryInto<Address>,
    A::Error: Into<UnknownAddress>,
{
    Inspector::builder().address(address).start()
}
