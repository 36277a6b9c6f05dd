//! Looking at tasks while they run: who they are, and what each of them waits for.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::survey::Survey;
use crate::engine::{Engine, expect_current, with_current};
use crate::executor::{Debug, Facts, Id, Leak, Priority, State};

/// What was known of a task at one moment. Plain data, which may go to another thread.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::UdpSocket;
///
/// annulus::run(async {
///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
///     let listening = annulus::task::Builder::new().name("listening").spawn(async move {
///         socket.recv_from(vec![0; 512]).await.0
///     });
///     annulus::yield_now().await;
///     for task in annulus::task::all() {
///         // task 2 "listening", spawned at src/main.rs:6:70: waits for recv_message on descriptor 9 for 0.0 s; ...
///         println!("{task}");
///     }
///     listening.abort();
///     std::io::Result::Ok(())
/// })??;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) facts: Facts,
    pub(super) waits: Vec<Wait>,
}

/// Something that a task waits for.
///
/// # Examples
/// As [`Snapshot::id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// The end of an operation.
    Operation {
        /// What the kernel calls it: `recv`, `accept`, `openat`.
        name: &'static str,
        /// The number of the descriptor that it names, if it names one.
        descriptor: Option<i32>,
        /// Since when, to some milliseconds.
        age: Duration,
    },
    /// A timer: a sleep, an interval, a time-out.
    Timer {
        /// How long it still takes.
        left: Duration,
    },
    /// The end of another task.
    Task(Id),
}

impl Snapshot {
    /// What tells the task from all others of the process.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::task::{self, Wait};
    ///
    /// annulus::run(async {
    ///     let waiting = annulus::spawn(annulus::time::sleep(Duration::from_secs(60)));
    ///     annulus::yield_now().await;
    ///     let all = task::all();
    ///     let task = all.iter().find(|task| task.id() == waiting.id()).unwrap();
    ///     println!("{:?} of {}, {:?}", task.name(), task.spawned_at(), task.priority());
    ///     println!("{:?}, {:?} of {:?} busy", task.state(), task.busy(), task.age());
    ///     assert_eq!(task.polls(), 1);
    ///     assert!(matches!(task.waits(), [Wait::Timer { .. }]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn id(&self) -> Id {
        self.facts.id()
    }

    /// The name that it was given by [`task::Builder`](crate::task::Builder::name).
    ///
    /// # Examples
    /// As [`id`](Self::id).
    pub fn name(&self) -> Option<&str> {
        self.facts.meta.name()
    }

    /// Where it was spawned, or `run` was called.
    ///
    /// # Examples
    /// As [`id`](Self::id).
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.facts.spawned_at()
    }

    /// Who comes first where several are ready.
    ///
    /// # Examples
    /// As [`id`](Self::id).
    pub fn priority(&self) -> Priority {
        self.facts.priority
    }

    /// What it is doing.
    ///
    /// # Examples
    /// As [`id`](Self::id).
    pub fn state(&self) -> State {
        self.facts.state
    }

    /// How often it was polled.
    ///
    /// # Examples
    /// As [`id`](Self::id).
    pub fn polls(&self) -> u64 {
        self.facts.polls
    }

    /// How long its polls took together. An estimate, from one poll of some hundreds; exact where all are timed: with a
    /// [budget](crate::task::Builder::time_budget), with hooks on polls, and in debug mode.
    ///
    /// # Examples
    /// As [`id`](Self::id).
    pub fn busy(&self) -> Duration {
        self.facts.busy
    }

    /// For how long it has existed, to some milliseconds.
    ///
    /// # Examples
    /// As [`id`](Self::id).
    pub fn age(&self) -> Duration {
        self.facts.age
    }

    /// What it waits for: operations, timers and other tasks, several if it waits for the first or the last of them. Nothing is said
    /// of channels and locks, nor of an operation that waits for another one on the same descriptor, nor of a task that is awaited through
    /// somebody else's waker (`FuturesUnordered`). An operation or a timer is told of the task that began it. Where nothing is known this is empty, though
    /// [`state`](Self::state) says `Waiting`.
    ///
    /// # Examples
    /// As [`id`](Self::id).
    pub fn waits(&self) -> &[Wait] {
        &self.waits
    }

    /// What it is doing, as a part of a sentence.
    fn doing(&self) -> String {
        match (self.state(), self.waits()) {
            (State::Running, _) => "runs".to_owned(),
            (State::Ready, _) => "is ready".to_owned(),
            (State::Waiting, []) => "waits for another task's word (a channel, a lock)".to_owned(),
            (State::Waiting, waits) => {
                let waits: Vec<_> = waits.iter().map(Wait::to_string).collect();
                format!("waits for {}", waits.join(", "))
            }
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Operation { name, descriptor: Some(number), age } => {
                write!(f, "{name} on descriptor {number} for {:.1} s", age.as_secs_f64())
            }
            Wait::Operation { name, descriptor: None, age } => {
                write!(f, "{name} for {:.1} s", age.as_secs_f64())
            }
            Wait::Timer { left } => write!(f, "a timer that is due in {:.1} s", left.as_secs_f64()),
            Wait::Task(id) => write!(f, "task {id}"),
        }
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.facts.meta, self.doing())?;
        let (busy, age) = (self.busy().as_secs_f64() * 1e3, self.age().as_secs_f64());
        let polls = if self.polls() == 1 { "poll" } else { "polls" };
        write!(f, "; {} {polls}, {busy:.1} ms busy, {age:.1} s old", self.polls())
    }
}

