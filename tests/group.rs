//! Tasks that end together: the first failure stops the others, and who has left the group has left nothing to the kernel.

mod support;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use annulus::fs::{self, File};
use annulus::net::{TcpListener, TcpStream};
use annulus::sync::{Notify, oneshot};
use annulus::task::{self, TaskGroup};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, yield_now};
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use support::net::pair;
use support::on_every_driver;
use support::outside::directory;
use support::quiet::boom;

on_every_driver! {
    a_group_waits_for_its_tasks_and_gives_the_bodys_value,
    the_body_may_borrow_and_use_what_its_tasks_give,
    the_first_failure_stops_the_others_and_the_body,
    a_body_that_fails_stops_its_tasks,
    a_task_that_is_stopped_by_hand_is_no_failure,
    nothing_of_a_failed_group_is_in_flight_when_it_is_left,
    what_the_body_left_behind_is_waited_for_too,
    what_tasks_that_ended_well_left_behind_is_waited_for,
    what_one_task_began_and_another_left_behind_is_waited_for,
    the_thread_goes_on_while_a_group_is_left,
    a_connection_that_a_stopped_accept_met_goes_to_the_next,
    a_panic_of_a_task_is_the_groups_when_all_have_ended,
    a_panic_of_the_body_is_the_groups_when_all_have_ended,
    a_panic_in_a_drop_is_a_failure,
    a_later_panic_that_panics_when_it_is_dropped_keeps_nobody_in_the_group,
    a_group_that_is_dropped_stops_its_tasks,
    a_group_inside_of_one_that_fails_is_waited_for_by_it,
    a_group_in_the_body_of_one_that_fails_is_waited_for_by_it,
    a_failure_inside_is_one_outside_only_if_it_is_passed_on,
    tasks_may_spawn_others_into_their_group,
    nobody_enters_a_group_that_is_stopped,
    nobody_enters_a_group_that_was_left,
    a_group_works_under_somebody_elses_waker,
    a_loop_that_ends_takes_its_groups_with_it,
}

fn in_flight() -> usize {
    Runtime::try_current().unwrap().metrics().in_flight
}

fn orphans() -> usize {
    Runtime::try_current().unwrap().metrics().orphans
}

fn told(panic: Box<dyn Any + Send>) -> String {
    *panic.downcast().unwrap()
}

fn failure(text: &str) -> io::Error {
    io::Error::other(text.to_owned())
}

