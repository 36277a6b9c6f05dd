//! What happened in a world.

use std::fmt;

use crate::driver::sim;

/// What happened in a world until it was asked for: each operation's submission and answer, requests to stop, closings
/// and crashes.
///
/// It prints as text, one event a line: when, which process, what, of which operation, on which descriptor, and the
/// length or the answer. The last 100,000 events are kept.
///
/// # Examples
/// ```
/// use annulus::sim::{self, World};
///
/// let hash = |seed| {
///     let world = World::new(seed);
///     world.host("one", sim::idle).run(annulus::fs::write("/note", "text")).unwrap().0.unwrap();
///     world.trace().hash()
/// };
/// assert_eq!(hash(1), hash(1));
/// assert_ne!(hash(1), hash(2));
/// ```
#[derive(Clone, Debug)]
pub struct Trace(sim::Trace);

impl Trace {
    pub(super) fn of(trace: &sim::Trace) -> Trace {
        Trace(trace.clone())
    }

    /// A number that is the same for two runs in which the same has happened at the same times, and else another.
    pub fn hash(&self) -> u64 {
        self.0.hash()
    }

    /// How many events there were.
    ///
    /// # Examples
    /// ```
    /// use annulus::sim::{self, World};
    ///
    /// let world = World::new(7);
    /// world.host("one", sim::idle).run(annulus::fs::write("/note", "text"))?.0.unwrap();
    /// let trace = world.trace();
    /// assert!(trace.count() > 0 && trace.chrome().starts_with('{'));
    /// println!("{}", trace.tail(10));
    /// # Ok::<(), annulus::sim::Stuck>(())
    /// ```
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// The last so many events as text, one a line.
    ///
    /// # Examples
    /// As [`count`](Self::count).
    pub fn tail(&self, events: usize) -> String {
        let kept = self.0.events().count();
        let last = self.0.events().skip(kept.saturating_sub(events));
        last.map(|event| format!("{event}\n")).collect()
    }

    /// As JSON, for the viewers of Chrome's trace format: chrome://tracing, Perfetto. An operation is a span from its
    /// submission to its answer.
    ///
    /// <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>
    ///
    /// # Examples
    /// As [`count`](Self::count).
    pub fn chrome(&self) -> String {
        let events: Vec<_> = self.0.events().map(chrome).collect();
        format!("{{\"traceEvents\":[\n{}\n]}}\n", events.join(",\n"))
    }
}

fn chrome(event: &sim::Event) -> String {
    let sim::Event { when, process, what, name, token, number, answer } = event;
    let (phase, name) = match *what {
        "submit" => ("b", *name),
        "answer" => ("e", *name),
        _ => ("i", *what),
    };
    // Microseconds, with nanoseconds behind the point.
    let (micros, nanos) = (when / 1000, when % 1000);
    format!(
        "{{\"name\":\"{name}\",\"cat\":\"operation\",\"ph\":\"{phase}\",\"id\":{token},\"pid\":{process},\"tid\":{number},\
         \"ts\":{micros}.{nanos:03},\"args\":{{\"descriptor\":{number},\"answer\":{answer}}}}}"
    )
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
