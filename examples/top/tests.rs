//! The screen, from a snapshot that is always the same, and what the keys do to it.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::app::{App, Query, Wish};
use super::{draw, keys, once, place, words};

/// Two loops, of which one stands still, and so many tasks; at a second of its life.
fn snapshot(second: u64, tasks: usize) -> Value {
    let metrics = json!({ "turns": 1000 * second, "alive": tasks, "in_flight": 7, "enters": 500 * second, "submitted": 3000 * second });
    let histogram = json!({ "unit": "ns", "max": 900_000, "buckets": [[1024, 2047, 90 * second], [524_288, 1_048_575, 10 * second]] });
    let operation = json!({ "operation": "recv", "completed": 250 * second, "errors": second, "bytes": 2_000_000 * second, "time": histogram });
    let one = json!({ "loop": 1, "thread": "main", "driver": "uring", "state": "working", "stalled_ms": 0, "stall": null, "age_ms": 0,
        "metrics": metrics, "histograms": { "wake_to_poll": histogram }, "operations": [operation], "ring": null });
    let frames = [
        "trace at /cargo/registry/src/index-1/backtrace-0.3.76/src/backtrace/libunwind.rs:117",
        "signal_hook_registry::handler at /cargo/registry/src/index-1/signal-hook-registry-1.4.8/src/lib.rs:416",
        "__GI___clock_nanosleep at ./time/../sysdeps/unix/sysv/linux/clock_nanosleep.c:48",
        "std::thread::sleep at library/std/src/thread/mod.rs:890",
        "stall::main::{{closure}} at examples/stall.rs:27",
        "annulus::executor::task::poll at src/executor/task.rs:118",
        "stall::main at examples/stall.rs:5",
    ];
    let other = json!({ "loop": 2, "thread": "shard-1", "driver": "readiness", "state": "stalled", "stalled_ms": 3200,
        "stall": { "task": 17, "spawned_at": "src/main.rs:6:70", "frames": frames }, "age_ms": 3200 + 1000 * second, "metrics": null,
        "histograms": null, "operations": null, "ring": null });
    let rows: Vec<_> = (0..tasks.min(200)).map(task).collect();
    json!({
        "process": { "pid": 4711, "program": "serve", "version": "0.1.0", "uptime_ms": 3_720_000 + 1000 * second, "time_ms": 1_700_000_000_000 + 1000 * second },
        "loops": [one, other],
        "tasks": { "total": tasks, "matched": tasks, "rows": rows },
        "in_flight": { "total": 1, "rows": [{ "loop": 1, "operation": "accept", "descriptor": 9, "task": null, "age_ms": 61_000, "orphan": true }] },
    })
}

fn task(place: usize) -> Value {
    let waits = match place {
        0 => {
            json!([{ "kind": "operation", "operation": "recv", "descriptor": 9, "age_ms": 12 }, { "kind": "later", "than": "this" }])
        }
        1 => json!([{ "kind": "timer", "left_ms": 5 }]),
        2 => json!([{ "kind": "task", "task": 4 }]),
        _ => json!([]),
    };
    let name = (place == 0).then_some("con\u{1b}[31mnection");
    json!({ "loop": 1, "id": 100 + place, "name": name, "spawned_at": "src/server.rs:118:22", "state": "waiting", "priority": "normal", "polls": 12_345,
        "busy_ns": 1_500_000_000_u64, "age_ms": 60_000, "waits": waits, "stoppable": place != 1 })
}

/// A screen after the first two seconds.
fn watching(tasks: usize) -> App {
    let mut app = App::new("127.0.0.1:7070".to_owned(), Duration::from_secs(1));
    for second in [1, 2] {
        app.hear(Ok(serde_json::from_value(snapshot(second, tasks)).expect("it is a snapshot")));
    }
    app
}

fn shown(app: &mut App, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it is in memory");
    terminal.draw(|frame| draw::draw(frame, app)).expect("it is in memory");
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(width));
    let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned());
    rows.collect::<Vec<_>>().join("\n")
}

fn press(app: &mut App, code: KeyCode) -> Option<Wish> {
    keys::press(app, KeyEvent::new(code, KeyModifiers::NONE))
}

