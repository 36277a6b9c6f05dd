//! The tour of the examples, as a program of its own: each stop shows what it promises, in annulus's words.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use support::child::text;
use support::example::example;
use support::watchdog::Watchdog;

const DRIVERS: [&str; 2] = ["uring", "readiness"];
const STOPS: usize = 10;
const COLUMNS: usize = 100;

fn tour(arguments: &[&str]) -> Command {
    let mut command = Command::new(example("tour"));
    // Where Cargo runs it, and what places in the text are told from.
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("ANNULUS_DEBUG");
    command
}

/// What the tour showed, told apart by who speaks.
struct Shown {
    all: String,
    /// Lines of code, with their numbers.
    code: Vec<(usize, String)>,
    prints: Vec<String>,
    /// As one line: what is broken in the terminal is whole again.
    annulus: String,
}

impl Shown {
    /// Of a tour that ends well.
    fn of(driver: &str, arguments: &[&str]) -> Shown {
        let output = tour(arguments).args(["--driver", driver]).output().unwrap();
        let (all, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success() && errors.is_empty(), "{}\n{all}{errors}", output.status);
        let said_by = |mark: &str| -> Vec<String> {
            // The first says who is who.
            all.lines().filter_map(|line| line.strip_prefix(mark)).skip(1).map(str::to_owned).collect()
        };
        let number = |line: &str| {
            let (number, code) = line.split_once(" |")?;
            Some((number.trim().parse().ok()?, code.to_owned()))
        };
        let code = all.lines().filter_map(number).skip(1).collect();
        Shown { code, prints: said_by("prints  | "), annulus: said_by("annulus > ").join(" "), all }
    }

    /// The number of the line of code in which that stands.
    #[track_caller]
    fn line_of(&self, code: &str) -> usize {
        let found: Vec<_> = self.code.iter().filter(|(_, line)| line.contains(code)).collect();
        let [(number, _)] = found[..] else { panic!("{code}: {}", self.all) };
        *number
    }

    #[track_caller]
    fn annulus_says(&self, words: &str) {
        assert!(self.annulus.contains(words), "{words}: {}", self.all);
    }

    #[track_caller]
    fn prints(&self, words: &str) {
        assert!(self.prints.iter().any(|line| line == words), "{words}: {}", self.all);
    }

    /// What is printed behind those words.
    #[track_caller]
    fn printed(&self, words: &str) -> &str {
        let rest = self.prints.iter().find_map(|line| line.strip_prefix(words));
        rest.unwrap_or_else(|| panic!("{words}: {}", self.all))
    }
}

fn drivers() -> impl Iterator<Item = &'static str> {
    DRIVERS.into_iter().filter(|driver| {
        let built = annulus::Runtime::builder().driver(driver.parse().unwrap()).build();
        built.inspect_err(|error| println!("skipped: {driver}: {error}")).is_ok()
    })
}

/// One stop, on each driver.
fn at_stop(number: usize, look: impl Fn(&str, &Shown)) {
    let _watchdog = Watchdog::over("a stop of the tour");
    for driver in drivers() {
        let shown = Shown::of(driver, &["--stop", &number.to_string()]);
        let titles = shown.all.lines().filter(|line| line.ends_with("-----"));
        assert!(titles.map(place_of).eq([number]), "this stop alone: {}", shown.all);
        look(driver, &shown);
    }
}

fn place_of(title: &str) -> usize {
    title.split('.').next().unwrap().parse().unwrap()
}

#[test]
fn the_whole_tour_has_ten_stops_and_fits_a_terminal() {
    let _watchdog = Watchdog::over("the whole tour");
    for driver in drivers() {
        let shown = Shown::of(driver, &[]);
        let titles: Vec<_> = shown.all.lines().filter(|line| line.ends_with("-----")).collect();
        let places: Vec<_> = titles.iter().map(|title| place_of(title)).collect();
        assert_eq!(places, (1..=STOPS).collect::<Vec<_>>(), "{titles:?}");
        assert!(!shown.all.contains('\x1b'), "no colours where there is no terminal");
        let too_long: Vec<_> = shown.all.lines().filter(|line| line.chars().count() > COLUMNS).collect();
        assert!(too_long.is_empty(), "{too_long:#?}");
    }
}

