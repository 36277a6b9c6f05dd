//! The numbers of a loop's metrics by their names.

use serde_json::{Map, Value};

use crate::runtime::Metrics;

macro_rules! numbers {
    ($of:ident: $($name:ident),* $(,)?; without $($other:ident),* $(,)?) => {{
        // Whoever adds one finds it missing here.
        let Metrics { $($name,)* $($other: _,)* } = *$of;
        let mut map = Map::new();
        $(map.insert(stringify!($name).to_owned(), Value::from($name));)*
        map
    }};
}

/// All but the histograms.
pub(super) fn of(metrics: &Metrics) -> Map<String, Value> {
    numbers! {
        metrics:
        stalls, turns, parks, spins, spins_in_vain, polls, spawned, alive, remote_wakes, timers, timers_fired, enters, submitted,
        completed, in_flight, in_flight_max, orphans, orphans_max, fallbacks, cancels, cancels_stopped, cancels_late, helper_threads,
        helper_jobs_waiting, helper_jobs_done, refusals, overflows, stray, lease_buffers, leases_out, leases_copied;
        without batches, depths, poll_time, wake_to_poll,
    }
}
