//! What a task is given besides its future.

use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::queue::Priority;

/// What a task is given besides its future.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) priority: Priority,
    pub(crate) extra: Extra,
}

/// What few tasks have, kept aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) name: Option<Rc<str>>,
    /// How long all its polls may take together.
    pub(crate) time_budget: Option<Duration>,
    /// It is the loop's own, and of no interest to others.
    pub(crate) is_the_loops: bool,
}

impl Plan {
    /// That of nearly all tasks.
    #[inline]
    pub(crate) fn at(spawned_at: &'static Location<'static>) -> Plan {
        Plan { spawned_at, priority: Priority::Normal, extra: Extra::default() }
    }

    /// Of a task that serves the loop, and that users did not spawn.
    pub(crate) fn of_the_loop(spawned_at: &'static Location<'static>) -> Plan {
        Plan { extra: Extra { is_the_loops: true, ..Extra::default() }, ..Plan::at(spawned_at) }
    }
}

impl Extra {
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.time_budget.is_none() && !self.is_the_loops
    }
}
