//! Tasks: what one does to itself stays with it, and nothing of it outlives what it should.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulus::task::{AbortHandle, JoinError, JoinHandle};
use annulus::time::{now, sleep, timeout};
use annulus::{Builder, Error, Runtime, spawn, spawn_blocking, yield_now};
use support::audit;
use support::child::alone;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_task_gives_its_output,
    tasks_are_polled_in_the_order_in_which_they_became_ready,
    spawning_does_not_poll,
    a_dropped_handle_lets_its_task_run,
    an_output_that_nobody_wants_is_dropped_once,
    an_aborted_task_drops_its_future_and_says_so,
    aborting_what_has_finished_changes_nothing,
    aborting_before_the_first_poll_never_polls,
    a_task_may_abort_itself,
    a_task_may_drop_its_own_handle,
    a_handle_tells_what_it_knows,
    ids_are_never_used_twice,
    a_panic_in_a_poll_is_its_tasks_alone,
    a_panic_in_the_drop_of_a_future_is_its_tasks_alone,
    a_panic_in_the_drop_of_an_unwanted_output_hurts_nobody,
    a_panic_in_somebody_elses_waker_hurts_nobody,
    a_panic_of_the_root_future_is_the_callers,
    a_panic_of_a_blocking_closure_is_told,
    a_handle_whose_runtime_has_ended_says_so_at_once,
    a_task_spawned_by_a_destructor_at_the_end_is_cancelled,
    a_runtime_is_used_again_and_its_tasks_go_on,
    the_root_future_may_borrow,
    a_nested_run_is_an_error_that_says_what_to_do,
    a_runtime_may_be_dropped_in_another_ones_run,
    dropping_the_handle_of_a_blocking_closure_lets_it_run,
    wakers_that_outlive_their_runtime_do_nothing,
    a_task_that_wakes_itself_lets_others_run,
    a_busy_task_holds_up_neither_sockets_nor_timers,
    combinators_with_wakers_of_their_own_work,
    a_hundred_thousand_tasks_at_a_time,
}

on_real_drivers! {
    because "helper threads run beside the loop, several at a time":
        blocking_closures_run_beside_the_loop,
        no_more_helpers_than_were_permitted;
    because "threads race with the loop":
        a_wake_from_another_thread_resumes_its_task,
        wakers_may_be_used_by_any_thread_while_the_runtime_ends;
    because "it looks at the memory and the descriptors of the process":
        a_million_tasks_leave_no_memory_behind,
        a_thousand_runtimes_leave_nothing_behind;
}

/// Counts how often a copy of it was dropped.
#[derive(Clone, Default)]
struct Drops(Rc<Cell<usize>>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Drops {
    /// One whose drop is counted, and the count.
    fn one() -> (Drops, Rc<Cell<usize>>) {
        let drops = Drops::default();
        let count = Rc::clone(&drops.0);
        (drops, count)
    }
}

async fn a_task_gives_its_output() {
    assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
    assert_eq!(spawn(spawn(async { String::from("text") })).await.unwrap().unwrap(), "text");
    let large = spawn(async { [7u8; 10_000] }).await.unwrap();
    assert!(large.iter().all(|byte| *byte == 7));
    // Aligned to more than the allocator does by itself.
    #[repr(align(128))]
    struct Aligned(u8);
    let aligned = spawn(async {
        let kept = Aligned(3);
        yield_now().await;
        assert_eq!(&raw const kept as usize % 128, 0);
        kept
    });
    assert_eq!(aligned.await.unwrap().0, 3);
}

async fn tasks_are_polled_in_the_order_in_which_they_became_ready() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let task = |n: usize| {
        let order = Rc::clone(&order);
        spawn(async move {
            for round in 0..3 {
                order.borrow_mut().push((round, n));
                yield_now().await;
            }
        })
    };
    let tasks: Vec<_> = (0..5).map(task).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let wanted: Vec<_> = (0..3).flat_map(|round| (0..5).map(move |n| (round, n))).collect();
    assert_eq!(*order.borrow(), wanted);
}