#[track_caller]
fn has(text: &str, all: &[&str]) {
    for part in all {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn all_that_matters_is_on_eighty_by_twenty_four() {
    let mut app = watching(10_000);
    let text = shown(&mut app, 80, 24);
    println!("{text}");
    has(
        &text,
        &[
            "serve  pid 4711, annulus 0.1.0, up 1 h 2 min",
            "1 main",
            "working",
            "1,000",
            "10,000",
            "500",
            "2.05 / 900 µs",
        ],
    );
    has(
        &text,
        &["▲ 2 shard-1: stalled for 3.2 s", "in task 17, spawned at src/main.rs:6:70, in stall::main"],
    );
    has(&text, &["TASKS 1-", "of 10,000", "recv on fd 9", "timer in 5", "task 4", "BUSY▼", "1.5 s", "2.5 %"]);
    has(&text, &["q quit", "? help"]);
    assert!(text.find("shard-1") < text.find("1 main"), "what stands still comes first");
    assert!(!text.contains('\u{1b}'), "a name is no command to the terminal");
}

#[test]
fn the_smallest_and_the_largest_terminal_are_drawn_on() {
    for (width, height) in [(1, 1), (20, 5), (40, 10), (300, 100)] {
        let mut app = watching(200);
        for code in
            [KeyCode::Char('?'), KeyCode::Esc, KeyCode::Char('x'), KeyCode::Esc, KeyCode::Tab, KeyCode::Tab]
        {
            shown(&mut app, width, height);
            press(&mut app, code);
        }
        shown(&mut app, width, height);
    }
    has(&shown(&mut watching(3), 200, 50), &["src/server.rs:118:22", "12,345"]);
}

#[test]
fn a_task_is_aborted_after_a_yes_and_nothing_else() {
    let mut app = watching(3);
    shown(&mut app, 80, 24);
    for other in [KeyCode::Char('n'), KeyCode::Enter, KeyCode::Esc, KeyCode::Char('x')] {
        assert_eq!(press(&mut app, KeyCode::Char('x')), None);
        has(&shown(&mut app, 80, 24), &["Abort?", "Task 100 of loop 1", "TASKS 1-3 of 3\n"]);
        assert_eq!(press(&mut app, other), None);
        assert!(!shown(&mut app, 80, 24).contains("Abort?"));
    }
    press(&mut app, KeyCode::Char('x'));
    assert_eq!(press(&mut app, KeyCode::Char('y')), Some(Wish::Abort { number: 1, task: 100 }));
    // One that ends its loop is not asked for.
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Char('x'));
    has(&shown(&mut app, 80, 24), &["task 101 cannot be stopped"]);
}

#[test]
fn the_mark_stays_with_its_task_when_rows_move() {
    let mut app = watching(10);
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Down);
    let mut next = snapshot(3, 10);
    next["tasks"]["rows"].as_array_mut().unwrap().rotate_right(1);
    app.hear(Ok(serde_json::from_value(next).unwrap()));
    assert_eq!((app.row, app.task().map(|task| task.id)), (3, Some(102)));
}

#[test]
fn keys_say_which_tasks_are_asked_for() {
    let mut app = watching(10_000);
    shown(&mut app, 80, 24);
    let room = app.query.limit;
    assert!((5..24).contains(&room));
    assert_eq!(app.query.text(), format!("sort=busy&order=desc&limit={room}&offset=0"));
    assert_eq!(press(&mut app, KeyCode::Char('s')), Some(Wish::Ask));
    assert_eq!(press(&mut app, KeyCode::Char('r')), Some(Wish::Ask));
    has(&app.query.text(), &["sort=waiting&order=asc"]);
    assert_eq!(press(&mut app, KeyCode::Char('f')), Some(Wish::Ask));
    has(&app.query.text(), &["state=running"]);
    assert_eq!(press(&mut app, KeyCode::Char('l')), Some(Wish::Ask));
    has(&app.query.text(), &["loop=1"]);
    press(&mut app, KeyCode::Char('/'));
    for letter in "q &".chars() {
        assert_eq!(press(&mut app, KeyCode::Char(letter)), Some(Wish::Ask));
    }
    has(&app.query.text(), &["filter=q%20%26"]);
    has(&shown(&mut app, 80, 24), &["with \"q &\"", "filter: q &"]);
    assert_eq!(press(&mut app, KeyCode::Esc), Some(Wish::Ask));
    assert!(!app.query.text().contains("filter"));
    // From the last row of the page to the first of the next.
    app.query = Query { limit: room, ..Query::default() };
    app.row = room - 1;
    app.hear(Ok(serde_json::from_value({
        let mut page = snapshot(3, 10_000);
        page["tasks"]["rows"].as_array_mut().unwrap().truncate(room);
        page
    })
    .unwrap()));
    app.row = room - 1;
    assert_eq!(press(&mut app, KeyCode::Down), Some(Wish::Ask));
    assert_eq!((app.query.offset, app.row), (1, room - 1));
    assert_eq!(press(&mut app, KeyCode::End), Some(Wish::Ask));
    assert_eq!((app.query.offset, app.row), (10_000 - room, room - 1));
}

