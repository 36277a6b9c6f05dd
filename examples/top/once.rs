//! What there is, as plain text: two looks half a second apart, so that there are rates.

use std::io::{self, Write};
use std::time::Duration;

use annulus::time::sleep;

use super::app::{App, Query, kinds, of_the_task, pulse};
use super::client::Client;
use super::words::{both, count, maybe, pace, plain, share, span, time, waits, whole};

pub(crate) async fn print(client: &Client, rows: usize) -> Result<(), String> {
    let mut app = App::new(client.place().to_string(), Duration::from_secs(1));
    app.query = Query { limit: rows.max(1), ..Query::default() };
    app.hear(Ok(client.snapshot(&app.query).await?));
    sleep(Duration::from_millis(500)).await;
    app.hear(Ok(client.snapshot(&app.query).await?));
    // A reader that has enough is no error.
    let _ = io::stdout().write_all(text(&app, rows).as_bytes());
    Ok(())
}

pub(crate) fn text(app: &App, rows: usize) -> String {
    let Some(now) = &app.now else { return String::new() };
    let (process, mut text) = (&now.process, String::new());
    let mut say = |line: String| {
        text.push_str(plain(&line).trim_end());
        text.push('\n');
    };
    say(format!(
        "{}, pid {}, annulus {}, up {}",
        process.program,
        process.pid,
        process.version,
        span(process.uptime_ms)
    ));
    say(String::new());
    say(format!(
        "{:<16}{:<14}{:>10}{:>9}{:>9}{:>10}{:>7}  lag p50 / p99",
        "loop", "state", "turns/s", "tasks", "flight", "enters/s", "ops/e"
    ));
    for one in app.loops() {
        let (pulse, now) =
            (pulse(one, &app.history), |name: &str| maybe(one.metric(name).map(|it| it as f64)));
        let lag = both(pulse.lag.0, pulse.lag.1);
        let (turns, enters, each) = (maybe(pulse.turns), maybe(pulse.enters), maybe(pulse.each));
        say(format!(
            "{:<16}{:<14}{turns:>10}{:>9}{:>9}{enters:>10}{each:>7}  {lag}",
            one.name(),
            one.state,
            now("alive"),
            now("in_flight")
        ));
        if one.is_stalled() {
            let stall = one.stall.as_ref();
            let who = stall
                .and_then(|stall| stall.task)
                .map_or_else(String::new, |task| format!(" in task {task}"));
            let place = stall
                .and_then(|stall| stall.spawned_at.as_ref())
                .map_or_else(String::new, |place| format!(", spawned at {place}"));
            say(format!("    stalled for {}{who}{place}", span(one.stalled_ms)));
            for frame in stall.iter().flat_map(|stall| of_the_task(&stall.frames)) {
                say(format!("        {frame}"));
            }
        }
    }
    say(String::new());
    say(format!(
        "{:<16}{:>10}{:>12}{:>10}{:>12}{:>10}{:>10}",
        "operation", "per s", "completed", "errors", "throughput", "p50", "p99"
    ));
    for kind in kinds(&app.loops(), &app.history) {
        let [p50, p99] = [kind.p50, kind.p99].map(|value| value.map_or_else(|| "-".to_owned(), time));
        let (rate, pace) = (maybe(kind.rate), pace(kind.bytes));
        let (completed, errors) = (count(kind.completed as f64), count(kind.errors as f64));
        say(format!("{:<16}{rate:>10}{completed:>12}{errors:>10}{pace:>12}{p50:>10}{p99:>10}", kind.name));
    }
    say(String::new());
    say(format!("tasks: {}, the busiest first", whole(now.tasks.total as u64)));
    say(format!(
        "{:<20}{:>8}{:>5}  {:<8}{:>12}{:>12}{:>9}{:>13}  spawned at; waits on",
        "name", "id", "loop", "state", "polls", "busy", "share", "age"
    ));
    for task in now.tasks.rows.iter().take(rows) {
        let (busy, share, age) = (time(task.busy_ns), share(task.busy_ns, task.age_ms), span(task.age_ms));
        let line = format!(
            "{:<20}{:>8}{:>5}  {:<8}{:>12}{busy:>12}{share:>9}{age:>13}  {}; {}",
            short(&task.title(), 20),
            task.id,
            task.number,
            task.state,
            whole(task.polls),
            task.spawned_at,
            waits(&task.state, &task.waits)
        );
        say(line.trim_end_matches("; ").to_owned());
    }
    say(String::new());
    say(format!("in flight: {}, the oldest first", whole(now.in_flight.total as u64)));
    for one in now.in_flight.rows.iter().take(rows) {
        let descriptor = one.descriptor.map_or_else(String::new, |number| format!(" on fd {number}"));
        let task = one.task.map_or_else(String::new, |task| format!(", task {task}"));
        let orphan = if one.orphan { ", an orphan: its future was dropped" } else { "" };
        say(format!(
            "{}{descriptor} for {}, loop {}{task}{orphan}",
            one.operation,
            span(one.age_ms),
            one.number
        ));
    }
    text
}

/// The beginning of what is too long.
fn short(text: &str, room: usize) -> String {
    match text.chars().nth(room) {
        None => text.to_owned(),
        Some(_) => text.chars().take(room - 1).chain(['…']).collect(),
    }
}
