//! What is known of a loop, put together for those who look: made of a survey, once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::driver::RingFacts;
use crate::executor::{Facts, State};
use crate::runtime::{Metrics, OperationMetrics, Survey, Wait};

/// An operation that is in the driver.
pub(super) struct InFlight {
    pub(super) name: &'static str,
    pub(super) descriptor: Option<i32>,
    /// None if it was begun by none.
    pub(super) task: Option<u64>,
    pub(super) age: Duration,
    pub(super) is_orphan: bool,
}

/// What a loop has said of itself.
pub(super) struct Data {
    pub(super) taken: Instant,
    pub(super) metrics: Metrics,
    pub(super) operations: Vec<OperationMetrics>,
    pub(super) ring: Option<RingFacts>,
    pub(super) tasks: Vec<Facts>,
    /// The oldest first.
    pub(super) in_flight: Vec<InFlight>,
    waits: HashMap<u64, Vec<Wait>>,
    /// The task that is the caller's of `run`.
    root: u64,
}

impl Data {
    pub(super) fn of(taken: Instant, survey: Survey) -> Data {
        let waits = survey.waits();
        let in_flight = survey.in_flight.iter().map(|operation| InFlight {
            name: operation.name,
            descriptor: (operation.number >= 0).then_some(operation.number),
            task: (operation.task != 0).then_some(operation.task),
            age: survey.age(operation),
            is_orphan: operation.is_orphan,
        });
        let mut in_flight: Vec<_> = in_flight.collect();
        in_flight.sort_by_key(|operation| std::cmp::Reverse(operation.age));
        Data {
            taken,
            metrics: survey.metrics,
            operations: survey.operations,
            ring: survey.ring,
            tasks: survey.tasks,
            in_flight,
            waits,
            root: survey.root,
        }
    }

    /// What a task waits for; nothing if nothing is known.
    pub(super) fn waits(&self, task: u64) -> &[Wait] {
        self.waits.get(&task).map_or(&[], Vec::as_slice)
    }

    /// For how long it has waited for what it waits for the longest. Of timers and tasks that is not known.
    pub(super) fn longest_wait(&self, task: u64) -> Duration {
        let ages = self.waits(task).iter().map(|wait| match wait {
            Wait::Operation { age, .. } => *age,
            _ => Duration::ZERO,
        });
        ages.max().unwrap_or_default()
    }

    /// Whether it may be aborted.
    pub(super) fn is_stoppable(&self, task: &Facts) -> bool {
        task.id().number() != self.root
    }
}

/// Its name in JSON, and its place where states are sorted.
pub(super) fn state(state: State) -> (&'static str, u8) {
    match state {
        State::Running => ("running", 0),
        State::Ready => ("ready", 1),
        State::Waiting => ("waiting", 2),
    }
}
