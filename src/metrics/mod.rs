//! A loop's numbers as counters, gauges and histograms of the crate [`metrics`](https://docs.rs/metrics), the facade that exporters
//! for Prometheus, StatsD and others take theirs from (feature `metrics`).
//!
//! The loop counts by itself all the time, see [`Metrics`](crate::Metrics) and [`OperationMetrics`](crate::OperationMetrics). An [`Exporter`]
//! hands the numbers of one loop on, each time that it is told to; [`every`] has a task of the loop do it. Nothing is added to what an
//! operation or a poll costs, and an export takes some ten microseconds.
//!
//! Each metric has the label `loop`, the number of its loop, which is never used twice in a process; `name` if the exporter was given
//! one; and `operation`, as the kernel calls it, where it is about one kind. All names, units and meanings are in docs/metrics.md.
//!
//! Times are seconds. Histograms are of samples: they say how times are spread, and not how many there were. Their values are the middles
//! of this crate's buckets, which are a power of two wide each, so each is wrong by a third at most.
//!
//! # Examples
//! ```
//! # fn main() -> std::io::Result<()> {
//! use std::time::Duration;
//!
//! // As a rule the program installs an exporter before: `PrometheusBuilder::new().install_recorder()`, for example.
//! annulus::run(async {
//!     annulus::metrics::every(Duration::from_secs(10));
//!     // ... serve ...
//! })?;
//! # Ok(())
//! # }
//! ```

mod exporter;
mod names;

use std::time::Duration;

pub use exporter::Exporter;

use crate::task::AbortHandle;

/// Tells the recorder what each metric is, and in which unit. Once is enough, after the program has installed its recorder;
/// [`every`] does it.
///
/// ```
/// annulus::metrics::describe();
/// ```
pub fn describe() {
    ::metrics::with_recorder(names::describe);
}

/// Exports the numbers of this loop now, each time that `period` has passed, and once more when the loop ends: a task does it. It keeps
/// no run from ending, and whatever else the loop has to do comes before it.
///
/// For a label `name`, or for a loop between two runs: [`Exporter::every`], [`Exporter::of`].
///
/// # Panics
/// Outside of a running loop; if the period is zero.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
///
/// annulus::run(async {
///     let exporting = annulus::metrics::every(Duration::from_secs(1));
///     annulus::time::sleep(Duration::from_millis(1)).await;
///     // It ends with the loop. To end it before:
///     exporting.abort();
/// })?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn every(period: Duration) -> AbortHandle {
    Exporter::new().every(period)
}
