//! A loop is not a black box: who its tasks are, and what each of them waits for.

mod support;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulus::fs::File;
use annulus::net::{TcpListener, TcpStream};
use annulus::sync::mpsc;
use annulus::task::{self, Id, Priority, Snapshot, State, Wait};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, yield_now};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use support::net::pair;
use support::outside::{arrival, directory};
use support::races::spin;
use support::{is_simulated, on_every_driver, on_real_drivers};

on_every_driver! {
    every_task_tells_who_it_is,
    the_oldest_task_is_first,
    a_read_and_an_accept_tell_their_descriptors_and_for_how_long,
    a_dropped_operation_is_not_waited_for,
    a_timer_and_a_task_that_are_waited_for_are_told,
    several_waits_at_once_are_all_told,
    the_waits_of_a_foreign_waker_are_told,
    a_task_in_a_channel_waits_for_nothing_that_is_known,
    a_finished_task_is_not_listed,
    the_current_task_is_the_one_that_runs,
    the_current_task_is_the_one_whose_destructors_run,
    tasks_are_seen_from_outside_between_runs,
    aborting_a_read_by_its_tasks_id_loses_no_byte,
    aborting_an_unknown_task_says_so,
    the_future_that_was_given_to_run_is_not_aborted_by_its_id,
    a_hung_program_tells_what_each_task_waits_for,
    a_budget_of_time_that_is_not_used_up_ends_nothing,
}

on_real_drivers! {
    because "in a simulated world no time passes in a poll":
        a_busy_task_with_a_budget_is_measured_exactly,
        a_busy_task_with_hooks_is_measured_exactly,
        a_budget_of_time_ends_the_task_that_has_used_it_up_and_no_other,
        a_task_was_never_busy_for_longer_than_it_exists,
}

fn find(id: Id) -> Snapshot {
    task::all().into_iter().find(|task| task.id() == id).expect("the task is listed")
}

fn named(name: &str) -> Snapshot {
    task::all().into_iter().find(|task| task.name() == Some(name)).expect("the task is listed by its name")
}

/// Until the other tasks wait for what they wait for.
async fn settled() {
    for _ in 0..4 {
        yield_now().await;
    }
}

fn operation(wait: &Wait) -> (&'static str, Option<i32>) {
    match wait {
        Wait::Operation { name, descriptor, .. } => (name, *descriptor),
        other => panic!("no operation: {other:?}"),
    }
}

/// The descriptor that the machine knows; in a simulated world any.
fn assert_number(told: Option<i32>, number: impl FnOnce() -> i32) {
    match is_simulated() {
        true => assert!(told.is_some()),
        false => assert_eq!(told, Some(number())),
    }
}

async fn every_task_tells_who_it_is() {
    let plain = spawn(pending::<()>());
    let builder = task::Builder::new().name("a name").priority(Priority::High);
    let line = line!() + 1;
    let builder = builder.spawn(async {
        yield_now().await;
        yield_now().await;
        pending::<()>().await;
    });
    let ready = spawn(async {});
    assert_eq!((find(plain.id()).state(), find(plain.id()).polls()), (State::Ready, 0));
    settled().await;
    assert!(ready.is_finished());
    sleep(Duration::from_millis(30)).await;

    let seen = find(builder.id());
    assert_eq!(
        (seen.name(), seen.priority(), seen.state()),
        (Some("a name"), Priority::High, State::Waiting)
    );
    assert_eq!(seen.polls(), 3);
    assert_eq!((seen.spawned_at().file(), seen.spawned_at().line()), (file!(), line));
    // By a clock that is some milliseconds late.
    assert!(seen.age() >= Duration::from_millis(20) && seen.age() < Duration::from_secs(60), "{seen:?}");
    let text = seen.to_string();
    let begin = format!("task {} \"a name\", spawned at {}:{}:", builder.id(), file!(), line);
    assert!(text.starts_with(&begin) && text.contains("; 3 polls, "), "{text}");

    let seen = find(plain.id());
    assert_eq!((seen.name(), seen.priority(), seen.state()), (None, Priority::Normal, State::Waiting));
    assert_eq!(seen.spawned_at().line(), line - 3);

    let root = task::current().unwrap();
    assert_eq!((root.state(), find(root.id()).state()), (State::Running, State::Running));
    fn goes_anywhere<T: Send + Sync + 'static>(_: &T) {}
    goes_anywhere(&root);
    plain.abort();
    builder.abort();
}

