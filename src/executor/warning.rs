//! What debug mode has found, and whom it tells.

use std::fmt;
use std::time::Duration;

use super::hooks::Meta;
use crate::sys::stack::Frame;

/// Something that debug mode has found. As text it says what happened, where, and what helps. See [`Builder::debug`](crate::Builder::debug).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::debug::Warning;
///
/// let runtime = annulus::Runtime::builder()
///     .debug(true)
///     .slow_poll(Duration::from_millis(20))
///     .on_warning(|warning| match warning {
///         Warning::SlowPoll(poll) => {
///             println!("{:?} of {:?}, over: {}", poll.time(), poll.task().name(), poll.is_over());
///             println!("{} more were not told", poll.untold());
///             for frame in poll.frames() {
///                 println!("{} at {:?}:{:?}", frame.function(), frame.file(), frame.line());
///             }
///             println!("the program's own line: {:?}", poll.line());
///         }
///         Warning::NeverPolled(operation) => {
///             println!("{} of {:?} at {:?}", operation.operation(), operation.task(), operation.line());
///         }
///         other => println!("{other}"),
///     })
///     .build()?;
/// runtime.run(async {
///     drop(annulus::fs::metadata("Cargo.toml")); // never awaited
///     std::thread::sleep(Duration::from_millis(60));
/// })?;
/// # Ok::<(), annulus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Warning {
    /// A poll keeps the loop from everything else, or has kept it.
    SlowPoll(SlowPoll),
    /// An operation was made and dropped without having been awaited: it did nothing.
    NeverPolled(NeverPolled),
    /// Something was still there when the loop ended.
    Leak(Leak),
}

/// A poll that took long. It is told of when it is found, by another thread, and once more when it is over.
///
/// # Examples
/// As [`Warning`].
#[derive(Clone, Debug)]
pub struct SlowPoll {
    pub(super) task: Meta,
    pub(super) time: Duration,
    pub(super) is_over: bool,
    pub(super) frames: Vec<Frame>,
    pub(super) untold: u64,
}

impl SlowPoll {
    /// Whose poll it is.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn task(&self) -> &Meta {
        &self.task
    }

    /// How long it has taken.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Whether it has come to its end. Then [`frames`](Self::frames) is empty.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The calls that the thread was in when the poll was found to be slow, the innermost first. None where it could not be asked.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The innermost of them that is neither the standard library's nor this crate's: the line that blocks.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn line(&self) -> Option<&Frame> {
        self.frames.iter().find(|frame| frame.is_the_programs())
    }

    /// How many slow polls of this loop were not told of since the last that was, for there were too many: the
    /// [watchdog](crate::Builder::watchdog) tells of five in ten seconds.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn untold(&self) -> u64 {
        self.untold
    }

    pub(crate) fn over_after(self, time: Duration) -> SlowPoll {
        SlowPoll { time, is_over: true, frames: Vec::new(), ..self }
    }
}

/// An operation that was dropped without having been awaited.
///
/// # Examples
/// As [`Warning`].
#[derive(Clone, Debug)]
pub struct NeverPolled {
    pub(super) operation: &'static str,
    pub(super) task: Option<Meta>,
    pub(super) frames: Vec<Frame>,
}

impl NeverPolled {
    /// What the kernel calls it.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The task that dropped it.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn task(&self) -> Option<&Meta> {
        self.task.as_ref()
    }

    /// Where it was dropped: mostly the line at which it was made.
    ///
    /// # Examples
    /// As [`Warning`].
    pub fn line(&self) -> Option<&Frame> {
        self.frames.iter().find(|frame| frame.is_the_programs())
    }
}

/// What was still there when a loop ended.
///
/// # Examples
/// As [`Warning`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Leak {
    /// A task that had not finished. It was stopped.
    Task {
        /// Which one.
        task: Meta,
        /// What it waited for, as [`task::all`](crate::task::all) says it.
        state: String,
        /// It had not even begun.
        never_polled: bool,
    },
    /// Descriptors, or futures of operations, that are kept outside of the loop, or were forgotten.
    Handles(usize),
    /// Leases that are kept outside of the loop, or were forgotten.
    Leases(usize),
    /// Operations that the kernel had not given back in time. Their memory is leaked.
    Operations(usize),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::SlowPoll(slow) => slow.fmt(f),
            Warning::NeverPolled(never) => never.fmt(f),
            Warning::Leak(leak) => leak.fmt(f),
        }
    }
}

impl fmt::Display for SlowPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (task, time) = (&self.task, self.time.as_millis());
        if self.is_over {
            return write!(f, "{task}: the slow poll is over, after {time} ms");
        }
        write!(f, "{task}, has kept the loop from everything else for {time} ms")?;
        match self.line() {
            Some(line) => write!(f, ", at {line}")?,
            None if !cfg!(feature = "backtrace") => {
                f.write_str(" (where is told if annulus is built with its feature `backtrace`)")?
            }
            None if self.frames.is_empty() => f.write_str(" (the thread did not say where)")?,
            None => {}
        }
        f.write_str(
            "; await what waits (time::sleep, fs, net), give what blocks to spawn_blocking, and yield_now in long computations",
        )?;
        if self.untold > 0 {
            write!(f, " ({} more before this were not told of)", self.untold)?;
        }
        // The line itself has been named.
        let mut callers = self.frames.iter().filter(|frame| frame.is_the_programs()).skip(1);
        callers.try_for_each(|frame| write!(f, "\n    called by {frame}"))
    }
}

impl fmt::Display for NeverPolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an operation ({}) was never awaited, and so did nothing", self.operation)?;
        if let Some(line) = self.line() {
            write!(f, ": dropped at {line}")?;
        }
        if let Some(task) = &self.task {
            write!(f, ", by {task}")?;
        }
        f.write_str("; put `.await` behind it")
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leak::Task { task, never_polled: true, .. } => {
                write!(f, "{task}, was stopped by the end of its loop before it began; await its handle")
            }
            Leak::Task { task, state, .. } => {
                write!(
                    f,
                    "{task}, was stopped by the end of its loop: it {state}; await its handle, or abort it"
                )
            }
            Leak::Handles(count) => write!(
                f,
                "{count} descriptors or futures outlive their loop: they are kept elsewhere, or were given to mem::forget; \
                 drop them before the loop"
            ),
            Leak::Leases(count) => write!(
                f,
                "{count} leases outlive their loop, with their buffers: copy what is to be kept (`to_vec`)"
            ),
            Leak::Operations(count) => write!(
                f,
                "{count} operations had not been given back by the kernel when the loop ended, and their memory is leaked: a \
                 longer Builder::shutdown_limit waits for them"
            ),
        }
    }
}
