//! Tasks that are waited for together: each is told of once, in the order in which they finish, and none outlives its set.

mod support;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use annulus::sync::{Notify, oneshot};
use annulus::task::{JoinError, JoinSet};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, yield_now};
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use support::on_every_driver;
use support::quiet::{boom, quietly};

on_every_driver! {
    tasks_are_told_of_in_the_order_in_which_they_finish,
    an_empty_set_has_no_next_task,
    a_panic_and_an_abort_are_told_in_their_turn,
    dropping_a_set_aborts_its_tasks,
    detached_tasks_go_on_and_the_set_forgets_them,
    waiting_for_many_polls_no_task_in_vain,
    dropping_a_wait_takes_no_task_out,
    a_shutdown_waits_until_the_futures_are_gone,
    only_what_has_finished_is_taken_without_waiting,
    all_outputs_are_given_at_once,
    waiting_for_all_panics_as_its_task_did,
    a_set_works_under_somebody_elses_waker,
    a_set_that_outlives_its_loop_tells_that_all_was_cancelled,
    blocking_closures_finish_in_a_set_too,
    a_set_that_is_never_empty_lets_others_run,
    what_could_not_be_spawned_leaves_nothing_in_its_set,
}

/// A task that ends with a number when it is told to.
fn told_to_end(set: &mut JoinSet<u32>, number: u32) -> oneshot::Sender<()> {
    let (sender, receiver) = oneshot::channel::<()>();
    set.spawn(async move {
        receiver.await.ok();
        number
    });
    sender
}

async fn tasks_are_told_of_in_the_order_in_which_they_finish() {
    let mut set = JoinSet::new();
    let ends: Vec<_> = (0..4).map(|number| told_to_end(&mut set, number)).collect();
    assert_eq!(set.len(), 4);
    let mut ends: Vec<_> = ends.into_iter().map(Some).collect();
    for number in [2, 0, 3, 1] {
        ends[number].take().unwrap().send(()).unwrap();
        assert_eq!(set.join_next().await.unwrap().unwrap(), number as u32);
    }
    assert!(set.is_empty());
    // Two that finish before anybody asks, in places that were used before.
    let ends: Vec<_> = (0..2).map(|number| told_to_end(&mut set, number)).collect();
    yield_now().await;
    for end in ends.into_iter().rev() {
        end.send(()).unwrap();
    }
    for number in [1, 0] {
        assert_eq!(set.join_next().await.unwrap().unwrap(), number);
    }
}

async fn an_empty_set_has_no_next_task() {
    let mut set = JoinSet::<()>::new();
    assert!(set.join_next().await.is_none() && set.try_join_next().is_none());
    set.shutdown().await;
    assert!(set.join_all().await.is_empty());
}

async fn a_panic_and_an_abort_are_told_in_their_turn() {
    let mut set = JoinSet::new();
    let stuck = set.spawn(pending::<()>());
    assert!(set.join_next().now_or_never().is_none());
    let panics = set.spawn(async { boom("a task") });
    let (id, error) = set.join_next_with_id().await.unwrap();
    assert_eq!(id, panics.id());
    assert_eq!(told(error.unwrap_err().into_panic()), "a task, on purpose");
    stuck.abort();
    let (id, error) = set.join_next_with_id().await.unwrap();
    assert_eq!(id, stuck.id());
    assert!(error.unwrap_err().is_cancelled());
    let unpolled = set.spawn(async {});
    unpolled.abort();
    assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
}

fn told(panic: Box<dyn Any + Send>) -> String {
    *panic.downcast().unwrap()
}

/// Counts itself while it lives.
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

async fn forever(alive: Alive) {
    pending::<()>().await;
    drop(alive);
}

async fn dropping_a_set_aborts_its_tasks() {
    let alive = Rc::new(Cell::new(0));
    let set: JoinSet<()> = (0..10).map(|_| forever(Alive::new(&alive))).collect();
    yield_now().await;
    assert_eq!(alive.get(), 10);
    drop(set);
    yield_now().await;
    assert_eq!(alive.get(), 0);
}

async fn detached_tasks_go_on_and_the_set_forgets_them() {
    let done = Rc::new(Cell::new(0));
    let go = Rc::new(Notify::new());
    let mut set = JoinSet::new();
    for _ in 0..3 {
        let (done, go) = (Rc::clone(&done), Rc::clone(&go));
        set.spawn(async move {
            go.notified().await;
            done.set(done.get() + 1);
        });
    }
    yield_now().await;
    set.detach_all();
    assert!(set.is_empty());
    // In a place that one of them had.
    set.spawn(pending());
    go.notify_waiters();
    yield_now().await;
    assert_eq!(done.get(), 3);
    let last = set.spawn(async {}).id();
    yield_now().await;
    let next = set.try_join_next_with_id().map(|(id, _)| id);
    assert_eq!(next, Some(last), "what those leave that are detached is about nobody");
    drop(set);
    yield_now().await;
}