#[test]
fn what_is_lost_is_said_and_asked_for_more_rarely() {
    let mut app = watching(3);
    assert_eq!(app.pause(), Duration::from_secs(1));
    for seconds in [2, 4, 8, 10, 10] {
        app.hear(Err("nobody listens there".to_owned()));
        assert_eq!(app.pause(), Duration::from_secs(seconds));
    }
    has(&shown(&mut app, 120, 24), &["▲ lost: nobody listens there", "nection at src/server.rs"]);
    app.hear(Ok(serde_json::from_value(snapshot(9, 3)).unwrap()));
    assert_eq!(app.pause(), Duration::from_secs(1));
    press(&mut app, KeyCode::Char('p'));
    has(&shown(&mut app, 120, 24), &["paused"]);
}

#[test]
fn operations_are_seen_by_kind_and_one_by_one() {
    let mut app = watching(3);
    press(&mut app, KeyCode::Tab);
    has(
        &shown(&mut app, 80, 24),
        &["OPERATIONS by kind", "recv", "250", "500", "2.0 MB/s", "2.05 µs", "900 µs"],
    );
    press(&mut app, KeyCode::Tab);
    has(&shown(&mut app, 80, 24), &["IN FLIGHT 1, oldest first", "accept", "1 min 1 s", "orphan"]);
}

#[test]
fn the_plain_text_has_all_of_it() {
    let text = once::text(&watching(3), 2);
    println!("{text}");
    has(
        &text,
        &[
            "serve, pid 4711",
            "stalled for 3.2 s in task 17, spawned at src/main.rs:6:70",
            "        stall::main::{{closure}} at examples/stall.rs:27",
        ],
    );
    has(
        &text,
        &[
            "tasks: 3",
            "recv on fd 9 for 12 ms, something else",
            "accept on fd 9 for 1 min 1 s, loop 1, an orphan",
        ],
    );
    for other in ["trace at", "signal_hook", "examples/stall.rs:5"] {
        assert!(!text.contains(other), "{other} is of the signal or of the loop");
    }
    assert!(!text.contains("task 4"), "of two rows there is no third");
    assert!(!text.contains('\u{1b}'), "a name is no command to the terminal");
}

#[test]
fn a_place_is_a_number_or_an_address_and_what_is_neither_is_told_so() {
    let found = |text: &str| place::find(text).map(|place| place.to_string());
    assert_eq!(found("127.0.0.1:7070").as_deref(), Ok("127.0.0.1:7070"));
    assert_eq!(found("http://[::1]:7070/").as_deref(), Ok("[::1]:7070"));
    assert_eq!(found("/run/x.sock").as_deref(), Ok("unix:/run/x.sock"));
    assert_eq!(found("unix:/run/x.sock").as_deref(), Ok("unix:/run/x.sock"));
    has(&found("tea").unwrap_err(), &["neither", "4711"]);
    has(&found(&std::process::id().to_string()).unwrap_err(), &["no inspector", "--inspect"]);
}

#[test]
fn numbers_are_read_with_their_units() {
    let times = [
        999,
        1_500,
        12_345,
        999_000_000,
        3_200_000_000,
        61_000_000_000,
        3_720_000_000_000,
        200_000_000_000_000,
    ];
    let read = ["999 ns", "1.50 µs", "12.3 µs", "999 ms", "3.2 s", "1 min 1 s", "1 h 2 min", "2 d 7 h"];
    assert_eq!(times.map(words::time), read);
    assert_eq!(
        [0.126, 4.0, 12.34, 12_345.6, 1_234_567.0].map(words::count),
        ["0.13", "4", "12.3", "12,346", "1.23 M"]
    );
}
