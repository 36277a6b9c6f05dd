//! What those see who look by `tracing`: names, targets, fields and their types as console-subscriber reads them, and all of it closed at
//! the end.
//!
//! Each test has a recorder of its own, for its thread; what other threads are to tell it is told by them with the same.

#[path = "tracing/recorder.rs"]
mod recorder;
mod support;

use std::future::{Future, pending, poll_fn};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::task::{self, JoinError};
use annulus::time::{sleep, timeout};
use annulus::{Builder, fs, nop, spawn, spawn_blocking, yield_now};
use recorder::{Recorder, Records, Span, Value};
use support::net::pair;
use support::{on_every_driver, on_real_drivers};
use tracing::Level;
use tracing::subscriber::with_default;

on_every_driver! {
    a_task_is_a_span_with_its_name_its_place_and_its_size,
    a_task_is_entered_at_each_poll_and_closed_when_it_is_done,
    a_task_that_panics_or_is_stopped_is_closed_as_well,
    the_future_of_a_run_is_seen_as_such,
    a_blocking_closure_is_a_task_while_it_runs,
    wakers_are_told_of_by_the_number_of_the_span,
    a_completion_wakes_the_task_that_waits_for_it,
    a_wake_from_another_thread_is_told_of_there,
    a_loop_a_listener_a_socket_and_a_file_are_resources,
    a_number_that_is_used_again_is_another_resource,
    bytes_are_counted_at_their_socket,
    an_operation_is_seen_from_its_submission_to_its_answer,
    a_timer_is_a_resource_and_each_wait_an_operation,
    what_is_dropped_or_forgotten_is_closed_when_it_is_answered,
    a_thousand_tasks_are_told_apart_and_all_closed,
    a_panic_that_nobody_hears_is_an_event,
    a_task_that_was_born_unseen_stays_so,
}

on_real_drivers! {
    because "no poll is slow where no time passes": a_slow_poll_is_a_warning;
}

/// Runs a body on a loop that is looked at, to the end of the loop. What was told adds up.
fn told<F: Future>(builder: Builder, body: impl FnOnce() -> F) -> Recorder {
    let recorder = Recorder::default();
    with_default(recorder.clone(), || {
        let runtime = builder.build().unwrap();
        runtime.run(body()).unwrap();
        drop(runtime);
    });
    recorder.records().assert_balanced();
    recorder
}

fn named<F: Future + 'static>(name: &str, future: F) -> task::JoinHandle<F::Output> {
    task::Builder::new().name(name).spawn(future)
}

fn a_task_is_a_span_with_its_name_its_place_and_its_size(builder: Builder) {
    let (mut id, mut here) = (None, None);
    let recorder = told(builder, || async {
        let room = [7_u8; 300];
        here = Some(Location::caller());
        let handle = task::Builder::new().name("walker").spawn(async move {
            yield_now().await;
            assert_eq!(room[0], 7);
        });
        id = Some(handle.id().to_string());
        handle.await.unwrap();
    });
    let records = recorder.records();
    let span = records.task("walker");
    assert_eq!((span.target, span.level), ("annulus::task", Level::TRACE));
    assert!(span.is_root, "a task has no parent");
    assert!(span.fields.is("kind", "task"));
    assert_eq!(span.fields.number("task.id").to_string(), id.unwrap(), "the number that the crate gives it");
    assert!((300..1000).contains(&span.fields.number("size.bytes")), "{span:?}");
    assert_eq!(span.fields.text("loc.file"), file!());
    assert_eq!(span.fields.number("loc.line"), u64::from(here.unwrap().line()) + 1);
    assert!(span.fields.number("loc.col") > 0);
    assert!(span.fields.number("loop") > 0);
    assert_eq!(span.fields.get("original_size.bytes"), None, "only what was boxed has one");

    let nameless =
        records.named("runtime.spawn").filter(|span| span.fields.get("task.name").is_none()).count();
    assert_eq!(nameless, 1, "the run's future has no name");
}

fn a_task_is_entered_at_each_poll_and_closed_when_it_is_done(builder: Builder) {
    let recorder = told(builder, || async {
        let yields = named("yields", async {
            for _ in 0..4 {
                yield_now().await;
            }
        });
        while !yields.is_finished() {
            yield_now().await;
        }
        tracing::info!(target: "test", "it is done, and its handle is kept");
        yields.await.unwrap();
    });
    let records = recorder.records();
    let span = records.task("yields");
    assert_eq!(span.entered, 5);
    let done = records.events.iter().position(|event| event.target == "test").unwrap();
    assert!(span.closed.unwrap() <= done, "it closes when it is done, whoever has its handle");
}