/// Says that it is gone.
struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Alive {
        count.set(count.get() + 1);
        Alive(Rc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn forever<E>(alive: Alive) -> Result<(), E> {
    pending::<()>().await;
    drop(alive);
    Ok(())
}

async fn a_group_waits_for_its_tasks_and_gives_the_bodys_value() {
    let done = Rc::new(Cell::new(0));
    let value = task::group(async |group| {
        for ms in [3, 1, 2] {
            let done = Rc::clone(&done);
            group.spawn(async move {
                sleep(Duration::from_millis(ms)).await;
                done.set(done.get() + 1);
                Ok(())
            });
        }
        assert_eq!((group.len(), group.is_empty()), (3, false));
        Ok::<_, io::Error>(7)
    });
    assert_eq!(value.await.unwrap(), 7);
    assert_eq!(done.get(), 3);
    assert_eq!(task::group(async |_: TaskGroup<()>| Ok(8)).await, Ok(8), "one without tasks");
}

async fn the_body_may_borrow_and_use_what_its_tasks_give() {
    let mut sum = 0;
    let names = [String::from("a"), String::from("bc")];
    let outcome = task::group(async |group| {
        let lengths = names.each_ref().map(|name| name.len());
        let tasks = lengths.map(|length| group.spawn(async move { Ok::<_, String>(length) }));
        for task in tasks {
            sum += task.await.unwrap();
        }
        Ok(())
    });
    assert_eq!(outcome.await, Ok(()));
    assert_eq!((sum, names.len()), (3, 2));
}

async fn the_first_failure_stops_the_others_and_the_body() {
    let alive = Rc::new(Cell::new(0));
    let went_on = Cell::new(false);
    let outcome = task::group(async |group| {
        group.spawn(forever(Alive::new(&alive)));
        let fails = group.spawn(async {
            yield_now().await;
            Err::<(), _>("the first")
        });
        // Ready in the same batch, and behind it.
        group.spawn(async {
            yield_now().await;
            Err::<(), _>("the second")
        });
        let _in_the_body = Alive::new(&alive);
        let _ = fails.await;
        went_on.set(true);
        Ok(())
    });
    assert_eq!(outcome.await, Err("the first"));
    assert_eq!(alive.get(), 0);
    assert!(!went_on.get(), "the body does not go on with what has failed");
}

async fn a_body_that_fails_stops_its_tasks() {
    let alive = Rc::new(Cell::new(0));
    let outcome = task::group(async |group| {
        group.spawn(forever(Alive::new(&alive)));
        yield_now().await;
        Err::<(), _>("the body")
    });
    assert_eq!(outcome.await, Err("the body"));
    assert_eq!(alive.get(), 0);
}

async fn a_task_that_is_stopped_by_hand_is_no_failure() {
    let outcome = task::group(async |group| {
        let task = group.spawn(pending::<Result<(), String>>());
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        group.spawn(pending::<Result<(), String>>()).abort_handle().abort();
        Ok("well")
    });
    assert_eq!(outcome.await, Ok("well"));
}

/// Tasks that wait in operations of many kinds, until they are stopped.
async fn fill(group: &TaskGroup<io::Error>) -> Vec<TcpStream> {
    let mut peers = Vec::new();
    for _ in 0..5 {
        let (stream, peer) = pair().await;
        peers.push(peer);
        group.spawn(async move { stream.read(Vec::with_capacity(100)).await.0 });
    }
    group.spawn(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listener.accept().await.map(drop)
    });
    let files = directory().await;
    let path = files.path().join("file");
    fs::write(&path, vec![7; 1 << 20]).await.0.unwrap();
    let file = Rc::new(File::open(&path).await.unwrap());
    for n in 0..5 {
        let file = Rc::clone(&file);
        group.spawn(async move {
            loop {
                file.read_at(Vec::with_capacity(1 << 18), n << 16).await.0?;
                file.sync_all().await?;
            }
            #[allow(unreachable_code)]
            Ok(())
        });
    }
    peers
}

async fn nothing_of_a_failed_group_is_in_flight_when_it_is_left() {
    for turns in 0..6 {
        let mut orphaned = 0;
        let outcome = task::group(async |group| {
            let _peers = fill(&group).await;
            for _ in 0..turns {
                yield_now().await;
            }
            group.spawn(async { Err::<(), _>(failure("now")) });
            pending::<()>().await;
            Ok(())
        });
        let mut outcome = pin!(outcome);
        let outcome = poll_fn(|cx| {
            let polled = outcome.as_mut().poll(cx);
            orphaned = orphaned.max(orphans());
            polled
        });
        assert_eq!(outcome.await.unwrap_err().to_string(), "now");
        assert_eq!((in_flight(), orphans()), (0, 0), "after {turns} turns");
        assert!(orphaned >= 5, "{orphaned} were waited for");
    }
}

async fn what_the_body_left_behind_is_waited_for_too() {
    let (stream, _peer) = pair().await;
    let outcome = task::group(async |group| {
        group.spawn(async {
            yield_now().await;
            yield_now().await;
            Err::<(), _>(failure("now"))
        });
        stream.read(Vec::with_capacity(100)).await.0
    });
    assert_eq!(outcome.await.unwrap_err().to_string(), "now");
    assert_eq!(in_flight(), 0);
}

async fn what_one_task_began_and_another_left_behind_is_waited_for() {
    let (stream, _peer) = pair().await;
    let stream = Rc::new(stream);
    let outcome = task::group(async |group| {
        let (give, taken) = oneshot::channel();
        let begins = group.spawn(async move {
            let mut read = Box::pin(async move { stream.read(Vec::with_capacity(100)).await.0 });
            assert!(read.as_mut().now_or_never().is_none());
            drop(give.send(read));
            Ok(())
        });
        begins.await.unwrap();
        group.spawn(async move { taken.await.unwrap().await });
        yield_now().await;
        yield_now().await;
        Err::<(), _>(failure("now"))
    });
    assert_eq!(outcome.await.unwrap_err().to_string(), "now");
    assert_eq!((in_flight(), orphans()), (0, 0));
}

async fn what_tasks_that_ended_well_left_behind_is_waited_for() {
    let (stream, _peer) = pair().await;
    let stream = Rc::new(stream);
    let of_another = Rc::clone(&stream);
    let outcome = task::group(async |group| {
        group.spawn(async move {
            let mut read = Box::pin(stream.read(Vec::with_capacity(100)));
            assert!(read.as_mut().now_or_never().is_none());
            drop(read);
            Ok::<_, io::Error>(())
        });
        Ok(())
    });
    outcome.await.unwrap();
    assert_eq!(in_flight(), 0);
    drop(of_another);
}

async fn the_thread_goes_on_while_a_group_is_left() {
    let ticks = Rc::new(Cell::new(0));
    let ticker = spawn({
        let ticks = Rc::clone(&ticks);
        async move {
            loop {
                ticks.set(ticks.get() + 1);
                yield_now().await;
            }
        }
    });
    let mut stopped_at = None;
    let outcome = task::group(async |group| {
        let _peers = fill(&group).await;
        yield_now().await;
        Err::<(), _>(failure("now"))
    });
    let mut outcome = pin!(outcome);
    let outcome = poll_fn(|cx| {
        let polled = outcome.as_mut().poll(cx);
        if stopped_at.is_none() && orphans() >= 5 {
            stopped_at = Some(ticks.get());
        }
        polled
    });
    outcome.await.unwrap_err();
    let while_waiting = ticks.get() - stopped_at.expect("there was something to wait for");
    assert!(while_waiting > 0);
    ticker.abort();
}

async fn a_connection_that_a_stopped_accept_met_goes_to_the_next() {
    const ROUNDS: usize = 20;
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let accepted = Rc::new(Cell::new(0));
    let mut clients = Vec::new();
    for round in 0..ROUNDS {
        let outcome = task::group(async |group| {
            let (listener, accepted) = (Rc::clone(&listener), Rc::clone(&accepted));
            group.spawn(async move {
                listener.accept().await?;
                accepted.set(accepted.get() + 1);
                Ok(())
            });
            yield_now().await;
            clients.push(TcpStream::connect(address).await?);
            for _ in 0..round % 5 {
                yield_now().await;
            }
            Err::<(), _>(failure("now"))
        });
        outcome.await.unwrap_err();
        assert_eq!(in_flight(), 0);
    }
    while accepted.get() < ROUNDS {
        listener.accept().await.unwrap();
        accepted.set(accepted.get() + 1);
    }
}

async fn a_panic_of_a_task_is_the_groups_when_all_have_ended() {
    let alive = Rc::new(Cell::new(0));
    let (stream, _peer) = pair().await;
    let outcome = task::group(async |group| {
        group.spawn(forever::<io::Error>(Alive::new(&alive)));
        group.spawn(async move { stream.read(Vec::with_capacity(10)).await.0.map(drop) });
        yield_now().await;
        let panics = group.spawn(async {
            boom("a task");
            Ok(())
        });
        panics.await.ok();
        Ok(())
    });
    let panic = AssertUnwindSafe(outcome).catch_unwind().await.unwrap_err();
    assert_eq!(told(panic), "a task, on purpose");
    assert_eq!((alive.get(), in_flight()), (0, 0));
}

async fn a_panic_of_the_body_is_the_groups_when_all_have_ended() {
    let alive = Rc::new(Cell::new(0));
    let outcome = task::group(async |group| {
        group.spawn(forever::<()>(Alive::new(&alive)));
        yield_now().await;
        boom("the body");
        Ok(())
    });
    let panic = AssertUnwindSafe(outcome).catch_unwind().await.unwrap_err();
    assert_eq!(told(panic), "the body, on purpose");
    assert_eq!(alive.get(), 0);
}

struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        boom(self.0);
    }
}

