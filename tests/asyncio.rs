//! What asyncio's loop gives its users, row by row of docs/asyncio.md: a test for each, in the table's order, which
//! shows the promise as a user sees it. What lies behind each is held by the test files of its own part.

// L4: who drops such a thing unawaited is told by the compiler, and where it no longer is this file does not compile.
#![deny(unfulfilled_lint_expectations)]

mod support;

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::{Future, pending};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use annulus::debug::{Leak, Warning};
use annulus::io::AsyncFd;
use annulus::net::{TcpListener, TcpStream};
use annulus::process::Command;
use annulus::signal::{SignalKind, signal};
use annulus::sync::{self, oneshot};
use annulus::task::{self, JoinError, Wait};
use annulus::time::{self, MissedTicks, sleep, timeout};
use annulus::{Builder, CancelToken, Error, Remote, Runtime, fs, spawn, spawn_blocking, yield_now};
use support::net::{pair, read_to_end};
use support::outside::directory;
use support::quiet::boom;
use support::{is_simulated, on_every_driver, on_real_drivers};

on_every_driver! {
    l01_when_a_run_returns_all_tasks_have_ended_and_all_operations_are_retired,
    l02_a_run_inside_of_a_run_is_an_error_that_says_what_to_do,
    l03_one_loop_runs_many_futures_and_its_tasks_go_on_in_the_next,
    l04_what_was_never_awaited_is_told,
    l05_a_spawned_task_is_first_polled_in_the_next_batch_and_never_inside_spawn,
    l06_every_task_says_what_it_is_and_what_it_waits_for,
    l07_a_task_is_stopped_and_loses_no_byte,
    l08_several_are_waited_for_all_or_the_first_or_as_they_end,
    l09_the_first_failure_stops_a_group_which_leaves_nothing_in_flight,
    l10_a_time_out_loses_nothing_and_can_be_moved_and_what_is_shielded_goes_on,
    l11_calls_are_made_soon_or_later_or_taken_back_and_intervals_do_as_they_are_told,
    l12_another_thread_has_the_loop_run_something_and_waits_for_the_answer,
    l14_a_poll_that_blocks_is_told_with_its_task_and_its_line,
    l15_what_is_left_when_a_loop_ends_is_told,
    l16_a_panic_that_nobody_awaits_is_heard,
    l17_turns_are_counted_and_hooks_called_around_each_wait,
    l18_a_result_that_is_set_wakes_its_task_in_the_next_batch,
    l19_tasks_of_one_thread_have_locks_events_and_queues,
    l20_a_task_has_values_of_its_own,
    l22_streams_and_files_are_there,
    l23_a_loop_ends_by_a_deadline_and_a_server_when_it_is_told,
    l24_a_loop_is_driven_by_hand,
    l25_a_loop_whose_tasks_all_wait_is_looked_at_from_another_thread,
}

on_real_drivers! {
    because "a simulated world stands still while a job blocks, and has no pool of threads":
        l13_what_blocks_runs_on_few_named_threads,
        l13_the_loop_goes_on_while_a_helper_blocks;
    because "a simulated world has no descriptors of the operating system's":
        l21_any_descriptor_is_waited_for,
        l24_a_loop_inside_of_tokio_waits_by_its_descriptor;
    because "processes and signals are the machine's":
        l22_processes_signals_and_pipes_are_there,
        l23_a_signal_stops_a_server_which_finishes_what_it_has_begun;
}