fn a_task_that_panics_or_is_stopped_is_closed_as_well(builder: Builder) {
    let recorder = told(builder.on_panic(|_| {}), || async {
        let stopped = named("stopped", pending::<()>());
        let never = named("never polled", pending::<()>());
        never.abort();
        let panics = named("panics", async { support::quiet::boom("a task") });
        assert!(matches!(panics.await, Err(JoinError::Panicked(_))));
        stopped.abort();
        while !stopped.is_finished() {
            yield_now().await;
        }
        tracing::info!(target: "test", "both are over");
        assert!(stopped.await.unwrap_err().is_cancelled());
        assert!(never.await.unwrap_err().is_cancelled());
        drop(named("outlives the run", pending::<()>()));
    });
    let records = recorder.records();
    let end = records.events.iter().position(|event| event.target == "test").unwrap();
    for name in ["panics", "stopped", "never polled"] {
        assert!(records.task(name).closed.unwrap() <= end, "{name}");
    }
    assert_eq!(records.task("never polled").entered, 0);
    assert_eq!(records.task("stopped").entered, 1);
}

fn the_future_of_a_run_is_seen_as_such(builder: Builder) {
    let recorder = told(builder, || async { yield_now().await });
    let records = recorder.records();
    let runs: Vec<_> = records.named("runtime.spawn").collect();
    assert_eq!(runs.len(), 1);
    assert!(runs[0].fields.is("kind", "block_on"));
    assert_eq!(runs[0].entered, 2);
}

fn a_blocking_closure_is_a_task_while_it_runs(builder: Builder) {
    let mut id = None;
    let recorder = told(builder, || async {
        let handle = spawn_blocking(|| tracing::Span::current().is_none());
        id = Some(handle.id().to_string());
        handle.await.unwrap();
        assert!(spawn_blocking(|| support::quiet::boom("a task")).await.unwrap_err().is_panic());
    });
    let records = recorder.records();
    let closures: Vec<_> =
        records.named("runtime.spawn").filter(|span| span.fields.is("kind", "blocking")).collect();
    assert_eq!(closures.len(), 2);
    for span in &closures {
        assert_eq!((span.target, span.entered), ("annulus::task::blocking", 1), "once, by the helper");
        assert!(span.is_root);
    }
    assert_eq!(closures[0].fields.number("task.id").to_string(), id.unwrap());
    assert_eq!(closures[0].fields.text("loc.file"), file!());
}

fn wakers_are_told_of_by_the_number_of_the_span(builder: Builder) {
    let recorder = told(builder, || async {
        let wakes = named("wakes", async {
            let clone = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            let another = clone.clone();
            clone.wake_by_ref();
            drop(clone);
            yield_now().await;
            another.wake();
            yield_now().await;
        });
        wakes.await.unwrap();
    });
    let records = recorder.records();
    let span = records.task("wakes");
    let ops = records.wakers_of(span);
    let by_ref = "waker.wake_by_ref";
    // A yield is a wake; and one that takes its waker with it is no drop besides.
    assert_eq!(ops, ["waker.clone", "waker.clone", by_ref, "waker.drop", by_ref, "waker.wake", by_ref]);
    let own = records.at("runtime::waker").filter(|event| event.fields.is("task.id", span.id));
    for event in own {
        assert_eq!(event.level, Level::TRACE);
        assert_eq!(event.inside, [span.id], "inside of the task: so the console knows that it woke itself");
    }
}

fn a_completion_wakes_the_task_that_waits_for_it(builder: Builder) {
    let recorder = told(builder, || async {
        let (client, server) = pair().await;
        let reads = named("reads", async move { server.read(Vec::with_capacity(8)).await.0.unwrap() });
        sleep(Duration::from_millis(1)).await;
        client.write_all("word").await.0.unwrap();
        assert_eq!(reads.await.unwrap(), 4);
        let sleeps = named("sleeps", sleep(Duration::from_millis(2)));
        sleeps.await.unwrap();
    });
    let records = recorder.records();
    for name in ["reads", "sleeps"] {
        let span = records.task(name);
        // No waker is made for it; but a task without one is taken for lost.
        assert_eq!(records.wakers_of(span), ["waker.clone", "waker.wake"], "{name}");
        assert_eq!(span.entered, 2);
        let mut wakes =
            records.at("runtime::waker").filter(|event| event.fields.is("task.id", span.id)).skip(1);
        assert_eq!(wakes.next().unwrap().inside, [0; 0], "the loop's doing, and nobody's inside of a task");
    }
}

