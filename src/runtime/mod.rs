//! The loop: how it is built, one turn of it, and how it ends.

mod builder;
mod embed;
mod error;
mod flight;
mod hooks;
mod metrics;
mod observe;
mod random;
mod remote;
mod spawn;
mod survey;
mod task_builder;
mod turn;

pub use builder::Builder;
pub use error::Error;
pub use flight::{dump_on_signal, recordings};
pub use metrics::{Metrics, OperationMetrics};
pub use observe::{Snapshot, Wait, abort, all, current};
pub use random::random;
pub use remote::{Answer, Remote};
pub(crate) use spawn::blocking;
pub use spawn::{spawn, spawn_blocking, yield_now};
#[cfg(feature = "inspect")]
pub(crate) use survey::Survey;
pub use task_builder::Builder as TaskBuilder;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

#[cfg(feature = "sim")]
use crate::driver::Faults;
use crate::driver::RingFacts;
use crate::engine::{self, Engine};
use crate::executor::Plan;

/// Runs a future to its end on a new loop, on this thread, and ends the loop.
///
/// When it returns every task is finished or cancelled, and every operation is retired. The driver is chosen by
/// [`Driver::Auto`](crate::Driver), or by `ANNULUS_DRIVER`. To run several futures on one loop, or to set
/// anything, use [`Runtime`].
///
/// # Errors
/// [`Error::Nested`] inside a running loop; [`Error::Refused`] if no driver can be had; [`Error::Broken`] if the
/// kernel refuses the ring while it runs.
///
/// # Panics
/// If the future panics, with its panic.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let length = annulus::run(async {
///     let text = annulus::fs::read("Cargo.toml").await?;
///     std::io::Result::Ok(text.len())
/// })??;
/// assert!(length > 0);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn run<F: Future>(future: F) -> Result<F::Output, Error> {
    // Before anything is made: inside of a loop there is nothing to make.
    refuse_nesting()?;
    Runtime::new()?.run(future)
}

fn refuse_nesting() -> Result<(), Error> {
    match engine::with_current(|_| ()) {
        Some(()) => Err(Error::Nested),
        None => Ok(()),
    }
}

/// A loop: tasks, timers, and a driver, on the thread that made it.
///
/// Built once, it can [`run`](Runtime::run) many futures, one after the other; tasks that were spawned go on in
/// the next run. Dropping it cancels all tasks and waits until the kernel has let go of all that it was lent,
/// for at most [`Builder::shutdown_limit`]; what has not been given back by then is leaked, never freed.
///
/// # Examples
/// ```
/// use annulus::Runtime;
///
/// let runtime = Runtime::new()?;
/// let task = runtime.run(async { annulus::spawn(async { 7 }) })?;
/// let seven = runtime.run(task)?.unwrap();
/// assert_eq!(seven, 7);
/// # Ok::<(), annulus::Error>(())
/// ```
pub struct Runtime {
    engine: Rc<Engine>,
    shutdown_limit: Duration,
    /// The `errno` after which the driver does nothing any more.
    broken: Cell<Option<i32>>,
}

