//! A loop inside of tokio's runtime, for what insists on tokio (feature `tokio-host`).
//!
//! Some libraries have tokio's sockets and timers built in: reqwest and sqlx for example. On a hosted loop both worlds are on one
//! thread: tasks of the loop await what is tokio's, and tasks of tokio await the handles of the loop's tasks. No channel and no
//! `Send` is between them.
//!
//! - [`run`] is [`annulus::run`](crate::run) with tokio around it.
//! - [`drive_until`] and [`drive`] are for programs that have a tokio runtime already: `#[tokio::main]`, a `LocalSet`.
//!
//! What is tokio's goes as it goes on tokio: by readiness, with tokio's buffers and clock; what is the loop's by its ring. tokio waits for the
//! loop's descriptor and its next deadline, so an idle hosted loop makes no system call. A loaded one costs one look of
//! tokio's at its own sockets for each turn.
//!
//! # Where a thread is better
//! A library that computes for long, or a runtime with several threads, is better *beside* the loop: futures that are `Send` are spawned there,
//! and tokio's `JoinHandle` is awaited in a task of the loop. For that no feature is needed.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
//! annulus::run(async {
//!     let answer = tokio.spawn(async {
//!         tokio::time::sleep(std::time::Duration::from_millis(2)).await;
//!         6 * 7
//!     });
//!     assert_eq!(answer.await.unwrap(), 42);
//! })?;
//! # Ok(())
//! # }
//! ```

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::LocalSet;

use crate::runtime::Runtime;

/// Runs a future to its end as a task of a new loop, inside of a new tokio runtime of this thread, and ends both.
///
/// In the future, and in all tasks of the loop, tokio is there: its sockets, timers, `spawn` and `spawn_local`. In tasks of tokio,
/// handles of the loop's tasks are awaited; operations and timers of the loop are made in its own tasks.
///
/// # Errors
/// Those of [`annulus::run`](crate::run); what the system says if tokio's runtime cannot be made; `Unsupported` on a simulated driver, which
/// has no descriptor that tokio could wait for.
///
/// # Panics
/// If the future panics, with its panic. Inside of a tokio runtime, which is tokio's own panic: there it is [`drive_until`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # if std::env::var("ANNULUS_DRIVER").is_ok_and(|driver| driver.starts_with("sim")) { return Ok(()) }
/// use annulus::net::TcpListener;
/// use tokio::io::AsyncReadExt;
///
/// annulus::tokio_host::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let server = annulus::spawn(async move { listener.accept().await?.0.write_all("tea").await.0 });
///     // A socket of tokio's, in a task of this loop.
///     let mut text = String::new();
///     tokio::net::TcpStream::connect(address).await?.read_to_string(&mut text).await?;
///     assert_eq!(text, "tea");
///     server.await?
/// })??;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn run<F: Future + 'static>(future: F) -> io::Result<F::Output> {
    let runtime = Runtime::new()?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let task = runtime.spawn(future);
    let local = LocalSet::new();
    let finished = local.block_on(&tokio, drive_until(&runtime, task));
    // What the loop still has may ask for tokio when it is dropped, as a pooled connection of sqlx does.
    let inside = tokio.enter();
    drop(runtime);
    drop(inside);
    match finished? {
        Ok(output) => Ok(output),
        Err(lost) => match lost.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(cancelled) => Err(cancelled.into()),
        },
    }
}

/// Polls a future of tokio's, and gives the loop its turns meanwhile.
///
/// The future may borrow, and it is not a task of the loop: it starts those by [`Runtime::spawn`], and awaits their handles. The loop stands
/// still once this has ended, until it is driven again. A program ends it while it is inside of tokio, since what is
/// dropped with it may ask for tokio.
///
/// # Errors
/// Those of [`drive`].
///
/// # Panics
/// As [`drive`].
///
/// # Cancel safety
/// Dropping it drops the future. The loop's tasks stand still, and lose nothing.
///
/// # Examples
/// ```
/// # fn main() -> io::Result<()> {
/// # if std::env::var("ANNULUS_DRIVER").is_ok_and(|driver| driver.starts_with("sim")) { return Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tea())
/// # }
/// use std::io;
/// use std::time::Duration;
///
/// // Under #[tokio::main], for example.
/// async fn tea() -> io::Result<()> {
///     let runtime = annulus::Runtime::new()?;
///     let answer = annulus::tokio_host::drive_until(&runtime, async {
///         let task = runtime.spawn(async {
///             annulus::time::sleep(Duration::from_millis(2)).await;
///             tokio::time::sleep(Duration::from_millis(2)).await;
///             6 * 7
///         });
///         task.await.unwrap()
///     });
///     assert_eq!(answer.await?, 42);
///     Ok(())
/// }
/// ```
pub async fn drive_until<F: Future>(runtime: &Runtime, future: F) -> io::Result<F::Output> {
    match select(pin!(future), pin!(drive(runtime))).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right((never, _)) => never.map(|never| match never {}),
    }
}

/// Gives the loop its turns for as long as it is polled: in the future that tokio's `block_on` runs, or, with an `Rc<Runtime>`, in a task
/// of a `LocalSet`.
///
/// A task of the loop that is polled meanwhile is inside of tokio. Between two turns tokio's own tasks have theirs.
///
/// # Errors
/// Those of [`Runtime::turn`]; `Unsupported` on a simulated driver and with [`Builder::iopoll`](crate::Builder::iopoll), which have no descriptor that
/// tokio could wait for; `Unsupported` outside of tokio.
///
/// # Panics
/// In a runtime of tokio's without its sockets or timers: it is built with `enable_all`.
///
/// # Cancel safety
/// Dropping it loses nothing: the loop goes on when it is driven again.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # if std::env::var("ANNULUS_DRIVER").is_ok_and(|driver| driver.starts_with("sim")) { return Ok(()) }
/// use std::rc::Rc;
///
/// let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let runtime = Rc::new(annulus::Runtime::new()?);
/// let local = tokio::task::LocalSet::new();
/// local.spawn_local(annulus::tokio_host::drive(Rc::clone(&runtime)));
/// let text = local.block_on(&tokio, runtime.spawn(annulus::fs::read("Cargo.toml"))).unwrap()?;
/// assert!(!text.is_empty());
/// # Ok(())
/// # }
/// ```
pub async fn drive(runtime: impl Deref<Target = Runtime>) -> io::Result<Infallible> {
    if Handle::try_current().is_err() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "there is no tokio here that could give the loop its turns: call this inside of a runtime of tokio's, or \
             annulus::tokio_host::run, which makes one",
        ));
    }
    // Newer versions of tokio would have `register_with_interest`, which is unsafe: the descriptor must stay open. It is borrowed.
    #[allow(deprecated)]
    let descriptor = AsyncFd::with_interest(runtime.as_fd()?, Interest::READABLE)?;
    loop {
        while runtime.turn(Some(Duration::ZERO))? {
            // tokio's own tasks have a turn between two of ours.
            tokio::task::yield_now().await;
        }
        let due = async {
            match runtime.next_deadline() {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => pending().await,
            }
        };
        if let Either::Left((told, _)) = select(pin!(descriptor.readable()), pin!(due)).await {
            // Before the turn: what comes from now on is told again.
            told?.clear_ready();
        }
    }
}