async fn the_oldest_task_is_first() {
    let tasks: Vec<_> = (0..20).map(|_| spawn(pending::<()>())).collect();
    tasks[7].abort();
    settled().await;
    let mut ids: Vec<_> = tasks.iter().map(|task| task.id()).collect();
    ids.remove(7);
    ids.insert(0, task::current().unwrap().id());
    assert_eq!(task::all().iter().map(Snapshot::id).collect::<Vec<_>>(), ids);
}

async fn a_read_and_an_accept_tell_their_descriptors_and_for_how_long() {
    let (client, server) = pair().await;
    let (client, server) = (Rc::new(client), Rc::new(server));
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (reading, accepting) = (Rc::clone(&server), Rc::clone(&listener));
    let read = spawn(async move { reading.read(Vec::with_capacity(8)).await.1 });
    let accept = spawn(async move { accepting.accept().await.map(drop) });
    settled().await;
    sleep(Duration::from_millis(200)).await;

    let seen = find(read.id());
    let [wait] = seen.waits() else { panic!("{seen}") };
    let (name, number) = operation(wait);
    assert_eq!(name, "recv", "{seen}");
    assert_number(number, || server.with_fd(|fd| fd.as_raw_fd()).unwrap());
    let Wait::Operation { age, .. } = wait else { unreachable!() };
    assert!(*age >= Duration::from_millis(150) && *age < Duration::from_secs(60), "{seen}");
    assert!(seen.to_string().contains(&format!("waits for recv on descriptor {} for ", number.unwrap())));

    let seen = find(accept.id());
    let (name, number) = operation(&seen.waits()[0]);
    assert_eq!((name, seen.waits().len()), ("accept", 1), "{seen}");
    assert_number(number, || listener.with_fd(|fd| fd.as_raw_fd()).unwrap());
    accept.abort();
    client.write_all("12345678").await.0.unwrap();
    assert_eq!(read.await.unwrap(), b"12345678");
}

async fn a_dropped_operation_is_not_waited_for() {
    let (_client, server) = pair().await;
    let gives_up = spawn(async move {
        assert!(timeout(Duration::from_millis(10), server.read(Vec::with_capacity(8))).await.is_err());
        // At once, though the kernel may not have given it back.
        let own = task::current().unwrap().id();
        assert!(find(own).waits().is_empty(), "{}", find(own));
        let _keep = server;
        pending::<()>().await;
    });
    sleep(Duration::from_millis(50)).await;
    assert!(!gives_up.is_finished());
    assert!(find(gives_up.id()).waits().is_empty());
}

async fn a_timer_and_a_task_that_are_waited_for_are_told() {
    let sleeps = spawn(sleep(Duration::from_secs(1000)));
    let slept = sleeps.id();
    let joins = spawn(sleeps);
    settled().await;
    let seen = find(slept);
    let [Wait::Timer { left }] = seen.waits() else { panic!("{seen}") };
    assert!(*left > Duration::from_secs(900) && *left <= Duration::from_secs(1000), "{seen}");
    assert_eq!(find(joins.id()).waits(), [Wait::Task(slept)]);
    assert!(find(joins.id()).to_string().contains(&format!("waits for task {slept}")));
    joins.abort();
    settled().await;
    assert_eq!(task::all().len(), 2, "who waited was stopped, and not what it waited for");
}

