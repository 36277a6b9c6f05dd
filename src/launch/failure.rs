//! What becomes of the others when a shard fails, and how it is told.

use std::any::Any;
use std::fmt;
use std::time::Duration;

/// What becomes of the others when a shard fails: when its future panics or gives an error, or its loop breaks.
///
/// A panic in a *task* is its join handle's to tell, as everywhere, and is no failure of the shard.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::launch::OnFailure;
///
/// let policy = OnFailure::restart(5, Duration::from_secs(60));
/// assert_ne!(policy, OnFailure::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// The others are asked to stop, as by [`Launched::stop`](super::Launched::stop), and the launch has failed. The default: what should not
    /// happen is not hidden.
    #[default]
    Stop,
    /// The shard is started again, on a new thread with a new loop, while the others go on: at once the first time, then after a
    /// pause that grows from 50 ms to 3.2 s. If it fails more than `times` times within `within`, the launch stops as by [`OnFailure::Stop`].
    Restart {
        /// How many failures of one shard are forgiven.
        times: u32,
        /// Within what time.
        within: Duration,
    },
    /// The others go on without it. Who waits to be accepted by it is given to them, and its listener is closed.
    GoOn,
}

impl OnFailure {
    /// [`OnFailure::Restart`], in short.
    pub const fn restart(times: u32, within: Duration) -> OnFailure {
        OnFailure::Restart { times, within }
    }
}

/// Why a shard ended without a result.
///
/// # Examples
/// As [`Failure`].
#[non_exhaustive]
pub enum Cause {
    /// Its future panicked, with this.
    Panicked(Box<dyn Any + Send>),
    /// Its future gave this error.
    Failed(Box<dyn std::error::Error + Send + Sync>),
    /// Its loop could not be made, or broke while it ran.
    Loop(crate::runtime::Error),
    /// Its thread could not be started, or not be bound to its processor.
    Thread(std::io::Error),
    /// It was told to stop, did not within the time that it was given, and was cut off.
    CutOff,
    /// It was cut off, and its thread went on all the same: something in it blocks, or spins without an `await`. The thread is left alone.
    Stuck,
    /// Another shard could not be started, or all were cut off, before it had begun.
    NeverBegan,
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Panicked(panic) => match text_of(&**panic) {
                Some(text) => write!(f, "panicked: {text}"),
                None => f.write_str("panicked"),
            },
            Cause::Failed(error) => write!(f, "failed: {error}"),
            Cause::Loop(error) => write!(f, "has no loop: {error}"),
            Cause::Thread(error) => write!(f, "has no thread: {error}"),
            Cause::CutOff => f.write_str(
                "was cut off, for it had not ended within the time that it had to stop: see Launch::drain_limit",
            ),
            Cause::Stuck => f.write_str(
                "does not end: something on its thread blocks, or spins without an await, and the thread was left \
                 alone; ANNULUS_DEBUG=1 tells where",
            ),
            Cause::NeverBegan => f.write_str("did not begin: another could not be started, or all were cut off before"),
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> Option<&str> {
    panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied())
}

/// A shard that ended without a result, and why. Becomes an [`io::Error`](std::io::Error) by `?`.
///
/// # Examples
/// ```
/// use annulus::launch::Cause;
///
/// let failure = annulus::launch().shards(1).run(|_shard| async { Err::<(), _>("no milk") }).unwrap_err();
/// assert_eq!(failure.shard, Some(0));
/// assert!(matches!(&failure.cause, Cause::Failed(error) if error.to_string() == "no milk"));
/// assert!(!failure.is_cut_off());
/// ```
#[derive(Debug)]
pub struct Failure {
    /// Which one. None if the launch could not be begun.
    pub shard: Option<usize>,
    /// Why.
    pub cause: Cause,
}

impl Failure {
    /// Goes on with its panic, or panics with what it says.
    ///
    /// # Panics
    /// Always.
    ///
    /// # Examples
    /// ```
    /// use std::panic::{AssertUnwindSafe, catch_unwind};
    ///
    /// let failed = annulus::launch().shards(1).run(|_shard| async { Err::<(), _>("no milk") });
    /// let resumed = AssertUnwindSafe(|| failed.unwrap_or_else(|failure| failure.resume()));
    /// assert!(catch_unwind(resumed).is_err());
    /// ```
    pub fn resume(self) -> ! {
        match self.cause {
            Cause::Panicked(panic) => std::panic::resume_unwind(panic),
            _ => panic!("{self}"),
        }
    }

