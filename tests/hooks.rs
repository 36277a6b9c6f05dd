//! What a loop calls when something happens to its tasks or to itself, and what it says of panics that nobody waits for.

mod support;

use std::cell::RefCell;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annulus::net::TcpStream;
use annulus::sync::Notify;
use annulus::task::{self, Meta};
use annulus::time::sleep;
use annulus::{Builder, Runtime, spawn, spawn_blocking, yield_now};
use support::net::pair;
use support::on_every_driver;
use support::quiet::{boom, quietly};

on_every_driver! {
    the_hooks_count_what_the_metrics_count,
    a_hook_on_spawns_comes_before_the_first_poll_and_knows_the_task,
    every_task_that_ends_is_told_once_however_it_ends,
    a_hook_runs_where_tasks_may_be_spawned_and_operations_made,
    what_a_hook_on_parks_makes_ready_is_not_slept_over,
    hooks_may_ask_for_a_remote_and_are_not_told_of_the_task_that_serves_it,
    a_hook_on_spawns_that_panics_leaves_no_task,
    a_hook_on_spawns_that_panics_for_the_root_leaves_the_loop_whole,
    a_hook_on_polls_that_panics_loses_no_task,
    a_hook_on_ends_that_panics_comes_out_of_run,
    a_hook_on_ends_that_panics_at_the_loops_end_is_not_heard,
    a_hook_on_parks_that_panics_leaves_the_loop_usable,
    a_panic_that_nobody_waits_for_is_told,
    a_panic_that_somebody_waits_for_is_not_told,
    a_panic_is_told_by_the_tasks_name_also_when_its_handle_is_dropped_later,
    a_panic_in_the_hook_for_panics_is_not_heard,
    a_payload_that_panics_when_it_is_dropped_hurts_nobody,
    a_panic_that_nobody_waits_for_is_said_on_standard_error,
}

type Counter = Arc<AtomicU64>;

fn count(counter: &Counter) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn of(counter: &Counter) -> u64 {
    counter.load(Ordering::Relaxed)
}

async fn some_work() {
    let (client, server) = pair().await;
    let echo = spawn(async move {
        for _ in 0..10 {
            let (_, bytes) = server.read(Vec::with_capacity(8)).await;
            server.write_all(bytes).await.0.unwrap();
        }
    });
    for _ in 0..10 {
        client.write_all("ping").await.0.unwrap();
        assert_eq!(client.read_exact(vec![0; 4]).await.1, b"ping");
        sleep(Duration::from_millis(1)).await;
    }
    echo.await.unwrap();
    let stays = spawn(pending::<()>());
    let aborted = spawn(pending::<()>());
    aborted.abort();
    yield_now().await;
    yield_now().await;
    drop(stays);
}

fn the_hooks_count_what_the_metrics_count(builder: Builder) {
    let counters: [Counter; 6] = Default::default();
    let [spawned, before, after, ended, parked, unparked] = counters.clone();
    let runtime = builder
        .on_spawn(move |_| count(&spawned))
        .on_before_poll(move |_| count(&before))
        .on_after_poll(move |_| count(&after))
        .on_terminate(move |_| count(&ended))
        .on_park(move || count(&parked))
        .on_unpark(move || count(&unparked))
        .build()
        .unwrap();
    for _ in 0..2 {
        runtime.run(some_work()).unwrap();
        let metrics = runtime.metrics();
        let [spawned, before, after, ended, parked, unparked] = counters.each_ref().map(of);
        assert_eq!((spawned, before, after), (metrics.spawned, metrics.polls, metrics.polls));
        assert_eq!(ended, metrics.spawned - metrics.alive as u64);
        assert_eq!((parked, unparked), (metrics.parks, metrics.parks));
        assert!(parked > 0 && metrics.alive > 0, "{metrics:?}");
    }
    drop(runtime);
    assert_eq!(of(&counters[0]), of(&counters[3]), "those that were left end with the loop");
}

/// What hooks were told, in order.
type Told = Arc<Mutex<Vec<String>>>;