fn a_wake_from_another_thread_is_told_of_there(builder: Builder) {
    let recorder = Recorder::default();
    let theirs = recorder.clone();
    with_default(recorder.clone(), || {
        let runtime = builder.build().unwrap();
        let waits = async {
            named("waits", async move {
                let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                let other = move || {
                    with_default(theirs, || {
                        waker.wake_by_ref();
                        let clone = waker.clone();
                        clone.wake();
                        drop(waker);
                    });
                };
                std::thread::spawn(other).join().unwrap();
                let mut has_waited = false;
                poll_fn(|_| match std::mem::replace(&mut has_waited, true) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
            })
            .await
            .unwrap();
        };
        runtime.run(waits).unwrap();
    });
    let records = recorder.records();
    records.assert_balanced();
    let span = records.task("waits");
    let own = records.at("runtime::waker").filter(|event| event.fields.is("task.id", span.id));
    let (here, there): (Vec<_>, Vec<_>) = own.partition(|event| event.thread == std::thread::current().id());
    let ops = |events: Vec<&recorder::Told>| -> Vec<String> {
        events.iter().map(|event| event.fields.text("op").to_owned()).collect()
    };
    assert_eq!(ops(here), ["waker.clone"]);
    assert_eq!(ops(there), ["waker.wake_by_ref", "waker.clone", "waker.wake", "waker.drop"]);
}

fn a_loop_a_listener_a_socket_and_a_file_are_resources(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    let mut driver = None;
    let recorder = told(builder, || async {
        driver = Some(annulus::Runtime::try_current().unwrap().driver());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let place = if support::is_simulated() { "/".into() } else { directory.path().to_owned() };
        let file = fs::File::create(place.join("file")).await.unwrap();
        file.write_all_at("hello", 0).await.0.unwrap();
        file.close().await.unwrap();
        drop((client, server));
        nop().await.unwrap();
        nop().await.unwrap();
        tracing::info!(target: "test", "but for the listener all is closed");
        drop(listener);
    });
    let records = recorder.records();
    let expected = [
        (driver.unwrap(), "ring", 1),
        ("TcpListener", "listener", 1),
        ("TcpStream", "socket", 2),
        ("File", "file", 1),
    ];
    let end = records.events.iter().position(|event| event.target == "test").unwrap();
    let ring = records.resources(driver.unwrap())[0].id;
    for (concrete_type, kind, count) in expected {
        let found = records.resources(concrete_type);
        assert_eq!(found.len(), count, "{concrete_type}");
        for span in found {
            assert!(span.fields.is("kind", kind), "{span:?}");
            assert!(span.fields.is("is_internal", false), "{span:?}");
            assert!(span.fields.is("inherits_child_attrs", false), "{span:?}");
            assert_eq!((span.target, span.level), ("annulus::resource", Level::TRACE));
            assert!(span.is_root, "it does not keep the task open that made it");
            // Whom the console takes for its parent: the resource that is entered.
            if kind != "ring" {
                assert_eq!(span.inside.last(), Some(&ring), "{span:?}");
            }
            let is_closed = span.closed.unwrap() <= end;
            assert_eq!(is_closed, ["socket", "file"].contains(&kind), "{span:?}");
        }
    }
}

fn a_number_that_is_used_again_is_another_resource(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    let recorder = told(builder, || async {
        let place = if support::is_simulated() { "/".into() } else { directory.path().to_owned() };
        for round in 0..3 {
            let file = fs::File::create(place.join("file")).await.unwrap();
            file.write_all_at("hello", 0).await.0.unwrap();
            match round {
                0 => drop(file),
                _ => file.close().await.unwrap(),
            }
            nop().await.unwrap();
        }
    });
    let records = recorder.records();
    let files = records.resources("File");
    assert_eq!(files.len(), 3);
    for (file, next) in files.iter().zip(&files[1..]) {
        assert_eq!(records.sum(file, "bytes_written"), 5);
        let opened = records
            .at("runtime::resource::state_update")
            .filter(|event| event.inside.last() == Some(&next.id));
        assert!(opened.count() > 0, "{next:?}");
    }
}

fn bytes_are_counted_at_their_socket(builder: Builder) {
    let recorder = told(builder, || async {
        let (client, server) = pair().await;
        // By an operation, by one that is tried at once, by many answers to one, and past the driver.
        client.write_all("by one").await.0.unwrap();
        assert_eq!(server.read(Vec::with_capacity(100)).await.0.unwrap(), 6);
        let mut leases = server.recv_stream();
        for part in ["one", "another"] {
            client.write_all(part).await.0.unwrap();
            assert_eq!(leases.next().await.unwrap().unwrap().len(), part.len());
        }
        drop(leases);
        let mut view = server.into_poll();
        let written = poll_fn(|cx| annulus::io::PollWrite::poll_write(&mut view, cx, b"by a call"));
        assert_eq!(written.await.unwrap(), 9);
        assert_eq!(client.read(Vec::with_capacity(100)).await.0.unwrap(), 9);
    });
    let records = recorder.records();
    let sockets = records.resources("TcpStream");
    let mut sums: Vec<_> = sockets
        .iter()
        .map(|span| (records.sum(span, "bytes_read"), records.sum(span, "bytes_written")))
        .collect();
    sums.sort();
    assert_eq!(sums, [(9, 16), (16, 9)]);
    let mut bytes = records
        .at("runtime::resource::state_update")
        .filter(|event| event.fields.get("bytes_read").is_some());
    assert!(
        bytes
            .all(|event| event.fields.is("bytes_read.unit", "bytes")
                && event.fields.is("bytes_read.op", "add"))
    );
}

fn an_operation_is_seen_from_its_submission_to_its_answer(builder: Builder) {
    let recorder = told(builder, || async {
        let (client, server) = pair().await;
        let reads = named("reads", async move {
            server.read(Vec::with_capacity(64)).await.0.unwrap();
            tracing::info!(target: "test", "answered");
        });
        yield_now().await;
        client.write_all("word").await.0.unwrap();
        reads.await.unwrap();
        named("nothing", async { nop().await.unwrap() }).await.unwrap();
    });
    let records = recorder.records();
    let reads = records.task("reads");
    let read = recv_of(&records, reads);
    assert_eq!((read.target, read.level), ("annulus::operation", Level::TRACE));
    assert!(read.fields.is("source", "recv") && read.fields.is("inherits_child_attrs", false), "{read:?}");
    let [task, resource] = read.inside[..] else { panic!("{read:?}") };
    assert_eq!(task, reads.id);
    assert!(records.span(resource).fields.is("concrete_type", "TcpStream"));

    let polls: Vec<_> = records
        .named("runtime.resource.async_op.poll")
        .filter(|span| span.inside.contains(&read.id))
        .collect();
    assert_eq!(polls.len(), 1);
    let ops: Vec<_> =
        records.at("runtime::resource::poll_op").filter(|event| event.inside.contains(&read.id)).collect();
    for event in &ops {
        assert_eq!(
            event.inside,
            [reads.id, resource, read.id, polls[0].id],
            "the order that the console wants"
        );
        assert!(event.fields.is("op_name", "recv"));
    }
    let ready: Vec<_> = ops.iter().map(|event| event.fields.get("is_ready").cloned()).collect();
    assert_eq!(ready, [Some(Value::Flag(false)), Some(Value::Flag(true))]);
    let answered = records.events.iter().position(|event| event.target == "test").unwrap();
    assert!(read.closed.unwrap() <= answered, "its answer was taken, so it is over");

    let updates = records.at("runtime::resource::async_op::state_update");
    let mut lengths =
        updates.filter(|event| event.inside.last() == Some(&read.id) && event.fields.get("len").is_some());
    let length = lengths.next().unwrap();
    assert!(
        length.fields.is("len", 64)
            && length.fields.is("len.op", "override")
            && length.fields.is("len.unit", "bytes")
    );

    // What names no descriptor is an operation of the loop's own.
    let ring = records.named("runtime.resource").find(|span| span.fields.is("kind", "ring")).unwrap();
    let sources: Vec<_> = records.operations_of(ring).iter().map(|span| span.fields.text("source")).collect();
    assert!(sources.contains(&"nop"), "{sources:?}");
    let depths =
        records.at("runtime::resource::state_update").filter(|event| event.fields.get("inflight").is_some());
    let depths: Vec<_> = depths.map(|event| event.fields.number("inflight")).collect();
    assert!(depths.iter().any(|depth| *depth > 0) && depths.last() == Some(&0), "{depths:?}");
    let queued =
        records.at("runtime::resource::state_update").filter(|event| event.fields.get("sq_depth").is_some());
    let queued: Vec<_> = queued.map(|event| event.fields.number("sq_depth")).collect();
    if ring.fields.is("concrete_type", "uring") {
        assert!(queued.iter().any(|depth| *depth > 0), "told before they are handed over: {queued:?}");
    }
    assert_eq!(queued.last(), Some(&0));
}

/// The one receive of a task.
fn recv_of<'a>(records: &'a Records, task: &Span) -> &'a Span {
    let operations = records.named("runtime.resource.async_op");
    let mut own =
        operations.filter(|span| span.inside.first() == Some(&task.id) && span.fields.is("source", "recv"));
    let found = own.next().expect("a receive");
    assert!(own.next().is_none());
    found
}

