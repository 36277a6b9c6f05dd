//! What other threads ask of a loop: it is done on the loop's thread, in order, and everything asked has an answer.

mod support;

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use annulus::sync::across::oneshot;
use annulus::task::JoinError;
use annulus::time::{sleep, timeout};
use annulus::{Answer, Builder, Remote, Runtime, spawn, yield_now};
use support::quiet::{boom, quietly};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_closure_runs_on_the_thread_of_the_loop,
    what_one_thread_asks_is_begun_in_its_order,
    of_the_jobs_of_eight_threads_none_is_lost,
    a_future_that_is_not_send_is_made_on_the_loop_and_stays_there,
    an_answer_is_awaited_on_tokio,
    an_answer_is_awaited_on_another_loop,
    an_answer_is_awaited_on_the_loop_that_gives_it,
    a_plain_thread_waits_no_longer_than_it_says,
    waiting_where_a_loop_runs_panics_and_says_what_to_do,
    waiting_on_the_thread_of_a_loop_that_does_not_run_panics_and_says_what_to_do,
    what_is_asked_before_the_first_run_and_between_two_waits_for_the_next,
    a_loop_that_ends_answers_what_it_had_not_begun,
    a_loop_that_ends_answers_what_it_had_not_finished,
    what_is_asked_while_a_loop_ends_is_answered,
    a_remote_outlives_its_loop,
    an_abort_takes_back_at_once_what_was_not_begun,
    an_abort_stops_a_task_and_is_answered_when_its_future_is_gone,
    an_abort_comes_too_late_for_what_is_done,
    a_panic_is_the_answer_and_the_loop_goes_on,
    a_panic_that_nobody_hears_of_hurts_nobody,
    a_dropped_answer_lets_it_run,
    a_job_may_drop_the_last_remote,
    a_job_may_ask_for_more,
    a_flood_of_jobs_has_the_thread_not_for_itself,
    what_attends_to_other_threads_is_no_task_of_the_users,
}

on_real_drivers! {
    because "they count the machine's system calls": a_parked_loop_is_woken_by_a_job_and_looks_for_none;
}

fn remote() -> Remote {
    Runtime::try_current().unwrap().remote()
}

/// Has a thread without a loop do something; the loop goes on meanwhile.
async fn on_a_thread<T: Send + 'static>(body: impl FnOnce(Remote) -> T + Send + 'static) -> T {
    let (sender, receiver) = oneshot::channel();
    let remote = remote();
    let thread = thread::spawn(move || sender.send(body(remote)).is_ok());
    let value = receiver.await.expect("the thread has panicked");
    assert!(thread.join().unwrap());
    value
}

/// Says when it is dropped.
struct Tells(Arc<AtomicBool>);

impl Tells {
    fn new() -> (Tells, Arc<AtomicBool>) {
        let told = Arc::new(AtomicBool::new(false));
        (Tells(Arc::clone(&told)), told)
    }
}

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<String>().map_or("", String::as_str)
}

async fn a_closure_runs_on_the_thread_of_the_loop() {
    let id = on_a_thread(|remote| remote.run(|| thread::current().id()).wait().unwrap()).await;
    assert_eq!(id, thread::current().id());
    // And it finds itself in the loop.
    let driver =
        on_a_thread(|remote| remote.run(|| Runtime::try_current().unwrap().driver()).wait().unwrap()).await;
    assert_eq!(driver, Runtime::try_current().unwrap().driver());
}