/// The rows are the guide's: each has a test, and is told of its name.
#[test]
fn each_row_of_the_guide_names_its_tests() {
    const ROWS: u32 = 25;
    let (guide, tests) = (include_str!("../docs/asyncio.md"), include_str!("asyncio.rs"));
    for row in 1..=ROWS {
        let line =
            guide.lines().find(|line| line.starts_with(&format!("| L{row} |"))).expect("the row is there");
        let (_, cell) = line.trim_end_matches([' ', '|']).rsplit_once('|').unwrap();
        let names: Vec<_> = cell.split(',').map(|name| name.trim().trim_matches('`')).collect();
        assert!(names.iter().all(|name| name.starts_with(&format!("l{row:02}_"))), "{names:?}");
        let prefix = |test: &str| names.iter().any(|name| test.starts_with(name));
        let own = tests.lines().filter_map(|line| line.trim_start_matches("async ").strip_prefix("fn "));
        let mut own = own.filter(|test| test.starts_with(&format!("l{row:02}_"))).peekable();
        assert!(own.peek().is_some() && own.all(prefix), "a test of L{row} that the guide does not name");
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

fn metrics() -> annulus::Metrics {
    Runtime::try_current().unwrap().metrics()
}

/// A write that no peer takes: it stays in flight, and the kernel has the buffer.
async fn write_for_ever(lent: Rc<[u8]>) {
    let (stream, peer) = pair().await;
    drop(spawn(async move {
        let _ = stream.write_all(lent).await;
        drop(peer);
    }));
    yield_now().await;
}

fn l01_when_a_run_returns_all_tasks_have_ended_and_all_operations_are_retired(builder: Builder) {
    let lent: Rc<[u8]> = vec![0; 32 << 20].into();
    let runtime = builder.build().unwrap();
    runtime.run(write_for_ever(Rc::clone(&lent))).unwrap();
    assert_eq!(runtime.metrics().alive, 1);
    assert!(Rc::strong_count(&lent) > 1, "the task or the kernel has it");
    drop(runtime);
    assert_eq!(Rc::strong_count(&lent), 1, "what the kernel was lent is given back");
    // The one call that is all of that.
    annulus::run(write_for_ever(Rc::clone(&lent))).unwrap();
    assert_eq!(Rc::strong_count(&lent), 1);
}

fn l02_a_run_inside_of_a_run_is_an_error_that_says_what_to_do(builder: Builder) {
    assert!(Runtime::try_current().is_none());
    let runtime = builder.build().unwrap();
    let outcome = runtime.run(async {
        assert!(Runtime::try_current().is_some());
        let nested = annulus::run(async { unreachable!("a second loop on this thread") }).unwrap_err();
        assert!(matches!(nested, Error::Nested));
        for word in ["annulus::run", "annulus::spawn", "another thread"] {
            assert!(nested.to_string().contains(word), "{nested}");
        }
        // Where another loop is wanted: a thread of its own.
        let elsewhere = thread::spawn(|| annulus::run(async { 7 }).unwrap());
        assert_eq!(elsewhere.join().unwrap(), 7);
        spawn(async { 8 }).await.unwrap()
    });
    assert_eq!(outcome.unwrap(), 8, "the loop goes on");
    assert!(Runtime::try_current().is_none());
}

fn l03_one_loop_runs_many_futures_and_its_tasks_go_on_in_the_next(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (sender, mut receiver) = sync::mpsc::channel(1);
    let counting = runtime.spawn(async move {
        let mut sum = 0;
        while let Some(number) = receiver.recv().await {
            sum += number;
        }
        sum
    });
    for number in 1..=10 {
        runtime.run(sender.send(number)).unwrap().unwrap();
    }
    drop(sender);
    assert_eq!(runtime.run(counting).unwrap().unwrap(), 55);
}

type Told = Arc<Mutex<Vec<Warning>>>;

/// In debug mode; what is found comes into the list.
fn telling(builder: Builder) -> (Builder, Told) {
    let told = Told::default();
    let telling = Arc::clone(&told);
    (builder.debug(true).on_warning(move |warning| telling.lock().unwrap().push(warning.clone())), told)
}

fn l04_what_was_never_awaited_is_told(builder: Builder) {
    let (builder, told) = telling(builder);
    let runtime = builder.build().unwrap();
    let outcome = runtime.run(async {
        #[expect(unused_must_use, reason = "the compiler tells of operations, in these words: see L4 above")]
        annulus::nop();
        #[expect(unused_must_use, reason = "of time")]
        sleep(PATIENCE);
        #[expect(unused_must_use, reason = "of tasks")]
        spawn(async {});
        // What the compiler cannot see debug mode does.
        let (stream, _peer) = pair().await;
        drop(stream.read(Vec::with_capacity(64)));
    });
    outcome.unwrap();
    drop(runtime);
    let told = told.lock().unwrap();
    let never: Vec<_> = told
        .iter()
        .filter_map(|warning| match warning {
            Warning::NeverPolled(never) => Some(never),
            _ => None,
        })
        .collect();
    let names: Vec<_> = never.iter().map(|never| never.operation()).collect();
    assert_eq!(names, ["nop", "recv"]);
    assert!(never[1].to_string().contains("put `.await` behind it"), "{}", never[1]);
    if cfg!(all(target_os = "linux", debug_assertions)) {
        let line = never[1].line().expect("a line");
        assert!(line.file().unwrap().ends_with("tests/asyncio.rs"), "{line}");
    }
}

/// What was said, in its order.
#[derive(Clone, Default)]
struct Said(Rc<RefCell<Vec<String>>>);

impl Said {
    fn say(&self, word: impl Into<String>) {
        self.0.borrow_mut().push(word.into());
    }

    fn later(&self, word: &'static str) -> impl FnOnce() + use<> {
        let said = self.clone();
        move || said.say(word)
    }

    #[track_caller]
    fn was(&self, words: &[&str]) {
        assert_eq!(*self.0.borrow(), words);
    }
}

async fn l05_a_spawned_task_is_first_polled_in_the_next_batch_and_never_inside_spawn() {
    let said = Said::default();
    let speak = |name: &'static str| {
        let said = said.clone();
        async move {
            for step in 1..=2 {
                said.say(format!("{name}{step}"));
                yield_now().await;
            }
        }
    };
    let tasks = [spawn(speak("a")), spawn(speak("b"))];
    said.was(&[]);
    for task in tasks {
        task.await.unwrap();
    }
    said.was(&["a1", "b1", "a2", "b2"]);
}

async fn l06_every_task_says_what_it_is_and_what_it_waits_for() {
    let (stream, _peer) = pair().await;
    let mut number = None;
    if !is_simulated() {
        number = Some(stream.with_fd(|fd| std::os::fd::AsRawFd::as_raw_fd(&fd)).unwrap());
    }
    let reading = task::Builder::new().name("reading").spawn(async move {
        assert_eq!(task::current().unwrap().name(), Some("reading"));
        stream.read(Vec::with_capacity(64)).await.0
    });
    let reading_id = reading.id();
    let joining = task::Builder::new().name("joining").spawn(reading);
    let sleeping = task::Builder::new().name("sleeping").spawn(sleep(PATIENCE));
    // One that a simulated kernel wakes in vain is ready for a moment.
    let mut all = Vec::new();
    while !(all.len() == 4
        && all[1..].iter().all(|task: &task::Snapshot| task.state() == task::State::Waiting))
    {
        yield_now().await;
        all = task::all();
    }
    let named = |name: &str| all.iter().find(|task| task.name() == Some(name)).expect("each has its name");
    let reading = named("reading");
    assert!(reading.spawned_at().file().ends_with("tests/asyncio.rs"));
    assert!(reading.polls() >= 1 && reading.age() >= reading.busy());
    match reading.waits() {
        [Wait::Operation { name, descriptor, age }] => {
            assert_eq!(*name, "recv");
            // Both to some milliseconds.
            assert!(*age <= reading.age() + Duration::from_secs(1), "{age:?}");
            assert!(number.is_none() || *descriptor == number, "{descriptor:?}, not {number:?}");
        }
        other => panic!("it waits for {other:?}"),
    }
    assert_eq!(named("joining").waits(), [Wait::Task(reading_id)]);
    assert!(matches!(named("sleeping").waits(), [Wait::Timer { left }] if *left <= PATIENCE));
    assert!(reading.to_string().contains(STUCK), "{reading}");
    drop((joining, sleeping));
    assert!(task::abort(reading_id), "and is stopped by its number");
}

async fn l07_a_task_is_stopped_and_loses_no_byte() {
    let (stream, peer) = pair().await;
    let stream = Rc::new(stream);
    let reading = spawn({
        let stream = Rc::clone(&stream);
        async move { stream.read(Vec::with_capacity(64)).await }
    });
    yield_now().await;
    // What comes while the kernel is asked to stop goes to the next read.
    reading.abort();
    peer.write_all("to whom it may concern").await.0.unwrap();
    assert!(reading.await.unwrap_err().is_cancelled());
    drop(peer);
    assert_eq!(read_to_end(&stream).await, b"to whom it may concern");

    let panicking = spawn(async { boom("a task") });
    match panicking.await.unwrap_err() {
        JoinError::Panicked(panic) => assert_eq!(*panic.downcast::<String>().unwrap(), "a task, on purpose"),
        other => panic!("{other:?}"),
    }
}

async fn after(ms: u64) -> u64 {
    sleep(Duration::from_millis(ms)).await;
    ms
}

async fn l08_several_are_waited_for_all_or_the_first_or_as_they_end() {
    assert_eq!(annulus::join!(after(2), after(1)), (2, 1));
    let failed = async { annulus::try_join!(async { Err::<(), _>("no") }, pending::<Result<(), &str>>()) };
    assert_eq!(failed.await, Err("no"));
    let first = annulus::select! {
        () = pending() => unreachable!(),
        ms = after(1) => ms,
    };
    assert_eq!(first, 1);
    assert_eq!(task::join_all([3, 1].map(after)).await, [3, 1]);

    let mut set = task::JoinSet::new();
    // They wait for each other, so that it is no matter of speed.
    let (go_on, wait) = oneshot::channel();
    set.spawn(async move { wait.await.unwrap() });
    set.spawn(async { "first" });
    assert_eq!(set.join_next().await.unwrap().unwrap(), "first");
    go_on.send("second").unwrap();
    assert_eq!(set.join_next().await.unwrap().unwrap(), "second");
    assert!(set.join_next().await.is_none());

    // The same in one task, without spawning.
    let (go_on, wait) = oneshot::channel();
    let wait = RefCell::new(Some(wait));
    let mut ended = task::as_completed([0, 1].map(async |place| match place {
        0 => wait.take().unwrap().await.unwrap(),
        _ => "first",
    }));
    assert_eq!(ended.next().await, Some("first"));
    go_on.send("second").unwrap();
    assert_eq!((ended.next().await, ended.next().await), (Some("second"), None));
}

async fn l09_the_first_failure_stops_a_group_which_leaves_nothing_in_flight() {
    let both = task::group(async |group| {
        let (one, two) = (group.spawn(async { Ok(1) }), group.spawn(async { Ok(2) }));
        Ok::<_, String>(one.await.unwrap() + two.await.unwrap())
    });
    assert_eq!(both.await, Ok(3));

    let before = metrics().in_flight;
    let outcome = task::group(async |group| {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        group.spawn(async move { listener.accept().await.map(drop).map_err(|error| error.to_string()) });
        yield_now().await;
        assert_eq!(metrics().in_flight, before + 1);
        group.spawn(async { Err::<(), _>("out of cheese".to_owned()) });
        pending::<Result<(), String>>().await
    });
    assert_eq!(outcome.await.unwrap_err(), "out of cheese");
    let after = metrics();
    assert_eq!((after.alive, after.in_flight, after.orphans), (1, before, 0), "only this task is left");
}

async fn l10_a_time_out_loses_nothing_and_can_be_moved_and_what_is_shielded_goes_on() {
    let (stream, peer) = pair().await;
    let short = Duration::from_millis(2);
    assert!(timeout(short, stream.read(Vec::with_capacity(64))).await.is_err());
    peer.write_all("late").await.0.unwrap();
    drop(peer);
    assert_eq!(read_to_end(&stream).await, b"late");

    let (answer, answered) = oneshot::channel();
    let mut waiting = pin!(timeout(short, answered));
    assert!(waiting.as_mut().await.is_err());
    waiting.as_mut().reset(time::now() + PATIENCE);
    let later = async {
        sleep(short).await;
        answer.send("put off").unwrap();
    };
    let (waited, ()) = annulus::join!(waiting, later);
    assert_eq!(waited.unwrap(), Ok("put off"));

    let (saved, is_saved) = oneshot::channel();
    let (go_on, wait) = oneshot::channel::<()>();
    let saving = async move {
        wait.await.unwrap();
        saved.send("saved").unwrap();
    };
    assert!(timeout(short, task::shield(saving)).await.is_err());
    go_on.send(()).unwrap();
    assert_eq!(is_saved.await.unwrap(), "saved");
}

async fn l11_calls_are_made_soon_or_later_or_taken_back_and_intervals_do_as_they_are_told() {
    // The clock moves on when there is nothing else to do: no moment here is a matter of speed.
    time::pause();
    let said = Said::default();
    let start = time::now();
    let ms = |ms| start + Duration::from_millis(ms);
    task::call_at(ms(20), said.later("at 20"));
    task::call_later(Duration::from_millis(10), said.later("at 10"));
    let taken_back = task::call_later(Duration::from_millis(15), said.later("never"));
    task::call_soon(said.later("soon"));
    task::call_soon(said.later("soon, too"));
    said.was(&[]);
    yield_now().await;
    said.was(&["soon", "soon, too"]);
    taken_back.cancel();
    time::sleep_until(ms(25)).await;
    said.was(&["soon", "soon, too", "at 10", "at 20"]);

    for (policy, next) in [(MissedTicks::Burst, 20), (MissedTicks::Delay, 45), (MissedTicks::Skip, 40)] {
        let start = time::now();
        let mut interval = time::interval_at(start, Duration::from_millis(10));
        interval.set_missed_ticks(policy);
        interval.tick().await;
        time::sleep_until(start + Duration::from_millis(35)).await;
        // That of 10, late: and then?
        let ticks = [interval.tick().await, interval.tick().await].map(|tick| (tick - start).as_millis());
        assert_eq!(ticks, [10, next], "{policy:?}");
    }
}

/// Has a thread without a loop do something; the loop goes on meanwhile.
async fn on_a_thread<T: Send + 'static>(body: impl FnOnce(Remote) -> T + Send + 'static) -> T {
    let (sender, receiver) = sync::across::oneshot::channel();
    let remote = Runtime::try_current().unwrap().remote();
    let thread = thread::spawn(move || sender.send(body(remote)).is_ok());
    let value = receiver.await.expect("the thread has panicked");
    assert!(thread.join().unwrap());
    value
}

