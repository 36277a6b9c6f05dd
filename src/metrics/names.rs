//! All that is exported: names as Prometheus has them, units, meanings, and where each number is. docs/metrics.md is made of this.

use ::metrics::{Recorder, Unit};

use crate::histogram::Histogram;
use crate::runtime::{Metrics, OperationMetrics};

/// A metric of `T`: of a loop, or of one kind of operation.
pub(super) struct Named<T: 'static> {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) meaning: &'static str,
    pub(super) value: Value<T>,
}

/// Where the number is.
pub(super) enum Value<T> {
    /// It only grows.
    Counter(fn(&T) -> u64),
    /// It is of now.
    Gauge(fn(&T) -> usize),
    /// It grows; each of its values is so many of the unit.
    Histogram(fn(&T) -> &Histogram, f64),
}

use Value::{Counter, Gauge};

const fn named<T>(name: &'static str, unit: Unit, meaning: &'static str, value: Value<T>) -> Named<T> {
    Named { name, unit, meaning, value }
}

const fn count<T>(name: &'static str, meaning: &'static str, value: Value<T>) -> Named<T> {
    named(name, Unit::Count, meaning, value)
}

/// A histogram of nanoseconds.
const fn seconds<T>(name: &'static str, meaning: &'static str, value: fn(&T) -> &Histogram) -> Named<T> {
    named(name, Unit::Seconds, meaning, Value::Histogram(value, 1e-9))
}

/// A histogram of numbers.
const fn numbers<T>(name: &'static str, meaning: &'static str, value: fn(&T) -> &Histogram) -> Named<T> {
    named(name, Unit::Count, meaning, Value::Histogram(value, 1.0))
}

pub(super) const OF_LOOP: [Named<Metrics>; 35] = [
    count("annulus_loop_turns_total", "turns of the loop", Counter(|m| m.turns)),
    count("annulus_loop_stalls_total", "polls that the watchdog found to be stuck", Counter(|m| m.stalls)),
    count(
        "annulus_loop_parks_total",
        "times that the loop had nothing to do and waited",
        Counter(|m| m.parks),
    ),
    count(
        "annulus_loop_spins_total",
        "times that it looked for wakes by other threads before it waited",
        Counter(|m| m.spins),
    ),
    count(
        "annulus_loop_spins_in_vain_total",
        "those of them in which none came",
        Counter(|m| m.spins_in_vain),
    ),
    count("annulus_loop_remote_wakes_total", "tasks that other threads woke", Counter(|m| m.remote_wakes)),
    numbers(
        "annulus_loop_batch_tasks",
        "tasks polled before the driver had its turn, of one turn in 61",
        |m| &m.batches,
    ),
    numbers("annulus_loop_depth_operations", "operations in the driver then", |m| &m.depths),
    count("annulus_task_polls_total", "polls of tasks", Counter(|m| m.polls)),
    seconds("annulus_task_poll_duration_seconds", "how long polls took, of one in some hundreds", |m| {
        &m.poll_time
    }),
    seconds(
        "annulus_task_wake_duration_seconds",
        "how long tasks that were ready waited for their poll, of one in some hundreds",
        |m| &m.wake_to_poll,
    ),
    count("annulus_tasks_spawned_total", "tasks made", Counter(|m| m.spawned)),
    count("annulus_tasks_alive", "tasks that have not finished", Gauge(|m| m.alive)),
    count("annulus_timers_armed", "timers armed", Gauge(|m| m.timers)),
    count("annulus_timers_fired_total", "timers that came due", Counter(|m| m.timers_fired)),
    count(
        "annulus_driver_enters_total",
        "system calls to submit, to wait or to collect",
        Counter(|m| m.enters),
    ),
    count("annulus_driver_submitted_total", "operations given to the driver", Counter(|m| m.submitted)),
    count("annulus_driver_completed_total", "answers of the driver", Counter(|m| m.completed)),
    count("annulus_driver_in_flight", "operations in the driver", Gauge(|m| m.in_flight)),
    count("annulus_driver_in_flight_max", "the most that there ever were", Gauge(|m| m.in_flight_max)),
    count(
        "annulus_driver_orphans",
        "operations in the driver whose future was dropped",
        Gauge(|m| m.orphans),
    ),
    count("annulus_driver_orphans_max", "the most that there ever were", Gauge(|m| m.orphans_max)),
    count(
        "annulus_driver_fallbacks_total",
        "operations that the ring did not know",
        Counter(|m| m.fallbacks),
    ),
    count("annulus_driver_cancels_total", "requests to stop an operation", Counter(|m| m.cancels)),
    count(
        "annulus_driver_cancels_stopped_total",
        "those of them that came in time",
        Counter(|m| m.cancels_stopped),
    ),
    count("annulus_driver_cancels_late_total", "those that came too late", Counter(|m| m.cancels_late)),
    count(
        "annulus_driver_refusals_total",
        "enters that the kernel refused for want of something",
        Counter(|m| m.refusals),
    ),
    count(
        "annulus_driver_overflows_total",
        "times that the completion queue had run over",
        Counter(|m| m.overflows),
    ),
    count("annulus_driver_stray_total", "completions of nothing that is known", Counter(|m| m.stray)),
    count(
        "annulus_helper_threads",
        "threads that make calls which can only block",
        Gauge(|m| m.helper_threads),
    ),
    count("annulus_helper_jobs_waiting", "calls that wait for one of them", Gauge(|m| m.helper_jobs_waiting)),
    count("annulus_helper_jobs_total", "calls that they have made", Counter(|m| m.helper_jobs_done)),
    count("annulus_lease_buffers", "buffers for leases that there are", Gauge(|m| m.lease_buffers)),
    count("annulus_lease_buffers_out", "those of them that leases or answers have", Gauge(|m| m.leases_out)),
    count(
        "annulus_lease_copies_total",
        "times that bytes were copied because too few buffers were left",
        Counter(|m| m.leases_copied),
    ),
];

/// These have the label `operation` as well.
pub(super) const OF_OPERATION: [Named<OperationMetrics>; 4] = [
    count(
        "annulus_operation_completed_total",
        "operations answered, with an error or without",
        Counter(|o| o.completed),
    ),
    count(
        "annulus_operation_errors_total",
        "those of them that were answered with an error",
        Counter(|o| o.errors),
    ),
    named("annulus_operation_bytes_total", Unit::Bytes, "bytes that they transferred", Counter(|o| o.bytes)),
    seconds("annulus_operation_duration_seconds", "from submission to answer, of one in 64", |o| &o.time),
];

pub(super) fn describe(recorder: &dyn Recorder) {
    OF_LOOP.iter().for_each(|named| named.describe(recorder));
    OF_OPERATION.iter().for_each(|named| named.describe(recorder));
}

impl<T> Named<T> {
    fn describe(&self, recorder: &dyn Recorder) {
        let (name, unit, meaning) = (self.name.into(), Some(self.unit), self.meaning.into());
        match self.value {
            Counter(_) => recorder.describe_counter(name, unit, meaning),
            Gauge(_) => recorder.describe_gauge(name, unit, meaning),
            Value::Histogram(..) => recorder.describe_histogram(name, unit, meaning),
        }
    }
}

#[cfg(test)]
mod tests;