fn a_timer_is_a_resource_and_each_wait_an_operation(builder: Builder) {
    let mut line = None;
    let recorder = told(builder, || async {
        let ticks = named("ticks", async {
            let mut interval = annulus::time::interval(Duration::from_millis(2));
            for _ in 0..3 {
                interval.tick().await;
            }
        });
        ticks.await.unwrap();
        line = Some(line!() + 1);
        timeout(Duration::from_secs(60), yield_now()).await.unwrap();
        let mut kept = pin!(sleep(Duration::from_millis(1)));
        kept.as_mut().await;
        tracing::info!(target: "test", "the time has come, and the timer is kept");
    });
    let records = recorder.records();
    let timers: Vec<_> = records.resources("Sleep");
    assert_eq!(timers.len(), 3);
    for span in &timers {
        assert!(span.fields.is("kind", "timer") && span.is_root, "{span:?}");
        assert_eq!(span.fields.text("loc.file"), file!(), "where the program made it");
    }
    assert_eq!(timers[1].fields.number("loc.line"), u64::from(line.unwrap()));
    let waits = records.operations_of(timers[0]);
    assert!((2..=3).contains(&waits.len()), "{waits:?}");
    let ticks = records.task("ticks");
    for wait in &waits {
        assert!(wait.fields.is("source", "Sleep"));
        let polls = records.at("runtime::resource::poll_op").filter(|event| event.inside.contains(&wait.id));
        let ready: Vec<_> = polls
            .map(|event| {
                assert_eq!(event.inside[..3], [ticks.id, timers[0].id, wait.id]);
                event.fields.get("is_ready").cloned()
            })
            .collect();
        assert_eq!(ready.last(), Some(&Some(Value::Flag(true))));
    }
    let come = records.events.iter().position(|event| event.target == "test").unwrap();
    assert!(records.operations_of(timers[2])[0].closed.unwrap() <= come);
    assert!(timers[2].closed.unwrap() > come);
    let dropped = records.operations_of(timers[1]);
    assert_eq!(dropped.len(), 1);
    let duration = records
        .at("runtime::resource::state_update")
        .filter(|event| event.inside.last() == Some(&timers[1].id));
    let duration: Vec<_> = duration.map(|event| event.fields.number("duration")).collect();
    assert!(duration.len() == 1 && (59_000..=60_000).contains(&duration[0]), "{duration:?}");
}