async fn spawning_does_not_poll() {
    let polled = Rc::new(Cell::new(false));
    let task = spawn({
        let polled = Rc::clone(&polled);
        async move { polled.set(true) }
    });
    assert!(!polled.get());
    task.await.unwrap();
    assert!(polled.get());
}

async fn a_dropped_handle_lets_its_task_run() {
    let done = Rc::new(Cell::new(0));
    for _ in 0..10 {
        let done = Rc::clone(&done);
        drop(spawn(async move {
            yield_now().await;
            done.set(done.get() + 1);
        }));
    }
    while done.get() < 10 {
        yield_now().await;
    }
}

async fn an_output_that_nobody_wants_is_dropped_once() {
    let (drops, count) = Drops::one();
    drop(spawn(async move { drops }));
    yield_now().await;
    assert_eq!(count.get(), 1, "detached before it finished");

    let (drops, count) = Drops::one();
    let task = spawn(async move { drops });
    yield_now().await;
    assert!(task.is_finished());
    assert_eq!(count.get(), 0);
    drop(task);
    assert_eq!(count.get(), 1, "detached after it finished");

    let (drops, count) = Drops::one();
    let output = spawn(async move { drops }).await.unwrap();
    assert_eq!(count.get(), 0);
    drop(output);
    assert_eq!(count.get(), 1, "taken");
}

async fn an_aborted_task_drops_its_future_and_says_so() {
    let (drops, count) = Drops::one();
    let task = spawn(async move {
        let _kept = drops;
        pending::<()>().await;
    });
    yield_now().await;
    task.abort();
    assert_eq!(count.get(), 0, "in the next batch, never inside of abort");
    let error = task.await.unwrap_err();
    assert!(error.is_cancelled() && !error.is_panic());
    assert!(error.to_string().contains("cancelled"), "{error}");
    assert_eq!(count.get(), 1);
}

async fn aborting_what_has_finished_changes_nothing() {
    let task = spawn(async { 7 });
    yield_now().await;
    task.abort();
    task.abort();
    assert_eq!(task.await.unwrap(), 7);
}

async fn aborting_before_the_first_poll_never_polls() {
    let (drops, count) = Drops::one();
    let task = spawn(async move {
        let _kept = drops;
        panic!("polled");
    });
    task.abort();
    let result: Result<(), JoinError> = task.await;
    assert!(result.unwrap_err().is_cancelled());
    assert_eq!(count.get(), 1);
}

async fn a_task_may_abort_itself() {
    let own: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
    let task = spawn({
        let own = Rc::clone(&own);
        async move {
            own.borrow().as_ref().unwrap().abort();
            pending::<()>().await;
        }
    });
    own.replace(Some(task.abort_handle()));
    assert!(task.await.unwrap_err().is_cancelled());

    // One that finishes in the poll in which it was aborted is cancelled or finished, and ends in any case.
    let own: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
    let task = spawn({
        let own = Rc::clone(&own);
        async move { own.borrow().as_ref().unwrap().abort() }
    });
    own.replace(Some(task.abort_handle()));
    let _either = task.await;
}

async fn a_task_may_drop_its_own_handle() {
    let own: Rc<RefCell<Option<JoinHandle<Drops>>>> = Rc::default();
    let (drops, count) = Drops::one();
    let task = spawn({
        let own = Rc::clone(&own);
        async move {
            drop(own.take());
            yield_now().await;
            drops
        }
    });
    own.replace(Some(task));
    for _ in 0..3 {
        yield_now().await;
    }
    assert_eq!(count.get(), 1);
}

async fn a_handle_tells_what_it_knows() {
    let task = spawn(yield_now());
    let stop = task.abort_handle();
    assert_eq!(task.id(), stop.id());
    assert!(!task.is_finished() && !stop.is_finished());
    assert!(format!("{task:?} {stop:?}").contains(&task.id().to_string()));
    let id = task.id();
    task.await.unwrap();
    assert!(stop.is_finished());
    assert_eq!(stop.id(), id, "a handle may outlive its task");
}