thread_local! {
    /// What jobs have noted on the loop's thread.
    static NOTES: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

async fn what_one_thread_asks_is_begun_in_its_order() {
    const JOBS: usize = 3000;
    on_a_thread(|remote| {
        for number in 0..JOBS {
            match number % 3 {
                0 => drop(remote.spawn(move || {
                    NOTES.with_borrow_mut(|notes| notes.push(number));
                    async {}
                })),
                _ => drop(remote.run(move || NOTES.with_borrow_mut(|notes| notes.push(number)))),
            }
        }
        remote.run(|| ()).wait().unwrap();
    })
    .await;
    assert_eq!(NOTES.take(), (0..JOBS).collect::<Vec<_>>());
}

async fn of_the_jobs_of_eight_threads_none_is_lost() {
    const THREADS: usize = 8;
    const JOBS: usize = 10_000;
    let threads = (0..THREADS).map(|_| {
        on_a_thread(|remote| {
            let mut sum = 0;
            for number in 0..JOBS {
                // Some are waited for, so that the loop is found asleep as well as awake.
                let answer = remote.run(move || {
                    NOTES.with_borrow_mut(|notes| notes.push(number));
                    number
                });
                match number % 100 {
                    0 => sum += answer.wait().unwrap(),
                    _ => drop(answer),
                }
            }
            remote.run(|| ()).wait().unwrap();
            sum
        })
    });
    let sums = futures_util::future::join_all(threads).await;
    assert_eq!(sums, [(0..JOBS).step_by(100).sum::<usize>(); THREADS]);
    let mut times = vec![0; JOBS];
    NOTES.take().into_iter().for_each(|number| times[number] += 1);
    assert_eq!(times, vec![THREADS; JOBS]);
}

async fn a_future_that_is_not_send_is_made_on_the_loop_and_stays_there() {
    let here = thread::current().id();
    let seen = on_a_thread(|remote| {
        let answer = remote.spawn(|| {
            let made = thread::current().id();
            let kept = Rc::new(Cell::new(made));
            async move {
                yield_now().await;
                sleep(Duration::from_millis(1)).await;
                // Of the loop's: it would panic elsewhere.
                annulus::nop().await.unwrap();
                (kept.get(), thread::current().id())
            }
        });
        answer.wait().unwrap()
    })
    .await;
    assert_eq!(seen, (here, here));
}

async fn an_answer_is_awaited_on_tokio() {
    let answers = on_a_thread(|remote| {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio.block_on(async move {
            let task = remote.spawn(|| async {
                sleep(Duration::from_millis(1)).await;
                1
            });
            // More than tokio lets a task have without waiting.
            let mut sum = task.await.unwrap();
            let answers: Vec<_> = (0..1000).map(|_| remote.run(|| 1)).collect();
            for answer in answers {
                sum += answer.await.unwrap();
            }
            sum
        })
    });
    assert_eq!(answers.await, 1001);
}

fn an_answer_is_awaited_on_another_loop(builder: Builder) {
    let runtime = builder.clone().build().unwrap();
    let sum = runtime.run(on_a_thread(move |remote| {
        let other = builder.build().unwrap();
        let sum = other.run(async move {
            let mut sum = 0;
            for number in 0..100 {
                let answer = remote.spawn(move || async move {
                    yield_now().await;
                    number
                });
                sum += answer.await.unwrap();
            }
            sum
        });
        sum.unwrap()
    }));
    assert_eq!(sum.unwrap(), 4950);
}

async fn an_answer_is_awaited_on_the_loop_that_gives_it() {
    let remote = remote();
    assert_eq!(remote.run(|| 7).await.unwrap(), 7);
    let mut slow = remote.spawn(|| async {
        sleep(Duration::from_millis(20)).await;
        8
    });
    assert!(timeout(Duration::from_millis(1), &mut slow).await.is_err());
    assert_eq!(slow.await.unwrap(), 8, "nothing is lost by a time-out around it");
}

async fn a_plain_thread_waits_no_longer_than_it_says() {
    let (sender, receiver) = oneshot::channel::<()>();
    let value = on_a_thread(|remote| {
        let mut answer = remote.spawn(|| async {
            receiver.await.unwrap();
            7
        });
        assert!(answer.wait_timeout(Duration::ZERO).is_none());
        assert!(answer.wait_timeout(Duration::from_millis(20)).is_none());
        sender.send(()).unwrap();
        // For ever, as it were; and a wait that was given up is no loss.
        let value = answer.wait_timeout(Duration::MAX).unwrap().unwrap();
        (value, panics(|| answer.wait_timeout(Duration::ZERO)))
    });
    let (value, said) = value.await;
    assert_eq!(value, 7);
    assert!(said.contains("after it had resolved"), "it is given once: {said}");
}

fn panics<T>(body: impl FnOnce() -> T) -> String {
    let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) else {
        panic!("it should have panicked")
    };
    panic.downcast_ref::<&str>().map_or_else(|| text_of(&*panic).to_owned(), |text| (*text).to_owned())
}