fn telling(told: &Told, what: &'static str) -> impl Fn(&Meta) + Send + Sync + 'static {
    let told = Arc::clone(told);
    move |task| told.lock().unwrap().push(format!("{what} {}", task.name().unwrap_or("root")))
}

fn a_hook_on_spawns_comes_before_the_first_poll_and_knows_the_task(builder: Builder) {
    let told = Told::default();
    let places = Arc::new(Mutex::new(Vec::new()));
    let (noting, spawning) = (Arc::clone(&places), telling(&told, "spawn"));
    let runtime = builder
        .on_spawn(move |task| {
            spawning(task);
            noting.lock().unwrap().push((task.id(), task.spawned_at().line()));
        })
        .on_before_poll(telling(&told, "before"))
        .on_after_poll(telling(&told, "after"))
        .on_terminate(telling(&told, "end"))
        .build()
        .unwrap();
    let (id, line) = runtime
        .run(async {
            let builder = task::Builder::new().name("named");
            let line = line!() + 1;
            let task = builder.spawn(yield_now());
            let id = task.id();
            task.await.unwrap();
            (id, line)
        })
        .unwrap();
    let expected = [
        "spawn root",
        "before root",
        "spawn named",
        "after root",
        "before named",
        "after named",
        "before named",
        "after named",
        "end named",
        "before root",
        "after root",
        "end root",
    ];
    assert_eq!(*told.lock().unwrap(), expected);
    assert_eq!(places.lock().unwrap()[1], (id, line));
}

fn every_task_that_ends_is_told_once_however_it_ends(builder: Builder) {
    let told = Told::default();
    let runtime = builder.on_terminate(telling(&told, "end")).build().unwrap();
    let by_name = |name| task::Builder::new().name(name);
    runtime
        .run(async {
            let panics = by_name("panics").spawn(async { boom("here") });
            let aborted = by_name("aborted").spawn(pending::<()>());
            let never_polled = by_name("never polled").spawn(pending::<()>());
            never_polled.abort();
            by_name("finishes").spawn(async {}).await.unwrap();
            aborted.abort();
            assert!(aborted.await.is_err() && panics.await.is_err() && never_polled.await.is_err());
            drop(by_name("left").spawn(pending::<()>()));
        })
        .unwrap();
    drop(runtime);
    let mut told = told.lock().unwrap();
    told.sort();
    assert_eq!(
        *told,
        ["end aborted", "end finishes", "end left", "end never polled", "end panics", "end root"]
    );
}

fn a_hook_runs_where_tasks_may_be_spawned_and_operations_made(builder: Builder) {
    let counter = Counter::default();
    let counting = Arc::clone(&counter);
    let ended = Counter::default();
    let ending = Arc::clone(&ended);
    let runtime = builder
        .on_terminate(move |task| {
            // Not of those that it makes, or there would be no end.
            if task.name() == Some("first") {
                let counting = Arc::clone(&counting);
                drop(spawn(async move {
                    annulus::nop().await.unwrap();
                    count(&counting);
                }));
                assert!(task::all().len() > 1 && task::current().is_none());
            }
            count(&ending);
        })
        .on_before_poll(|task| {
            assert!(task::all().iter().any(|seen| seen.id() == task.id()));
            if task.name() == Some("stopped") {
                task::abort(task.id());
            }
        })
        .build()
        .unwrap();
    runtime
        .run(async {
            task::Builder::new().name("first").spawn(async {}).await.unwrap();
            let stopped = task::Builder::new().name("stopped").spawn(pending::<()>());
            assert!(stopped.await.unwrap_err().is_cancelled());
            sleep(Duration::from_millis(20)).await;
        })
        .unwrap();
    assert_eq!((of(&counter), of(&ended)), (1, 4));
}

thread_local! {
    /// What a hook, which goes to any thread, may reach of its loop's thread.
    static TO_WAKE: RefCell<Option<Rc<Notify>>> = const { RefCell::new(None) };
}

fn hooks_may_ask_for_a_remote_and_are_not_told_of_the_task_that_serves_it(builder: Builder) {
    let told = Told::default();
    let spawning = telling(&told, "spawn");
    let runtime = builder
        .on_spawn(move |task| {
            spawning(task);
            drop(Runtime::try_current().unwrap().remote());
        })
        .on_before_poll(telling(&told, "before"))
        .on_after_poll(telling(&told, "after"))
        .on_terminate(telling(&told, "end"))
        .build()
        .unwrap();
    runtime.run(yield_now()).unwrap();
    drop(runtime);
    let polls = ["before root", "after root", "before root", "after root"];
    assert_eq!(*told.lock().unwrap(), [&["spawn root"][..], &polls, &["end root"]].concat());
}

fn what_a_hook_on_parks_makes_ready_is_not_slept_over(builder: Builder) {
    let runtime = builder
        .on_park(|| {
            if let Some(notify) = TO_WAKE.take() {
                notify.notify_one();
            }
        })
        .build()
        .unwrap();
    for _ in 0..3 {
        // Nothing else would ever end the sleep; the watchdog ends the test.
        runtime
            .run(async {
                let notify = Rc::new(Notify::new());
                TO_WAKE.set(Some(Rc::clone(&notify)));
                notify.notified().await;
            })
            .unwrap();
    }
}

fn a_hook_on_spawns_that_panics_leaves_no_task(builder: Builder) {
    let told = Told::default();
    let runtime = builder
        .on_spawn(|task| {
            if task.name() == Some("bad") {
                boom("in a hook");
            }
        })
        .on_terminate(telling(&told, "end"))
        .build()
        .unwrap();
    let held = Rc::new(());
    runtime
        .run(async {
            for _ in 0..10 {
                let holds = Rc::clone(&held);
                let spawned = quietly(AssertUnwindSafe(|| {
                    drop(task::Builder::new().name("bad").spawn(async move { drop(holds) }))
                }));
                assert!(spawned.is_err());
                assert_eq!(Rc::strong_count(&held), 1, "its future is gone");
            }
            assert_eq!(task::all().len(), 1);
            spawn(async {}).await.unwrap();
        })
        .unwrap();
    let metrics = runtime.metrics();
    assert_eq!((metrics.alive, metrics.spawned), (0, 12));
    assert_eq!(told.lock().unwrap().len(), 12, "each that was made has ended");
}

fn a_hook_on_spawns_that_panics_for_the_root_leaves_the_loop_whole(builder: Builder) {
    let calls = Counter::default();
    let counting = Arc::clone(&calls);
    let runtime = builder
        .on_spawn(move |_| {
            count(&counting);
            if of(&counting) == 3 {
                boom("in a hook");
            }
        })
        .build()
        .unwrap();
    // Two live, so that the list of tasks has something to lose.
    let others = runtime.run(async { Some(spawn(async { 7 })) }).unwrap().unwrap();
    let held = Rc::new(());
    let holds = Rc::clone(&held);
    let root = async move {
        let _holds = holds;
        unreachable!("it was never made");
    };
    assert!(quietly(AssertUnwindSafe(|| runtime.run(root))).is_err());
    assert_eq!((Rc::strong_count(&held), runtime.metrics().alive), (1, 1));
    assert_eq!(runtime.run(others).unwrap().unwrap(), 7);
    assert_eq!(runtime.metrics().alive, 0);
}

fn a_hook_on_polls_that_panics_loses_no_task(builder: Builder) {
    for is_before in [true, false] {
        let calls = Counter::default();
        let counting = Arc::clone(&calls);
        let hook = move |task: &Meta| {
            if task.name() == Some("task") {
                count(&counting);
                if of(&counting) % 2 == 0 {
                    boom("in a hook");
                }
            }
        };
        let builder = builder.clone();
        let builder = if is_before { builder.on_before_poll(hook) } else { builder.on_after_poll(hook) };
        let runtime = builder.build().unwrap();
        let task = task::Builder::new().name("task");
        let mut task = runtime.enter(|| {
            task.spawn(async {
                for _ in 0..9 {
                    yield_now().await;
                }
                7
            })
        });
        let mut panics = 0;
        let seven = loop {
            match quietly(AssertUnwindSafe(|| runtime.run(&mut task))) {
                Ok(output) => break output.unwrap().unwrap(),
                Err(_) => panics += 1,
            }
            assert!(panics < 100);
        };
        assert_eq!((seven, of(&calls)), (7, 10), "no poll is lost");
        assert!(panics >= 4, "each comes out of run, but for the one that came with the end: {panics}");
        assert_eq!(runtime.metrics().alive, 0);
    }
}

fn a_hook_on_ends_that_panics_comes_out_of_run(builder: Builder) {
    let runtime = builder
        .on_terminate(|task| {
            if task.name() == Some("task") {
                boom("in a hook");
            }
        })
        .build()
        .unwrap();
    let run = || runtime.run(async { task::Builder::new().name("task").spawn(async { 7 }).await.unwrap() });
    assert!(quietly(AssertUnwindSafe(run)).is_err());
    assert_eq!(runtime.metrics().alive, 0, "the task has ended, and the root with the run");
    assert_eq!(runtime.run(async { spawn(async { 8 }).await.unwrap() }).unwrap(), 8);
}

fn a_hook_on_ends_that_panics_at_the_loops_end_is_not_heard(builder: Builder) {
    let calls = Counter::default();
    let counting = Arc::clone(&calls);
    let runtime = builder
        .on_terminate(move |task| {
            if task.name().is_some() {
                count(&counting);
                boom("in a hook");
            }
        })
        .build()
        .unwrap();
    let held = Rc::new(());
    runtime
        .run(async {
            let (client, server) = pair().await;
            let server: Rc<TcpStream> = Rc::new(server);
            for _ in 0..3 {
                let (holds, server) = (Rc::clone(&held), Rc::clone(&server));
                drop(task::Builder::new().name("left").spawn(async move {
                    let _holds = holds;
                    server.read(vec![0; 64]).await
                }));
            }
            yield_now().await;
            yield_now().await;
            drop(spawn(async move {
                let _client = client;
                pending::<()>().await;
            }));
        })
        .unwrap();
    assert!(quietly(AssertUnwindSafe(|| drop(runtime))).is_ok());
    assert_eq!((of(&calls), Rc::strong_count(&held)), (3, 1), "each was stopped all the same");
}

fn a_hook_on_parks_that_panics_leaves_the_loop_usable(builder: Builder) {
    for is_park in [true, false] {
        let calls = Counter::default();
        let counting = Arc::clone(&calls);
        let hook = move || {
            count(&counting);
            if of(&counting) == 1 {
                boom("in a hook");
            }
        };
        let builder = builder.clone();
        let runtime = if is_park { builder.on_park(hook) } else { builder.on_unpark(hook) }.build().unwrap();
        let run = || runtime.run(sleep(Duration::from_millis(5)));
        assert!(quietly(AssertUnwindSafe(run)).is_err());
        runtime.run(some_work()).unwrap();
    }
}

/// A loop that notes the panics that it is told of.
fn hearing(builder: Builder) -> (Runtime, Told) {
    let told = Told::default();
    let hearing = Arc::clone(&told);
    let builder = builder.on_panic(move |panic| {
        let name = panic.task().name().unwrap_or("somebody");
        hearing.lock().unwrap().push(format!("{name}: {}", panic.message().unwrap_or("?")));
    });
    (builder.build().unwrap(), told)
}

fn a_panic_that_nobody_waits_for_is_told(builder: Builder) {
    let (runtime, told) = hearing(builder);
    let kept = runtime
        .run(async {
            drop(spawn(async { boom("dropped before") }));
            let later = spawn(async { boom("dropped after") });
            let with_a_number = spawn(async { std::panic::resume_unwind(Box::new(7)) });
            let in_a_drop = spawn(async {
                let _bomb = Bomb;
                pending::<()>().await;
            });
            yield_now().await;
            yield_now().await;
            assert_eq!(*told.lock().unwrap(), ["somebody: dropped before, on purpose"]);
            drop(later);
            assert_eq!(told.lock().unwrap()[1..], ["somebody: dropped after, on purpose"]);
            drop(with_a_number);
            assert_eq!(told.lock().unwrap()[2..], ["somebody: ?"]);
            in_a_drop.abort();
            drop(in_a_drop);
            yield_now().await;
            yield_now().await;
            assert_eq!(told.lock().unwrap()[3..], ["somebody: in a destructor, on purpose"]);
            // An output that panics when it is dropped is nobody's either.
            drop(spawn(async { Bomb }));
            Some(spawn(async { boom("kept") }))
        })
        .unwrap()
        .unwrap();
    runtime.run(yield_now()).unwrap();
    assert_eq!(told.lock().unwrap()[4..], ["somebody: in a destructor, on purpose"]);
    assert!(kept.is_finished());
    runtime.run(async { drop(kept) }).unwrap();
    assert_eq!(told.lock().unwrap()[5..], ["somebody: kept, on purpose"]);
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        boom("in a destructor");
    }
}

