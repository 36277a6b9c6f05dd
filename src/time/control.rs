//! Stopping a loop's clock, and moving it on by hand: for tests.

use std::time::{Duration, SystemTime};

use crate::engine::{expect_current, with_current};
use crate::runtime::yield_now;

/// The time of day, for the running loop; without one, [`SystemTime::now`].
///
/// It may be set, also backward: measure spans with [`now`](super::now). While the clock is paused it stands still; in a
/// simulated world it is the host's, which begins at 2000-01-01.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::SystemTime;
///
/// annulus::run(async {
///     let today = annulus::time::wall_clock();
///     println!("{} s since 1970", today.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
///     Ok(())
/// })?
/// # }
/// ```
pub fn wall_clock() -> SystemTime {
    with_current(|engine| engine.clock.wall()).unwrap_or_else(SystemTime::now)
}

/// Stops the loop's clock: [`now`](super::now) stands still until [`advance`] or [`resume`].
///
/// A loop that has nothing to do but to wait for a timer moves the clock on to it at once, so that an hour of sleeps
/// takes no time. Not while a file operation or a [`spawn_blocking`](crate::spawn_blocking) is at work, which end by themselves; and
/// what else is in flight gets a millisecond of real time first. For tests: a real peer does not know that time stands
/// still.
///
/// In a simulated world time is virtual anyway, and does the same by itself: there this does nothing.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
/// use annulus::time;
///
/// # fn main() -> std::io::Result<()> {
/// let begun = Instant::now();
/// annulus::run(async {
///     time::pause();
///     let before = time::now();
///     time::sleep(Duration::from_secs(3600)).await;
///     assert_eq!(time::now() - before, Duration::from_secs(3600));
/// })?;
/// assert!(begun.elapsed() < Duration::from_secs(60));
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn pause() {
    expect_current("time::pause", |engine| {
        if !engine.clock.is_simulated() {
            engine.clock.stop();
        }
    });
}

/// Lets a paused clock run on, from where it stands: it stays behind, or ahead of, the system's by what it was paused
/// and advanced.
///
/// # Panics
/// Outside of a running loop; if the clock is not paused.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time;
///
/// annulus::run(async {
/// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
///     time::pause();
///     time::advance(Duration::from_secs(60)).await;
///     time::resume();
///     // A minute ahead of the system's clock from now on.
///     assert!(time::now() > std::time::Instant::now());
///     Ok(())
/// })?
/// # }
/// ```
#[track_caller]
pub fn resume() {
    expect_current("time::resume", |engine| {
        if !engine.clock.is_simulated() {
            assert!(engine.clock.is_stopped(), "time::resume: the clock is not paused");
            engine.clock.resume();
        }
    });
}

/// Moves a paused clock on, and lets the timers that are due fire. In a simulated world it is a sleep.
///
/// # Panics
/// Outside of a running loop; if the clock is not paused.
///
/// # Cancel safety
/// The clock is moved when it is first polled, also if it is dropped then.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::time;
///
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     time::pause();
///     let alarm = annulus::spawn(time::sleep(Duration::from_secs(10)));
///     time::advance(Duration::from_secs(9)).await;
///     assert!(!alarm.is_finished());
///     time::advance(Duration::from_secs(1)).await;
///     assert!(alarm.is_finished());
/// })?;
/// # Ok(())
/// # }
/// ```
pub async fn advance(span: Duration) {
    // What was just started has its deadlines counted from before.
    yield_now().await;
    let is_simulated = expect_current("time::advance", |engine| {
        if !engine.clock.is_simulated() {
            assert!(
                engine.clock.is_stopped(),
                "time::advance: the clock is not paused; time::pause() pauses it"
            );
            engine.clock.advance(span);
        }
        engine.clock.is_simulated()
    });
    if is_simulated {
        super::sleep(span).await;
    }
    // One turn fires the timers, the next polls their tasks.
    yield_now().await;
    yield_now().await;
}