async fn waiting_where_a_loop_runs_panics_and_says_what_to_do() {
    let remote = remote();
    let done = remote.run(|| ());
    yield_now().await;
    // Also when it would not have waited: what is wrong is told the first time.
    let mut answers = [done, remote.run(|| ())];
    for answer in &mut answers {
        let said = panics(|| answer.wait_timeout(Duration::from_secs(1000)));
        assert!(said.contains("where an annulus loop runs") && said.contains("`.await`"), "{said}");
    }
    for answer in answers {
        let said = panics(|| answer.wait());
        assert!(said.contains("spawn_blocking"), "{said}");
    }
}

fn waiting_on_the_thread_of_a_loop_that_does_not_run_panics_and_says_what_to_do(builder: Builder) {
    let runtime = builder.build().unwrap();
    let answer = runtime.remote().run(|| ());
    let said = panics(|| answer.wait());
    assert!(said.contains("`Runtime::run`"), "{said}");
    // An answer that is there is given anywhere.
    let answer = runtime.remote().run(|| 7);
    runtime.run(yield_now()).unwrap();
    assert_eq!(answer.wait().unwrap(), 7);
}

fn what_is_asked_before_the_first_run_and_between_two_waits_for_the_next(builder: Builder) {
    let runtime = builder.build().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    for round in 1..=3 {
        let (remote, counted) = (runtime.remote(), Arc::clone(&ran));
        let ask = move || {
            let task = remote.spawn(|| async {
                yield_now().await;
                thread::current().id()
            });
            (remote.run(move || counted.fetch_add(1, Ordering::SeqCst)), task)
        };
        let (count, task) = thread::spawn(ask).join().unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), round - 1, "nobody runs it");
        assert_eq!(runtime.run(count).unwrap().unwrap(), round - 1);
        assert_eq!(runtime.run(task).unwrap().unwrap(), thread::current().id());
    }
}

fn a_loop_that_ends_answers_what_it_had_not_begun(builder: Builder) {
    let runtime = builder.build().unwrap();
    let remote = runtime.remote();
    let (tells, told) = Tells::new();
    let first = remote.run(move || drop(tells));
    let second = remote.spawn(|| async {});
    // They wait already when it ends.
    let waiting = thread::spawn(move || (first.wait().unwrap_err(), second.wait().unwrap_err()));
    let third = remote.run(|| ());
    assert_eq!(runtime.shutdown(Duration::from_secs(20)), 0);
    let (first, second) = waiting.join().unwrap();
    assert!(first.is_cancelled() && second.is_cancelled());
    assert!(third.wait().unwrap_err().is_cancelled());
    assert!(told.load(Ordering::SeqCst), "the closure is dropped");
}

fn a_loop_that_ends_answers_what_it_had_not_finished(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (tells, told) = Tells::new();
    let remote = runtime.remote();
    let answer = remote.spawn(move || async move {
        std::future::pending::<()>().await;
        drop(tells);
    });
    // What it waits for is the driver's.
    let sleeping = remote.spawn(|| sleep(Duration::from_secs(1000)));
    runtime.run(remote.run(|| ())).unwrap().unwrap();
    runtime.run(yield_now()).unwrap();
    let waiting = thread::spawn(move || {
        let error = answer.wait().unwrap_err();
        (error.is_cancelled(), told.load(Ordering::SeqCst))
    });
    drop(runtime);
    assert_eq!(waiting.join().unwrap(), (true, true), "when the answer is there, the future is gone");
    assert!(sleeping.wait().unwrap_err().is_cancelled());
}

