//! What hands one loop's numbers on: keys that are made once, and what histograms had last time.

use std::collections::HashMap;
use std::time::Duration;

use ::metrics::{Key, Label, Level, Metadata, Recorder};

use super::names::{Named, OF_LOOP, OF_OPERATION, Value};
use crate::histogram::Histogram;
use crate::runtime::{Metrics, OperationMetrics, Runtime};
use crate::task::{self, AbortHandle};
use crate::time;

const METADATA: Metadata<'static> = Metadata::new("annulus", Level::INFO, Some("annulus::metrics"));

/// Hands the numbers of one loop on to the recorder of the crate `metrics`: the program's, or the thread's if it has one of its own.
///
/// Counters are set to what the loop has counted. Of histograms it gives what came since the last time, so a loop has one
/// exporter: two would count the same twice.
///
/// It may go to another thread, with the numbers that a [`Remote`](crate::Remote) has fetched.
///
/// # Examples
/// By hand:
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::Runtime;
/// use annulus::metrics::Exporter;
///
/// let runtime = Runtime::new()?;
/// let mut exporter = Exporter::of(&runtime).name("work");
/// runtime.run(async { /* ... */ })?;
/// exporter.export(&runtime.metrics(), &runtime.operations());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Exporter {
    labels: Vec<Label>,
    of_loop: Keys,
    of_operations: HashMap<&'static str, Keys>,
}

/// A key for each metric of a list, and what the histograms among them had.
#[derive(Debug)]
struct Keys {
    keys: Vec<(Key, Histogram)>,
}

impl Exporter {
    /// Of the loop that runs on this thread.
    ///
    /// # Panics
    /// Outside of a running loop.
    #[track_caller]
    #[allow(clippy::new_without_default, reason = "it panics outside of a loop")]
    pub fn new() -> Exporter {
        let Some(current) = Runtime::try_current() else {
            panic!(
                "annulus::metrics was used outside of a running loop: call it inside `annulus::run(...)`, or use \
                 `Exporter::of(&runtime)`"
            )
        };
        Exporter::numbered(current.number())
    }

    /// Of a loop that need not run.
    pub fn of(runtime: &Runtime) -> Exporter {
        Exporter::numbered(runtime.number())
    }

    fn numbered(number: u64) -> Exporter {
        let labels = vec![Label::new("loop", number.to_string())];
        Exporter { of_loop: Keys::of(&OF_LOOP, &labels), of_operations: HashMap::new(), labels }
    }

    /// Adds a label `name`: what the loop is for, if a program has several. Before the first export.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Exporter {
        self.labels.push(Label::new("name", name.into()));
        self.of_loop = Keys::of(&OF_LOOP, &self.labels);
        self
    }

    /// Hands these numbers on. They are of the exporter's loop, and no older than those of the last time.
    pub fn export(&mut self, metrics: &Metrics, operations: &[OperationMetrics]) {
        ::metrics::with_recorder(|recorder| {
            self.of_loop.export(&OF_LOOP, metrics, recorder);
            for operation in operations {
                let keys = self.of_operations.entry(operation.operation).or_insert_with(|| {
                    let label = Label::from_static_parts("operation", operation.operation);
                    Keys::of(&OF_OPERATION, &[&self.labels[..], &[label]].concat())
                });
                keys.export(&OF_OPERATION, operation, recorder);
            }
        });
    }

    /// Exports the numbers of this loop now, each time that `period` has passed, and once more when the loop ends: see
    /// [`every`](super::every).
    ///
    /// # Panics
    /// Outside of a running loop; if the period is zero.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::metrics::Exporter;
    ///
    /// annulus::run(async {
    ///     Exporter::new().name("front").every(Duration::from_secs(10));
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn every(self, period: Duration) -> AbortHandle {
        assert!(!period.is_zero(), "an interval of no time would have the loop do nothing else");
        super::describe();
        let mut exporting = Exporting(self);
        exporting.now();
        let exporting = async move {
            loop {
                // Not by ticks: a recorder that is slow is asked less often, and not all the time.
                time::sleep(period).await;
                exporting.now();
            }
        };
        let task = task::Builder::new().name("annulus::metrics").priority(task::Priority::Background);
        task.spawn(exporting).abort_handle()
    }
}

/// An exporter of the loop that runs, which has a last word.
struct Exporting(Exporter);

impl Exporting {
    fn now(&mut self) {
        if let Some(current) = Runtime::try_current() {
            self.0.export(&current.metrics(), &current.operations());
        }
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        self.now();
    }
}

impl Keys {
    fn of<T>(list: &[Named<T>], labels: &[Label]) -> Keys {
        let key = |named: &Named<T>| (Key::from_parts(named.name, labels.to_vec()), Histogram::default());
        Keys { keys: list.iter().map(key).collect() }
    }

    /// The handles are asked for anew each time: a recorder that is installed late is found, and one may forget what is idle.
    fn export<T>(&mut self, list: &[Named<T>], picture: &T, recorder: &dyn Recorder) {
        for (named, (key, before)) in list.iter().zip(&mut self.keys) {
            match named.value {
                Value::Counter(value) => recorder.register_counter(key, &METADATA).absolute(value(picture)),
                Value::Gauge(value) => recorder.register_gauge(key, &METADATA).set(value(picture) as f64),
                Value::Histogram(value, scale) => {
                    let (handle, now) = (recorder.register_histogram(key, &METADATA), value(picture));
                    for (middle, count) in now.since(before) {
                        handle.record_many(middle * scale, count as usize);
                    }
                    *before = *now;
                }
            }
        }
    }
}