async fn ids_are_never_used_twice() {
    let mut ids: Vec<_> = (0..5000).map(|_| spawn(async {}).id()).collect();
    let elsewhere =
        thread::spawn(|| annulus::run(async { (0..5000).map(|_| spawn(async {}).id()).collect::<Vec<_>>() }));
    ids.extend(elsewhere.join().unwrap().unwrap());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10_000);
}

/// Panics without a word on standard error.
fn quietly<T>(body: impl FnOnce() -> T) -> T {
    thread_local! { static QUIET: Cell<bool> = const { Cell::new(false) } }
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                before(panic);
            }
        }));
    });
    let was = QUIET.replace(true);
    let result = body();
    QUIET.set(was);
    result
}

/// Panics quietly with that text.
fn quiet_panic(text: &'static str) {
    let caught = quietly(|| catch_unwind(|| panic!("{text}"))).unwrap_err();
    std::panic::resume_unwind(caught);
}

async fn a_panic_in_a_poll_is_its_tasks_alone() {
    let (drops, count) = Drops::one();
    let panics = spawn(async move {
        let _kept = drops;
        yield_now().await;
        quiet_panic("the reason");
    });
    let bystander = spawn(async {
        sleep(Duration::from_millis(5)).await;
        7
    });
    let error = panics.await.unwrap_err();
    assert!(error.is_panic());
    assert!(error.to_string().contains("the reason"), "{error}");
    assert_eq!(error.into_panic().downcast_ref::<String>().unwrap(), "the reason");
    assert_eq!(count.get(), 1, "its future is dropped");
    assert_eq!(bystander.await.unwrap(), 7);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        quiet_panic("in a destructor");
    }
}

async fn a_panic_in_the_drop_of_a_future_is_its_tasks_alone() {
    // By an abort, at the end, and while another panic is handled.
    let aborted = spawn(async {
        let _bomb = Bomb;
        pending::<()>().await;
    });
    yield_now().await;
    aborted.abort();
    let ends = spawn(async {
        let _bomb = Bomb;
    });
    let both = spawn(poll_fn({
        let bomb = Bomb;
        move |_| -> Poll<()> {
            let _kept = &bomb;
            quiet_panic("in the poll");
            Poll::Pending
        }
    }));
    assert!(aborted.await.is_err());
    assert!(ends.await.unwrap_err().is_panic());
    assert!(both.await.unwrap_err().is_panic());
    assert_eq!(spawn(async { 7 }).await.unwrap(), 7, "the loop goes on");
}

async fn a_panic_in_the_drop_of_an_unwanted_output_hurts_nobody() {
    drop(spawn(async { Bomb }));
    yield_now().await;
    assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
}

/// A waker that panics when it is woken.
struct Explosive;

impl Wake for Explosive {
    fn wake(self: Arc<Self>) {
        quiet_panic("in a waker");
    }
}

async fn a_panic_in_somebody_elses_waker_hurts_nobody() {
    let explosive = Waker::from(Arc::new(Explosive));
    let mut nop = annulus::nop();
    let mut timer = sleep(Duration::from_millis(1));
    for _ in 0..2 {
        assert!(Pin::new(&mut nop).poll(&mut Context::from_waker(&explosive)).is_pending());
        assert!(Pin::new(&mut timer).poll(&mut Context::from_waker(&explosive)).is_pending());
    }
    sleep(Duration::from_millis(5)).await;
    nop.await.unwrap();
    timer.await;
    assert_eq!(spawn(async { 7 }).await.unwrap(), 7, "the loop goes on");
}

