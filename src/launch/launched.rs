//! Shards that run, for whoever started them.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use super::event::{Ask, Event, Events};
use super::failure::{self, Cause, Failure};
use super::life;
use super::plan::Plan;
use super::shard::Shard;
use super::shards::Shards;
use super::supervisor::Supervisor;
use crate::driver::Choice;
use crate::engine;
use crate::runtime::Runtime;
use crate::signal::Signal;

/// Shards that run: they are asked to stop, to read their settings again or to give way, and waited for. Made by
/// [`Launch::start`](super::Launch::start).
///
/// Dropping it lets them run by themselves.
///
/// # Examples
/// ```
/// let launched = annulus::launch().shards(2).start(|shard| async move {
///     shard.ready();
///     shard.stopping().cancelled().await;
///     std::io::Result::Ok(shard.index())
/// })?;
/// assert!(launched.wait_until_ready());
/// let name = launched.shards().at(1).run(|| std::thread::current().name().map(str::to_owned));
/// assert_eq!(name.wait().unwrap().as_deref(), Some("shard-1"));
/// launched.stop();
/// assert_eq!(launched.join()?, [0, 1]);
/// # Ok::<(), annulus::launch::Failure>(())
/// ```
#[must_use = "dropped, the shards run by themselves: say `drop(...)` if that is meant"]
pub struct Launched<T> {
    supervisor: JoinHandle<Vec<Result<T, Failure>>>,
    events: Events,
    ready: Mutex<mpsc::Receiver<()>>,
    plan: Arc<Plan>,
}

pub(super) fn start<M, F, T, E>(plan: Arc<Plan>, main: M) -> Result<Launched<T>, Failure>
where
    M: Fn(Shard) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + 'static,
    T: Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let refused = |cause| Failure { shard: None, cause };
    let (events, inbox) = Events::new();
    let (ready, until_ready) = mpsc::channel();
    let (theirs, told) = (Arc::clone(&plan), events.clone());
    let (begun, has_begun) = mpsc::channel();
    let body = move || match prepared(theirs.is_service) {
        Ok((runtime, signals)) => {
            let supervisor = Supervisor::new(theirs, main, told.clone(), inbox, (begun, ready));
            let ended = runtime.run(async {
                life::obey(signals, &told);
                supervisor.run().await
            });
            ended.unwrap_or_else(|error| vec![Err(refused(Cause::Loop(error)))])
        }
        Err(error) => vec![Err(refused(error))],
    };
    let thread = thread::Builder::new().name(format!("{}-watch", plan.name)).spawn(body);
    let supervisor = thread.map_err(|error| refused(Cause::Thread(error)))?;
    let launched = Launched { supervisor, events, ready: Mutex::new(until_ready), plan };
    match has_begun.recv() {
        Ok(()) => Ok(launched),
        // It has ended before all had begun, and says why.
        Err(_) => match failure::all(launched.ended()) {
            Err(failure) => Err(failure),
            Ok(_) => unreachable!("shards that have a result had begun"),
        },
    }
}

/// The supervisor's own loop, and the signals that it is to obey: before anything is started.
fn prepared(is_service: bool) -> Result<(Runtime, Vec<(Signal, Ask)>), Cause> {
    // It waits for signals and channels, so the plainest driver will do; a ring would cost locked memory.
    let runtime = Runtime::builder().driver(Choice::Readiness).build().map_err(Cause::Loop)?;
    let signals = match is_service {
        true => runtime.run(async { life::listen() }).map_err(Cause::Loop)?,
        false => Ok(Vec::new()),
    };
    Ok((runtime, signals.map_err(|error| Cause::Failed(error.into()))?))
}

/// Whoever waits on a loop's thread has the loop stand still.
#[track_caller]
pub(super) fn refuse_a_loop() {
    assert!(
        engine::with_current(|_| ()).is_none(),
        "a launch was waited for on a thread where an annulus loop runs, which would stand still with all its tasks: \
         wait within `annulus::spawn_blocking`, or launch before the loop"
    );
}

impl<T> Launched<T> {
    /// The way to the shards.
    pub fn shards(&self) -> &Shards {
        &self.plan.shards
    }

