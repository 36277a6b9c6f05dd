//! What looking costs: no more, however many look, however much they ask for, and nothing while nobody does.

use std::future::pending;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use annulus::inspect::Inspector;
use annulus::{Builder, yield_now};

use crate::client::*;

fn crowd(builder: &Builder, count: usize) -> Program {
    Program::start(builder, move || async move {
        (0..count).for_each(|number| named(format!("one-of-many-{number}"), pending::<()>()));
        yield_now().await;
    })
}

pub(crate) fn of_ten_thousand_tasks_two_hundred_are_shown_and_all_are_counted(builder: Builder) {
    let inspector = inspector();
    let program = crowd(&builder, 10_000);
    let few = program.snapshot(&inspector, "sort=polls&order=desc");
    assert_eq!((names(&few).len(), few["tasks"]["matched"].as_u64()), (200, Some(10_001)));
    let found = program.snapshot(&inspector, "filter=one-of-many-9999");
    assert_eq!(names(&found), ["one-of-many-9999"]);
    let all = program.snapshot(&inspector, "filter=one-of-many&limit=20000");
    assert_eq!(names(&all).len(), 10_000);
}

/// Bytes of memory that the process has of its own.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Asks for twenty long answers, three megabytes each: far more than sockets hold.
fn silent(inspector: &Inspector) -> Box<dyn Wire> {
    let mut wire = connect(inspector);
    let request = "GET /api/snapshot?limit=100000 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    wire.write_all(request.repeat(20).as_bytes()).unwrap();
    wire
}

pub(crate) fn a_viewer_that_does_not_read_is_cut_off_and_others_are_answered(builder: Builder) {
    let inspector = inspector();
    let program = crowd(&builder, 10_000);
    // From now on they are known, and each answer is long.
    until(|| (program.snapshot(&inspector, "")["tasks"]["matched"] == 10_001).then_some(()));
    let mut two = [silent(&inspector), silent(&inspector)];
    // What is sent to a connection that is gone is an error, of the next.
    until(|| two.iter_mut().all(|wire| wire.write_all(b"\r\n").is_err()).then_some(()));
    let all =
        until(|| Some(get(&inspector, "/api/snapshot?limit=100000")).filter(|reply| reply.status == 200));
    assert!(all.body.len() > 1 << 20, "{} bytes", all.body.len());
    drop(two);

    let before = resident();
    let _many: Vec<_> = (0..16).map(|_| silent(&inspector)).collect();
    let end = Instant::now() + Duration::from_secs(2);
    let mut most = 0;
    while Instant::now() < end {
        assert_eq!(names(&program.snapshot(&inspector, "filter=one-of-many-77&limit=1")).len(), 1);
        most = most.max(resident().saturating_sub(before));
    }
    // 16 viewers with 20 answers each are a gigabyte; two long answers at a time are a few megabytes.
    assert!(most < 150 << 20, "{most} bytes for viewers that do not read");
}

pub(crate) fn a_flood_of_requests_asks_the_loops_five_times_a_second_at_most(builder: Builder) {
    let inspector = inspector();
    let program = crowd(&builder, 100);
    until(|| (program.snapshot(&inspector, "")["tasks"]["matched"] == 101).then_some(()));
    let (before, begun) = (inspector.counts(), Instant::now());
    let over = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        let (inspector, over) = (&inspector, &over);
        for flooder in 0..24 {
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    get(inspector, &format!("/api/snapshot?filter={flooder}"));
                }
            });
        }
        let mut answered = Vec::new();
        while begun.elapsed() < Duration::from_secs(2) {
            answered.push(get(inspector, "/api/snapshot?filter=one-of-many-7&limit=1"));
        }
        over.store(true, Ordering::Relaxed);
        answered
    });
    for reply in answered {
        assert_eq!((reply.status, names(&reply.json()).len()), (200, 1), "others are answered");
    }
    let (counts, spent) = (inspector.counts(), begun.elapsed().as_secs_f64());
    let (requests, surveys) = (counts.requests - before.requests, counts.surveys - before.surveys);
    assert!(surveys as f64 <= spent * 5.0 + 1.0, "{surveys} in {spent} s");
    assert!(surveys >= 2 && requests > surveys, "{requests} requests, {surveys} surveys");
    assert!(requests as f64 <= spent * 110.0 + 64.0, "{requests} in {spent} s");
    drop(program);
}

pub(crate) fn nobody_is_asked_while_nobody_looks(builder: Builder) {
    let inspector = inspector();
    let program = crowd(&builder, 10);
    assert_eq!(get(&inspector, "/").status, 200, "the page alone asks no loop");
    assert_eq!(inspector.counts().surveys, 0);
    let turns = || {
        let shown = program.snapshot(&inspector, "limit=1");
        program.find(&shown).and_then(|seen| seen["metrics"]["turns"].as_u64()).unwrap()
    };
    let before = turns();
    let asked = inspector.counts().surveys;
    thread::sleep(Duration::from_millis(800));
    assert_eq!(inspector.counts().surveys, asked);
    let turned = turns() - before;
    assert!(turned < 40, "the loop sleeps: {turned} turns");
}