async fn l12_another_thread_has_the_loop_run_something_and_waits_for_the_answer() {
    let here = thread::current().id();
    let asked = on_a_thread(move |remote| {
        assert_eq!(remote.run(|| thread::current().id()).wait().unwrap(), here);
        let made_there = remote.spawn(|| async {
            // Not `Send`: it is made on the loop and stays there.
            let text = Rc::new("tea");
            yield_now().await;
            text.len()
        });
        assert_eq!(made_there.wait().unwrap(), 3);
        // On another loop the answer is awaited.
        annulus::run(remote.run(|| "from one loop to the other")).unwrap().unwrap()
    });
    assert_eq!(asked.await, "from one loop to the other");
}

fn l13_what_blocks_runs_on_few_named_threads(builder: Builder) {
    let runtime = builder.helpers_max(2).build().unwrap();
    let names = runtime.run(async {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<_> = (0..8)
            .map(|_| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                spawn_blocking(move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(1));
                    running.fetch_sub(1, Ordering::SeqCst);
                    thread::current().name().map(str::to_owned)
                })
            })
            .collect();
        let mut names = HashSet::new();
        for job in jobs {
            names.insert(job.await.unwrap().expect("each has a name"));
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
        names
    });
    let names = names.unwrap();
    assert!(names.len() <= 2 && names.iter().all(|name| name.starts_with("annulus-helper-")), "{names:?}");
}