impl Runtime {
    /// A loop with the settings that [`Builder`] has by default.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> Result<Runtime, Error> {
        Builder::new().build()
    }

    /// Settings for a loop.
    ///
    /// # Examples
    /// As [`Builder`].
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Runs a future to its end, and with it all tasks that are spawned. It may borrow from the caller.
    ///
    /// Tasks that are not finished when it returns stop where they are until the next run.
    ///
    /// # Errors
    /// [`Error::Nested`] inside a running loop; [`Error::Broken`] if the kernel refuses the ring while it runs, in
    /// which case all tasks are cancelled.
    ///
    /// # Panics
    /// If the future panics, with its panic.
    #[track_caller]
    pub fn run<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        refuse_nesting()?;
        self.refuse_broken()?;
        let engine = &*self.engine;
        let _scope = engine.enter();
        let plan = Plan::at(Location::caller());
        let output = engine.executor.drive(future, plan, |finished| turn::turn(engine, None, finished));
        output
            .and_then(|output| turn::settle(engine).map(|()| output))
            .map_err(|error| self.broken_by(&error))
    }

    fn refuse_broken(&self) -> Result<(), Error> {
        if self.engine.port.is_forked() {
            return Err(Error::Forked);
        }
        match self.broken.get() {
            Some(errno) => Err(Error::Broken(io::Error::from_raw_os_error(errno))),
            None => Ok(()),
        }
    }

    /// The driver does nothing any more.
    #[cold]
    fn broken_by(&self, error: &io::Error) -> Error {
        let engine = &*self.engine;
        if engine.port.is_forked() {
            return Error::Forked;
        }
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        self.broken.set(Some(errno));
        // What the kernel never took is answered by now: its buffers come back, or are freed with their tasks.
        engine.port.reap();
        engine.executor.abort_all();
        engine.port.run_later();
        Error::Broken(io::Error::from_raw_os_error(errno))
    }

    /// Which driver serves: `"uring"`, `"readiness"` or `"sim"`.
    ///
    /// # Examples
    /// As [`Builder`].
    pub fn driver(&self) -> &'static str {
        self.engine.port.driver_name()
    }

    /// What the ring's set-up got, if there is one.
    pub(crate) fn ring_facts(&self) -> Option<RingFacts> {
        self.engine.port.ring_facts()
    }

    /// What the loop has counted so far.
    ///
    /// # Examples
    /// As [`Metrics`].
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.engine)
    }

    /// What has become of operations, by their kinds: those of which at least one was answered, by name.
    ///
    /// # Examples
    /// As [`OperationMetrics`].
    pub fn operations(&self) -> Vec<OperationMetrics> {
        OperationMetrics::all_of(&self.engine)
    }

    /// Which loop of the process it is: numbers begin with 1, and none is used twice.
    #[cfg(feature = "metrics")]
    pub(crate) fn number(&self) -> u64 {
        self.engine.executor.id().number()
    }

    /// All tasks that have not finished: see [`task::all`](crate::task::all).
    ///
    /// # Examples
    /// As [`Snapshot`].
    pub fn tasks(&self) -> Vec<Snapshot> {
        observe::all_of(&self.engine)
    }

    /// A handle for other threads to have this loop do something. Also before the first run, and between two: what they
    /// ask for then waits for the next.
    ///
    /// ```
    /// let runtime = annulus::Runtime::new()?;
    /// let remote = runtime.remote();
    /// let asking = std::thread::spawn(move || remote.run(|| 6 * 7));
    /// let answer = asking.join().unwrap();
    /// assert_eq!(runtime.run(answer)?.unwrap(), 42);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn remote(&self) -> Remote {
        let remote = Remote::of(&self.engine);
        // Who serves it is a task, made with the first and polled once before anybody can wake it.
        self.engine.port.call_for_a_turn();
        remote
    }

    /// Ends the loop as dropping it does, waiting for at most `limit`, and says how many operations the kernel had not
    /// given back by then. Those are leaked, with their buffers and the driver, never freed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = annulus::Runtime::new()?;
    /// runtime.run(async { drop(annulus::spawn(std::future::pending::<()>())) })?;
    /// assert_eq!(runtime.shutdown(Duration::from_secs(1)), 0);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn shutdown(mut self, limit: Duration) -> usize {
        self.shutdown_limit = limit;
        self.end()
    }

    fn end(&mut self) -> usize {
        let engine = &*self.engine;
        if engine.port.has_ended() {
            return 0;
        }
        let _scope = engine.enter();
        if let Some(debug) = engine.executor.debug() {
            observe::tell_of_tasks(engine, debug);
        }
        engine.executor.abort_all();
        engine.clear_timers();
        let leaked = engine.port.end(self.shutdown_limit, &engine.clock);
        if let Some(debug) = engine.executor.debug() {
            observe::tell_of_leaks(engine, debug, leaked);
        }
        engine.beacon.dump_kept();
        leaked
    }

    /// The loop that runs on this thread now, if there is one.
    ///
    /// # Examples
    /// ```
    /// use annulus::Runtime;
    ///
    /// assert!(Runtime::try_current().is_none());
    /// annulus::run(async {
    ///     let current = Runtime::try_current().expect("here one runs");
    ///     println!("{}: {} turns so far", current.driver(), current.metrics().turns);
    ///     println!("{} kinds of operations", current.operations().len());
    ///     assert!(!current.remote().is_closed());
    /// })?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn try_current() -> Option<Current> {
        // A loop that is being dropped has an engine, but is nobody's to hold any more.
        engine::with_current(|_| Current { local: std::marker::PhantomData })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.end();
        if self.engine.port.is_forked() {
            // What its parent's tasks hold, files to be removed for example, is not the child's to destroy.
            std::mem::forget(Rc::clone(&self.engine));
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("driver", &self.driver()).field("metrics", &self.metrics()).finish()
    }
}