    /// Whether nothing worse has happened than that it did not end within its time.
    ///
    /// # Examples
    /// As [`Failure`].
    pub fn is_cut_off(&self) -> bool {
        matches!(self.cause, Cause::CutOff)
    }

    /// Whether there is more to say than that it fell with others.
    pub(super) fn is_telling(&self) -> bool {
        !matches!(self.cause, Cause::NeverBegan | Cause::CutOff)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shard {
            Some(shard) => write!(f, "shard {shard} {}", self.cause),
            None => write!(f, "the launch {}", self.cause),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Failed(error) => Some(&**error),
            Cause::Loop(error) => Some(error),
            Cause::Thread(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> std::io::Error {
        // A panic need not be `Sync`, as an error's source has to be.
        std::io::Error::other(failure.to_string())
    }
}

/// The results if all shards have one; otherwise the failure that says most.
pub(super) fn all<T>(outcomes: Vec<Result<T, Failure>>) -> Result<Vec<T>, Failure> {
    let mut values = Vec::with_capacity(outcomes.len());
    let mut failure: Option<Failure> = None;
    for outcome in outcomes {
        match outcome {
            Ok(value) => values.push(value),
            Err(other) if failure.as_ref().is_none_or(|first| !first.is_telling() && other.is_telling()) => {
                failure = Some(other);
            }
            Err(_) => {}
        }
    }
    failure.map_or(Ok(values), Err)
}

/// How often one shard failed lately.
#[derive(Debug, Default)]
pub(super) struct History(Vec<std::time::Instant>);

impl History {
    const PAUSE_FIRST: Duration = Duration::from_millis(50);
    const DOUBLED_MAX: u32 = 6;

    /// After one more failure: how long to wait before it is started again, or None if that was one too many.
    pub(super) fn pause(&mut self, policy: OnFailure, now: std::time::Instant) -> Option<Duration> {
        let OnFailure::Restart { times, within } = policy else { return None };
        self.0.retain(|failed| now.duration_since(*failed) <= within);
        self.0.push(now);
        let failures = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        match failures {
            _ if failures > times => None,
            1 => Some(Duration::ZERO),
            _ => Some(Self::PAUSE_FIRST * (1 << (failures - 2).min(Self::DOUBLED_MAX))),
        }
    }
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn pauses_grow_to_their_end_and_failures_of_long_ago_are_forgiven() {
        let policy = OnFailure::restart(20, Duration::from_secs(60));
        let (mut history, start) = (History::default(), Instant::now());
        let pauses: Vec<_> = (0..10).map(|_| history.pause(policy, start).unwrap().as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1600, 3200, 3200, 3200]);
        assert_eq!(history.pause(policy, start + Duration::from_secs(61)), Some(Duration::ZERO));
    }

    #[test]
    fn one_failure_too_many_ends_it() {
        let mut history = History::default();
        let policy = OnFailure::restart(2, Duration::from_secs(60));
        let now = Instant::now();
        assert!(history.pause(policy, now).is_some() && history.pause(policy, now).is_some());
        assert_eq!(history.pause(policy, now), None);
        assert_eq!(History::default().pause(OnFailure::restart(0, Duration::ZERO), now), None);
        assert_eq!(History::default().pause(OnFailure::Stop, now), None);
        assert_eq!(History::default().pause(OnFailure::GoOn, now), None);
    }

    #[test]
    fn of_several_failures_the_one_that_says_most_is_told() {
        let outcomes = vec![
            Ok(1),
            Err(Failure { shard: Some(1), cause: Cause::CutOff }),
            Err(Failure { shard: Some(2), cause: Cause::Failed("no rows".into()) }),
            Err(Failure { shard: Some(3), cause: Cause::Failed("no columns".into()) }),
        ];
        assert_eq!(all(outcomes).unwrap_err().to_string(), "shard 2 failed: no rows");
        assert_eq!(all(vec![Ok(1), Ok(2)]).unwrap(), [1, 2]);
    }
}
