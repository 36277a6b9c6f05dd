//! So many a second and no more.

use std::time::{Duration, Instant};

use annulus::time::sleep_until;

/// Hands out moments, one after the other.
pub struct Pace {
    each: Option<Duration>,
    next: std::cell::Cell<Instant>,
}

impl Pace {
    pub fn new(each_second: Option<u64>) -> Pace {
        let each =
            each_second.map(|each_second| Duration::from_secs(1) / each_second.min(u32::MAX.into()) as u32);
        Pace { each, next: std::cell::Cell::new(Instant::now()) }
    }

    /// Waits for one's turn.
    pub async fn turn(&self) {
        let Some(each) = self.each else { return };
        let turn = self.next.get();
        self.next.set(turn + each);
        sleep_until(turn).await;
    }
}