fn what_is_dropped_or_forgotten_is_closed_when_it_is_answered(builder: Builder) {
    let recorder = told(builder, || async {
        let (client, server) = pair().await;
        named("drops", async move {
            let mut read = server.read(Vec::with_capacity(8));
            assert!(Pin::new(&mut read).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(read);
            yield_now().await;
            server.close().await.unwrap();
        })
        .await
        .unwrap();
        named("forgets", async {
            let mut forgotten = nop();
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut forgotten).poll(cx).is_pending());
            std::mem::forget(forgotten);
        })
        .await
        .unwrap();
        drop(client);
        for _ in 0..3 {
            sleep(Duration::from_millis(1)).await;
        }
        tracing::info!(target: "test", "all of it is answered");
    });
    let records = recorder.records();
    let end = records.events.iter().position(|event| event.target == "test").unwrap();
    for (name, source) in [("drops", "recv"), ("forgets", "nop")] {
        let task = records.task(name).id;
        let operations = records.named("runtime.resource.async_op");
        let mut own =
            operations.filter(|span| span.inside.first() == Some(&task) && span.fields.is("source", source));
        let operation = own.next().unwrap_or_else(|| panic!("{name} has an operation"));
        assert!(operation.closed.unwrap() <= end, "{name}: {operation:?}");
        assert!(records.task(name).closed.unwrap() <= end);
    }
}