fn a_panic_of_the_root_future_is_the_callers(builder: Builder) {
    let runtime = builder.build().unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| runtime.run(async { quiet_panic("of the root") })));
    assert_eq!(caught.unwrap_err().downcast_ref::<String>().unwrap(), "of the root");
    assert!(Runtime::try_current().is_none());
    assert_eq!(runtime.run(async { spawn(async { 7 }).await.unwrap() }).unwrap(), 7, "and can be used again");
}

async fn a_panic_of_a_blocking_closure_is_told() {
    let error = spawn_blocking(|| quiet_panic("on a helper")).await.unwrap_err();
    assert!(error.is_panic());
    assert!(error.to_string().contains("on a helper"), "{error}");
    assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
}

fn a_handle_whose_runtime_has_ended_says_so_at_once(builder: Builder) {
    let runtime = builder.clone().build().unwrap();
    let (drops, count) = Drops::one();
    let (waits, done) = runtime
        .run(async {
            let waits = spawn(async move {
                let _kept = drops;
                pending::<()>().await;
            });
            let done = spawn(async { String::from("done") });
            let blocked = spawn_blocking(|| thread::sleep(Duration::from_millis(20)));
            yield_now().await;
            drop(blocked);
            (waits, done)
        })
        .unwrap();
    drop(runtime);
    assert_eq!(count.get(), 1, "its future went with the runtime");
    assert!(waits.is_finished());
    waits.abort();
    let other = builder.build().unwrap();
    other
        .run(async {
            let told = timeout(Duration::from_secs(5), waits).await.expect("no wait");
            assert!(told.unwrap_err().is_cancelled());
            assert_eq!(timeout(Duration::from_secs(5), done).await.expect("no wait").unwrap(), "done");
        })
        .unwrap();
}

/// Spawns when it is dropped.
struct Heir(Rc<RefCell<Vec<JoinHandle<()>>>>, usize);

impl Drop for Heir {
    fn drop(&mut self) {
        if self.1 > 0 {
            let next = Heir(Rc::clone(&self.0), self.1 - 1);
            let handle = spawn(async move {
                let _kept = next;
                pending::<()>().await;
            });
            self.0.borrow_mut().push(handle);
        }
    }
}

fn a_task_spawned_by_a_destructor_at_the_end_is_cancelled(builder: Builder) {
    let runtime = builder.clone().build().unwrap();
    let handles: Rc<RefCell<Vec<_>>> = Rc::default();
    runtime
        .run(async {
            let heir = Heir(Rc::clone(&handles), 10);
            drop(spawn(async move {
                let _kept = heir;
                pending::<()>().await;
            }));
            yield_now().await;
        })
        .unwrap();
    drop(runtime);
    let handles = handles.take();
    assert_eq!(handles.len(), 10);
    builder
        .build()
        .unwrap()
        .run(async {
            for handle in handles {
                assert!(timeout(Duration::from_secs(5), handle).await.unwrap().unwrap_err().is_cancelled());
            }
        })
        .unwrap();
}

fn a_runtime_is_used_again_and_its_tasks_go_on(builder: Builder) {
    let runtime = builder.build().unwrap();
    let steps = Rc::new(Cell::new(0));
    let mut task = None;
    runtime
        .run(async {
            let steps = Rc::clone(&steps);
            task = Some(spawn(async move {
                for _ in 0..100 {
                    steps.set(steps.get() + 1);
                    sleep(Duration::from_micros(100)).await;
                }
                "through"
            }));
        })
        .unwrap();
    for _ in 0..200 {
        runtime.run(yield_now()).unwrap();
    }
    let before = steps.get();
    thread::sleep(Duration::from_millis(5));
    assert_eq!(steps.get(), before, "between runs nothing goes on");
    assert_eq!(runtime.run(task.unwrap()).unwrap().unwrap(), "through");
    assert_eq!(steps.get(), 100);
}

