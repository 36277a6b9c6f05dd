//! The screen, from top to bottom: the program, its loops, and tasks or operations; at the foot the marked task and the keys.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, TableState, Wrap};

use super::app::{App, Mode, SORTS, STATES, View, kinds, pulse, stalled_in};
use super::keys::HELP;
use super::snapshot::{Snapshot, Task};
use super::words::{both, count, maybe, pace, plain, share, short, short_time, span, time, waits, whole};

/// Widths of the table of loops: name, state, turns, tasks, in flight, enters, operations an enter, lag.
const LOOPS: [u16; 8] = [12, 11, 8, 7, 7, 8, 6, 14];

pub(crate) fn draw(frame: &mut Frame, app: &mut App) {
    let area = frame.area();
    let loops = loops(app);
    let few = (area.height / 3).max(3);
    let height = u16::try_from(loops.len()).unwrap_or(few).min(few);
    let parts = [
        Constraint::Length(1),
        Constraint::Length(height),
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(2),
    ];
    let [top, upper, title, lower, foot] = Layout::vertical(parts).areas(area);
    app.query.limit = usize::from(lower.height.saturating_sub(1)).max(1);
    frame.render_widget(Paragraph::new(head(app)), top);
    frame.render_widget(Paragraph::new(loops), upper);
    frame.render_widget(Paragraph::new(title_of(app)).style(Modifier::REVERSED), title);
    if let Some(now) = &app.now {
        match app.view {
            View::Tasks => tasks(frame, lower, app, now),
            View::Operations => operations(frame, lower, app),
            View::InFlight => in_flight(frame, lower, app, now),
        }
    }
    frame.render_widget(Paragraph::new(feet(app)), foot);
    match &app.mode {
        Mode::Confirming(task) => ask(frame, task),
        Mode::Help => help(frame),
        Mode::Looking | Mode::Filtering => {}
    }
}

fn head(app: &App) -> Line<'static> {
    let Some(now) = &app.now else { return Line::from(format!("asking {} ...", app.place)) };
    let process = &now.process;
    let mut line = Line::from(vec![
        plain(&process.program).bold(),
        format!(
            "  pid {}, annulus {}, up {}  ",
            process.pid,
            plain(&process.version),
            span(process.uptime_ms)
        )
        .into(),
    ]);
    line.push_span(match (&app.error, app.is_paused) {
        (Some(error), _) => format!("▲ lost: {error}").red().bold(),
        (None, true) => "paused".yellow().bold(),
        (None, false) => format!("each {:.2} s", app.every.as_secs_f64()).dim(),
    });
    line
}

fn loops(app: &App) -> Vec<Line<'static>> {
    let names = ["LOOP", "STATE", "TURNS/S", "TASKS", "FLIGHT", "ENTERS/S", "OPS/E", "LAG p50 / p99"];
    let mut lines = vec![Line::from(columns(names.map(str::to_owned))).dim()];
    for one in app.loops() {
        let pulse = pulse(one, &app.history);
        let text = columns([
            plain(&one.name()),
            plain(&one.state),
            maybe(pulse.turns),
            maybe(one.metric("alive").map(|it| it as f64)),
            maybe(one.metric("in_flight").map(|it| it as f64)),
            maybe(pulse.enters),
            maybe(pulse.each),
            both(pulse.lag.0, pulse.lag.1),
        ]);
        if one.is_stalled() {
            lines.push(
                Line::from(format!("▲ {}: stalled for {}", plain(&one.name()), span(one.stalled_ms)))
                    .red()
                    .bold(),
            );
            lines.push(Line::from(format!("  {}", plain(&stalled_in(one)))).red());
        } else {
            lines.push(Line::from(text));
        }
    }
    lines
}

/// The first two columns begin at the left, numbers end at the right.
fn columns(texts: [String; 8]) -> String {
    let mut line = String::new();
    for (place, (text, width)) in texts.iter().zip(LOOPS).enumerate() {
        let width = usize::from(width);
        let cut: String = text.chars().take(width).collect();
        line += &if place < 2 { format!("{cut:<width$} ") } else { format!("{cut:>width$} ") };
    }
    line
}