async fn a_panic_in_a_drop_is_a_failure() {
    let bomb = |place| async move {
        let _bomb = Bomb(place);
        pending::<()>().await;
        Ok::<_, ()>(())
    };
    let of_a_task = task::group(async |group| {
        let task = group.spawn(bomb("a stopped task"));
        yield_now().await;
        task.abort();
        Ok(())
    });
    let panic = AssertUnwindSafe(of_a_task).catch_unwind().await.unwrap_err();
    assert_eq!(told(panic), "a stopped task, on purpose");

    let of_the_body = task::group(async |group| {
        group.spawn(async {
            yield_now().await;
            Err::<(), _>(())
        });
        bomb("a stopped body").await
    });
    assert_eq!(of_the_body.await, Err(()), "the first failure counts");
}

/// Panics when it is dropped, with what does so once more.
struct Chain;

impl Drop for Chain {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new(Bomb("a panic's payload")));
    }
}

async fn a_later_panic_that_panics_when_it_is_dropped_keeps_nobody_in_the_group() {
    let group = task::group(async |group| {
        group.spawn(async {
            let _chain = Chain;
            pending::<Result<(), _>>().await
        });
        yield_now().await;
        Err::<(), _>("the first")
    });
    assert_eq!(timeout(Duration::from_secs(10), group).await, Ok(Err("the first")));
}

