//! How many requests are answered in a second, however many come: a flood costs the program a few hundredths of a processor.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::time::{now, sleep_until};

/// One request in so long, on the average.
const PERIOD: Duration = Duration::from_millis(10);
/// So many may come at once.
const BURST: u32 = 32;

/// Who is before whom, and when.
pub(super) struct Pace {
    /// When all that has come would have been answered, one a period.
    level: Cell<Instant>,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { level: Cell::new(now()) }
    }

    /// Waits for one's turn.
    pub(super) async fn turn(&self) {
        let moment = now();
        let level = self.level.get().max(moment) + PERIOD;
        self.level.set(level);
        if let Some(due) = level.checked_sub(PERIOD * BURST).filter(|due| *due > moment) {
            sleep_until(due).await;
        }
    }
}