async fn several_waits_at_once_are_all_told() {
    let (_client, server) = pair().await;
    let (_other, second) = pair().await;
    let selects = spawn(async move {
        let mut read = pin!(server.read(Vec::with_capacity(8)).fuse());
        let mut timer = pin!(sleep(Duration::from_secs(1000)).fuse());
        let mut endless = spawn(pending::<()>()).fuse();
        futures_util::select! { _ = read => (), () = timer => (), _ = endless => () }
    });
    let joins = spawn(async move {
        let both = futures_util::join!(second.read(Vec::with_capacity(8)), sleep(Duration::from_secs(1000)));
        drop(both);
    });
    settled().await;
    let seen = find(selects.id());
    let [Wait::Operation { name: "recv", .. }, Wait::Timer { .. }, Wait::Task(_)] = seen.waits() else {
        panic!("{seen}")
    };
    let seen = find(joins.id());
    assert!(matches!(seen.waits(), [Wait::Operation { .. }, Wait::Timer { .. }]), "{seen}");
    selects.abort();
    joins.abort();
}

async fn the_waits_of_a_foreign_waker_are_told() {
    let (_client, server) = pair().await;
    let task = spawn(async move {
        let mut all: FuturesUnordered<_> = (0..3)
            .map(|number| {
                let server = &server;
                async move {
                    match number {
                        0 => drop(server.read(Vec::with_capacity(8)).await),
                        _ => sleep(Duration::from_secs(1000)).await,
                    }
                }
            })
            .collect();
        all.next().await
    });
    settled().await;
    let seen = find(task.id());
    let count = |of: fn(&&Wait) -> bool| seen.waits().iter().filter(of).count();
    assert_eq!(count(|wait| matches!(wait, Wait::Operation { name: "recv", .. })), 1, "{seen}");
    assert_eq!(count(|wait| matches!(wait, Wait::Timer { .. })), 2, "{seen}");
    task.abort();
}

async fn a_task_in_a_channel_waits_for_nothing_that_is_known() {
    let (sender, mut receiver) = mpsc::channel::<()>(1);
    let receives = spawn(async move { receiver.recv().await });
    settled().await;
    let seen = find(receives.id());
    assert_eq!((seen.state(), seen.waits()), (State::Waiting, &[][..]));
    assert!(
        seen.to_string().contains("waits for another task's word (a channel, a lock); 1 poll, "),
        "{seen}"
    );
    drop(sender);
    assert_eq!(receives.await.unwrap(), None);
}

async fn a_finished_task_is_not_listed() {
    let finished = task::Builder::new().name("finished").spawn(async {});
    let aborted = task::Builder::new().name("aborted").spawn(pending::<()>());
    let panicked = task::Builder::new().name("panicked").spawn(async { support::quiet::boom("here") });
    assert_eq!(task::all().len(), 4);
    aborted.abort();
    settled().await;
    assert_eq!(task::all().len(), 1, "{:?}", task::all());
    assert!(finished.is_finished() && aborted.is_finished());
    assert!(panicked.await.unwrap_err().is_panic());
}

async fn the_current_task_is_the_one_that_runs() {
    let root = task::current().unwrap();
    assert!(root.waits().is_empty() && root.name().is_none());
    let id = task::Builder::new().name("inner").spawn(async {
        let before = task::current().unwrap();
        yield_now().await;
        let after = task::current().unwrap();
        assert_eq!((before.name(), before.id()), (Some("inner"), after.id()));
        assert_eq!((before.polls(), after.polls()), (1, 2));
        after.id()
    });
    assert_eq!(id.id(), id.await.unwrap());
    assert_eq!(task::current().unwrap().id(), root.id());
    assert_eq!(std::thread::spawn(|| task::current().is_none()).join().ok(), Some(true));
}

/// Notes whose task it is dropped in.
struct Notes(Rc<RefCell<Vec<Option<Id>>>>, Option<Box<Notes>>);

impl Drop for Notes {
    fn drop(&mut self) {
        self.0.borrow_mut().push(task::current().map(|task| task.id()));
        drop(self.1.take());
        self.0.borrow_mut().push(task::current().map(|task| task.id()));
    }
}

