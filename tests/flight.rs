//! The flight recorder: what a loop did is there in its order, for any thread, and goes to a file when something goes wrong.

mod support;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use annulus::flight::{self, Event, Recording, What};
use annulus::sync::Notify;
use annulus::time::sleep;
use annulus::{Builder, spawn, yield_now};
use serde_json::Value;
use support::child::alone;
use support::net::pair;
use support::quiet::boom;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    what_a_loop_does_is_recorded_in_its_order,
    where_it_is_off_there_is_no_recording,
    a_trace_is_what_browsers_open,
    the_newest_records_are_kept,
}

on_real_drivers! {
    because "in a simulated world no time passes in a poll":
        polls_that_take_long_are_timed_one_by_one;
    because "no other thread finds a simulated loop":
        a_loop_that_is_stuck_is_read_like_any_other,
        a_panic_is_written_to_a_file_and_the_loop_goes_on,
        a_stuck_poll_is_written_while_it_is_stuck,
        a_signal_has_all_loops_write,
        a_directory_that_is_not_there_is_said_and_harms_nothing,
        a_process_that_panics_all_day_writes_a_few_files;
}

/// Longer than anything takes here on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The numbers of the tasks that were polled, in their order.
fn polls(recording: &Recording) -> Vec<u64> {
    let of = |event: &Event| match event.what {
        What::Poll { task, .. } => Some(task),
        _ => None,
    };
    recording.events().iter().filter_map(of).collect()
}

fn what_a_loop_does_is_recorded_in_its_order(builder: Builder) {
    let runtime = builder.flight_recorder(4096).build().unwrap();
    let (task, line) = runtime
        .run(async {
            let (one, other) = pair().await;
            let (word, says) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
            let line = line!() + 1;
            let reading = spawn({
                let (word, says) = (Rc::clone(&word), Rc::clone(&says));
                async move {
                    let count = one.read(vec![0; 16]).await.0.unwrap();
                    word.notify_one();
                    says.notified().await;
                    count
                }
            });
            let id = reading.id();
            yield_now().await;
            other.write_all(b"tea".to_vec()).await.0.unwrap();
            word.notified().await;
            says.notify_one();
            assert_eq!(reading.await.unwrap(), 3);
            sleep(Duration::from_millis(1)).await;
            (id.to_string().parse::<u64>().unwrap(), line)
        })
        .unwrap();
    let recording = runtime.recording().unwrap();
    let events = recording.events();
    assert!(events.is_sorted_by_key(|event| event.at), "time goes on");
    let place = |wanted: &dyn Fn(&What) -> bool| {
        let found = events.iter().position(|event| wanted(&event.what));
        found.unwrap_or_else(|| panic!("it is not there: {events:?}"))
    };
    let polled = place(&|what| match what {
        What::Poll { task: polled, spawned_at } => {
            *polled == task && spawned_at.line() == line && spawned_at.file() == file!()
        }
        _ => false,
    });
    let mut token = 0;
    let submitted = events.iter().position(|event| match event.what {
        What::Submit { token: of, operation: "recv", descriptor: Some(_), task: by } if by == task => {
            token = of;
            true
        }
        _ => false,
    });
    let submitted = submitted.unwrap_or_else(|| panic!("it is not there: {events:?}"));
    let completed =
        place(&|what| matches!(what, What::Complete { token: of, result: 3, more: false } if *of == token));
    // It has woken another one in that poll.
    let woken = place(&|what| matches!(what, What::Wake { by, .. } if *by == task));
    let again = events
        .iter()
        .rposition(|event| matches!(event.what, What::Poll { task: polled, .. } if polled == task));
    assert!(polled < submitted && submitted < completed && completed < woken && Some(woken) < again);
    let parked = place(&|what| matches!(what, What::Park { .. }));
    assert!(events[parked..].iter().any(|event| matches!(event.what, What::Unpark)));
    assert!(polls(&recording).len() as u64 <= runtime.metrics().polls);
}

fn where_it_is_off_there_is_no_recording(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime.run(yield_now()).unwrap();
    assert!(runtime.recording().is_none());
    runtime.record_closely(true);
}