async fn l13_the_loop_goes_on_while_a_helper_blocks() {
    let (go_on, wait) = std::sync::mpsc::channel();
    let blocked = spawn_blocking(move || wait.recv().unwrap());
    sleep(Duration::from_millis(1)).await;
    assert!(!blocked.is_finished());
    // Only the loop can end it.
    go_on.send(7).unwrap();
    assert_eq!(blocked.await.unwrap(), 7);
}

fn l14_a_poll_that_blocks_is_told_with_its_task_and_its_line(builder: Builder) {
    let (builder, told) = telling(builder);
    let runtime = builder.slow_poll(Duration::from_millis(10)).build().unwrap();
    let is_told = Arc::clone(&told);
    let outcome = runtime.run(async move {
        let blocking = task::Builder::new().name("blocking").spawn(async move {
            // It blocks until that is told, however long it takes.
            while is_told.lock().unwrap().is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
        });
        blocking.await.unwrap();
    });
    outcome.unwrap();
    drop(runtime);
    let told = told.lock().unwrap();
    let Warning::SlowPoll(slow) = &told[0] else { panic!("{}", told[0]) };
    assert_eq!(slow.task().name(), Some("blocking"));
    assert!(slow.task().spawned_at().file().ends_with("tests/asyncio.rs"));
    assert!(slow.time() >= Duration::from_millis(10) && !slow.is_over());
    if cfg!(all(target_os = "linux", debug_assertions)) {
        let line = slow.line().expect("a line");
        assert!(line.file().unwrap().ends_with("tests/asyncio.rs"), "{slow}");
    }
    assert!(slow.to_string().contains("give what blocks to spawn_blocking"), "{slow}");
}