fn a_thousand_tasks_are_told_apart_and_all_closed(builder: Builder) {
    let recorder = told(builder, || async {
        let tasks: Vec<_> = (0..1000)
            .map(|number| {
                spawn(async move {
                    for _ in 0..number % 5 {
                        nop().await.unwrap();
                    }
                    yield_now().await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let records = recorder.records();
    let tasks: Vec<_> =
        records.named("runtime.spawn").filter(|span| span.fields.is("kind", "task")).collect();
    assert_eq!(tasks.len(), 1000);
    let mut ids: Vec<_> = tasks.iter().map(|span| span.fields.number("task.id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1000);
    let nops =
        records.named("runtime.resource.async_op").filter(|span| span.fields.is("source", "nop")).count();
    assert_eq!(nops, 2000);
    for (number, span) in tasks.iter().enumerate() {
        let polls = number % 5 + 2;
        assert_eq!(span.entered, polls, "once a poll");
        let ops = records.wakers_of(span);
        let count = |wanted: &str| ops.iter().filter(|op| **op == wanted).count();
        let wakes = count("waker.wake") + count("waker.wake_by_ref");
        assert_eq!(wakes, polls - 1, "and woken once for each but the first");
        assert_eq!(count("waker.clone"), count("waker.wake") + count("waker.drop"), "none is left: {ops:?}");
    }
}

fn a_panic_that_nobody_hears_is_an_event(builder: Builder) {
    let recorder = told(builder.on_panic(|_| {}), || async {
        drop(named("unheard", async { support::quiet::boom("a task") }));
        yield_now().await;
    });
    let records = recorder.records();
    let events: Vec<_> = records.at("annulus").collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].level, Level::ERROR);
    assert!(events[0].fields.is("task.name", "unheard"));
    assert!(events[0].fields.is("task.id", records.task("unheard").fields.number("task.id")));
    let Some(Value::Written(text)) = events[0].fields.get("message") else { panic!("{events:?}") };
    assert!(text.contains("nobody waits for it"), "{text}");
}

/// In a process of its own, where nobody looks at first.
fn a_task_that_was_born_unseen_stays_so(builder: Builder) {
    support::child::alone(|| {
        let runtime = builder.build().unwrap();
        let early = runtime.spawn(async {
            let clone = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            for _ in 0..3 {
                clone.wake_by_ref();
                yield_now().await;
            }
        });
        let recorder = Recorder::default();
        with_default(recorder.clone(), || {
            runtime.run(async { named("late", yield_now()).await.unwrap() }).unwrap();
            runtime.run(early).unwrap().unwrap();
            drop(runtime);
        });
        let records = recorder.records();
        records.assert_balanced();
        // The two runs, and what was spawned in one of them.
        assert_eq!(records.named("runtime.spawn").count(), 3);
        let known: Vec<_> = records.named("runtime.spawn").map(|span| span.id).collect();
        let wakers: Vec<_> =
            records.at("runtime::waker").map(|event| event.fields.number("task.id")).collect();
        assert!(wakers.iter().all(|id| known.contains(id)), "{wakers:?} of {known:?}");
    });
}

/// In a process of its own, for another thread finds it, and tells whoever is the process's.
fn a_slow_poll_is_a_warning(builder: Builder) {
    support::child::alone(|| {
        let recorder = Recorder::default();
        tracing::subscriber::set_global_default(recorder.clone()).unwrap();
        let runtime =
            builder.debug(true).slow_poll(Duration::from_millis(5)).on_warning(|_| {}).build().unwrap();
        runtime
            .run(async {
                std::thread::sleep(Duration::from_millis(30));
                let mut turn = pin!(yield_now());
                poll_fn(|cx| turn.as_mut().poll(cx)).await;
            })
            .unwrap();
        drop(runtime);
        let records = recorder.records();
        let warnings: Vec<_> = records.at("annulus").collect();
        assert!(!warnings.is_empty());
        for event in warnings {
            assert_eq!(event.level, Level::WARN);
            let Some(Value::Written(text)) = event.fields.get("message") else { panic!("{event:?}") };
            assert!(text.contains("task "), "{text}");
        }
    });
}
