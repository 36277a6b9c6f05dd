//! The list, the page that shows it, and the numbers that there are, beside each other.

use super::*;

fn row<T>(named: &Named<T>, labels: &str) -> String {
    let Named { name, unit, meaning, value } = named;
    let kind = match value {
        Counter(_) => "counter",
        Gauge(_) => "gauge",
        Value::Histogram(..) => "histogram",
    };
    format!("| `{name}` | {kind} | {} | {labels} | {meaning} |\n", unit.as_str())
}

#[test]
fn the_page_shows_what_is_exported_and_nothing_else() {
    let page = include_str!("../../../docs/metrics.md");
    let mut table: Vec<_> = OF_LOOP.iter().map(|named| row(named, "`loop`")).collect();
    table.extend(OF_OPERATION.iter().map(|named| row(named, "`loop`, `operation`")));
    let shown: Vec<_> = page.split_inclusive('\n').filter(|line| line.starts_with("| `annulus_")).collect();
    assert_eq!(shown, table, "docs/metrics.md is to have these lines:\n{}", table.concat());
}

/// The values that are exported of one picture.
fn exported<T>(all: &[Named<T>], picture: &T) -> Vec<u64> {
    let value = |named: &Named<T>| match named.value {
        Counter(value) => value(picture),
        Gauge(value) => value(picture) as u64,
        Value::Histogram(value, _) => value(picture).max().unwrap_or(0),
    };
    all.iter().map(value).collect()
}

/// Numbers each of which is there once.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    fn now(&mut self) -> usize {
        self.next() as usize
    }

    fn histogram(&mut self) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.note(self.next());
        histogram
    }
}

/// All fields are named: who adds one is told here, and adds it to the list.
#[test]
fn each_number_of_a_loop_is_exported_once() {
    let mut n = Numbers(0);
    let metrics = Metrics {
        stalls: n.next(),
        turns: n.next(),
        parks: n.next(),
        spins: n.next(),
        spins_in_vain: n.next(),
        batches: n.histogram(),
        depths: n.histogram(),
        poll_time: n.histogram(),
        wake_to_poll: n.histogram(),
        polls: n.next(),
        spawned: n.next(),
        alive: n.now(),
        remote_wakes: n.next(),
        timers: n.now(),
        timers_fired: n.next(),
        enters: n.next(),
        submitted: n.next(),
        completed: n.next(),
        in_flight: n.now(),
        in_flight_max: n.now(),
        orphans: n.now(),
        orphans_max: n.now(),
        fallbacks: n.next(),
        cancels: n.next(),
        cancels_stopped: n.next(),
        cancels_late: n.next(),
        helper_threads: n.now(),
        helper_jobs_waiting: n.now(),
        helper_jobs_done: n.next(),
        refusals: n.next(),
        overflows: n.next(),
        stray: n.next(),
        lease_buffers: n.now(),
        leases_out: n.now(),
        leases_copied: n.next(),
    };
    let mut values = exported(&OF_LOOP, &metrics);
    values.sort_unstable();
    assert_eq!(values, (1..=n.0).collect::<Vec<_>>());
}

#[test]
fn each_number_of_an_operation_is_exported_once() {
    let mut n = Numbers(0);
    let operation = OperationMetrics {
        operation: "recv",
        completed: n.next(),
        errors: n.next(),
        bytes: n.next(),
        time: n.histogram(),
    };
    let mut values = exported(&OF_OPERATION, &operation);
    values.sort_unstable();
    assert_eq!(values, (1..=n.0).collect::<Vec<_>>());
}

/// As Prometheus has them: what only grows says so, what has a unit says it, and no name is used twice.
#[test]
fn names_are_as_prometheus_has_them() {
    fn of<T>(all: &[Named<T>]) -> Vec<&'static str> {
        for Named { name, unit, value, .. } in all {
            assert_eq!(name.ends_with("_total"), matches!(value, Counter(_)), "{name}");
            assert!(name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{name}");
            assert_eq!(name.contains("seconds"), *unit == Unit::Seconds, "{name}");
            assert_eq!(name.contains("bytes"), *unit == Unit::Bytes, "{name}");
        }
        all.iter().map(|named| named.name).collect()
    }
    let mut names = [of(&OF_LOOP), of(&OF_OPERATION)].concat();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}