fn l15_what_is_left_when_a_loop_ends_is_told(builder: Builder) {
    let (builder, told) = telling(builder);
    let runtime = builder.build().unwrap();
    let kept = runtime.run(async {
        let (stream, peer) = pair().await;
        peer.write_all("k").await.0.unwrap();
        let lease = stream.recv().await.unwrap();
        drop(task::Builder::new().name("left alone").spawn(async move {
            sleep(PATIENCE).await;
            drop(stream);
        }));
        yield_now().await;
        drop(task::Builder::new().name("never begun").spawn(async {}));
        (peer, lease)
    });
    drop(runtime);
    let told = told.lock().unwrap();
    let said: Vec<_> = told
        .iter()
        .map(|warning| match warning {
            Warning::Leak(Leak::Task { task, never_polled, state }) => {
                assert!(*never_polled || state.contains("waits for a timer"), "{state}");
                format!("{} {never_polled}", task.name().unwrap())
            }
            Warning::Leak(Leak::Handles(count)) => format!("{count} handles"),
            Warning::Leak(Leak::Leases(count)) => format!("{count} leases"),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(said, ["left alone false", "never begun true", "1 handles", "1 leases"]);
    drop(kept);
}

fn l16_a_panic_that_nobody_awaits_is_heard(builder: Builder) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let hook = move |panic: &task::UnheardPanic| {
        let text = (panic.task().name().map(str::to_owned), panic.message().map(str::to_owned));
        hearing.lock().unwrap().push(text);
    };
    let runtime = builder.on_panic(hook).build().unwrap();
    let outcome = runtime.run(async {
        drop(task::Builder::new().name("detached").spawn(async { boom("nobody waits") }));
        let awaited = spawn(async { boom("somebody waits") });
        assert!(awaited.await.unwrap_err().is_panic(), "told there, and only there");
        8
    });
    assert_eq!(outcome.unwrap(), 8, "the loop goes on");
    let expected = (Some("detached".to_owned()), Some("nobody waits, on purpose".to_owned()));
    assert_eq!(*heard.lock().unwrap(), [expected]);
}

fn l17_turns_are_counted_and_hooks_called_around_each_wait(builder: Builder) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let (parking, unparking) = (Arc::clone(&waits), Arc::clone(&waits));
    let runtime = builder
        .on_park(move || parking.lock().unwrap().push("park"))
        .on_unpark(move || unparking.lock().unwrap().push("unpark"))
        .build()
        .unwrap();
    let work = async {
        assert_eq!(after(2).await + after(1).await, 3);
        // Of histograms one poll in some hundreds is timed.
        for _ in 0..20_000 {
            yield_now().await;
        }
    };
    runtime.run(work).unwrap();
    let (metrics, waits) = (runtime.metrics(), waits.lock().unwrap());
    assert!(waits.len() >= 2 && waits.chunks(2).all(|pair| pair == ["park", "unpark"]), "{waits:?}");
    assert_eq!(waits.len() as u64, 2 * metrics.parks);
    assert_eq!((metrics.timers_fired, metrics.spawned, metrics.alive), (2, 1, 0));
    assert!(metrics.turns > metrics.parks && metrics.polls > 20_000, "{metrics:?}");
    for histogram in [metrics.batches, metrics.depths, metrics.poll_time, metrics.wake_to_poll] {
        assert!(histogram.count() > 0 && histogram.percentile(99.0).is_some(), "{metrics:?}");
    }
}