fn a_panic_that_somebody_waits_for_is_not_told(builder: Builder) {
    let (runtime, told) = hearing(builder);
    runtime
        .run(async {
            assert!(spawn(async { boom("awaited") }).await.unwrap_err().is_panic());
            let waits = spawn(async { spawn(async { boom("awaited") }).await.unwrap_err().is_panic() });
            assert!(waits.await.unwrap());
            assert!(spawn_blocking(|| boom("awaited")).await.is_err());
            // Those that were stopped have not panicked.
            let stopped = spawn(pending::<()>());
            stopped.abort();
            drop(stopped);
            yield_now().await;
            drop(spawn(async { 7 }));
        })
        .unwrap();
    let root = || runtime.run(async { boom("the root") });
    assert!(quietly(AssertUnwindSafe(root)).is_err(), "it is the caller's");
    drop(runtime);
    assert_eq!(told.lock().unwrap().len(), 0, "{told:?}");
}

fn a_panic_is_told_by_the_tasks_name_also_when_its_handle_is_dropped_later(builder: Builder) {
    let (runtime, told) = hearing(builder);
    runtime
        .run(async {
            let named = |name| task::Builder::new().name(name).spawn(async { boom("it panics") });
            drop(named("before"));
            let after = named("after");
            yield_now().await;
            yield_now().await;
            assert!(after.is_finished());
            drop(after);
        })
        .unwrap();
    assert_eq!(*told.lock().unwrap(), ["before: it panics, on purpose", "after: it panics, on purpose"]);
}