fn the_root_future_may_borrow(builder: Builder) {
    let runtime = builder.build().unwrap();
    let mut text = String::from("of the caller");
    let length = runtime
        .run(async {
            text.push_str(", changed");
            sleep(Duration::from_millis(1)).await;
            text.len()
        })
        .unwrap();
    assert_eq!(length, text.len());
    // However it ends, what it borrowed is free again.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        runtime.run(async {
            let _borrowed = &mut text;
            yield_now().await;
            quiet_panic("amid a borrow");
        })
    }));
    assert!(caught.is_err());
    text.clear();
    runtime.run(yield_now()).unwrap();
}

fn a_nested_run_is_an_error_that_says_what_to_do(builder: Builder) {
    let (runtime, other) = (builder.clone().build().unwrap(), builder.build().unwrap());
    runtime
        .run(async {
            for error in [annulus::run(async {}).unwrap_err(), other.run(async {}).unwrap_err()] {
                assert!(matches!(error, Error::Nested));
                let text = error.to_string();
                assert!(text.contains("annulus::run") && text.contains("annulus::spawn"), "{text}");
            }
            let again = runtime.run(async {});
            assert!(matches!(again, Err(Error::Nested)));
            assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        })
        .unwrap();
    other.run(async {}).unwrap();
}

fn a_runtime_may_be_dropped_in_another_ones_run(builder: Builder) {
    let (runtime, other) = (builder.clone().build().unwrap(), builder.build().unwrap());
    let (drops, count) = Drops::one();
    other
        .run(async move {
            drop(spawn(async move {
                let _kept = drops;
                pending::<()>().await;
            }));
            yield_now().await;
        })
        .unwrap();
    runtime
        .run(async move {
            drop(other);
            assert_eq!(count.get(), 1);
            sleep(Duration::from_millis(1)).await;
            assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        })
        .unwrap();
}

#[test]
fn spawning_outside_of_a_runtime_panics_with_the_reason() {
    let reason = |panics: &dyn Fn()| {
        let caught = quietly(|| catch_unwind(AssertUnwindSafe(panics)).unwrap_err());
        caught.downcast_ref::<String>().expect("a text").clone()
    };
    for text in [reason(&|| drop(spawn(async {}))), reason(&|| drop(spawn_blocking(|| ())))] {
        assert!(
            text.contains("outside of a running annulus loop") && text.contains("annulus::run"),
            "{text}"
        );
    }
}

async fn blocking_closures_run_beside_the_loop() {
    let home = thread::current().id();
    let start = Instant::now();
    let jobs: Vec<_> = (0..8)
        .map(|n| {
            spawn_blocking(move || {
                thread::sleep(Duration::from_millis(50));
                (n, thread::current().id())
            })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    assert!(start.elapsed() < Duration::from_millis(45), "the loop is free: {:?}", start.elapsed());
    for (wanted, job) in jobs.into_iter().enumerate() {
        let (n, place) = job.await.unwrap();
        assert_eq!(n, wanted);
        assert_ne!(place, home);
    }
    assert!(start.elapsed() < Duration::from_millis(350), "at the same time: {:?}", start.elapsed());
}

async fn dropping_the_handle_of_a_blocking_closure_lets_it_run() {
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..20 {
        let ran = Arc::clone(&ran);
        drop(spawn_blocking(move || ran.fetch_add(1, Ordering::SeqCst)));
    }
    while ran.load(Ordering::SeqCst) < 20 {
        sleep(Duration::from_millis(1)).await;
    }
}

fn no_more_helpers_than_were_permitted(builder: Builder) {
    let runtime = builder.helpers_max(3).build().unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    runtime
        .run(async {
            let job = |_| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                spawn_blocking(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                })
            };
            let jobs: Vec<_> = (0..20).map(job).collect();
            for job in jobs {
                job.await.unwrap();
            }
        })
        .unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

/// Waits until `flag`, which another thread sets and then wakes.
async fn woken_by_a_thread(after: Duration) -> Duration {
    let shared = Arc::new((AtomicUsize::new(0), std::sync::Mutex::new(None::<Waker>)));
    let waking = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        thread::sleep(after);
        waking.0.store(1, Ordering::SeqCst);
        let at = Instant::now();
        if let Some(waker) = waking.1.lock().unwrap().take() {
            waker.wake();
        }
        at
    });
    poll_fn(|cx| {
        *shared.1.lock().unwrap() = Some(cx.waker().clone());
        if shared.0.load(Ordering::SeqCst) == 1 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    thread.join().unwrap().elapsed()
}

async fn a_wake_from_another_thread_resumes_its_task() {
    for round in 0..200 {
        // Before the loop sleeps, while it goes to sleep, and when it sleeps.
        let waits = spawn(woken_by_a_thread(Duration::from_micros(round % 50 * 4)));
        timeout(Duration::from_secs(5), waits).await.expect("no wake is lost").unwrap();
    }
}

/// A task that gives its waker away and waits for ever.
fn give_waker(to: std::sync::mpsc::Sender<Waker>) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        let _ = to.send(cx.waker().clone());
        Poll::Pending
    })
}