/// The task that is polled now; none outside of one, and none in what is given to [`Runtime::run`](crate::Runtime::run) before it is
/// polled.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let task = annulus::spawn(async { annulus::task::current().unwrap().id() });
///     assert_eq!(task.id(), task.await.unwrap());
/// })?;
/// assert!(annulus::task::current().is_none());
/// # Ok(())
/// # }
/// ```
pub fn current() -> Option<Snapshot> {
    with_current(|engine| engine.executor.current())
        .flatten()
        .map(|facts| Snapshot { facts, waits: Vec::new() })
}

/// All tasks of the loop that have not finished, and what each waits for; the oldest first. The future that was given to `run` is one
/// of them.
///
/// It looks at each task, each operation and each timer once: some microseconds for a hundred tasks. From another thread:
/// [`Remote`](crate::Remote) runs it on the loop.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// As [`Snapshot`].
#[track_caller]
pub fn all() -> Vec<Snapshot> {
    expect_current("task::all", all_of)
}

/// All tasks of a loop.
pub(super) fn all_of(engine: &Engine) -> Vec<Snapshot> {
    Survey::of(engine).snapshots()
}

/// Stops a task that is told by its number, as [`AbortHandle::abort`](crate::task::AbortHandle::abort) does. False if the loop has no
/// such task, or not any more, or if it is the future that was given to [`run`](crate::Runtime::run), which is its caller's.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let endless = annulus::spawn(std::future::pending::<()>());
///     let stuck = annulus::task::all().into_iter().find(|task| task.id() == endless.id()).unwrap();
///     assert!(annulus::task::abort(stuck.id()));
///     assert!(endless.await.unwrap_err().is_cancelled());
///     assert!(!annulus::task::abort(stuck.id()));
/// })?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn abort(id: Id) -> bool {
    expect_current("task::abort", |engine| engine.executor.abort(id))
}

/// Tells of the tasks that have not finished when their loop ends.
pub(super) fn tell_of_tasks(engine: &Engine, debug: &Debug) {
    for task in all_of(engine).into_iter().filter(|task| !task.facts.is_aborted) {
        debug.tell(Leak::Task {
            state: task.doing(),
            never_polled: task.polls() == 0,
            task: task.facts.meta,
        });
    }
}

/// Tells of what outlives its loop, which has ended.
pub(super) fn tell_of_leaks(engine: &Engine, debug: &Debug, operations: usize) {
    // One is the engine's own.
    let handles = Rc::strong_count(&engine.port) - 1;
    let leases = engine.port.pool_numbers().out;
    let found = [
        (handles, Leak::Handles(handles)),
        (leases, Leak::Leases(leases)),
        (operations, Leak::Operations(operations)),
    ];
    for (_, leak) in found.into_iter().filter(|(count, _)| *count > 0) {
        debug.tell(leak);
    }
}
