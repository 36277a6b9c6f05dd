//! A picture as JSON: which keys there are.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value};

use super::data::Data;
use super::look::{LoopPicture, Picture, Stuck};
use super::numbers;
use super::process::Process;
use super::query::Query;
use super::rows::{InFlight, Tasks, in_flight, tasks};
use crate::driver::RingFacts;
use crate::engine::Doing;
use crate::histogram::Histogram;
use crate::runtime::OperationMetrics;
use crate::sys::stack::Frame;

#[derive(Serialize)]
struct Snapshot<'a> {
    process: Process<'a>,
    loops: Vec<Loop<'a>>,
    tasks: Tasks<'a>,
    in_flight: InFlight,
}

#[derive(Serialize)]
struct Loop<'a> {
    #[serde(rename = "loop")]
    number: u64,
    thread: Option<&'a str>,
    driver: &'static str,
    state: &'static str,
    stalled_ms: u64,
    stall: Option<Stall>,
    age_ms: u64,
    metrics: Option<Map<String, Value>>,
    histograms: Option<Histograms>,
    operations: Vec<Operation>,
    ring: Option<Ring<'a>>,
}

#[derive(Serialize)]
struct Stall {
    task: Option<u64>,
    spawned_at: Option<String>,
    frames: Vec<String>,
}

#[derive(Serialize)]
struct Histograms {
    poll_time: Spread,
    wake_to_poll: Spread,
    batches: Spread,
    depths: Spread,
}

#[derive(Serialize)]
struct Spread {
    unit: &'static str,
    count: u64,
    mean: Option<f64>,
    max: Option<u64>,
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    buckets: Vec<(u64, u64, u64)>,
}

#[derive(Serialize)]
struct Operation {
    operation: &'static str,
    completed: u64,
    errors: u64,
    bytes: u64,
    time: Spread,
}

#[derive(Serialize)]
struct Ring<'a> {
    entries: u32,
    completions: u32,
    features: &'a [&'static str],
    /// Those that were taken.
    flags: Vec<&'static str>,
    /// Those that the kernel does not have.
    flags_refused: Vec<&'static str>,
    registered: bool,
    buffers_picked: bool,
    direct_descriptors: bool,
    operations_known: usize,
}

impl Spread {
    fn of(histogram: &Histogram, unit: &'static str) -> Spread {
        Spread {
            unit,
            count: histogram.count(),
            mean: histogram.mean(),
            max: histogram.max(),
            p50: histogram.percentile(50.0),
            p90: histogram.percentile(90.0),
            p99: histogram.percentile(99.0),
            buckets: histogram.buckets().collect(),
        }
    }
}

impl Operation {
    fn of(metrics: &OperationMetrics) -> Operation {
        Operation {
            operation: metrics.operation,
            completed: metrics.completed,
            errors: metrics.errors,
            bytes: metrics.bytes,
            time: Spread::of(&metrics.time, "ns"),
        }
    }
}

impl Ring<'_> {
    fn of(facts: &RingFacts) -> Ring<'_> {
        let flags = |taken: bool| {
            let flags = facts.flags.iter().filter(move |(_, is_taken)| *is_taken == taken);
            flags.map(|(name, _)| *name).collect()
        };
        Ring {
            entries: facts.entries,
            completions: facts.completions,
            features: &facts.features,
            flags: flags(true),
            flags_refused: flags(false),
            registered: facts.is_registered,
            buffers_picked: facts.picks,
            direct_descriptors: facts.is_direct,
            operations_known: facts.known.iter().filter(|known| **known).count(),
        }
    }
}

impl Stall {
    fn of(stuck: &Stuck) -> Stall {
        Stall {
            task: stuck.task,
            spawned_at: stuck.spawned_at.map(ToString::to_string),
            frames: stuck.frames.iter().map(frame).collect(),
        }
    }
}

/// A call, as people read it.
fn frame(frame: &Frame) -> String {
    match (frame.file(), frame.line()) {
        (Some(file), Some(line)) => format!("{} at {}:{line}", frame.function(), file.display()),
        _ => frame.function().to_owned(),
    }
}

impl Loop<'_> {
    fn of(picture: &LoopPicture, taken: Instant) -> Loop<'_> {
        let data = picture.data.as_deref();
        let state = match picture.doing {
            _ if picture.stalled.is_some() => "stalled",
            Doing::Working => "working",
            Doing::Waiting => "waiting",
            Doing::Resting => "resting",
        };
        Loop {
            number: picture.number,
            thread: picture.thread.as_deref(),
            driver: picture.driver,
            state,
            stalled_ms: picture.stalled.map_or(0, millis),
            stall: picture.stuck.as_deref().map(Stall::of),
            age_ms: data.map_or(0, |data| millis(taken.saturating_duration_since(data.taken))),
            metrics: data.map(|data| numbers::of(&data.metrics)),
            histograms: data.map(Histograms::of),
            operations: data.iter().flat_map(|data| data.operations.iter().map(Operation::of)).collect(),
            ring: data.and_then(|data| data.ring.as_ref()).map(Ring::of),
        }
    }
}

impl Histograms {
    fn of(data: &Data) -> Histograms {
        Histograms {
            poll_time: Spread::of(&data.metrics.poll_time, "ns"),
            wake_to_poll: Spread::of(&data.metrics.wake_to_poll, "ns"),
            batches: Spread::of(&data.metrics.batches, "tasks"),
            depths: Spread::of(&data.metrics.depths, "operations"),
        }
    }
}

/// The picture, as much of it as is asked for.
pub(super) fn write(picture: &Picture, query: &Query) -> Vec<u8> {
    let time = picture.wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis);
    tasks(picture, query, |tasks| {
        let snapshot = Snapshot {
            process: Process::at(time),
            loops: picture.loops.iter().map(|of| Loop::of(of, picture.taken)).collect(),
            tasks,
            in_flight: in_flight(picture, query),
        };
        serde_json::to_vec(&snapshot).expect("it is text, numbers and lists, whose keys are text")
    })
}

/// Whole milliseconds.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Whole nanoseconds.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