#[cfg(feature = "sim")]
impl Runtime {
    /// One turn, on a driver that does not wait.
    pub(crate) fn step(&self) -> Result<(), Error> {
        let _scope = self.engine.enter();
        turn::turn(&self.engine, None, || false).map_err(Error::Broken)
    }

    /// What may go wrong on a simulated driver.
    pub(crate) fn set_faults(&self, faults: &Faults) {
        self.engine.port.set_faults(faults);
    }

    /// Whether a turn would find nothing to do.
    pub(crate) fn is_at_rest(&self) -> bool {
        let Engine { executor, port, .. } = &*self.engine;
        executor.ready() == 0
            && executor.inbox().is_empty()
            && port.is_at_rest()
            && self.engine.next_deadline().is_none_or(|deadline| deadline > self.engine.clock.shown())
    }

    /// Tasks that have not finished.
    pub(crate) fn alive(&self) -> usize {
        self.engine.alive()
    }
}

/// The loop that runs on this thread, as long as it runs. See [`Runtime::try_current`].
///
/// # Examples
/// As [`Runtime::try_current`].
#[derive(Debug)]
pub struct Current {
    local: std::marker::PhantomData<*mut ()>,
}

impl Current {
    /// Which driver serves: `"uring"`, `"readiness"` or `"sim"`.
    ///
    /// # Panics
    /// When used after the run in which it was made.
    ///
    /// # Examples
    /// As [`Runtime::try_current`].
    pub fn driver(&self) -> &'static str {
        let _ = self.local;
        engine::expect_current("Current", |engine| engine.port.driver_name())
    }

    /// What the loop has counted so far.
    ///
    /// # Panics
    /// When used after the run in which it was made.
    ///
    /// # Examples
    /// As [`Runtime::try_current`].
    pub fn metrics(&self) -> Metrics {
        engine::expect_current("Current", Metrics::of)
    }

    /// Which loop of the process it is.
    #[cfg(feature = "metrics")]
    pub(crate) fn number(&self) -> u64 {
        engine::expect_current("Current", |engine| engine.executor.id().number())
    }

    /// What has become of operations, by their kinds: see [`Runtime::operations`].
    ///
    /// # Panics
    /// When used after the run in which it was made.
    ///
    /// # Examples
    /// As [`Runtime::try_current`].
    pub fn operations(&self) -> Vec<OperationMetrics> {
        engine::expect_current("Current", OperationMetrics::all_of)
    }

    /// A handle for other threads to have this loop do something.
    ///
    /// # Panics
    /// When used after the run in which it was made.
    ///
    /// # Examples
    /// As [`Runtime::try_current`].
    pub fn remote(&self) -> Remote {
        engine::expect_current("Current", Remote::of)
    }
}