fn the_current_task_is_the_one_whose_destructors_run(builder: Builder) {
    let notes = Rc::default();
    let note = || Notes(Rc::clone(&notes), Some(Box::new(Notes(Rc::clone(&notes), None))));
    let runtime = builder.build().unwrap();
    let other = runtime
        .run(async {
            let inner = note();
            let aborted = spawn(async move {
                let _inner = inner;
                pending::<()>().await;
            });
            settled().await;
            aborted.abort();
            settled().await;
            assert_eq!(notes.take(), [Some(aborted.id()); 4]);
            // What a task drops is dropped in it, whoever made it.
            let inner = note();
            let drops = spawn(async move { drop(inner) });
            let id = drops.id();
            drops.await.unwrap();
            assert_eq!(notes.take(), [Some(id); 4]);
            drop(note());
            assert_eq!(notes.take(), [Some(task::current().unwrap().id()); 4]);
            let inner = note();
            let left = spawn(async move {
                let _inner = inner;
                pending::<()>().await;
            });
            left.id()
        })
        .unwrap();
    drop(runtime);
    assert_eq!(notes.take(), [Some(other); 4], "at the end of the loop, too");
    drop(note());
    assert_eq!(notes.take(), [None; 4]);
    assert!(task::current().is_none());
}

fn tasks_are_seen_from_outside_between_runs(builder: Builder) {
    let runtime = builder.build().unwrap();
    assert!(runtime.tasks().is_empty());
    // Time goes by before the loop runs: no task is older than it is.
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    let age = runtime.run(async { find(task::current().unwrap().id()).age() }).unwrap();
    // By a clock that is some milliseconds late.
    assert!(age <= start.elapsed() + Duration::from_millis(20), "{age:?}");
    let (stays, line) = runtime
        .run(async {
            let (client, server) = pair().await;
            let spawned = spawn(async move {
                let _client = client;
                server.read(Vec::with_capacity(8)).await.0
            });
            settled().await;
            (spawned, line!() - 5)
        })
        .unwrap();
    let all = runtime.tasks();
    let [seen] = &all[..] else { panic!("{all:?}") };
    assert_eq!((seen.id(), seen.spawned_at().line(), seen.state()), (stays.id(), line, State::Waiting));
    assert_eq!(operation(&seen.waits()[0]).0, "recv");
    assert!(task::current().is_none());
    stays.abort();
    assert_eq!(runtime.tasks()[0].state(), State::Ready, "it will be stopped in the next run");
    runtime.run(settled()).unwrap();
    assert!(runtime.tasks().is_empty());
}

async fn aborting_a_read_by_its_tasks_id_loses_no_byte() {
    let (client, server) = pair().await;
    let server = Rc::new(server);
    for round in 0..20u8 {
        let reading = Rc::clone(&server);
        let read = spawn(async move { reading.read_exact(vec![0; 4]).await.1 });
        settled().await;
        if round % 2 == 0 {
            client.write_all(vec![round; 2]).await.0.unwrap();
            arrival().await;
        }
        let waiting = task::all().into_iter().find(|task| !task.waits().is_empty()).expect("one waits");
        assert_eq!(waiting.id(), read.id());
        let by_chance = round % 3 == 0;
        if by_chance {
            client.write_all(vec![round; 2]).await.0.unwrap();
        }
        assert_eq!(task::abort(read.id()), !read.is_finished());
        let got = read.await.map_or(0, |bytes| bytes.len());
        let sent = 2 * (usize::from(round % 2 == 0) + usize::from(by_chance));
        assert!(got == 0 || sent == 4);
        // What an interrupted read_exact had put together is the next read's.
        let left = sent - got;
        let rest = timeout(Duration::from_secs(20), server.read_exact(vec![0; left]))
            .await
            .expect("no byte is lost");
        rest.0.unwrap();
        assert_eq!(rest.1, vec![round; left]);
    }
}

