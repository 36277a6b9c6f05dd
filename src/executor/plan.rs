//! What a task is given besides its future.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::queue::Priority;

/// What a task is given besides its future.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) priority: Priority,
    /// Boxed, for it goes through many hands, and is nearly always none.
    pub(crate) extra: Option<Box<Extra>>,
}

/// What few tasks have, kept aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) name: Option<Arc<str>>,
    /// How long all its polls may take together.
    pub(crate) time_budget: Option<Duration>,
    /// It is the loop's own, and of no interest to others.
    pub(crate) is_the_loops: bool,
    /// What it is polled in, for those who look from outside; closed when it has finished.
    #[cfg(feature = "tracing")]
    pub(super) span: Option<Arc<tracing::Span>>,
    /// Its number, if that was taken before it was made.
    #[cfg(feature = "tracing")]
    pub(super) id: Option<u64>,
}

impl Plan {
    /// That of nearly all tasks.
    #[inline]
    pub(crate) fn at(spawned_at: &'static Location<'static>) -> Plan {
        Plan { spawned_at, priority: Priority::Normal, extra: None }
    }

    /// Of a task that serves the loop, and that users did not spawn.
    pub(crate) fn of_the_loop(spawned_at: &'static Location<'static>) -> Plan {
        let extra = Extra { is_the_loops: true, ..Extra::default() };
        Plan { extra: Some(Box::new(extra)), ..Plan::at(spawned_at) }
    }
}