#[test]
fn the_code_that_is_shown_is_the_code_of_its_file() {
    for number in 1..=STOPS {
        let shown = Shown::of("readiness", &["--stop", &number.to_string()]);
        let file = shown.all.lines().find_map(|line| line.strip_prefix("      ")).expect("the file is named");
        let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let lines: Vec<_> = file.lines().collect();
        assert!((4..=30).contains(&shown.code.len()), "a few lines: {}", shown.all);
        for (number, code) in &shown.code {
            assert_eq!(code.trim(), lines[number - 1].trim(), "line {number}");
        }
    }
}

#[test]
fn a_loop_starts_and_says_which_driver_it_has_and_why() {
    at_stop(1, |driver, shown| {
        shown.prints(&format!("the task's answer is 42, by the {driver} driver"));
        shown.annulus_says(&format!("driver: {driver}, as the program asks"));
    });
}

#[test]
fn an_operation_that_nobody_awaits_is_told_with_its_line() {
    at_stop(2, |_, shown| {
        shown.prints("what came: \"sent\"");
        let line = shown.line_of("write_all(\"lost\")");
        shown.annulus_says("an operation (send) was never awaited, and so did nothing");
        shown.annulus_says(&format!("dropped at examples/tour/never_awaited.rs:{line} in "));
        shown.annulus_says("put `.await` behind it");
    });
}

#[test]
fn tasks_take_turns_and_one_that_never_awaits_does_not() {
    at_stop(3, |_, shown| {
        let order: Vec<_> = shown.prints.iter().map(|line| line.split([',', ':']).next().unwrap()).collect();
        assert_eq!(order, ["tea", "hog", "hog", "hog", "toast", "tea", "toast", "tea", "toast"]);
        let threads = shown.prints.iter().filter_map(|line| line.split_once(" on "));
        let threads: Vec<_> = threads.map(|(_, thread)| thread).collect();
        assert!(threads.len() == 6 && threads.iter().all(|thread| *thread == threads[0]), "{threads:?}");
    });
}

#[test]
fn a_tick_is_shown_step_by_step() {
    at_stop(4, |_, shown| {
        let begins = |line: &String| line.starts_with("tick ");
        let mut ticks = shown.prints.split(begins).skip(1);
        let first: Vec<_> = ticks.next().unwrap().iter().map(|line| line.trim()).collect();
        let [polls, asks, back, sleeps, wakes, outside] = first[..] else { panic!("{first:?}") };
        let task = polls.strip_prefix("polls task ").unwrap();
        assert_eq!(asks, "asks for bytes, and has to wait");
        assert_eq!(back, format!("task {task} is back"));
        assert_eq!([sleeps, wakes], ["no task is ready: sleeps", "wakes up"]);
        assert!(outside.contains("writes 5 bytes"));
        assert!(ticks.flatten().any(|line| line.trim() == "goes on where it was: Ok(5)"), "{}", shown.all);
        // Before, after.
        let counted =
            |name: &str| shown.printed(&format!("metrics.{name:<9}  0 -> ")).split(' ').next().unwrap();
        assert_eq!(["polls", "submitted", "completed"].map(counted), ["2", "1", "1"]);
        assert_eq!(counted("turns").parse(), Ok(shown.prints.iter().filter(|line| begins(line)).count()));
    });
}

#[test]
fn a_blocking_sleep_is_told_with_its_line() {
    at_stop(5, |_, shown| {
        shown.prints("while naps_badly slept, the other task ticked 0 times");
        shown.printed("while naps_well slept, the other task ticked ");
        shown.annulus_says("\"naps badly\", spawned at examples/tour/block.rs:");
        shown.annulus_says("has kept the loop from everything else for ");
        shown.annulus_says("the slow poll is over, after ");
        if cfg!(target_os = "linux") {
            let line = shown.line_of("thread::sleep(NAP)");
            shown.annulus_says(&format!("at examples/tour/block.rs:{line} in tour::block::naps_badly"));
        }
    });
}

#[test]
fn a_nested_run_is_refused_with_what_to_do() {
    at_stop(6, |_, shown| {
        shown.annulus_says("annulus::run was called inside a running annulus loop");
        shown.annulus_says("use annulus::spawn");
        shown.prints("spawned on the loop that runs: 42");
    });
}