/// Four threads that clone, wake and drop what they are given until there is no more.
fn meddlers(wakers: Vec<Waker>) -> Vec<thread::JoinHandle<()>> {
    let meddle = |own: Vec<Waker>| {
        move || {
            for round in 0..20_000 {
                let waker = &own[round % own.len()];
                match round % 3 {
                    0 => waker.wake_by_ref(),
                    1 => {
                        let own = waker.clone();
                        thread::yield_now();
                        own.wake();
                    }
                    _ => drop(waker.clone()),
                }
            }
        }
    };
    (0..4).map(|_| thread::spawn(meddle(wakers.clone()))).collect()
}

fn wakers_may_be_used_by_any_thread_while_the_runtime_ends(builder: Builder) {
    for _ in 0..5 {
        let runtime = builder.clone().build().unwrap();
        let (to, from) = std::sync::mpsc::channel();
        let threads = runtime
            .run(async {
                let tasks: Vec<_> = (0..8).map(|_| spawn(give_waker(to.clone()))).collect();
                let finishes = spawn(poll_fn({
                    let to = to.clone();
                    move |cx| {
                        let _ = to.send(cx.waker().clone());
                        Poll::Ready(())
                    }
                }));
                yield_now().await;
                let threads = meddlers(from.iter().take(9).collect());
                finishes.await.unwrap();
                for task in tasks.into_iter().take(3) {
                    sleep(Duration::from_micros(300)).await;
                    task.abort();
                }
                sleep(Duration::from_millis(1)).await;
                threads
            })
            .unwrap();
        // In the middle of it.
        drop(runtime);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

fn wakers_that_outlive_their_runtime_do_nothing(builder: Builder) {
    let runtime = builder.clone().build().unwrap();
    let (to, from) = std::sync::mpsc::channel();
    runtime
        .run(async {
            drop(spawn(give_waker(to.clone())));
            yield_now().await;
        })
        .unwrap();
    drop(runtime);
    let waker = from.recv().unwrap();
    // Another loop may by now have what the first one had.
    let other = builder.build().unwrap();
    let polls = other
        .run(async {
            for thread in meddlers(vec![waker.clone(), waker]) {
                thread.join().unwrap();
            }
            sleep(Duration::from_millis(5)).await;
            Runtime::try_current().unwrap().metrics().polls
        })
        .unwrap();
    assert!(polls < 10, "no task of another loop is polled for it: {polls}");
}

async fn a_task_that_wakes_itself_lets_others_run() {
    let stop = Rc::new(Cell::new(false));
    let busy = spawn({
        let stop = Rc::clone(&stop);
        async move {
            let mut rounds = 0u64;
            while !stop.get() {
                rounds += 1;
                yield_now().await;
            }
            rounds
        }
    });
    for _ in 0..100 {
        yield_now().await;
    }
    stop.set(true);
    let rounds = busy.await.unwrap();
    assert!((90..110).contains(&rounds), "turn and turn about: {rounds}");
}

async fn a_busy_task_holds_up_neither_sockets_nor_timers() {
    let (client, server) = support::net::pair().await;
    let stop = Rc::new(Cell::new(false));
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let stop = Rc::clone(&stop);
            spawn(async move {
                while !stop.get() {
                    yield_now().await;
                }
            })
        })
        .collect();
    let start = now();
    for _ in 0..20 {
        client.write_all("ping").await.0.unwrap();
        assert_eq!(server.read(Vec::with_capacity(8)).await.1, b"ping");
        sleep(Duration::from_millis(1)).await;
    }
    // A thread's answer comes through, too.
    spawn_blocking(|| ()).await.unwrap();
    assert!(now() - start < Duration::from_secs(2), "{:?}", now() - start);
    stop.set(true);
    for task in busy {
        task.await.unwrap();
    }
    // One task whose operations are always answered at once does not own the loop either.
    let reads = spawn(async move {
        loop {
            if server.read(Vec::new()).await.0.is_err() {
                return;
            }
        }
    });
    timeout(Duration::from_secs(5), sleep(Duration::from_millis(5))).await.unwrap();
    reads.abort();
}

