//! The settings of the flight recorder, and who asks it.

use std::io;
use std::path::PathBuf;

use super::{Builder, Current, Runtime};
use crate::engine::{self, ask_for_dumps, beacons};
use crate::recorder::Recording;

/// How many records there are where files are wanted and nobody said how many.
const RECORDS: usize = 16_384;

impl Builder {
    /// Keeps so many records of what the loop does: polls, wakes, operations and their answers, sleeps. Rounded up to a power of two; 32
    /// bytes each. By default 0, none.
    ///
    /// A record costs one to two nanoseconds, so it may be always on: a server that answers 400,000 messages a second fills 16,384 of them in
    /// some 10 ms. [`Runtime::recording`] and [`flight::recordings`](crate::flight::recordings) copy them at any time, and
    /// [`flight_dumps`](Self::flight_dumps) has them written when something goes wrong. docs/observing.md shows what one sees.
    ///
    /// Polls share a look at the clock, one each 32 polls and one each turn in which the driver has its own, unless they took long: then
    /// the next ones are timed one by one.
    ///
    /// # Examples
    /// ```
    /// let runtime = annulus::Runtime::builder().flight_recorder(4096).build()?;
    /// runtime.run(annulus::yield_now())?;
    /// assert!(!runtime.recording().unwrap().events().is_empty());
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn flight_recorder(mut self, records: usize) -> Builder {
        *self.recorder_mut().0 = records;
        self
    }

    /// Has the flight recorder's records written to a file of this directory when a task panics, and while a poll is stuck if there is a
    /// [`watchdog`](Self::watchdog); also when a signal asks for it: [`flight::dump_on_signal`](crate::flight::dump_on_signal). Switches the recorder
    /// on, with 16,384 records, if it is off. By default none is written.
    ///
    /// The files are JSON that ui.perfetto.dev and chrome://tracing open, `annulus-PID-loop-N-WHY-K.json`, at most 32 a process; what is written is said on standard error,
    /// and so is what could not be. Another thread writes them, `annulus-watchdog`, so that the loop is not held up; a panic copies the records, some 100 us. A program
    /// that is built to abort at a panic ends before it is written.
    ///
    /// # Examples
    /// ```
    /// let directory = std::env::temp_dir().join(format!("flights-of-{}", std::process::id()));
    /// std::fs::create_dir_all(&directory)?;
    /// let runtime = annulus::Runtime::builder().flight_dumps(&directory).build()?;
    /// let outcome = runtime.run(async { annulus::spawn(async { panic!("out of cheese") }).await })?;
    /// assert!(outcome.is_err());
    /// // All is written when the loop has ended.
    /// drop(runtime);
    /// # if annulus::Runtime::new()?.driver() != "sim" {
    /// assert_eq!(std::fs::read_dir(&directory)?.count(), 1);
    /// # }
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flight_dumps(mut self, directory: impl Into<PathBuf>) -> Builder {
        let (records, dumps) = self.recorder_mut();
        if *records == 0 {
            *records = RECORDS;
        }
        *dumps = Some(directory.into());
        self
    }
}

impl Runtime {
    /// What the loop has done lately; none where [`Builder::flight_recorder`] is not on.
    ///
    /// # Examples
    /// As [`Builder::flight_recorder`].
    pub fn recording(&self) -> Option<Recording> {
        self.engine.beacon.recording()
    }

    /// From now on the flight recorder times each poll by itself, which costs some 20 ns each; or not any more. Without effect where it is not on.
    ///
    /// # Examples
    /// ```
    /// let runtime = annulus::Runtime::builder().flight_recorder(1024).build()?;
    /// runtime.record_closely(true); // while one looks
    /// runtime.run(annulus::yield_now())?;
    /// runtime.record_closely(false);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn record_closely(&self, yes: bool) {
        self.engine.executor.recorder.iter().for_each(|recorder| recorder.time_all(yes));
    }
}

impl Current {
    /// What the loop has done lately; none where [`Builder::flight_recorder`] is not on.
    ///
    /// # Panics
    /// When used after the run in which it was made.
    ///
    /// # Examples
    /// As [`Builder::flight_recorder`].
    pub fn recording(&self) -> Option<Recording> {
        engine::expect_current("Current", |engine| engine.beacon.recording())
    }
}

/// What each loop of the process has done lately, of those that record it: whatever they are in the middle of, from any thread. Loops of
/// simulated worlds are not among them.
///
/// ```
/// let runtime = annulus::Runtime::builder().flight_recorder(1024).build()?;
/// runtime.run(annulus::yield_now())?;
/// # if runtime.driver() == "sim" { return Ok(()); }
/// let all = std::thread::spawn(annulus::flight::recordings).join().unwrap();
/// let mut file = Vec::new();
/// annulus::flight::write_chrome_trace(&all, &mut file)?;
/// assert!(file.starts_with(b"{"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recordings() -> Vec<Recording> {
    beacons().iter().filter_map(|beacon| beacon.recording()).collect()
}

/// From now on this signal has all loops that were built with [`Builder::flight_dumps`] write what they have recorded, within some 50 ms, whatever
/// they are in the middle of. Its other handlers are called as before; where there was none, it does nothing else. `libc::SIGUSR2` is a usual one.
///
/// # Errors
/// `InvalidInput` for signals that nobody listens for: SIGKILL, SIGSTOP, SIGILL, SIGFPE, SIGSEGV. What sigaction(2) says of others.
///
/// # Examples
/// ```
/// annulus::flight::dump_on_signal(libc::SIGUSR2)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump_on_signal(signal: i32) -> io::Result<()> {
    crate::sys::signal::note_each(signal, ask_for_dumps)
}
