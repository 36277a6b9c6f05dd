//! What is shown and what was chosen: the state behind the screen, which knows no terminal.

use std::time::Duration;

use super::history::History;
use super::snapshot::{Loop, Snapshot, Task};

/// By what tasks are sorted: the inspector's word, and the column's head.
pub(crate) const SORTS: [(&str, &str); 8] = [
    ("busy", "BUSY"),
    ("waiting", "WAITS ON"),
    ("age", "AGE"),
    ("polls", "POLLS"),
    ("state", "STATE"),
    ("name", "NAME"),
    ("id", "ID"),
    ("spawned_at", "SPAWNED AT"),
];
pub(crate) const STATES: [Option<&str>; 4] = [None, Some("running"), Some("ready"), Some("waiting")];

/// Which tasks are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) sort: usize,
    pub(crate) descends: bool,
    pub(crate) filter: String,
    pub(crate) state: usize,
    pub(crate) number: Option<u64>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
}

impl Default for Query {
    fn default() -> Query {
        Query { sort: 0, descends: true, filter: String::new(), state: 0, number: None, limit: 50, offset: 0 }
    }
}

impl Query {
    /// Behind the question mark.
    pub(crate) fn text(&self) -> String {
        let order = if self.descends { "desc" } else { "asc" };
        let (sort, limit, offset) = (SORTS[self.sort].0, self.limit, self.offset);
        let mut text = format!("sort={sort}&order={order}&limit={limit}&offset={offset}");
        if let Some(state) = STATES[self.state] {
            text += &format!("&state={state}");
        }
        if let Some(number) = self.number {
            text += &format!("&loop={number}");
        }
        if !self.filter.is_empty() {
            text += "&filter=";
            for byte in self.filter.bytes() {
                match byte {
                    byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
                    byte => text += &format!("%{byte:02X}"),
                }
            }
        }
        text
    }
}

/// What the lower part of the screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Tasks,
    Operations,
    InFlight,
}

/// What keys are for.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    Looking,
    /// Letters go into the filter.
    Filtering,
    /// Whether this task is to be aborted.
    Confirming(Box<Task>),
    Help,
}

/// What is to be done by somebody who can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Ask,
    Abort { number: u64, task: u64 },
    Quit,
}

pub(crate) struct App {
    pub(crate) place: String,
    pub(crate) every: Duration,
    pub(crate) query: Query,
    pub(crate) history: History,
    pub(crate) now: Option<Snapshot>,
    /// Why there was no answer, if there was none.
    pub(crate) error: Option<String>,
    failures: u32,
    pub(crate) view: View,
    pub(crate) mode: Mode,
    /// The row that is marked.
    pub(crate) row: usize,
    /// The task that is marked: the mark stays with it when rows move.
    marked: Option<(u64, u64)>,
    pub(crate) is_paused: bool,
    /// What came of the last thing that was asked for.
    pub(crate) said: Option<Result<String, String>>,
}

impl App {
    pub(crate) fn new(place: String, every: Duration) -> App {
        App {
            place,
            every,
            query: Query::default(),
            history: History::default(),
            now: None,
            error: None,
            failures: 0,
            view: View::Tasks,
            mode: Mode::Looking,
            row: 0,
            marked: None,
            is_paused: false,
            said: None,
        }
    }

    pub(crate) fn hear(&mut self, answer: Result<Snapshot, String>) {
        match answer {
            Ok(snapshot) => {
                self.history.note(&snapshot);
                let found = snapshot.tasks.rows.iter().position(|task| Some(task.key()) == self.marked);
                self.row = found.unwrap_or(self.row).min(snapshot.tasks.rows.len().saturating_sub(1));
                if snapshot.tasks.rows.is_empty() && snapshot.tasks.matched > 0 {
                    // They have ended meanwhile.
                    self.query.offset = 0;
                }
                self.now = Some(snapshot);
                self.error = None;
                self.failures = 0;
                self.mark();
            }
            Err(error) => {
                self.error = Some(error);
                self.failures += 1;
            }
        }
    }

    /// How long to wait until the next look: longer each time that nobody answered, up to ten seconds.
    pub(crate) fn pause(&self) -> Duration {
        let longer = self.every * 2_u32.pow(self.failures.min(6));
        if self.failures == 0 { self.every } else { longer.min(Duration::from_secs(10).max(self.every)) }
    }

    /// The task that is marked.
    pub(crate) fn task(&self) -> Option<&Task> {
        self.now.as_ref()?.tasks.rows.get(self.row)
    }

    fn mark(&mut self) {
        self.marked = self.task().map(Task::key);
    }

    /// Moves the mark; where it leaves the rows, others are to be asked for.
    pub(crate) fn walk(&mut self, by: isize) -> Option<Wish> {
        let tasks = &self.now.as_ref()?.tasks;
        let (shown, matched) = (tasks.rows.len(), tasks.matched);
        let offset = self.query.offset;
        let to = (offset + self.row).saturating_add_signed(by).min(matched.saturating_sub(1));
        if to < offset {
            self.query.offset = to;
        } else if to >= offset + shown.max(1) {
            self.query.offset = (to + 1).saturating_sub(self.query.limit);
        }
        self.row = to - self.query.offset;
        if self.query.offset == offset {
            self.mark();
            return None;
        }
        // Whoever is in that row then.
        self.marked = None;
        Some(Wish::Ask)
    }