async fn l18_a_result_that_is_set_wakes_its_task_in_the_next_batch() {
    let said = Said::default();
    let (answer, answered) = oneshot::channel();
    drop(spawn({
        let said = said.clone();
        async move { said.say(answered.await.unwrap()) }
    }));
    yield_now().await;
    answer.send("the result").unwrap();
    said.say("set");
    yield_now().await;
    said.was(&["set", "the result"]);
}

async fn l19_tasks_of_one_thread_have_locks_events_and_queues() {
    let said = Said::default();
    // A lock is handed over in the order in which it was asked for, and is kept over an await.
    let lock = Rc::new(sync::Mutex::new(0));
    let adding: Vec<_> = (1..=3)
        .map(|number| {
            let (lock, said) = (Rc::clone(&lock), said.clone());
            spawn(async move {
                let mut sum = lock.lock().await;
                let before = *sum;
                yield_now().await;
                *sum = before + number;
                said.say(number.to_string());
            })
        })
        .collect();
    task::join_all(adding).await;
    said.was(&["1", "2", "3"]);
    assert_eq!(*lock.lock().await, 6);

    let shelf = sync::RwLock::new("book");
    {
        let (reader, _another) = (shelf.read().await, shelf.read().await);
        assert_eq!((*reader, shelf.try_write().is_err()), ("book", true));
    }
    *shelf.write().await = "another book";
    let seats = sync::Semaphore::new(1);
    let seat = seats.acquire().await.unwrap();
    assert!(seats.try_acquire().is_err());
    drop(seat);
    assert!(seats.try_acquire().is_ok());

    let (event, barrier, notify) = (sync::Event::new(), sync::Barrier::new(2), sync::Notify::new());
    event.set();
    notify.notify_one();
    let (one, two, ..) = annulus::join!(barrier.wait(), barrier.wait(), event.wait(), notify.notified());
    assert!(one.is_leader() != two.is_leader() && event.is_set());
    assert_eq!(*sync::OnceCell::new().get_or_init(async || 7).await, 7);

    let (queue, mut queued) = sync::mpsc::channel(1);
    queue.send(1).await.unwrap();
    assert!(queue.try_send(2).is_err(), "the bound holds");
    assert_eq!(queued.recv().await, Some(1));
    let (news, mut listener) = sync::broadcast::channel(4);
    assert_eq!(news.send("all").unwrap(), 1);
    assert_eq!(listener.recv().await.unwrap(), "all");
    let (level, mut seen) = sync::watch::channel(1);
    level.send(2).unwrap();
    seen.changed().await.unwrap();
    assert_eq!(*seen.borrow(), 2);

    // For other threads there is a flavour that is `Send`.
    let (across, mut here) = sync::across::mpsc::channel(1);
    let elsewhere = spawn_blocking(move || across.blocking_send("from a thread").is_ok());
    assert_eq!(here.recv().await, Some("from a thread"));
    assert!(elsewhere.await.unwrap());
}

