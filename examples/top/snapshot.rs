//! What an inspector says. What it does not say, since it is older or newer, is nothing or zero.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) process: Process,
    pub(crate) loops: Vec<Loop>,
    pub(crate) tasks: Tasks,
    pub(crate) in_flight: Flights,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    #[serde(default)]
    pub(crate) program: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) uptime_ms: u64,
    pub(crate) time_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Loop {
    #[serde(rename = "loop")]
    pub(crate) number: u64,
    pub(crate) thread: Option<String>,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) stalled_ms: u64,
    pub(crate) stall: Option<Stall>,
    #[serde(default)]
    pub(crate) age_ms: u64,
    /// None of a loop that has never answered.
    pub(crate) metrics: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    pub(crate) histograms: Option<BTreeMap<String, Histogram>>,
    #[serde(default)]
    pub(crate) operations: Option<Vec<Operation>>,
}

impl Loop {
    pub(crate) fn is_stalled(&self) -> bool {
        self.state == "stalled"
    }

    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        self.metrics.as_ref()?.get(name)?.as_u64()
    }

    pub(crate) fn name(&self) -> String {
        self.thread
            .as_ref()
            .map_or_else(|| self.number.to_string(), |thread| format!("{} {thread}", self.number))
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stall {
    pub(crate) task: Option<u64>,
    pub(crate) spawned_at: Option<String>,
    #[serde(default)]
    pub(crate) frames: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Histogram {
    pub(crate) max: Option<u64>,
    /// The least value, the greatest, and how many there were.
    #[serde(default)]
    pub(crate) buckets: Vec<(u64, u64, u64)>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Operation {
    #[serde(rename = "operation")]
    pub(crate) name: String,
    pub(crate) completed: u64,
    #[serde(default)]
    pub(crate) errors: u64,
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) time: Histogram,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tasks {
    pub(crate) total: usize,
    pub(crate) matched: usize,
    pub(crate) rows: Vec<Task>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Task {
    #[serde(rename = "loop")]
    pub(crate) number: u64,
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) spawned_at: String,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) polls: u64,
    #[serde(default)]
    pub(crate) busy_ns: u64,
    #[serde(default)]
    pub(crate) age_ms: u64,
    #[serde(default)]
    pub(crate) waits: Vec<Wait>,
    #[serde(default)]
    pub(crate) stoppable: bool,
}

impl Task {
    pub(crate) fn key(&self) -> (u64, u64) {
        (self.number, self.id)
    }

    pub(crate) fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("task {}", self.id))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Wait {
    Operation {
        operation: String,
        descriptor: Option<i64>,
        #[serde(default)]
        age_ms: u64,
    },
    Timer {
        #[serde(default)]
        left_ms: u64,
    },
    Task {
        task: u64,
    },
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Flights {
    pub(crate) total: usize,
    pub(crate) rows: Vec<Flight>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Flight {
    #[serde(rename = "loop")]
    pub(crate) number: u64,
    pub(crate) operation: String,
    pub(crate) descriptor: Option<i64>,
    pub(crate) task: Option<u64>,
    #[serde(default)]
    pub(crate) age_ms: u64,
    #[serde(default)]
    pub(crate) orphan: bool,
}
