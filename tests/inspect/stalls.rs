//! Loops that do not answer.

use std::future::pending;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use annulus::{Builder, yield_now};
use serde_json::Value;

use crate::client::*;

/// A program with a task that holds it up until this is dropped.
struct Stalled {
    program: Program,
    release: mpsc::Sender<()>,
    task: u64,
}

impl Stalled {
    fn start(builder: &Builder) -> Stalled {
        let program = Program::start(builder, || async {
            named("bystander", pending::<()>());
            yield_now().await;
        });
        let (release, released) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel();
        drop(program.remote.spawn(move || async move {
            let culprit = annulus::task::Builder::new().name("culprit").spawn(async move {
                begins.send(annulus::task::current().unwrap().id().to_string()).unwrap();
                holds_up_the_loop(&released);
            });
            drop(culprit.await);
        }));
        let task = begun.recv().unwrap().parse().unwrap();
        Stalled { program, release, task }
    }

    fn end(self) -> Program {
        drop(self.release);
        self.program
    }
}

/// Named in the stack.
#[inline(never)]
fn holds_up_the_loop(released: &mpsc::Receiver<()>) {
    while released.try_recv() == Err(mpsc::TryRecvError::Empty) {
        thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn a_stalled_loop_is_told_with_its_lines_and_the_others_are_fresh(builder: Builder) {
    let inspector = inspector();
    let others: Vec<_> = (0..2).map(|_| Program::start(&builder, || async {})).collect();
    let stalled = Stalled::start(&builder);
    let begun = Instant::now();
    let told = until(|| {
        let snapshot = snapshot(&inspector, "limit=1");
        // In one and the same picture.
        let is_fresh = |other: &Program| {
            let other = other.find(&snapshot)?;
            let is_fresh = !other["metrics"].is_null() && other["age_ms"].as_u64()? < 1000;
            (is_fresh && other["state"] != "stalled").then_some(())
        };
        others.iter().try_for_each(is_fresh)?;
        stalled.program.find(&snapshot).filter(|seen| seen["state"] == "stalled").cloned()
    });
    let took = begun.elapsed();
    // What it promises is a second; machines that are busy with other things may take longer.
    if took > Duration::from_secs(1) {
        eprintln!("the stall was told after {took:?}");
    }
    assert!(told["stalled_ms"].as_u64().unwrap() >= 100, "{told}");
    // The lines come when their names have been looked up.
    let told = until(|| Some(stalled.program.seen(&inspector)).filter(|told| !told["stall"].is_null()));
    assert_eq!(told["stall"]["task"], stalled.task, "{told}");
    assert!(told["stall"]["spawned_at"].as_str().unwrap().contains("stalls.rs"), "{told}");
    let frames = told["stall"]["frames"].as_array().unwrap();
    if cfg!(target_os = "linux") {
        let here = frames.iter().filter_map(Value::as_str).find(|line| line.contains("holds_up_the_loop"));
        assert!(here.is_some_and(|line| line.contains(" at ") && line.contains("stalls.rs:")), "{frames:?}");
    }
    drop(stalled.end());
}

pub(crate) fn a_stalled_loop_is_shown_as_it_was_before(builder: Builder) {
    let inspector = inspector();
    let program = Program::start(&builder, || async {
        named("seen-before", pending::<()>());
        yield_now().await;
    });
    assert_eq!(names(&program.snapshot(&inspector, "filter=seen-before")), ["seen-before"]);
    let (release, released) = mpsc::channel::<()>();
    drop(program.remote.run(move || holds_up_the_loop(&released)));
    let told = until(|| Some(program.seen(&inspector)).filter(|told| told["state"] == "stalled"));
    assert!(!told["metrics"].is_null() && told["age_ms"].as_u64().unwrap() >= 100, "{told}");
    let number = &told["loop"];
    let rows = snapshot(&inspector, &format!("loop={number}&filter=seen-before"));
    assert_eq!(names(&rows), ["seen-before"], "its tasks are those of then");
    let older = until(|| {
        Some(program.seen(&inspector)).filter(|now| now["age_ms"].as_u64() > told["age_ms"].as_u64())
    });
    assert_eq!(older["metrics"], told["metrics"]);
    drop(release);
}

pub(crate) fn a_stall_that_is_over_is_no_stall(builder: Builder) {
    let inspector = inspector();
    let stalled = Stalled::start(&builder);
    until(|| Some(stalled.program.seen(&inspector)).filter(|told| told["state"] == "stalled"));
    let program = stalled.end();
    let told = until(|| Some(program.seen(&inspector)).filter(|told| told["state"] == "waiting"));
    assert_eq!((&told["stalled_ms"], &told["stall"]), (&Value::from(0), &Value::Null));
    assert!(told["age_ms"].as_u64().unwrap() < 1000 && !told["metrics"].is_null(), "{told}");
}

pub(crate) fn an_abort_on_a_stalled_loop_says_that_it_was_not_done(builder: Builder) {
    let inspector = inspector();
    let bystander =
        |program: &Program| program.snapshot(&inspector, "filter=bystander")["tasks"]["rows"][0].clone();
    let stalled = Stalled::start(&builder);
    // Nothing was known of it before: it is asked when it goes on.
    let program = stalled.end();
    let id = until(|| bystander(&program)["id"].as_u64());
    let number = program.number(&inspector);
    let (release, released) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    drop(program.remote.run(move || {
        begins.send(()).unwrap();
        holds_up_the_loop(&released);
    }));
    begun.recv().unwrap();
    let path = format!("POST /api/loops/{number}/tasks/{id}/abort");
    let reply = ask(&inspector, &path, &["host: localhost", "x-annulus: 1"]);
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.error().contains("was not aborted"));
    drop(release);
    until(|| Some(program.seen(&inspector)).filter(|told| told["state"] == "waiting"));
    assert_eq!(bystander(&program)["id"], id, "it was taken back");
}

pub(crate) fn a_loop_between_two_runs_rests_and_costs_viewers_little(builder: Builder) {
    let inspector = inspector();
    let (name, number) = ("rests-between-two-runs", Some("rests-between-two-runs"));
    let (go, goes) = mpsc::channel::<()>();
    let (rests, resting) = mpsc::channel();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let runtime = builder.build().unwrap();
        runtime.run(async { named("left-alone", pending::<()>()) }).unwrap();
        rests.send(()).unwrap();
        let _ = goes.recv();
        runtime.run(yield_now()).unwrap();
    });
    resting.recv().unwrap();
    let shown = snapshot(&inspector, "limit=1");
    let of_that_name = |one: &&Value| one["thread"].as_str() == number;
    let seen = shown["loops"].as_array().unwrap().iter().find(of_that_name).unwrap();
    assert_eq!(
        (&seen["state"], &seen["stall"], &seen["metrics"]),
        (&Value::from("resting"), &Value::Null, &Value::Null)
    );
    drop(go);
    thread.unwrap().join().unwrap();
}