async fn a_group_that_is_dropped_stops_its_tasks() {
    let alive = Rc::new(Cell::new(0));
    let outcome = task::group(async |group| {
        let _in_the_body = Alive::new(&alive);
        group.spawn(forever::<io::Error>(Alive::new(&alive)));
        let _peers = fill(&group).await;
        pending::<()>().await;
        Ok(())
    });
    assert!(timeout(Duration::from_millis(20), outcome).await.is_err());
    yield_now().await;
    assert_eq!(alive.get(), 0);
}

/// What is inside of a group, and says when it waits in a read.
async fn read_in_a_group(waits: Rc<Notify>, peers: Rc<RefCell<Vec<TcpStream>>>) -> Result<(), io::Error> {
    task::group(async |group| {
        let (stream, peer) = pair().await;
        peers.borrow_mut().push(peer);
        group.spawn(async move { stream.read(Vec::with_capacity(10)).await.0 });
        yield_now().await;
        waits.notify_one();
        pending::<()>().await;
        Ok(())
    })
    .await
}

async fn a_group_inside_of_one_that_fails_is_waited_for_by_it() {
    let (waits, peers) = (Rc::new(Notify::new()), Rc::default());
    let outcome = task::group(async |group| {
        group.spawn({
            let (waits, peers) = (Rc::clone(&waits), Rc::clone(&peers));
            // Two floors down.
            task::group(async move |middle| {
                middle.spawn(read_in_a_group(waits, peers));
                Ok(())
            })
        });
        waits.notified().await;
        assert!(in_flight() > 0);
        Err::<(), _>(failure("outside"))
    });
    assert_eq!(outcome.await.unwrap_err().to_string(), "outside");
    assert_eq!(in_flight(), 0);
}

async fn a_group_in_the_body_of_one_that_fails_is_waited_for_by_it() {
    let (waits, peers) = (Rc::new(Notify::new()), Rc::default());
    let outcome = task::group(async |group| {
        let told = Rc::clone(&waits);
        group.spawn(async move {
            told.notified().await;
            assert!(in_flight() > 0);
            Err::<(), _>(failure("outside"))
        });
        read_in_a_group(Rc::clone(&waits), Rc::clone(&peers)).await
    });
    assert_eq!(outcome.await.unwrap_err().to_string(), "outside");
    assert_eq!(in_flight(), 0);
}

async fn a_failure_inside_is_one_outside_only_if_it_is_passed_on() {
    let outcome = task::group(async |group| {
        let inner = task::group(async |inner| {
            inner.spawn(async { Err::<(), _>("inside") });
            Ok(())
        });
        assert_eq!(inner.await, Err("inside"));
        let goes_on = group.spawn(async { Ok::<_, &str>(1) });
        Ok(goes_on.await.unwrap())
    });
    assert_eq!(outcome.await, Ok(1));
}