async fn waiting_for_many_polls_no_task_in_vain() {
    const MANY: u64 = 1000;
    let mut set = JoinSet::new();
    let ends: Vec<_> = (0..MANY).map(|number| told_to_end(&mut set, number as u32)).collect();
    yield_now().await;
    let polls = || Runtime::try_current().unwrap().metrics().polls;
    let before = polls();
    assert!(timeout(Duration::from_millis(5), set.join_next()).await.is_err());
    assert!(polls() - before <= 2, "nobody looks while nobody finishes");
    let before = polls();
    for (number, end) in ends.into_iter().enumerate() {
        end.send(()).unwrap();
        assert_eq!(set.join_next().await.unwrap().unwrap(), number as u32);
    }
    // The task that finishes, and the one that waits for it; now and then the latter yields.
    let polled = polls() - before;
    assert!(polled <= 2 * MANY + MANY / 50, "{polled} polls");
}

async fn dropping_a_wait_takes_no_task_out() {
    let mut set = JoinSet::new();
    let end = told_to_end(&mut set, 7);
    for _ in 0..3 {
        assert!(timeout(Duration::from_millis(1), set.join_next()).await.is_err());
    }
    end.send(()).unwrap();
    assert_eq!(set.join_next().await.unwrap().unwrap(), 7);
}

async fn a_shutdown_waits_until_the_futures_are_gone() {
    let alive = Rc::new(Cell::new(0));
    let mut set: JoinSet<()> = (0..3).map(|_| forever(Alive::new(&alive))).collect();
    set.shutdown().await;
    assert_eq!((alive.get(), set.len()), (0, 0));
}

async fn only_what_has_finished_is_taken_without_waiting() {
    let mut set = JoinSet::new();
    let end = told_to_end(&mut set, 1);
    set.spawn(async { 2 });
    assert!(set.try_join_next().is_none());
    yield_now().await;
    assert_eq!(set.try_join_next().unwrap().unwrap(), 2);
    assert!(set.try_join_next().is_none());
    end.send(()).unwrap();
    yield_now().await;
    assert_eq!(set.try_join_next().unwrap().unwrap(), 1);
}

async fn all_outputs_are_given_at_once() {
    let set: JoinSet<u32> = (0..100).map(|number| async move { number }).collect();
    assert_eq!(set.join_all().await, (0..100).collect::<Vec<_>>());
}

async fn waiting_for_all_panics_as_its_task_did() {
    let alive = Rc::new(Cell::new(0));
    let mut set = JoinSet::new();
    set.spawn(forever(Alive::new(&alive)));
    set.spawn(async { boom("a task") });
    let outcome = AssertUnwindSafe(set.join_all()).catch_unwind().await;
    assert_eq!(told(outcome.unwrap_err()), "a task, on purpose");
    yield_now().await;
    assert_eq!(alive.get(), 0, "the others are aborted");
}

async fn a_set_works_under_somebody_elses_waker() {
    let sums = Rc::new(RefCell::new(Vec::new()));
    let each = |count: u32| {
        let sums = Rc::clone(&sums);
        async move {
            let mut set: JoinSet<u32> = (0..count)
                .map(|number| async move {
                    sleep(Duration::from_micros(100 * u64::from(number % 7))).await;
                    number
                })
                .collect();
            let mut sum = 0;
            while let Some(result) = set.join_next().await {
                sum += result.unwrap();
            }
            sums.borrow_mut().push((count, sum));
        }
    };
    let all: FuturesUnordered<_> = (0..10).map(each).collect();
    all.collect::<Vec<_>>().await;
    sums.borrow_mut().sort_unstable();
    assert_eq!(*sums.borrow(), (0..10).map(|n| (n, (0..n).sum())).collect::<Vec<_>>());
}

fn a_set_that_outlives_its_loop_tells_that_all_was_cancelled(builder: Builder) {
    let set = builder.build().unwrap().run(async {
        let mut set = JoinSet::new();
        set.spawn(pending::<()>());
        yield_now().await;
        set
    });
    let mut set = set.unwrap();
    let told = Builder::new().build().unwrap().run(async { set.join_next().await });
    assert!(matches!(told.unwrap(), Some(Err(JoinError::Cancelled))));
}

async fn blocking_closures_finish_in_a_set_too() {
    let mut set = JoinSet::new();
    for number in 0..3 {
        set.spawn_blocking(move || number);
    }
    let mut outputs = set.join_all().await;
    outputs.sort_unstable();
    assert_eq!(outputs, [0, 1, 2]);
}

async fn a_set_that_is_never_empty_lets_others_run() {
    let other = Rc::new(Cell::new(false));
    let mut set: JoinSet<()> = (0..500).map(|_| async {}).collect();
    yield_now().await;
    let _other = spawn({
        let other = Rc::clone(&other);
        async move { other.set(true) }
    });
    let mut taken = 0;
    while !other.get() {
        set.join_next().await.expect("there are more than a task may take at a time").unwrap();
        taken += 1;
    }
    assert!(taken <= 200, "{taken}");
}

fn what_could_not_be_spawned_leaves_nothing_in_its_set(builder: Builder) {
    let mut set = JoinSet::new();
    let outside = quietly(AssertUnwindSafe(|| drop(set.spawn(async { 1 }))));
    assert!(outside.is_err());
    assert!(set.is_empty());
    let joined = builder.build().unwrap().run(async move {
        for number in 2..4 {
            set.spawn(async move {
                yield_now().await;
                number
            });
        }
        set.join_all().await
    });
    assert_eq!(joined.unwrap(), [2, 3]);
}