annulus::task_local! { static USER: &'static str; }

async fn l20_a_task_has_values_of_its_own() {
    let whose = async || {
        yield_now().await;
        USER.get()
    };
    let both = annulus::join!(USER.scope("Ada", whose()), USER.scope("Grace", whose()));
    assert_eq!(both, ("Ada", "Grace"));
    // What differs from contextvars: a task that is spawned inside has to be given it.
    let spawned = USER.scope("Ada", async { spawn(async { USER.try_get().is_err() }).await });
    assert!(spawned.await.unwrap() && USER.try_get().is_err());
}

async fn l21_any_descriptor_is_waited_for() {
    let (mine, mut other) = UnixStream::pair().unwrap();
    mine.set_nonblocking(true).unwrap();
    let fd = AsyncFd::new(mine).unwrap();
    assert!(timeout(Duration::from_millis(2), fd.readable()).await.is_err());
    assert!(fd.writable().await.unwrap().ready().is_writable());
    other.write_all(b"ready").unwrap();
    let mut room = [0; 16];
    let count = fd.readable().await.unwrap().try_io(|fd| fd.get_ref().read(&mut room)).unwrap().unwrap();
    assert_eq!(&room[..count], b"ready");
}

async fn l22_streams_and_files_are_there() {
    let directory = directory().await;
    let path = directory.path().join("page");
    fs::write(&path, "what the file holds").await.0.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (result, name) = stream.read_exact(Vec::with_capacity(4)).await;
        result.unwrap();
        let file = fs::File::open(path.with_file_name(String::from_utf8(name).unwrap())).await.unwrap();
        // sock_sendfile.
        stream.send_file(&file, 9, u64::MAX).await.unwrap()
    });
    let client = TcpStream::connect(address).await.unwrap();
    client.write_all("page").await.0.unwrap();
    assert_eq!(read_to_end(&client).await, b"file holds");
    assert_eq!(serving.await.unwrap(), 10);
}

async fn l22_processes_signals_and_pipes_are_there() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (writer, reader) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    writer.write_all("by two pipes").await.0.unwrap();
    writer.close().await.unwrap();
    let (result, heard) = reader.read_exact(Vec::with_capacity(12)).await;
    result.unwrap();
    assert_eq!(heard, b"by two pipes");
    assert!(child.wait().await.unwrap().success());

    let mut signals = signal(SignalKind::user_defined1()).unwrap();
    let me = std::process::id().to_string();
    assert!(Command::new("kill").args(["-USR1", &me]).status().await.unwrap().success());
    signals.recv().await.unwrap();
}

/// Serves until it is told to stop: then it accepts nobody any more, and finishes what it has begun.
async fn serve(listener: TcpListener, stop: CancelToken) -> usize {
    let mut serving = task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().cancel_on(&stop).await {
        serving.spawn(async move {
            let (result, asked) = stream.read_exact(vec![0; 1]).await;
            result.unwrap();
            stream.write_all(asked).await.0.unwrap();
        });
    }
    drop(listener);
    serving.join_all().await.len()
}

async fn is_finished_in_order(stopping: impl AsyncFnOnce(&CancelToken)) {
    let stop = CancelToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = spawn(serve(listener, stop.clone()));
    let client = TcpStream::connect(address).await.unwrap();
    while metrics().alive < 3 {
        yield_now().await;
    }
    stopping(&stop).await;
    while TcpStream::connect(address).await.is_ok() {
        yield_now().await;
    }
    assert!(!serving.is_finished());
    client.write_all("x").await.0.unwrap();
    assert_eq!(read_to_end(&client).await, b"x");
    assert_eq!(serving.await.unwrap(), 1);
}

fn l23_a_loop_ends_by_a_deadline_and_a_server_when_it_is_told(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime.run(is_finished_in_order(async |stop| stop.cancel())).unwrap();
    let lent: Rc<[u8]> = vec![0; 32 << 20].into();
    runtime.run(write_for_ever(Rc::clone(&lent))).unwrap();
    assert_eq!(runtime.shutdown(PATIENCE), 0, "operations that the kernel has not given back");
    assert_eq!(Rc::strong_count(&lent), 1);
}