fn a_panic_in_the_hook_for_panics_is_not_heard(builder: Builder) {
    let runtime = builder.on_panic(|_| boom("in the hook")).build().unwrap();
    runtime
        .run(async {
            drop(spawn(async { boom("first") }));
            let second = spawn(async { boom("second") });
            yield_now().await;
            yield_now().await;
            drop(second);
            assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        })
        .unwrap();
    assert_eq!(runtime.metrics().alive, 0);
}

fn a_payload_that_panics_when_it_is_dropped_hurts_nobody(builder: Builder) {
    let (runtime, told) = hearing(builder);
    runtime
        .run(async {
            let throws = || async { std::panic::resume_unwind(Box::new(Bomb)) };
            drop(spawn(throws()));
            let after = spawn(throws());
            yield_now().await;
            yield_now().await;
            drop(after);
            assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        })
        .unwrap();
    assert_eq!((told.lock().unwrap().len(), runtime.metrics().alive), (2, 0));
}

fn a_panic_that_nobody_waits_for_is_said_on_standard_error(builder: Builder) {
    let test = support::child::name();
    let line = line!() + 7;
    let output = support::child::again(&test, |_| ());
    let Some(output) = output else {
        let runtime = builder.build().unwrap();
        let (outside, later) = runtime
            .run(async {
                let builder = task::Builder::new().name("unheard");
                drop(builder.spawn(async { panic!("out of cheese") }));
                let outside = spawn(async { panic!("outside of its loop") });
                let later = spawn(async { panic!("after its loop") });
                yield_now().await;
                yield_now().await;
                (outside, later)
            })
            .unwrap();
        drop(outside);
        drop(runtime);
        drop::<task::JoinHandle<()>>(later);
        return;
    };
    let text = support::child::text(&output.stderr);
    assert!(output.status.success(), "{text}");
    let told: Vec<_> = text.lines().filter(|line| line.starts_with("annulus: ")).collect();
    assert_eq!(told.len(), 3, "{text}");
    let place = format!("\"unheard\", spawned at {}:{line}:", file!());
    let said = "panicked, and nobody waits for it: out of cheese";
    assert!(
        told[0].starts_with("annulus: task ") && told[0].contains(&place) && told[0].ends_with(said),
        "{text}"
    );
    assert!(told[1].ends_with("outside of its loop") && told[2].ends_with("after its loop"), "{text}");
}