async fn combinators_with_wakers_of_their_own_work() {
    use futures_util::stream::{FuturesUnordered, StreamExt};
    let mut many: FuturesUnordered<_> = (0..100u64)
        .map(|n| async move {
            annulus::nop().await.unwrap();
            sleep(Duration::from_micros(100 - n)).await;
            spawn(async move { n }).await.unwrap()
        })
        .collect();
    let mut sum = 0;
    while let Some(n) = many.next().await {
        sum += n;
    }
    assert_eq!(sum, 4950);
}

async fn a_hundred_thousand_tasks_at_a_time() {
    let sum = Rc::new(Cell::new(0u64));
    let tasks: Vec<_> = (0..100_000u64)
        .map(|n| {
            let sum = Rc::clone(&sum);
            spawn(async move {
                yield_now().await;
                sum.set(sum.get() + n);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(sum.get(), 99_999 * 100_000 / 2);
}

/// Asserts that a second round of the same work needs no more memory than the first; a few pages are the allocator's.
fn needs_no_more_memory(mut work: impl FnMut()) {
    work();
    let before = audit::resident();
    work();
    let (Some(before), Some(after)) = (before, audit::resident()) else { return };
    assert!(after < before + (4 << 20), "{} KiB before, {} KiB after", before >> 10, after >> 10);
}

fn a_million_tasks_leave_no_memory_behind(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        needs_no_more_memory(|| {
            runtime
                .run(async {
                    for batch in 0..500 {
                        let tasks: Vec<_> = (0..1000).map(|n| spawn(async move { [n; 16] })).collect();
                        for (n, task) in tasks.into_iter().enumerate() {
                            // Awaited, let go, and aborted.
                            match (n + batch) % 3 {
                                0 => assert_eq!(task.await.unwrap()[15], n),
                                1 => drop(task),
                                _ => task.abort(),
                            }
                        }
                    }
                })
                .unwrap();
        });
        assert_eq!(runtime.metrics().alive, 0);
        assert!(runtime.metrics().spawned > 1_000_000);
    });
}

fn a_thousand_runtimes_leave_nothing_behind(builder: Builder) {
    alone(|| {
        let round = || {
            for _ in 0..500 {
                let runtime = builder.clone().build().unwrap();
                runtime
                    .run(async {
                        drop(spawn(pending::<()>()));
                        drop(spawn(sleep(Duration::from_secs(1000))));
                        annulus::nop().await.unwrap();
                    })
                    .unwrap();
            }
        };
        round();
        let (descriptors, threads) = (audit::descriptors(), audit::threads());
        needs_no_more_memory(round);
        audit::comes_back("descriptors", descriptors, audit::descriptors);
        audit::comes_back("threads", threads, audit::threads);
    });
}
