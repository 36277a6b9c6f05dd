//! Again and again, at even distances.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::sleep::{Sleep, sleep_until};

/// Ticks at once, and then each time `period` has passed.
///
/// # Panics
/// If the period is zero.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
///
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let start = Instant::now();
///     let mut beat = annulus::time::interval(Duration::from_millis(5));
///     for _ in 0..3 {
///         beat.tick().await;
///     }
///     assert!(start.elapsed() >= Duration::from_millis(10));
/// })?;
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "tracing", track_caller)]
pub fn interval(period: Duration) -> Interval {
    interval_at(super::now(), period)
}

/// Ticks at `start`, and then each time `period` has passed.
///
/// # Panics
/// If the period is zero.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time::{interval_at, now};
///
/// annulus::run(async {
///     let start = now() + Duration::from_millis(2);
///     let mut beat = interval_at(start, Duration::from_secs(60));
///     assert_eq!(beat.tick().await, start);
///     Ok(())
/// })?
/// # }
/// ```
#[cfg_attr(feature = "tracing", track_caller)]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval of no time would never let anything else run");
    Interval { sleep: sleep_until(start), period, missed: MissedTicks::default() }
}

/// What an [`Interval`] does with ticks that nobody waited for in time.
///
/// # Examples
/// As [`Interval`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTicks {
    /// Makes up for them at once, one after the other.
    #[default]
    Burst,
    /// Lets a whole period pass from the late tick.
    Delay,
    /// Leaves them out, and ticks when the next would have been.
    Skip,
}

/// The ticks of [`interval`] and [`interval_at`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time::{self, MissedTicks};
///
/// annulus::run(async {
///     let mut beat = time::interval(Duration::from_millis(2));
///     assert_eq!(beat.period(), Duration::from_millis(2));
///     beat.set_missed_ticks(MissedTicks::Skip);
///     beat.tick().await; // at once
///     beat.reset(); // a whole period from now
///     let reset_at = time::now();
///     let tick = std::future::poll_fn(|cx| beat.poll_tick(cx)).await;
///     assert!(tick + Duration::from_millis(1) > reset_at);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: MissedTicks,
}

impl Interval {
    /// Waits for the next tick, and says when it was to be.
    ///
    /// # Cancel safety
    /// Dropping it loses no tick: the next call waits for the same.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Self::tick), for futures written by hand.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Future::poll(Pin::new(&mut self.sleep), cx));
        let tick = self.sleep.deadline();
        let next = self.after(tick, super::now());
        self.sleep.reset(next);
        Poll::Ready(tick)
    }

    fn after(&self, tick: Instant, now: Instant) -> Instant {
        let on_time = tick + self.period;
        match self.missed {
            _ if now <= on_time => on_time,
            MissedTicks::Burst => on_time,
            MissedTicks::Delay => now + self.period,
            MissedTicks::Skip => {
                let late = now.duration_since(tick).as_nanos();
                let into_period = late % self.period.as_nanos();
                // Within one period: a period of more than 584 years is not skipped.
                now + self.period - Duration::from_nanos(into_period as u64)
            }
        }
    }

    /// What to do with missed ticks; by default they are made up for.
    pub fn set_missed_ticks(&mut self, missed: MissedTicks) {
        self.missed = missed;
    }

    /// The distance of two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Ticks next when one period has passed from now.
    pub fn reset(&mut self) {
        self.sleep.reset(super::now() + self.period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks_follow_the_policy() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut interval = interval_at(start, Duration::from_millis(10));
        assert_eq!(interval.after(at(0), at(3)), at(10), "on time");
        assert_eq!(interval.after(at(0), at(34)), at(10), "burst");
        interval.set_missed_ticks(MissedTicks::Delay);
        assert_eq!(interval.after(at(0), at(34)), at(44));
        interval.set_missed_ticks(MissedTicks::Skip);
        assert_eq!(interval.after(at(0), at(34)), at(40));
    }
}