async fn aborting_an_unknown_task_says_so() {
    let finished = spawn(async {});
    let id = finished.id();
    finished.await.unwrap();
    assert!(!task::abort(id));
    let other =
        std::thread::spawn(|| Runtime::new().unwrap().run(async { task::current().unwrap().id() }).unwrap());
    assert!(!task::abort(other.join().unwrap()), "another loop's");
    let running = spawn(async {
        assert!(task::abort(task::current().unwrap().id()), "one may stop oneself");
        yield_now().await;
        unreachable!("it was stopped");
    });
    assert!(running.await.unwrap_err().is_cancelled());
    let outside = std::thread::spawn(move || support::quiet::quietly(move || task::abort(id)).is_err());
    assert!(outside.join().unwrap(), "outside of a loop it panics");
}

fn the_future_that_was_given_to_run_is_not_aborted_by_its_id(builder: Builder) {
    let runtime = builder.build().unwrap();
    for _ in 0..2 {
        let seven = runtime.run(async {
            let root = task::current().unwrap().id();
            assert!(!task::abort(root));
            spawn(async move { assert!(!task::abort(root)) }).await.unwrap();
            yield_now().await;
            7
        });
        assert_eq!(seven.unwrap(), 7);
    }
}

/// The must-show: nothing goes on any more, and the list says why.
async fn a_hung_program_tells_what_each_task_waits_for() {
    let ((one, one_peer), (two, two_peer)) = (pair().await, pair().await);
    let streams: Vec<Rc<TcpStream>> = [one, one_peer, two, two_peer].into_iter().map(Rc::new).collect();
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let directory = directory().await;
    let path = directory.path().join("locked");
    let holder = File::create(&path).await.unwrap();
    holder.lock().await.unwrap();
    let file = Rc::new(File::open(&path).await.unwrap());
    let named_task = |name| task::Builder::new().name(name);

    // Each sends once it has read what the other sends.
    let (mine, theirs) = (Rc::clone(&streams[0]), Rc::clone(&streams[2]));
    let first = named_task("first").spawn(async move {
        mine.read_exact(vec![0; 1]).await.0.unwrap();
        theirs.write_all("x").await.0.unwrap();
    });
    let (mine, theirs) = (Rc::clone(&streams[3]), Rc::clone(&streams[1]));
    let second = named_task("second").spawn(async move {
        mine.read_exact(vec![0; 1]).await.0.unwrap();
        theirs.write_all("x").await.0.unwrap();
    });
    let accepting = Rc::clone(&listener);
    let third = named_task("third").spawn(async move { accepting.accept().await.map(drop) });
    let locking = Rc::clone(&file);
    let fourth = named_task("fourth").spawn(async move { locking.lock().await });
    let fifth = named_task("fifth").spawn(sleep(Duration::from_secs(5000)));
    sleep(Duration::from_millis(100)).await;

    let seen = named("first");
    assert_eq!((operation(&seen.waits()[0]).0, seen.waits().len()), ("recv", 1), "{seen}");
    assert_number(operation(&seen.waits()[0]).1, || streams[0].with_fd(|fd| fd.as_raw_fd()).unwrap());
    let seen = named("second");
    assert_eq!((operation(&seen.waits()[0]).0, seen.waits().len()), ("recv", 1), "{seen}");
    assert_number(operation(&seen.waits()[0]).1, || streams[3].with_fd(|fd| fd.as_raw_fd()).unwrap());
    let seen = named("third");
    assert_eq!(operation(&seen.waits()[0]).0, "accept", "{seen}");
    assert_number(operation(&seen.waits()[0]).1, || listener.with_fd(|fd| fd.as_raw_fd()).unwrap());
    // Nobody tells when a lock is free: it is tried again and again.
    assert!(matches!(named("fourth").waits(), [Wait::Timer { .. }]), "{}", named("fourth"));
    assert!(matches!(named("fifth").waits(), [Wait::Timer { .. }]));

    // Somebody who has read the list ends it.
    streams[1].write_all("x").await.0.unwrap();
    first.await.unwrap();
    second.await.unwrap();
    holder.unlock().await.unwrap();
    fourth.await.unwrap().unwrap();
    assert!(task::abort(third.id()) && task::abort(fifth.id()));
    settled().await;
    assert_eq!(task::all().len(), 1);
}

