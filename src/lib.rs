//! An io_uring-based, completion-driven async runtime.
//!
//! The kernel's completion queue resolves owned-buffer futures directly, and a local executor resumes the tasks
//! whose submissions completed. Where there is no io_uring, a readiness driver emulates the same queue in user
//! space, and the same programs run.
//!
//! ```
//! use std::time::Duration;
//!
//! fn main() -> std::io::Result<()> {
//!     annulus::run(async {
//!         let greeting = annulus::spawn(async {
//!             annulus::time::sleep(Duration::from_millis(1)).await;
//!             "hello"
//!         });
//!         println!("{} from {}", greeting.await?, annulus::Runtime::try_current().unwrap().driver());
//!         Ok(())
//!     })?
//! }
//! ```
//!
//! **New here?** The [`guide`] begins with a server in five minutes, and goes on from there, a chapter at a time.
//!
//! # One loop, one thread
//! [`run`] makes a loop on the calling thread, runs a future on it, and ends it; on return every task is finished
//! or cancelled, and every operation is retired. Nothing needs to be `Send`. Wakers may be used from any thread,
//! and [`spawn_blocking`] takes what blocks off the loop. Other threads reach a loop by a [`Remote`], and by the
//! channels of [`sync::across`]; a connection goes to another loop as a [`net::Detached`].
//!
//! # Buffers are given away
//! The kernel may use a buffer until the operation has completed, whatever becomes of the future. So an operation
//! owns its buffer, and gives it back with the result: `let (result, buffer) = stream.read(buffer).await;`. See
//! [`buf`].
//!
//! # Nothing is lost
//! Drop a read or an accept that was raced against a time-out: what the kernel completes all the same is given to
//! the next one. To stop an operation and have its buffer back: [`Submitted::timeout`], [`Submitted::cancel_on`] with
//! a [`CancelToken`]. What is promised, and which test shows it, is in docs/soundness.md.
//!
//! # Tasks tell each other
//! Channels, notifications, locks and meeting points for tasks of one thread are in [`sync`]: no atomic operations, no system
//! calls, and nobody waits out of turn.
//!
//! # A bad day is a number
//! The third driver is a world in memory in which a seed decides what happens, and when: see `sim`. Programs that use
//! this crate can be tested by it as the crate itself is, with several hosts, links that fail, and disks that lose what was
//! not synced. docs/testing.md has an example.
//!
//! # Many cores
//! [`launch()`] starts a loop on each, which share connections, and live and end as one server: see [`mod@launch`]. What the manager of
//! that server is told, and how another process takes over from it, is in [`service`].
//!
//! # Looking at it while it runs
//! `ANNULUS_INSPECT=127.0.0.1:7070`, or a line in the program, has it serve a page of its loops and tasks: see `inspect` (feature `inspect`).
//!
//! [`Runtime::metrics`] and [`Runtime::operations`] have the numbers; `metrics` (feature `metrics`) exports them, by the names of docs/metrics.md.
//!
//! # The ecosystem
//! By [`into_poll`](net::Stream::into_poll) a connection has the traits of tokio, futures-io and hyper, as features ask for them; by the others
//! come TLS (`rustls`), a server for axum, tonic and tower, and a client (`http-serve`), tower's layers by this loop's timers (`tower`), and this loop inside of tokio
//! (`tokio-host`). docs/ecosystem.md has what works and which test shows it; docs/migrating.md is for who comes from another runtime.
//!
//! # Seen from outside
//! With the feature `tracing` tasks, loops, sockets, files, timers and operations in flight are spans by the names that tokio-console knows, and what debug mode
//! finds is an event. Without a subscriber that costs one load for each task, operation and timer. docs/observing.md shows it.

#![cfg_attr(docsrs, feature(doc_cfg))]

// The floors, from the ground up: each imports only from those above it in this list.
mod sys;

mod dice;
mod histogram;
mod json;
pub mod topology;

mod recorder;

pub mod buf;

mod executor;

mod wheel;

mod clock;

mod driver;

mod engine;

mod op;

mod cancel;
pub mod sync;

mod runtime;

pub mod time;

pub mod task;

pub mod io;

pub mod fs;
pub mod net;

pub mod process;
pub mod signal;

pub mod service;

pub mod launch;

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;

#[cfg(any(feature = "futures-io", feature = "hyper", feature = "tokio-io"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "futures-io", feature = "hyper", feature = "tokio-io"))))]
pub mod compat;

#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub mod hyper;

#[cfg(feature = "rustls")]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
pub mod tls;

#[cfg(feature = "http-serve")]
#[cfg_attr(docsrs, doc(cfg(feature = "http-serve")))]
pub mod http;

#[cfg(feature = "tokio-host")]
pub mod tokio_host;
#[cfg(feature = "tower")]
pub mod tower;

#[cfg(feature = "sim")]
pub mod sim;

pub mod report;

/// What [`on_every_driver!`] is made of.
#[doc(hidden)]
pub mod testing;

#[cfg(feature = "inspect")]
#[cfg_attr(docsrs, doc(cfg(feature = "inspect")))]
pub mod inspect;

#[cfg(all(test, target_os = "linux", not(annulus_loom)))]
mod conformance;

#[cfg(any(doc, doctest))]
pub mod guide;

pub use cancel::{CancelToken, Cancelled, DropGuard};
pub use driver::{Choice as Driver, UnknownDriver};
pub use histogram::Histogram;
pub use launch::launch;
pub use op::{CancelWhen, Submitted, nop};
pub use report::report;
/// A loop has come that others find. Here, for floors do not know what is above them.
#[cfg(feature = "inspect")]
pub(crate) fn when_a_loop_is_listed() {
    inspect::start_by_environment();
}

/// Debug mode: what it finds. Switched on by [`Builder::debug`], or by `ANNULUS_DEBUG=1`.
pub mod debug {
    pub use crate::executor::{Leak, NeverPolled, SlowPoll, Warning};
    pub use crate::sys::stack::Frame;
}

/// The flight recorder: what a loop has done lately, in a ring of small records. Switched on by [`Builder::flight_recorder`].
pub mod flight {
    pub use crate::recorder::{Event, Recording, What, write_all as write_chrome_trace};
    pub use crate::runtime::{dump_on_signal, recordings};
}

pub use runtime::{
    Answer, Builder, Current, Error, Metrics, OperationMetrics, Remote, Runtime, random, run, spawn,
    spawn_blocking, yield_now,
};

/// The guide's snippets are run with the documentation's.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/asyncio.md")]
struct Asyncio;

#[cfg(all(doctest, feature = "macros", feature = "sim"))]
#[doc = include_str!("../docs/migrating.md")]
struct Migrating;

#[cfg(all(doctest, feature = "metrics"))]
#[doc = include_str!("../docs/metrics.md")]
struct MetricsPage;

#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/scaling.md")]
struct Scaling;