async fn l23_a_signal_stops_a_server_which_finishes_what_it_has_begun() {
    let mut signals = signal(SignalKind::user_defined2()).unwrap();
    let stopping = async move |stop: &CancelToken| {
        let stop = stop.clone();
        let waiting = spawn(async move {
            signals.recv().await.unwrap();
            stop.cancel();
        });
        let me = std::process::id().to_string();
        assert!(Command::new("kill").args(["-USR2", &me]).status().await.unwrap().success());
        waiting.await.unwrap();
    };
    is_finished_in_order(stopping).await;
}

fn l24_a_loop_is_driven_by_hand(builder: Builder) {
    let runtime = builder.build().unwrap();
    assert!(runtime.next_deadline().is_none());
    let task = runtime.spawn(after(5));
    assert!(!task.is_finished(), "nothing is polled before a turn");
    let mut turns = 0;
    while !task.is_finished() {
        // What the program does besides goes here.
        turns += 1;
        let is_ready = runtime.turn(Some(Duration::from_millis(1))).unwrap();
        assert!(is_ready || task.is_finished() || runtime.next_deadline().is_some());
    }
    assert!(turns > 1 && runtime.next_deadline().is_none());
    assert_eq!(runtime.run(task).unwrap().unwrap(), 5);

    // The driver without tasks.
    let mut nothing = pin!(annulus::nop());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(runtime.enter(|| nothing.as_mut().poll(&mut cx)).is_pending());
    runtime.turn(None).unwrap();
    assert!(runtime.enter(|| nothing.as_mut().poll(&mut cx)).is_ready());
    if is_simulated() {
        assert_eq!(runtime.as_fd().unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

fn l24_a_loop_inside_of_tokio_waits_by_its_descriptor(builder: Builder) {
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd as Watched;

    let runtime = builder.build().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (answer, answered) = tokio::sync::oneshot::channel();
    let task = runtime.spawn(async move {
        // Both ends on the loop: what one writes wakes the other.
        let (one, other) = pair().await;
        let writing = spawn(async move { one.write_all("by the ring").await.0 });
        let (result, heard) = other.read_exact(Vec::with_capacity(11)).await;
        result.and(writing.await.unwrap()).unwrap();
        // A word from tokio.
        (heard, answered.await.unwrap())
    });
    tokio.block_on(async {
        #[allow(deprecated, reason = "what replaces it is unsafe, and not in all versions")]
        let descriptor = Watched::with_interest(runtime.as_fd().unwrap(), Interest::READABLE).unwrap();
        let mut answer = Some(answer);
        while !task.is_finished() {
            while runtime.turn(Some(Duration::ZERO)).unwrap() {}
            if let Some(answer) = answer.take() {
                tokio::spawn(async move { answer.send("by tokio").unwrap() });
            }
            if !task.is_finished() {
                descriptor.readable().await.unwrap().clear_ready();
            }
        }
    });
    let heard = runtime.run(task).unwrap().unwrap();
    assert_eq!(heard, (b"by the ring".to_vec(), "by tokio"));
}

/// What each of them says that it waits for.
const STUCK: &str = "waits for recv on descriptor";

async fn l25_a_loop_whose_tasks_all_wait_is_looked_at_from_another_thread() {
    // A mistake: each waits for the other's bytes first.
    let (one, other) = pair().await;
    for (name, stream) in [("one", one), ("other", other)] {
        drop(task::Builder::new().name(name).spawn(async move {
            let _ = stream.read_exact(vec![0; 1]).await;
            let _ = stream.write_all("x").await;
        }));
    }
    let looking = on_a_thread(|remote| {
        let mut told: Vec<String> = Vec::new();
        // One that a simulated kernel wakes in vain is ready for a moment.
        for _ in 0..10_000 {
            let (tasks, in_flight) = remote.run(|| (task::all(), metrics().in_flight)).wait().unwrap();
            // Plain data: it is told of outside of the loop.
            told = tasks.iter().map(ToString::to_string).collect();
            let waits = |name| told.iter().any(|text| text.contains(name) && text.contains(STUCK));
            if waits("\"one\"") && waits("\"other\"") {
                return (tasks, in_flight);
            }
        }
        panic!("they do not wait: {told:#?}");
    });
    let (tasks, in_flight) = looking.await;
    assert_eq!(tasks.len(), 3, "two, and the one that was given to run");
    assert!(in_flight >= 2);
}