async fn tasks_may_spawn_others_into_their_group() {
    fn descend(
        group: TaskGroup<()>,
        depth: u32,
        done: Rc<Cell<u32>>,
    ) -> Pin<Box<dyn Future<Output = Result<(), ()>>>> {
        Box::pin(async move {
            if depth > 0 {
                group.spawn(descend(group.clone(), depth - 1, Rc::clone(&done)));
                group.spawn(descend(group.clone(), depth - 1, Rc::clone(&done)));
            }
            done.set(done.get() + 1);
            Ok(())
        })
    }
    let done = Rc::new(Cell::new(0));
    let outcome = task::group(async |group| {
        group.spawn(descend(group.clone(), 5, Rc::clone(&done)));
        Ok(())
    });
    assert_eq!(outcome.await, Ok(()));
    assert_eq!(done.get(), 63, "all were waited for");
}

/// Spawns into a group when it is dropped.
struct Heir(TaskGroup<&'static str>, Rc<Cell<bool>>, Rc<Cell<usize>>);

impl Drop for Heir {
    fn drop(&mut self) {
        let ran = Rc::clone(&self.1);
        let alive = Alive::new(&self.2);
        let handle = self.0.spawn(async move {
            ran.set(true);
            forever(alive).await
        });
        assert_eq!(self.2.get(), 0, "its future is gone at once");
        drop(handle);
    }
}

async fn nobody_enters_a_group_that_is_stopped() {
    let (ran, alive) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let outcome = task::group(async |group| {
        let heir = Heir(group.clone(), Rc::clone(&ran), Rc::clone(&alive));
        group.spawn(async move {
            pending::<()>().await;
            drop(heir);
            Ok(())
        });
        yield_now().await;
        Err::<(), _>("now")
    });
    assert_eq!(outcome.await, Err("now"));
    yield_now().await;
    assert_eq!((ran.get(), alive.get()), (false, 0));
}

async fn nobody_enters_a_group_that_was_left() {
    let kept = RefCell::new(None);
    let outcome = task::group(async |group| {
        *kept.borrow_mut() = Some(group);
        Ok::<_, ()>(())
    });
    outcome.await.unwrap();
    let group = kept.take().unwrap();
    let alive = Rc::new(Cell::new(0));
    let late = group.spawn(forever(Alive::new(&alive)));
    assert_eq!(alive.get(), 0);
    assert!(late.await.unwrap_err().is_cancelled());
}

async fn a_group_works_under_somebody_elses_waker() {
    let each = |n: u64| async move {
        let outcome = task::group(async |group| {
            let (send, receive) = oneshot::channel();
            group.spawn(async move {
                sleep(Duration::from_micros(50 * n)).await;
                send.send(n).map_err(drop)
            });
            let got = receive.await.map_err(drop)?;
            if n % 2 == 0 { Ok(got) } else { Err(()) }
        });
        (n, outcome.await)
    };
    let all: FuturesUnordered<_> = (0..10).map(each).collect();
    let outcomes: Vec<_> = all.collect().await;
    assert_eq!(outcomes.len(), 10);
    assert!(outcomes.iter().all(|(n, outcome)| *outcome == if n % 2 == 0 { Ok(*n) } else { Err(()) }));
}

fn a_loop_that_ends_takes_its_groups_with_it(builder: Builder) {
    let alive = Rc::new(Cell::new(0));
    let runtime = builder.build().unwrap();
    let count = Rc::clone(&alive);
    let ended = runtime.run(async move {
        let task = spawn(task::group(async move |group| {
            group.spawn(forever::<io::Error>(Alive::new(&count)));
            let _peers = fill(&group).await;
            pending::<()>().await;
            Ok(())
        }));
        sleep(Duration::from_millis(10)).await;
        drop(task);
    });
    ended.unwrap();
    assert_eq!(alive.get(), 1);
    assert_eq!(runtime.shutdown(Duration::from_secs(20)), 0);
    assert_eq!(alive.get(), 0);
}