async fn a_budget_of_time_that_is_not_used_up_ends_nothing() {
    let frugal = task::Builder::new().time_budget(Duration::from_secs(1000)).spawn(async {
        for _ in 0..1000 {
            yield_now().await;
        }
        // What it waits for is not counted.
        sleep(Duration::from_millis(20)).await;
        7
    });
    assert_eq!(frugal.await.unwrap(), 7);
    let waits =
        task::Builder::new().time_budget(Duration::from_millis(500)).spawn(sleep(Duration::from_millis(600)));
    waits.await.unwrap();
}

fn a_busy_task_with_a_budget_is_measured_exactly(builder: Builder) {
    builder
        .build()
        .unwrap()
        .run(busy_for_50_ms(|| task::Builder::new().time_budget(Duration::from_secs(1000))))
        .unwrap();
}

fn a_busy_task_with_hooks_is_measured_exactly(builder: Builder) {
    let runtime = builder.on_after_poll(|_| ()).build().unwrap();
    runtime.run(busy_for_50_ms(task::Builder::new)).unwrap();
}

async fn busy_for_50_ms(builder: impl Fn() -> task::Builder) {
    let idle = builder().spawn(pending::<()>());
    let busy = builder().spawn(async {
        for _ in 0..5 {
            spin(Duration::from_millis(10));
            yield_now().await;
        }
        pending::<()>().await;
    });
    let start = Instant::now();
    while find(busy.id()).state() != State::Waiting {
        yield_now().await;
    }
    let took = start.elapsed();
    let seen = find(busy.id());
    assert!(seen.busy() >= Duration::from_millis(50) && seen.busy() <= took, "{seen} of {took:?}");
    assert!(find(idle.id()).busy() < Duration::from_millis(50) + took / 2);
    assert_eq!(seen.polls(), 6);
}

async fn a_budget_of_time_ends_the_task_that_has_used_it_up_and_no_other() {
    let rounds = Rc::new(Cell::new(0u32));
    let counting = Rc::clone(&rounds);
    let other = spawn(async move {
        loop {
            counting.set(counting.get() + 1);
            yield_now().await;
        }
    });
    let dropped = Rc::new(());
    let held = Rc::clone(&dropped);
    let endless =
        task::Builder::new().name("endless").time_budget(Duration::from_millis(20)).spawn(async move {
            let _held = held;
            loop {
                spin(Duration::from_millis(1));
                yield_now().await;
            }
        });
    let mut seen = find(endless.id());
    while !endless.is_finished() {
        seen = find(endless.id());
        assert!(
            seen.busy() <= Duration::from_millis(20) || endless.is_finished(),
            "one poll too many: {seen}"
        );
        yield_now().await;
    }
    assert!(endless.await.unwrap_err().is_cancelled());
    assert!(seen.polls() > 0 && rounds.get() > 1 && !other.is_finished());
    assert_eq!(Rc::strong_count(&dropped), 1);
    // A poll that finishes is not too late.
    let late = task::Builder::new().time_budget(Duration::from_millis(1)).spawn(async {
        spin(Duration::from_millis(5));
        7
    });
    assert_eq!(late.await.unwrap(), 7);
    other.abort();
}

fn a_task_was_never_busy_for_longer_than_it_exists(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (seen, took) = runtime
        .run(async {
            // The first poll of a loop is always timed.
            let start = Instant::now();
            spin(Duration::from_millis(20));
            yield_now().await;
            let took = start.elapsed();
            sleep(Duration::from_millis(100)).await;
            let seen = find(task::current().unwrap().id());
            (seen, took)
        })
        .unwrap();
    assert!(!seen.busy().is_zero() && seen.busy() <= took + Duration::from_millis(20), "of {took:?}: {seen}");
}