fn title_of(app: &App) -> String {
    let Some(now) = &app.now else { return String::new() };
    let alone = app.query.number.map_or_else(String::new, |number| format!(", loop {number}"));
    match app.view {
        View::Tasks => {
            let (from, shown) = (app.query.offset, now.tasks.rows.len().min(app.query.limit));
            let state = STATES[app.query.state].map_or_else(String::new, |state| format!(", {state}"));
            let filter = match (&app.mode, app.query.filter.is_empty()) {
                (Mode::Looking | Mode::Confirming(_) | Mode::Help, true) => String::new(),
                _ => format!(", with \"{}\"", plain(&app.query.filter)),
            };
            let range = if shown == 0 { "0".to_owned() } else { format!("{}-{}", from + 1, from + shown) };
            let (matched, total) = (whole(now.tasks.matched as u64), whole(now.tasks.total as u64));
            let of = if matched == total { matched } else { format!("{matched} of {total}") };
            format!(" TASKS {range} of {of}{alone}{state}{filter}")
        }
        View::Operations => format!(" OPERATIONS by kind{alone}"),
        View::InFlight => format!(" IN FLIGHT {}, oldest first{alone}", whole(now.in_flight.total as u64)),
    }
}

/// Head, width, and whether there is room for it.
type Column = (&'static str, Constraint, bool);

fn tasks(frame: &mut Frame, area: Rect, app: &App, now: &Snapshot) {
    let several = now.loops.len() > 1;
    let columns: [Column; 10] = [
        ("NAME", Constraint::Length(if area.width < 110 { 14 } else { 24 }), true),
        ("ID", Constraint::Length(6), true),
        ("LOOP", Constraint::Length(4), several),
        ("STATE", Constraint::Length(8), true),
        ("WAITS ON", Constraint::Fill(1), true),
        ("POLLS", Constraint::Length(10), area.width >= 95),
        ("BUSY", Constraint::Length(7), true),
        ("SHARE", Constraint::Length(7), true),
        ("AGE", Constraint::Length(7), true),
        ("SPAWNED AT", Constraint::Length(32), area.width >= 130),
    ];
    let row = |task: &Task| -> [String; 10] {
        [
            plain(&task.title()),
            task.id.to_string(),
            task.number.to_string(),
            plain(&task.state),
            plain(&waits(&task.state, &task.waits)),
            count(task.polls as f64),
            short_time(task.busy_ns),
            share(task.busy_ns, task.age_ms),
            short(task.age_ms),
            plain(&task.spawned_at),
        ]
    };
    let is_number = |head: &str| matches!(head, "ID" | "LOOP" | "POLLS" | "BUSY" | "SHARE" | "AGE");
    let sorted = SORTS[app.query.sort].1;
    let arrow = if app.query.descends { "▼" } else { "▲" };
    let heads =
        columns.map(|(head, _, _)| if head == sorted { format!("{head}{arrow}") } else { head.to_owned() });
    let cells = |texts: [String; 10]| {
        let shown = texts.into_iter().zip(columns).filter(|(_, (_, _, fits))| *fits);
        Row::new(shown.map(|(text, (head, _, _))| {
            let line = Line::from(text);
            Cell::from(if is_number(head) { line.right_aligned() } else { line })
        }))
    };
    let widths = columns.into_iter().filter(|(_, _, fits)| *fits).map(|(_, width, _)| width);
    let rows = now.tasks.rows.iter().take(app.query.limit).map(|task| cells(row(task)));
    let table = Table::new(rows, widths)
        .header(cells(heads).style(Modifier::DIM))
        .row_highlight_style(Modifier::REVERSED);
    let mut state = TableState::default().with_selected((!now.tasks.rows.is_empty()).then_some(app.row));
    frame.render_stateful_widget(table, area, &mut state);
}

fn operations(frame: &mut Frame, area: Rect, app: &App) {
    let widths = [16, 10, 12, 10, 12, 9, 9];
    let right = |texts: [String; 7]| {
        Row::new(texts.into_iter().enumerate().map(|(place, text)| {
            Cell::from(if place == 0 { Line::from(text) } else { Line::from(text).right_aligned() })
        }))
    };
    let rows = kinds(&app.loops(), &app.history).into_iter().map(|kind| {
        let texts = [
            plain(&kind.name),
            maybe(kind.rate),
            count(kind.completed as f64),
            count(kind.errors as f64),
            pace(kind.bytes),
            kind.p50.map_or_else(|| "-".to_owned(), time),
            kind.p99.map_or_else(|| "-".to_owned(), time),
        ];
        right(texts)
    });
    let heads = ["OPERATION", "PER S", "COMPLETED", "ERRORS", "THROUGHPUT", "p50", "p99"].map(str::to_owned);
    frame.render_widget(Table::new(rows, widths).header(right(heads).style(Modifier::DIM)), area);
}

fn in_flight(frame: &mut Frame, area: Rect, app: &App, now: &Snapshot) {
    let is_chosen = |number: u64| app.query.number.is_none_or(|chosen| chosen == number);
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let rows = now.in_flight.rows.iter().filter(|one| is_chosen(one.number)).map(|one| {
        let note = if one.orphan { "orphan: its future was dropped" } else { "" };
        Row::new([
            plain(&one.operation),
            number(one.descriptor),
            one.task.map_or_else(|| "-".to_owned(), |task| task.to_string()),
            one.number.to_string(),
            span(one.age_ms),
            note.to_owned(),
        ])
    });
    let widths = [16, 6, 9, 5, 14, 30].map(Constraint::Length);
    let heads = Row::new(["OPERATION", "FD", "TASK", "LOOP", "FOR", "NOTE"]).style(Modifier::DIM);
    frame.render_widget(Table::new(rows, widths).header(heads), area);
}

fn feet(app: &App) -> Vec<Line<'static>> {
    let about = match (&app.mode, &app.said, app.task()) {
        (Mode::Filtering, _, _) => {
            Line::from(vec!["filter: ".bold(), plain(&app.query.filter).into(), "▏".into()])
        }
        (_, Some(Ok(said)), _) => Line::from(said.clone()).green(),
        (_, Some(Err(said)), _) => Line::from(format!("▲ {said}")).red(),
        (_, None, Some(task)) if app.view == View::Tasks => Line::from(plain(&format!(
            "{} at {}: {} {}",
            task.title(),
            task.spawned_at,
            if task.state == "waiting" { "waits on" } else { "is" },
            if task.state == "waiting" { waits(&task.state, &task.waits) } else { task.state.clone() },
        ))),
        _ => Line::default(),
    };
    let keys = [
        ("q", "quit"),
        ("↑↓", "move"),
        ("s", "sort"),
        ("r", "reverse"),
        ("/", "filter"),
        ("x", "abort"),
        ("p", "pause"),
        ("Tab", "view"),
        ("?", "help"),
    ];
    let keys =
        keys.into_iter().flat_map(|(key, what)| [Span::from(key).bold(), Span::from(format!(" {what}  "))]);
    vec![about, Line::from_iter(keys)]
}

/// A sheet in the middle, over what is there.
fn sheet(frame: &mut Frame, title: &'static str, lines: Vec<Line<'_>>) {
    let area = frame.area();
    let width = area.width.min(74);
    let inner = usize::from(width.saturating_sub(4)).max(1);
    let rows: usize = lines.iter().map(|line| line.width().div_ceil(inner).max(1)).sum();
    let height = u16::try_from(rows + 2).unwrap_or(area.height).min(area.height);
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(title).padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), place);
}

fn ask(frame: &mut Frame, task: &Task) {
    let lines = vec![
        Line::from(plain(&format!("Task {} of loop {}: {}", task.id, task.number, task.title()))).bold(),
        Line::from(plain(&format!("spawned at {}, alive for {}", task.spawned_at, span(task.age_ms)))),
        Line::default(),
        Line::from("Its future is dropped where it waits. This cannot be undone."),
        Line::from(vec!["y".bold().fg(Color::Red), " abort it    any other key: keep it".into()]),
    ];
    sheet(frame, " Abort? ", lines);
}

fn help(frame: &mut Frame) {
    let lines = HELP.map(|(keys, what)| Line::from(vec![format!("{keys:<20}").bold(), what.into()]));
    sheet(frame, " Keys ", lines.into());
}