fn the_newest_records_are_kept(builder: Builder) {
    let runtime = builder.flight_recorder(64).build().unwrap();
    let last = runtime
        .run(async {
            for _ in 0..1000 {
                spawn(async {}).await.unwrap();
            }
            spawn(async {}).id().to_string().parse::<u64>().unwrap()
        })
        .unwrap();
    runtime.run(yield_now()).unwrap();
    let recording = runtime.recording().unwrap();
    assert!(recording.events().len() < 64);
    assert!(polls(&recording).contains(&last), "{recording:?}");
}

/// The events of a trace.
fn trace(text: &str) -> Vec<Value> {
    let trace: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    trace["traceEvents"].as_array().unwrap().clone()
}

fn a_trace_is_what_browsers_open(builder: Builder) {
    let runtime = builder.flight_recorder(4096).build().unwrap();
    runtime
        .run(async {
            let (one, other) = pair().await;
            let echo = spawn(async move {
                for _ in 0..20 {
                    let (read, buffer) = one.read(vec![0; 16]).await;
                    read.unwrap();
                    one.write_all(buffer).await.0.unwrap();
                }
            });
            for _ in 0..20 {
                other.write_all(b"tea".to_vec()).await.0.unwrap();
                other.read(vec![0; 16]).await.0.unwrap();
            }
            echo.await.unwrap();
        })
        .unwrap();
    let mut file = Vec::new();
    runtime.recording().unwrap().write_chrome_trace(&mut file).unwrap();
    let events = trace(std::str::from_utf8(&file).unwrap());
    let of = |phase: &str| events.iter().filter(|event| event["ph"] == *phase).cloned().collect::<Vec<_>>();
    for event in &events {
        assert!(event["pid"].is_u64() && event["tid"].is_u64() && event["ts"].is_f64(), "{event}");
        assert!(event["name"].is_string(), "{event}");
    }
    // Slices of one track do not overlap.
    let times = |event: &Value| (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
    let slices: Vec<_> = of("X").iter().map(times).collect();
    assert!(slices.len() > 20);
    for pair in slices.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0 + 0.001, "{pair:?}");
    }
    // Each operation that ends has begun, once, under the same name.
    let mut begun = HashMap::new();
    for event in of("b") {
        let known = begun.insert(event["id2"]["local"].as_str().unwrap().to_owned(), event["name"].clone());
        assert_eq!(known, None, "{event}");
    }
    assert!(begun.values().any(|name| name == "recv"), "{begun:?}");
    let ends = of("e");
    assert!(!ends.is_empty());
    for event in &ends {
        let name = begun.remove(event["id2"]["local"].as_str().unwrap());
        assert_eq!(name.as_ref(), Some(&event["name"]), "{event}");
        assert!(event["args"]["result"].is_u64() || event["args"]["error"].is_string(), "{event}");
    }
    // Arrows end where they have begun.
    let begun: HashSet<_> = of("s").iter().map(|event| event["id"].as_u64()).collect();
    assert!(of("f").iter().all(|event| begun.contains(&event["id"].as_u64())));
    assert!(!of("C").is_empty() && of("M").iter().any(|event| event["name"] == "thread_name"));
}

fn polls_that_take_long_are_timed_one_by_one(builder: Builder) {
    const LONG: Duration = Duration::from_millis(2);
    let runtime = builder.flight_recorder(4096).build().unwrap();
    let long = runtime
        .run(async {
            let short = spawn(async {
                for _ in 0..100 {
                    yield_now().await;
                }
            });
            let long = spawn(async {
                for _ in 0..100 {
                    thread::sleep(LONG);
                    yield_now().await;
                }
            });
            let id = long.id().to_string().parse::<u64>().unwrap();
            short.await.unwrap();
            long.await.unwrap();
            id
        })
        .unwrap();
    let recording = runtime.recording().unwrap();
    let marks: Vec<_> = recording
        .events()
        .iter()
        .filter(|event| matches!(event.what, What::Poll { .. } | What::Look { .. } | What::Park { .. }))
        .collect();
    let is_long = |event: &Event| matches!(event.what, What::Poll { task, .. } if task == long);
    let times: Vec<_> =
        marks.windows(2).filter(|pair| is_long(pair[0])).map(|pair| pair[1].at - pair[0].at).collect();
    // The last poll sleeps no more. The first ones were found to be long when they were over.
    let timed = &times[times.len() - 50..times.len() - 1];
    assert!(timed.iter().all(|time| u128::from(*time) >= LONG.as_nanos()), "{times:?}");
}