fn what_is_asked_while_a_loop_ends_is_answered(builder: Builder) {
    const LOOPS: usize = 100;
    /// In its destructor it asks for a remote, and something of it.
    struct Asks(std::sync::mpsc::Sender<Answer<()>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            // The loop has an engine still, but is nobody's any more.
            let asked = Runtime::try_current().map(|current| current.remote().run(|| ()));
            asked.into_iter().for_each(|answer| self.0.send(answer).unwrap());
        }
    }
    for number in 0..LOOPS {
        let runtime = builder.clone().build().unwrap();
        let (sender, asked) = std::sync::mpsc::channel();
        // With a remote before, and without.
        let asking = (number % 2 == 0).then(|| {
            let remote = runtime.remote();
            thread::spawn(move || {
                while !remote.is_closed() {
                    // One or the other; never nothing.
                    let _ = remote.run(|| ()).wait();
                }
            })
        });
        let run = runtime.run(async {
            drop(spawn(async move {
                let _asks = Asks(sender);
                std::future::pending::<()>().await;
            }));
            yield_now().await;
        });
        run.unwrap();
        drop(runtime);
        asked.try_iter().for_each(|answer| assert!(answer.wait().unwrap_err().is_cancelled()));
        asking.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

fn a_remote_outlives_its_loop(builder: Builder) {
    let runtime = builder.build().unwrap();
    let remote = runtime.remote();
    assert!(!remote.is_closed());
    drop(runtime);
    let ask = move || {
        assert!(remote.is_closed());
        let (tells, told) = Tells::new();
        let answer = remote.clone().run(move || drop(tells));
        assert!(told.load(Ordering::SeqCst), "it is dropped here and now");
        answer.abort();
        assert!(answer.wait().unwrap_err().is_cancelled());
        assert!(remote.spawn(|| async {}).wait().unwrap_err().is_cancelled());
        format!("{remote:?}")
    };
    let shown = thread::spawn(ask).join().unwrap();
    assert_eq!(shown, "Remote { closed: true }");
}

fn an_abort_takes_back_at_once_what_was_not_begun(builder: Builder) {
    let runtime = builder.build().unwrap();
    let remote = runtime.remote();
    let ask = move || {
        let (tells, told) = Tells::new();
        let closure = remote.run(move || {
            drop(tells);
            unreachable!("it was taken back")
        });
        closure.abort();
        closure.abort();
        assert!(told.load(Ordering::SeqCst));
        // The loop does not run: nobody else could answer.
        assert!(closure.wait().unwrap_err().is_cancelled());
        let task = remote.spawn(|| async { unreachable!("it was taken back") });
        task.abort();
        task.wait().unwrap_err()
    };
    assert!(thread::spawn(ask).join().unwrap().is_cancelled());
    // It does not stumble over them.
    assert_eq!(runtime.run(runtime.remote().run(|| 7)).unwrap().unwrap(), 7);
}

async fn an_abort_stops_a_task_and_is_answered_when_its_future_is_gone() {
    let gone = on_a_thread(|remote| {
        let (tells, told) = Tells::new();
        let (begun, begins) = std::sync::mpsc::channel();
        let answer = remote.spawn(move || async move {
            begun.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(tells);
        });
        begins.recv().unwrap();
        answer.abort();
        let error = answer.wait().unwrap_err();
        (error.is_cancelled(), told.load(Ordering::SeqCst))
    });
    assert_eq!(gone.await, (true, true));
    // By itself, while it is polled.
    thread_local! { static OWN: RefCell<Option<Answer<()>>> = const { RefCell::new(None) } }
    let (tells, told) = Tells::new();
    let answer = remote().spawn(move || async move {
        OWN.with_borrow(|own| own.as_ref().unwrap().abort());
        yield_now().await;
        drop(tells);
        unreachable!("it was stopped")
    });
    OWN.set(Some(answer));
    while !told.load(Ordering::SeqCst) {
        yield_now().await;
    }
    assert!(OWN.take().unwrap().await.unwrap_err().is_cancelled());
}

async fn an_abort_comes_too_late_for_what_is_done() {
    let remote = remote();
    let (closure, task) = (remote.run(|| 1), remote.spawn(|| async { 2 }));
    remote.spawn(yield_now).await.unwrap();
    closure.abort();
    task.abort();
    assert_eq!((closure.await.unwrap(), task.await.unwrap()), (1, 2));
    // A closure that runs cannot be stopped, and says what came of it.
    let (sender, receiver) = oneshot::channel();
    let value = on_a_thread(move |remote| {
        let (began, begins) = std::sync::mpsc::channel();
        let (go, goes) = std::sync::mpsc::channel();
        let answer = remote.run(move || {
            began.send(()).unwrap();
            goes.recv().unwrap();
            7
        });
        begins.recv().unwrap();
        answer.abort();
        go.send(()).unwrap();
        sender.send(()).unwrap();
        answer.wait().unwrap()
    });
    assert_eq!(value.await, 7);
    receiver.await.unwrap();
}

/// Panics when it is dropped.
struct Boom(&'static str);

impl Drop for Boom {
    fn drop(&mut self) {
        if !thread::panicking() {
            boom(self.0);
        }
    }
}

async fn a_panic_is_the_answer_and_the_loop_goes_on() {
    let _hook = quietly(|| ());
    fn said<T>(outcome: Result<T, JoinError>) -> String {
        let Err(error) = outcome else { panic!("it did not panic") };
        text_of(&*error.into_panic()).to_owned()
    }
    let all = on_a_thread(|remote| {
        let closure = remote.run(|| boom("closure"));
        let make = remote.spawn(|| -> std::future::Pending<()> {
            boom("make");
            unreachable!()
        });
        let future = remote.spawn(|| async { boom("future") });
        let later = remote.spawn(|| async {
            yield_now().await;
            boom("later")
        });
        let destructor = remote.spawn(|| async {
            let _boom = Boom("destructor");
            yield_now().await;
        });
        let stopped = remote.spawn(|| async {
            let _boom = Boom("stopped");
            std::future::pending::<()>().await;
        });
        // It has begun.
        remote.spawn(yield_now).wait().unwrap();
        stopped.abort();
        let all = [closure, make, future, later, destructor, stopped];
        (all.map(|answer| said(answer.wait())), remote.run(|| 7).wait().unwrap())
    });
    let expected = ["closure", "make", "future", "later", "destructor", "stopped"];
    assert_eq!(all.await, (expected.map(|place| format!("{place}, on purpose")), 7));
}

/// Panics when it is dropped, with what panics when it is dropped.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        resume_unwind(Box::new(Boom("payload")));
    }
}

