//! Sleeping, time-outs and intervals.
//!
//! Deadlines are exact: nothing fires early, and a timer fires in the first turn after its deadline. They are
//! kept in user space, in one wheel; arming and disarming one makes no system call, and a loop without timers
//! does not look at the clock. Time is that of [`Instant`]: it does not jump when the clock is set, and stands
//! still while the machine sleeps.

mod control;
mod interval;
mod sleep;
mod timeout;
#[cfg(feature = "tracing")]
mod traced;

pub use control::{advance, pause, resume, wall_clock};
pub use interval::{Interval, MissedTicks, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

use std::time::{Duration, Instant};

use crate::engine::with_current;

/// What time it is for the running loop; without one, [`Instant::now`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::time;
///
/// annulus::run(async {
///     let before = time::now();
///     time::sleep(Duration::from_millis(2)).await;
///     assert!(time::now() - before >= Duration::from_millis(2));
///     Ok(())
/// })?
/// # }
/// ```
pub fn now() -> Instant {
    with_current(|engine| engine.now()).unwrap_or_else(Instant::now)
}

/// A moment that far away; one that no clock can say is thirty years away, which is as good.
pub(crate) fn after(span: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    let now = now();
    now.checked_add(span).unwrap_or_else(|| now + FAR)
}