fn a_loop_that_is_stuck_is_read_like_any_other(builder: Builder) {
    let (stuck, is_stuck) = channel();
    let (end, ended) = channel::<()>();
    let hanging = thread::Builder::new().name("the one that hangs".to_owned());
    let hanging = hanging.spawn(move || {
        let runtime = builder.flight_recorder(1024).build().unwrap();
        runtime
            .run(async {
                yield_now().await;
                stuck.send(()).unwrap();
                let _ = ended.recv();
            })
            .unwrap();
    });
    is_stuck.recv().unwrap();
    let all = flight::recordings();
    let found = all.iter().find(|recording| recording.thread() == Some("the one that hangs")).unwrap();
    assert!(polls(found).len() >= 2, "{:?}", found.events());
    drop(end);
    hanging.unwrap().join().unwrap();
}

/// The files of a directory that tell of this, as traces.
fn written(directory: &Path, why: &str) -> Vec<Vec<Value>> {
    let paths = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let of = paths.filter(|path| path.to_string_lossy().contains(&format!("-{why}-")));
    // One that is written right now is no trace yet.
    of.filter_map(|path| fs::read_to_string(path).ok().filter(|text| text.ends_with("]}\n")))
        .map(|text| trace(&text))
        .collect()
}

fn a_panic_is_written_to_a_file_and_the_loop_goes_on(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    let runtime = builder.flight_dumps(directory.path()).build().unwrap();
    let id = runtime
        .run(async {
            let panics = spawn(async { boom("a task") });
            let id = panics.id();
            assert!(panics.await.unwrap_err().is_panic());
            id
        })
        .unwrap();
    until("the file", || !written(directory.path(), "panic").is_empty());
    let text = format!("task {id} panicked");
    let files = written(directory.path(), "panic");
    assert!(files[0].iter().any(|event| event["name"] == text.as_str()), "{files:?}");
    // Who panics last has its file when the loop has ended.
    runtime.run(async { spawn(async { boom("another") }).await.unwrap_err() }).unwrap();
    drop(runtime);
    assert_eq!(written(directory.path(), "panic").len(), 2);
}

fn a_stuck_poll_is_written_while_it_is_stuck(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    let builder =
        builder.flight_dumps(directory.path()).watchdog(Duration::from_millis(30)).on_warning(|_| ());
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            yield_now().await;
            until("the file", || !written(directory.path(), "stall").is_empty());
        })
        .unwrap();
    let files = written(directory.path(), "stall");
    assert!(files[0].iter().any(|event| event["cat"] == "poll"), "{files:?}");
}

fn a_signal_has_all_loops_write(builder: Builder) {
    alone(|| {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| builder.clone().flight_dumps(directory.path()).build().unwrap());
        let silent = builder.flight_recorder(64).build().unwrap();
        [&one, &other, &silent].iter().for_each(|runtime| runtime.run(yield_now()).unwrap());
        flight::dump_on_signal(libc::SIGUSR2).unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR2).unwrap();
        until("two files", || written(directory.path(), "signal").len() == 2);
        let error = flight::dump_on_signal(libc::SIGKILL).unwrap_err();
        assert!(error.to_string().contains("SIGUSR2"), "{error}");
    });
}

fn a_directory_that_is_not_there_is_said_and_harms_nothing(builder: Builder) {
    let nowhere = tempfile::tempdir().unwrap().path().join("nowhere");
    let runtime = builder.flight_dumps(nowhere).build().unwrap();
    runtime.run(async { spawn(async { boom("a task") }).await.unwrap_err() }).unwrap();
    assert_eq!(runtime.run(async { 7 }).unwrap(), 7);
}

fn a_process_that_panics_all_day_writes_a_few_files(builder: Builder) {
    alone(|| {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..40 {
            let runtime = builder.clone().flight_recorder(64).flight_dumps(directory.path()).build().unwrap();
            runtime.run(async { spawn(async { boom("a task") }).await.unwrap_err() }).unwrap();
        }
        assert_eq!(written(directory.path(), "panic").len(), 32);
    });
}