    /// Where the shards listen: of each [`Launch::listen`](super::Launch::listen) its address, in their order.
    ///
    /// # Examples
    /// As [`Incoming`](super::Incoming).
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.plan.sockets.addresses().collect()
    }

    /// Has the calling thread stand still until all shards are [ready](Shard::ready), and says whether they are: false if they have ended before.
    ///
    /// # Panics
    /// On a thread where an annulus loop runs.
    #[track_caller]
    pub fn wait_until_ready(&self) -> bool {
        refuse_a_loop();
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ready = ready.recv().is_ok();
        if is_ready {
            // Whoever asks next is told the same.
            let (again, later) = mpsc::channel();
            let _ = again.send(());
            *ready = later;
        }
        is_ready
    }

    /// Has the shards end in an orderly way: [`Shard::stopping`] is cancelled, [`Incoming`](super::Incoming) ends, and what runs has
    /// [`Launch::drain_limit`](super::Launch::drain_limit) to finish. Said again, what still runs is cut off.
    pub fn stop(&self) {
        self.events.tell(Event::Asked(Ask::Stop));
    }

    /// Cuts the shards off: their futures and tasks are dropped where they stand.
    ///
    /// # Examples
    /// ```
    /// let launched = annulus::launch().shards(1).start(|_shard| async {
    ///     std::future::pending::<()>().await; // it does not listen
    ///     std::io::Result::Ok(())
    /// })?;
    /// assert!(!launched.is_finished());
    /// launched.cut_off();
    /// assert!(launched.outcomes()[0].as_ref().unwrap_err().is_cut_off());
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    pub fn cut_off(&self) {
        self.events.tell(Event::Asked(Ask::CutOff));
    }

    /// Has the shards read their settings again: see [`Shard::reloads`].
    ///
    /// # Examples
    /// As [`Shard::reloads`](super::Shard::reloads).
    pub fn reload(&self) {
        self.events.tell(Event::Asked(Ask::Reload));
    }

    /// Has another process of this program take over: it is started with the listening sockets of this one, and when its
    /// shards are ready, the shards of this one end in an orderly way and leave to it what waits in the sockets. So no connection is lost, and none is refused. If the
    /// other does not become ready this one goes on. For a launch that lives [as a service](super::Launch::as_service).
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    /// #     fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let launched = annulus::launch().listen("127.0.0.1:8080").as_service().start(|shard| async move {
    ///         shard.ready();
    ///         shard.stopping().cancelled().await;
    ///         std::io::Result::Ok(())
    ///     })?;
    ///     // Another process of this program takes the sockets over; then this one stops.
    ///     launched.restart();
    ///     launched.join()?;
    /// #     Ok(())
    /// #     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn restart(&self) {
        self.events.tell(Event::Asked(Ask::Restart));
    }

    /// Whether all shards have ended.
    ///
    /// # Examples
    /// As [`cut_off`](Self::cut_off).
    pub fn is_finished(&self) -> bool {
        self.supervisor.is_finished()
    }

    /// Has the calling thread stand still until all shards have ended, and gives their results, in their order.
    ///
    /// # Errors
    /// As [`Launch::run`](super::Launch::run).
    ///
    /// # Panics
    /// On a thread where an annulus loop runs: there, wait within [`spawn_blocking`](crate::spawn_blocking).
    #[track_caller]
    pub fn join(self) -> Result<Vec<T>, Failure> {
        failure::all(self.outcomes())
    }

    /// As [`join`](Self::join), but gives what became of each shard.
    ///
    /// # Panics
    /// As [`join`](Self::join).
    ///
    /// # Examples
    /// As [`cut_off`](Self::cut_off).
    #[track_caller]
    pub fn outcomes(self) -> Vec<Result<T, Failure>> {
        refuse_a_loop();
        self.ended()
    }

    fn ended(self) -> Vec<Result<T, Failure>> {
        match self.supervisor.join() {
            Ok(outcomes) => outcomes,
            // Whoever is told of a notice may panic.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl<T> fmt::Debug for Launched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launched")
            .field("shards", self.shards())
            .field("finished", &self.is_finished())
            .finish()
    }
}