async fn a_panic_that_nobody_hears_of_hurts_nobody() {
    let _hook = quietly(|| ());
    on_a_thread(|remote| {
        // Held up until the answers are dropped: what is there before is dropped with its answer, by us.
        let (go, goes) = std::sync::mpsc::channel::<()>();
        drop(remote.run(move || goes.recv().is_ok()));
        drop(remote.run(|| boom("closure")));
        drop(remote.run(|| Boom("value")));
        drop(remote.run(|| Twice));
        drop(remote.spawn(|| async { Twice }));
        drop(remote.run(|| resume_unwind(Box::new(Boom("payload")))));
        drop(remote.spawn(|| async { Boom("output") }));
        drop(remote.spawn(|| async { resume_unwind(Box::new(Boom("payload"))) }));
        go.send(()).unwrap();
        remote.spawn(yield_now).wait().unwrap();
        assert!(!remote.is_closed());
    })
    .await;
}

async fn a_dropped_answer_lets_it_run() {
    let (sender, receiver) = oneshot::channel();
    let (told, tells) = oneshot::channel();
    on_a_thread(|remote| {
        drop(remote.run(|| sender.send(1)));
        drop(remote.spawn(|| async {
            sleep(Duration::from_millis(1)).await;
            told.send(2)
        }));
    })
    .await;
    assert_eq!((receiver.await, tells.await), (Ok(1), Ok(2)));
}