#[test]
fn the_cost_of_a_loop_for_every_call_is_measured() {
    at_stop(7, |_, shown| {
        for what in ["a loop for every call:", "one loop for all:"] {
            let time = shown.printed(what).trim().strip_suffix(" us a call").expect("it has a unit");
            assert!(time.parse::<f64>().unwrap() > 0.0, "{time}");
        }
        assert!(shown.all.contains("on this machine, now"), "{}", shown.all);
    });
}

#[test]
fn a_lost_task_is_found_with_its_descriptor_and_ended() {
    at_stop(8, |_, shown| {
        let number = shown.printed("the socket is descriptor ");
        let line = shown.line_of("name(\"lost\").spawn");
        shown.annulus_says(&format!("\"lost\", spawned at examples/tour/leak.rs:{line}:"));
        shown.annulus_says(&format!("waits for recv on descriptor {number} for "));
        let rest = shown.printed("task::abort(");
        assert!(rest.ends_with(") is true"), "{rest}");
        shown.prints("2 tasks are left");
        shown.annulus_says("was stopped by the end of its loop: it waits for another task's word");
        let told: Vec<_> = shown.annulus.matches("was stopped by the end of its loop").collect();
        assert_eq!(told.len(), 1, "the one that was aborted is none that is left");
    });
}

#[test]
fn a_groups_first_failure_ends_all_of_it() {
    at_stop(9, |_, shown| {
        let expected = [
            "operations in flight, the kettle waits: 1",
            "the toaster is cleared away",
            "the kettle is cleared away",
            "breakfast failed: the toast is burnt",
            "operations in flight, after the group:  0",
        ];
        assert_eq!(shown.prints, expected);
    });
}

#[test]
fn another_thread_sees_what_hangs_and_ends_it() {
    at_stop(10, |_, shown| {
        let stopped = shown.printed("the other thread has stopped task ");
        let task = stopped.strip_suffix(": true").expect("it was there");
        shown.annulus_says(&format!(": waits for task {task}; "));
        shown.annulus_says(&format!("task {task}, spawned at examples/tour/remote.rs:"));
        shown.annulus_says("waits for recv on descriptor ");
        shown.annulus_says("the task was cancelled: it was aborted");
    });
}

#[test]
fn between_two_stops_it_waits_for_enter() {
    let _watchdog = Watchdog::over("a tour that waits");
    let mut command = tour(&["--pause", "--driver", "readiness"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let shown = BufReader::new(child.stdout.take().unwrap());
    let (tell, lines) = channel();
    let reading = thread::spawn(move || shown.lines().try_for_each(|line| tell.send(line.unwrap())));
    let until_it_waits = || -> Vec<String> {
        let is_going = |line: &String| line != "Enter goes on.";
        lines.iter().take_while(is_going).filter(|line| line.ends_with("-----")).collect()
    };
    let titles = until_it_waits();
    assert!(titles.len() == 1 && titles[0].starts_with("1. "), "{titles:?}");
    // Had it gone on it would have said so by now, on most machines.
    assert_eq!(lines.recv_timeout(Duration::from_millis(300)), Err(RecvTimeoutError::Timeout));
    child.stdin.as_ref().unwrap().write_all(b"\n").unwrap();
    let titles = until_it_waits();
    assert!(titles.len() == 1 && titles[0].starts_with("2. "), "{titles:?}");
    // Nothing more is typed: there is nobody to wait for.
    drop(child.stdin.take());
    let waits = lines.iter().filter(|line| line == "Enter goes on.").count();
    assert!(child.wait().unwrap().success());
    assert_eq!(waits, STOPS - 3);
    reading.join().unwrap().unwrap();
}

#[test]
fn what_is_no_stop_and_no_real_driver_is_refused() {
    for (arguments, words) in [
        (["--stop", "11"], "1..=10"),
        (["--driver", "sim:7"], "the tour is of a real loop"),
        (["--driver", "none"], "say auto, uring, readiness"),
    ] {
        let output = tour(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    let output = tour(&[]).env("ANNULUS_DRIVER", "sim").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unset ANNULUS_DRIVER"), "{}", text(&output.stderr));
}