    /// From the first row, of what is asked for now.
    pub(crate) fn anew(&mut self) -> Option<Wish> {
        (self.query.offset, self.row, self.marked) = (0, 0, None);
        Some(Wish::Ask)
    }

    /// Shows the next loop alone, and after the last all of them.
    pub(crate) fn next_loop(&mut self) -> Option<Wish> {
        let numbers: Vec<_> = self.now.iter().flat_map(|now| &now.loops).map(|one| one.number).collect();
        let next = match self.query.number {
            None => 0,
            Some(number) => numbers.iter().position(|other| *other == number).map_or(0, |place| place + 1),
        };
        self.query.number = numbers.get(next).copied();
        self.anew()
    }

    /// The loops that are chosen, those that stand still first.
    pub(crate) fn loops(&self) -> Vec<&Loop> {
        let all = self.now.iter().flat_map(|now| &now.loops);
        let mut loops: Vec<_> =
            all.filter(|one| self.query.number.is_none_or(|number| number == one.number)).collect();
        loops.sort_by_key(|one| (!one.is_stalled(), one.number));
        loops
    }
}

/// An operation of the chosen loops together.
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) rate: Option<f64>,
    pub(crate) completed: u64,
    pub(crate) errors: u64,
    pub(crate) bytes: Option<f64>,
    pub(crate) p50: Option<u64>,
    pub(crate) p99: Option<u64>,
}

/// The busiest first.
pub(crate) fn kinds(loops: &[&Loop], history: &History) -> Vec<Kind> {
    let all = |one: &Loop| one.operations.clone().unwrap_or_default();
    let mut names: Vec<_> = loops.iter().flat_map(|one| all(one)).map(|operation| operation.name).collect();
    names.sort();
    names.dedup();
    let mut kinds: Vec<_> = names
        .into_iter()
        .map(|name| {
            fn of<'l>(one: &'l Loop, name: &str) -> Option<&'l super::snapshot::Operation> {
                one.operations.as_ref()?.iter().find(|operation| operation.name == name)
            }
            let sum = |rate: &dyn Fn(&Loop) -> Option<f64>| {
                loops
                    .iter()
                    .filter_map(|one| rate(one))
                    .fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or(0.0) + value))
            };
            let here = || loops.iter().filter_map(|one| of(one, &name));
            Kind {
                rate: sum(&|one| history.rate(one, |one| of(one, &name).map(|it| it.completed))),
                bytes: sum(&|one| history.rate(one, |one| of(one, &name).map(|it| it.bytes))),
                completed: here().map(|it| it.completed).sum(),
                errors: here().map(|it| it.errors).sum(),
                p50: history.percentile(loops, |one| of(one, &name).map(|it| &it.time), 50),
                p99: history.percentile(loops, |one| of(one, &name).map(|it| &it.time), 99),
                name,
            }
        })
        .collect();
    kinds.sort_by(|one, other| {
        other
            .rate
            .unwrap_or(0.0)
            .total_cmp(&one.rate.unwrap_or(0.0))
            .then(other.completed.cmp(&one.completed))
    });
    kinds
}

/// What a loop does a second, and how late it is.
pub(crate) struct Pulse {
    pub(crate) turns: Option<f64>,
    pub(crate) enters: Option<f64>,
    pub(crate) each: Option<f64>,
    pub(crate) lag: (Option<u64>, Option<u64>),
}

pub(crate) fn pulse(one: &Loop, history: &History) -> Pulse {
    let rate = |name: &str| history.rate(one, |one| one.metric(name));
    let enters = rate("enters");
    let lag =
        |percent| history.percentile(&[one], |one| one.histograms.as_ref()?.get("wake_to_poll"), percent);
    Pulse {
        turns: rate("turns"),
        enters,
        each: enters.filter(|enters| *enters > 0.0).and_then(|enters| Some(rate("submitted")? / enters)),
        lag: (lag(50), lag(99)),
    }
}

/// Where a loop stands still: the first frame that is the program's own, or the first of all.
pub(crate) fn stalled_in(one: &Loop) -> String {
    let Some(stall) = &one.stall else { return "where it is, is not known".to_owned() };
    let frames = of_the_task(&stall.frames);
    let frame = frames.iter().find(|frame| !is_library(frame)).or(frames.first());
    let who = stall.task.map_or_else(String::new, |task| format!("in task {task}"));
    let place = stall.spawned_at.as_ref().map_or_else(String::new, |place| format!(", spawned at {place}"));
    let frame = frame.map_or_else(String::new, |frame| format!(", in {frame}"));
    format!("{who}{place}{frame}").trim_start_matches([',', ' ']).to_owned()
}

/// Neither the frames of the signal by which the thread was asked, nor those of the loop that polls the task.
pub(crate) fn of_the_task(frames: &[String]) -> &[String] {
    let from =
        frames.iter().rposition(|frame| frame.contains("signal_hook_registry")).map_or(0, |place| place + 1);
    let frames = &frames[from..];
    let poll = frames.iter().position(|frame| frame.starts_with("annulus::executor::task::poll"));
    &frames[..poll.filter(|place| *place > 0).unwrap_or(frames.len())]
}

fn is_library(frame: &str) -> bool {
    let name = frame.trim_start_matches('<');
    let place = frame.split_once(" at ").map_or("", |(_, place)| place);
    ["std::", "core::", "alloc::", "annulus::", "tokio::"].iter().any(|head| name.starts_with(head))
        || ["/rustc/", "library/", "./", "../"].iter().any(|head| place.starts_with(head))
        || place.is_empty()
        || place.contains("/registry/src/")
}