async fn a_job_may_drop_the_last_remote() {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::spawn(move || {
        let remote: Remote = receiver.blocking_recv().unwrap();
        // The job's own is the last when it runs.
        let last = remote.clone();
        remote.run(move || drop(last))
    });
    sender.send(remote()).unwrap();
    thread.join().unwrap().await.unwrap();
    // There are others when they are asked for.
    assert_eq!(on_a_thread(|remote| remote.run(|| 7).wait().unwrap()).await, 7);
}

async fn a_job_may_ask_for_more() {
    let sum = on_a_thread(|remote| {
        let inner = remote.clone();
        let task = remote.run(move || {
            let task = inner.spawn(|| async { 1 });
            (inner.run(|| 2), task)
        });
        let (two, one) = task.wait().unwrap();
        one.wait().unwrap() + two.wait().unwrap()
    });
    assert_eq!(sum.await, 3);
}

async fn a_flood_of_jobs_has_the_thread_not_for_itself() {
    /// The queue is never empty.
    fn again(remote: Remote, ends: Arc<AtomicBool>) {
        if !ends.load(Ordering::SeqCst) {
            let next = remote.clone();
            drop(remote.run(move || again(next, ends)));
        }
    }
    let ends = Arc::new(AtomicBool::new(false));
    again(remote(), Arc::clone(&ends));
    // Short, for a simulated clock hardly moves while the loop is busy.
    sleep(Duration::from_micros(100)).await;
    ends.store(true, Ordering::SeqCst);
    // Nor does it take the thread away for more than its share: of so many jobs, some are left when others have their turn.
    for _ in 0..1000 {
        drop(remote().run(|| NOTES.with_borrow_mut(|notes| notes.push(0))));
    }
    yield_now().await;
    yield_now().await;
    let done = NOTES.with_borrow(Vec::len);
    assert!(0 < done && done < 1000, "{done}");
    remote().run(|| ()).await.unwrap();
    assert_eq!(NOTES.take().len(), 1000);
}

fn what_attends_to_other_threads_is_no_task_of_the_users(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime.run(async { assert_eq!(Runtime::try_current().unwrap().metrics().alive, 1) }).unwrap();
    let before = runtime.metrics();
    let remote = runtime.remote();
    runtime.run(async { assert_eq!(Runtime::try_current().unwrap().metrics().alive, 1) }).unwrap();
    let after = runtime.metrics();
    assert_eq!((before.alive, after.alive), (0, 0), "{after:?}");
    assert_eq!(after.spawned - before.spawned, 1, "the future that was run: {after:?}");
    drop((remote, runtime.remote()));
    assert_eq!(runtime.metrics().spawned, after.spawned);
}

async fn a_parked_loop_is_woken_by_a_job_and_looks_for_none() {
    const WHILE: Duration = Duration::from_millis(300);
    let metrics = || Runtime::try_current().unwrap().metrics();
    let (before, after) = on_a_thread(move |remote| {
        // The loop has nothing else to do than to wait for this thread, and knows that it may be asked.
        let before = remote.run(metrics).wait().unwrap();
        thread::sleep(WHILE);
        let after = remote.run(metrics).wait().unwrap();
        (before, after)
    })
    .await;
    assert!(after.enters - before.enters <= 4, "{before:?} {after:?}");
    assert!(after.turns - before.turns <= 4, "{before:?} {after:?}");
    assert!(after.polls - before.polls <= 2, "{before:?} {after:?}");
    assert_eq!(after.remote_wakes - before.remote_wakes, 1, "{before:?} {after:?}");
}
