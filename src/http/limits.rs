//! How long a connection may take for what, and how many there may be.

use std::time::Duration;

/// What a server allows its clients. See the methods of [`Serve`](super::Serve), which set them one by one.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) request: Option<Duration>,
    pub(super) stall: Duration,
    /// After a stop, how long a connection that is idle may still send a request.
    pub(super) farewell: Duration,
    pub(super) drain: Duration,
    pub(super) connections: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            request: Some(Duration::from_secs(60)),
            stall: Duration::from_secs(30),
            farewell: Duration::from_millis(500),
            drain: Duration::from_secs(30),
            connections: usize::MAX,
        }
    }
}

/// Longer than this is for ever, and can be added to a moment.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

const TICK_MIN: Duration = Duration::from_millis(10);
const TICK_MAX: Duration = Duration::from_millis(500);

impl Limits {
    /// The same, with spans that can be reckoned with.
    pub(super) fn bounded(self) -> Limits {
        Limits {
            header: self.header.min(FOREVER),
            idle: self.idle.min(FOREVER),
            request: self.request.map(|span| span.min(FOREVER)),
            stall: self.stall.min(FOREVER),
            farewell: self.farewell,
            drain: self.drain.min(FOREVER),
            connections: self.connections,
        }
    }

    /// How often connections are looked at: an eighth of the shortest span that is waited for, so that none is late by more.
    pub(super) fn tick(&self) -> Duration {
        let shortest = self.header.min(self.idle).min(self.stall).min(self.farewell);
        (shortest / 8).clamp(TICK_MIN, TICK_MAX)
    }
}
