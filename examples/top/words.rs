//! Numbers and times as people read them, with their units.

use super::snapshot::Wait;

/// A number with three figures that matter: `0.12`, `4.5`, `12,345`, `1.23 M`.
pub(crate) fn count(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.2} G", value / 1e9),
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 100.0 || value.fract() == 0.0 => whole(value.round() as u64),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

pub(crate) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), count)
}

/// With commas between thousands.
pub(crate) fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time that is given in nanoseconds.
pub(crate) fn time(ns: u64) -> String {
    let three = |value: f64| match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    let value = ns as f64;
    let s = ns / 1_000_000_000;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", three(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three(value / 1e6)),
        1_000_000_000..10_000_000_000 => format!("{:.1} s", value / 1e9),
        _ if s < 60 => format!("{s} s"),
        _ if s < 3600 => format!("{} min {} s", s / 60, s % 60),
        _ if s < 86400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86400, s % 86400 / 3600),
    }
}

pub(crate) fn span(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { time(ms.saturating_mul(1_000_000)) }
}

/// The same in one unit, for columns.
pub(crate) fn short(ms: u64) -> String {
    match ms / 1000 {
        0..10 => span(ms),
        s @ 10..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86400),
    }
}

/// A time that is given in nanoseconds, in one unit.
pub(crate) fn short_time(ns: u64) -> String {
    if ns < 1_000_000_000 { time(ns) } else { short(ns / 1_000_000) }
}

/// Two times side by side; a unit that they share is said once.
pub(crate) fn both(one: Option<u64>, other: Option<u64>) -> String {
    let (Some(one), Some(other)) = (one.map(time), other.map(time)) else { return "-".to_owned() };
    match (one.split_once(' '), other.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} / {other}"),
        _ => format!("{one} / {other}"),
    }
}

/// Bytes a second.
pub(crate) fn pace(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 1e5 => format!("{:.1} MB/s", value / 1e6),
        Some(value) if value > 0.0 => format!("{:.1} kB/s", value / 1e3),
        Some(_) => "0".to_owned(),
    }
}

/// What part of its age a task was busy.
pub(crate) fn share(busy_ns: u64, age_ms: u64) -> String {
    let part = if age_ms == 0 { 0.0 } else { (busy_ns as f64 / 1e6 / age_ms as f64).min(1.0) };
    format!("{:.1} %", part * 100.0)
}

/// What a task waits for.
pub(crate) fn waits(state: &str, waits: &[Wait]) -> String {
    if waits.is_empty() && state == "waiting" {
        return "another task's word: a channel, a lock".to_owned();
    }
    let words = waits.iter().map(|wait| match wait {
        Wait::Operation { operation, descriptor: Some(number), age_ms } => {
            format!("{operation} on fd {number} for {}", span(*age_ms))
        }
        Wait::Operation { operation, descriptor: None, age_ms } => {
            format!("{operation} for {}", span(*age_ms))
        }
        Wait::Timer { left_ms } => format!("timer in {}", span(*left_ms)),
        Wait::Task { task } => format!("task {task}"),
        Wait::Other => "something else".to_owned(),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// What a program says of itself may hold what a terminal would obey: here it is only seen.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
