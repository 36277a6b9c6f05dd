//! The tables of a snapshot: which tasks are shown, in which order, and the operations in flight.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde::Serialize;

use super::data::{Data, state};
use super::look::{LoopPicture, Picture};
use super::query::{Query, Sort};
use super::snapshot::{millis, nanos};
use crate::executor::{Facts, Priority};
use crate::runtime::Wait;

#[derive(Serialize)]
pub(super) struct Tasks<'a> {
    total: usize,
    matched: usize,
    rows: Vec<Task<'a>>,
}

#[derive(Serialize)]
struct Task<'a> {
    #[serde(rename = "loop")]
    number: u64,
    id: u64,
    name: Option<&'a str>,
    spawned_at: String,
    state: &'static str,
    priority: &'static str,
    polls: u64,
    busy_ns: u64,
    age_ms: u64,
    waits: Vec<Waits>,
    stoppable: bool,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Waits {
    Operation { operation: &'static str, descriptor: Option<i32>, age_ms: u64 },
    Timer { left_ms: u64 },
    Task { task: u64 },
}

#[derive(Serialize)]
pub(super) struct InFlight {
    total: usize,
    rows: Vec<Operation>,
}

#[derive(Serialize)]
struct Operation {
    #[serde(rename = "loop")]
    number: u64,
    operation: &'static str,
    descriptor: Option<i32>,
    task: Option<u64>,
    age_ms: u64,
    orphan: bool,
}

/// A task among those of all loops.
struct Candidate<'a> {
    of: &'a LoopPicture,
    data: &'a Data,
    facts: &'a Facts,
}

impl Candidate<'_> {
    fn id(&self) -> u64 {
        self.facts.id().number()
    }

    /// The task that holds its loop up runs, whatever it did when it was asked last.
    fn state(&self) -> (&'static str, u8) {
        let holds = self.of.stuck.as_ref().is_some_and(|stuck| stuck.task == Some(self.id()));
        state(if holds { crate::executor::State::Running } else { self.facts.state })
    }

    /// All of it that a filter may name, in lower case.
    fn text(&self, text: &mut String) {
        text.clear();
        let (name, at) = (self.facts.meta.name().unwrap_or_default(), self.facts.spawned_at());
        let _ = write!(text, "{}\n{name}\n{at}", self.id());
        for wait in self.data.waits(self.id()) {
            let _ = match wait {
                Wait::Operation { name, descriptor: Some(number), .. } => {
                    write!(text, "\n{name} descriptor {number}")
                }
                Wait::Operation { name, descriptor: None, .. } => write!(text, "\n{name}"),
                Wait::Timer { .. } => write!(text, "\ntimer"),
                Wait::Task(id) => write!(text, "\ntask {id}"),
            };
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            *text = text.to_lowercase();
        }
    }

    fn row(&self) -> Task<'_> {
        let waits = self.data.waits(self.id()).iter().map(|wait| match wait {
            Wait::Operation { name, descriptor, age } => {
                Waits::Operation { operation: name, descriptor: *descriptor, age_ms: millis(*age) }
            }
            Wait::Timer { left } => Waits::Timer { left_ms: millis(*left) },
            Wait::Task(task) => Waits::Task { task: task.number() },
        });
        Task {
            number: self.of.number,
            id: self.id(),
            name: self.facts.meta.name(),
            spawned_at: self.facts.spawned_at().to_string(),
            state: self.state().0,
            priority: match self.facts.priority {
                Priority::High => "high",
                Priority::Normal => "normal",
                Priority::Background => "background",
            },
            polls: self.facts.polls,
            busy_ns: nanos(self.facts.busy),
            age_ms: millis(self.facts.age),
            waits: waits.collect(),
            stoppable: self.data.is_stoppable(self.facts),
        }
    }
}

/// Who comes first. Where all else is the same, the older one, so that pages of a table fit together.
fn compare(one: &Candidate<'_>, other: &Candidate<'_>, query: &Query) -> Ordering {
    let (a, b) = (one.facts, other.facts);
    let turned = |order: Ordering| if query.descends { order.reverse() } else { order };
    let order = match query.sort {
        Sort::Id => turned(one.id().cmp(&other.id())),
        // Those without a name are behind, in both directions: there are so many of them.
        Sort::Name => match (a.meta.name(), b.meta.name()) {
            (Some(a), Some(b)) => turned(a.cmp(b)),
            (a, b) => a.is_none().cmp(&b.is_none()),
        },
        Sort::SpawnedAt => turned(a.spawned_at().cmp(b.spawned_at())),
        Sort::State => turned(one.state().1.cmp(&other.state().1)),
        Sort::Polls => turned(a.polls.cmp(&b.polls)),
        Sort::Busy => turned(a.busy.cmp(&b.busy)),
        Sort::Age => turned(a.age.cmp(&b.age)),
        Sort::Waiting => turned(one.data.longest_wait(one.id()).cmp(&other.data.longest_wait(other.id()))),
    };
    order.then(one.id().cmp(&other.id()))
}

/// Hands the tasks that are asked for to `give`, as they are written.
pub(super) fn tasks<T>(picture: &Picture, query: &Query, give: impl FnOnce(Tasks<'_>) -> T) -> T {
    let known = picture.loops.iter().filter_map(|of| of.data.as_deref().map(|data| (of, data)));
    let total = known.clone().map(|(_, data)| data.tasks.len()).sum();
    let mut found: Vec<_> = known
        .filter(|(of, _)| query.number.is_none_or(|number| number == of.number))
        .flat_map(|(of, data)| data.tasks.iter().map(move |facts| Candidate { of, data, facts }))
        .collect();
    if let Some(wanted) = query.state {
        found.retain(|task| task.state() == state(wanted));
    }
    if !query.filter.is_empty() {
        let mut text = String::new();
        found.retain(|task| {
            task.text(&mut text);
            text.contains(&query.filter)
        });
    }
    let matched = found.len();
    let shown = matched.saturating_sub(query.offset).min(query.limit);
    if shown > 0 {
        found.sort_unstable_by(|one, other| compare(one, other, query));
    }
    let rows = found.iter().skip(query.offset).take(shown).map(Candidate::row).collect();
    give(Tasks { total, matched, rows })
}

/// The operations in flight, the oldest first.
pub(super) fn in_flight(picture: &Picture, query: &Query) -> InFlight {
    let known = picture.loops.iter().filter(|of| query.number.is_none_or(|number| number == of.number));
    let known = known.filter_map(|of| of.data.as_deref().map(|data| (of.number, data)));
    let total = known.clone().map(|(_, data)| data.in_flight.len()).sum();
    // Each loop's are sorted: no more of one than are shown can be among the oldest.
    let oldest = known.flat_map(|(number, data)| {
        data.in_flight.iter().take(query.limit).map(move |operation| (number, operation))
    });
    let mut oldest: Vec<_> = oldest.collect();
    oldest.sort_by_key(|(_, operation)| std::cmp::Reverse(operation.age));
    let rows = oldest.into_iter().take(query.limit).map(|(number, operation)| Operation {
        number,
        operation: operation.name,
        descriptor: operation.descriptor,
        task: operation.task,
        age_ms: millis(operation.age),
        orphan: operation.is_orphan,
    });
    InFlight { total, rows: rows.collect() }
}
