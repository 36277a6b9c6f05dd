//! All that a loop knows of itself at one moment, as plain data that may go to another thread.
//!
//! The loop only copies, which takes it some ten microseconds for a hundred tasks. To sort, to match what belongs together and to make
//! text of it is for whoever asked.

use std::collections::HashMap;
use std::time::Duration;

#[cfg(feature = "inspect")]
use super::{Metrics, OperationMetrics};
use super::{Snapshot, Wait};
use crate::driver::InFlight;
#[cfg(feature = "inspect")]
use crate::driver::RingFacts;
use crate::engine::Engine;
use crate::executor::Facts;

/// See the top of this file.
pub(crate) struct Survey {
    /// Those that have not finished, the oldest first.
    pub(crate) tasks: Vec<Facts>,
    pub(crate) in_flight: Vec<InFlight>,
    /// For which task a timer is armed, and how long it still takes.
    pub(crate) timers: Vec<(u64, Duration)>,
    #[cfg(feature = "inspect")]
    pub(crate) metrics: Metrics,
    #[cfg(feature = "inspect")]
    pub(crate) operations: Vec<OperationMetrics>,
    #[cfg(feature = "inspect")]
    pub(crate) ring: Option<RingFacts>,
    /// The task that is the caller's of `run`, and nobody else's to stop.
    #[cfg(feature = "inspect")]
    pub(crate) root: u64,
    /// By the clock of ages, in nanoseconds.
    pub(crate) now: u64,
}

impl Survey {
    pub(super) fn of(engine: &Engine) -> Survey {
        engine.note_time();
        let moment = engine.clock.shown();
        let left =
            |(task, deadline): (u64, std::time::Instant)| (task, deadline.saturating_duration_since(moment));
        Survey {
            tasks: engine.executor.all(),
            in_flight: engine.port.list(),
            timers: engine.timers_of_tasks().into_iter().map(left).collect(),
            #[cfg(feature = "inspect")]
            metrics: Metrics::of(engine),
            #[cfg(feature = "inspect")]
            operations: OperationMetrics::all_of(engine),
            #[cfg(feature = "inspect")]
            ring: engine.port.ring_facts(),
            #[cfg(feature = "inspect")]
            root: engine.executor.root(),
            now: engine.executor.time.get(),
        }
    }

    /// How long an operation has been under way.
    pub(crate) fn age(&self, operation: &InFlight) -> Duration {
        Duration::from_nanos(self.now.saturating_sub(operation.since))
    }

    /// What each task waits for, by its number.
    pub(crate) fn waits(&self) -> HashMap<u64, Vec<Wait>> {
        let mut waits: HashMap<u64, Vec<Wait>> = HashMap::new();
        for operation in self.in_flight.iter().filter(|operation| !operation.is_orphan) {
            let InFlight { name, number, task, .. } = *operation;
            let descriptor = (number >= 0).then_some(number);
            let wait = Wait::Operation { name, descriptor, age: self.age(operation) };
            waits.entry(task).or_default().push(wait);
        }
        for (task, left) in &self.timers {
            waits.entry(*task).or_default().push(Wait::Timer { left: *left });
        }
        for task in &self.tasks {
            if let Some(joiner) = task.joiner {
                waits.entry(joiner).or_default().push(Wait::Task(task.id()));
            }
        }
        waits
    }

    /// The tasks, each with what it waits for.
    pub(crate) fn snapshots(self) -> Vec<Snapshot> {
        let mut waits = self.waits();
        let snapshot = |facts: Facts| {
            let waits = waits.remove(&facts.id().number()).unwrap_or_default();
            Snapshot { facts, waits }
        };
        self.tasks.into_iter().map(snapshot).collect()
    }
}

#[cfg(feature = "inspect")]
impl Survey {
    /// Of the loop that runs here: to be asked for by a [`Remote`](super::Remote).
    ///
    /// # Panics
    /// Outside of a running loop.
    pub(crate) fn here() -> Survey {
        crate::engine::expect_current("a survey", Survey::of)
    }
}
