//! How long to wait before the next attempt: longer each time, and not as long as the others who failed at the same moment.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::runtime::random;
use crate::time::{self, Sleep};

/// Makes an [`ExponentialBackoff`] for each request that may have to be tried again.
///
/// The names are those of `tower::retry::backoff`; tower's `Retry` works on this loop with a policy that waits by it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time::Sleep;
/// use annulus::tower::{ExponentialBackoff, ExponentialBackoffMaker};
/// use tower::{ServiceBuilder, ServiceExt, retry::Policy, service_fn};
///
/// /// Up to five times. Each request has a clone of its own.
/// #[derive(Clone)]
/// struct Attempts(u32, ExponentialBackoff);
///
/// impl<T, E> Policy<u32, T, E> for Attempts {
///     type Future = Sleep;
///
///     fn retry(&mut self, _: &mut u32, result: &mut Result<T, E>) -> Option<Sleep> {
///         self.0 = self.0.checked_sub(1)?;
///         result.is_err().then(|| self.1.next_backoff())
///     }
///
///     fn clone_request(&mut self, request: &u32) -> Option<u32> {
///         Some(*request)
///     }
/// }
///
/// annulus::run(async {
///     let waits = ExponentialBackoffMaker::new(Duration::from_millis(1), Duration::from_secs(1), 0.5).unwrap();
///     let mut failures = 0;
///     let service = ServiceBuilder::new()
///         .retry(Attempts(5, waits.make_backoff()))
///         .service(service_fn(move |n: u32| async move { if n == 7 { Ok(n) } else { Err("not seven") } }));
///     assert_eq!(service.clone().oneshot(7).await, Ok(7));
///     assert_eq!(service.oneshot(8).await, Err("not seven"));
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialBackoffMaker {
    min: Duration,
    max: Duration,
    jitter: f64,
}

impl ExponentialBackoffMaker {
    /// Waits of `min`, twice `min`, four times `min` and so on. To each is added what the loop's [`random`] says: from nothing to
    /// `jitter` times the wait, so that with a jitter of 1.0 a wait is at most doubled. With that it is no longer than `max`.
    ///
    /// # Errors
    /// [`InvalidBackoff`] if `min` is more than `max`, `max` is zero, or `jitter` is not from 0.0 to 100.0.
    pub fn new(min: Duration, max: Duration, jitter: f64) -> Result<ExponentialBackoffMaker, InvalidBackoff> {
        if min > max {
            return Err(InvalidBackoff("the shortest wait is longer than the longest: exchange them"));
        }
        if max.is_zero() {
            return Err(InvalidBackoff("the longest wait is zero, which is no wait: give it a length"));
        }
        // What is not a number is in no range.
        if !(0.0..=100.0).contains(&jitter) {
            return Err(InvalidBackoff("the jitter is not from 0.0 to 100.0: 0.5 adds up to half of a wait"));
        }
        Ok(ExponentialBackoffMaker { min, max, jitter })
    }

    /// The waits of one request, from the shortest.
    pub fn make_backoff(&self) -> ExponentialBackoff {
        ExponentialBackoff { settings: *self, waits: 0 }
    }
}

impl Default for ExponentialBackoffMaker {
    /// From 50 ms, at most a minute, with a jitter of 0.99. tower's has no upper end.
    fn default() -> ExponentialBackoffMaker {
        ExponentialBackoffMaker { min: Duration::from_millis(50), max: Duration::from_secs(60), jitter: 0.99 }
    }
}

/// The waits of one request, each about twice as long as the one before. See [`ExponentialBackoffMaker`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::tower::ExponentialBackoffMaker;
///
/// annulus::run(async {
///     let maker = ExponentialBackoffMaker::new(Duration::from_millis(1), Duration::from_secs(1), 0.0).unwrap();
///     let mut backoff = maker.make_backoff();
///     assert_eq!(backoff.next_wait(), Duration::from_millis(1));
///     backoff.next_backoff().await; // twice as long
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialBackoff {
    settings: ExponentialBackoffMaker,
    waits: u32,
}

impl ExponentialBackoff {
    /// The next wait, from now on.
    ///
    /// # Panics
    /// Outside of a running loop, whose chance it asks.
    ///
    /// # Examples
    /// As [`ExponentialBackoff`].
    pub fn next_backoff(&mut self) -> Sleep {
        time::sleep(self.next_wait())
    }

    /// How long the next wait is, for those who wait by something else.
    ///
    /// # Panics
    /// Outside of a running loop, whose chance it asks.
    ///
    /// # Examples
    /// As [`ExponentialBackoff`].
    pub fn next_wait(&mut self) -> Duration {
        let ExponentialBackoffMaker { min, max, jitter } = self.settings;
        let wait = min.saturating_mul(2_u32.saturating_pow(self.waits)).min(max);
        self.waits = self.waits.saturating_add(1);
        if jitter == 0.0 {
            return wait;
        }
        // 53 bits are what a number of this kind tells apart: from 0 to just below 1.
        let chance = (random() >> 11) as f64 / (1_u64 << 53) as f64;
        let more = Duration::try_from_secs_f64(wait.as_secs_f64() * jitter * chance).unwrap_or(max);
        wait.saturating_add(more).min(max)
    }
}

/// Waits that make no sense, and why.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::tower::ExponentialBackoffMaker;
///
/// let error = ExponentialBackoffMaker::new(Duration::ZERO, Duration::ZERO, 0.0).unwrap_err();
/// println!("{error}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidBackoff(&'static str);

impl fmt::Display for InvalidBackoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for InvalidBackoff {}
