//! A loop with nothing to do does nothing: no system call, no wake-up, on every driver.

mod support;

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use annulus::net::TcpListener;
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, spawn_blocking, yield_now};
use support::audit;
use support::child::{self, alone};
use support::net::pair;
use support::on_real_drivers;

on_real_drivers! {
    because "they count the machine's system calls, its threads and its time":
        an_idle_loop_makes_no_turn_and_no_enter,
        an_idle_loop_makes_no_system_call,
        an_idle_loop_uses_no_processor,
        a_wake_from_another_thread_ends_the_sleep,
        a_thousand_wakes_from_another_thread_cost_no_more_than_as_many_enters,
        yields_make_no_system_call,
        yields_beside_a_waiting_read_make_few_system_calls,
        timers_that_are_not_due_make_no_system_call,
        a_loop_has_no_thread_until_something_blocks;
}

const WHILE: Duration = Duration::from_millis(300);

/// What a server has that nobody talks to: a listener, connections that are read from, a file, a helper that was
/// used, a timer that is far away.
async fn wait_for_something() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    drop(spawn(async move { listener.accept().await.map(drop) }));
    for _ in 0..10 {
        let (client, server) = pair().await;
        drop(spawn(async move {
            let _kept = client;
            server.read(Vec::with_capacity(64)).await.0
        }));
    }
    let (reader, writer) = support::pipe::pipe();
    drop(spawn(async move {
        let _kept = writer;
        let pipe = annulus::fs::File::from_std(reader);
        pipe.read(Vec::with_capacity(64)).await.0
    }));
    annulus::fs::metadata("/").await.unwrap();
    spawn_blocking(|| ()).await.unwrap();
    drop(spawn(sleep(Duration::from_secs(1000))));
    // An operation that was given up has settled.
    assert!(timeout(Duration::from_millis(1), pending::<()>()).await.is_err());
    sleep(Duration::from_millis(50)).await;
}

/// Wakes the task by a thread of its own after a while; the loop does nothing meanwhile.
async fn sleep_by_a_thread(span: Duration) {
    let slept = Arc::new(AtomicBool::new(false));
    let mut begun = false;
    std::future::poll_fn(move |cx| {
        if slept.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if !begun {
            begun = true;
            let (slept, waker) = (Arc::clone(&slept), cx.waker().clone());
            thread::spawn(move || {
                thread::sleep(span);
                slept.store(true, Ordering::SeqCst);
                waker.wake();
            });
        }
        Poll::Pending
    })
    .await;
}

fn an_idle_loop_makes_no_turn_and_no_enter(builder: Builder) {
    let runtime = builder.build().unwrap();
    let metrics = || Runtime::try_current().unwrap().metrics();
    runtime
        .run(async {
            wait_for_something().await;
            let before = metrics();
            sleep_by_a_thread(WHILE).await;
            let after = metrics();
            // The one that the sleep begins with; the one that is ended by the doorbell, and what follows on it.
            assert!(after.enters - before.enters <= 3, "{before:?} {after:?}");
            assert!(after.turns - before.turns <= 3, "{before:?} {after:?}");
            assert!(after.polls - before.polls <= 2, "{before:?} {after:?}");
        })
        .unwrap();
}

/// Says so on standard output, so that the calls between the two marks can be counted.
fn mark(text: &'static str) {
    // SAFETY: a static text of that length.
    #[allow(unsafe_code, reason = "one system call, and no lock or buffer about it")]
    let written = unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    assert_eq!(written, text.len() as isize);
}

fn an_idle_loop_makes_no_system_call(builder: Builder) {
    const BEGIN: &str = "(it is idle now)\n";
    const END: &str = "(it is not idle any more)\n";
    let test = child::name();
    if child::is_child(&test) {
        let runtime = builder.build().unwrap();
        return runtime
            .run(async {
                wait_for_something().await;
                mark(BEGIN);
                sleep_by_a_thread(WHILE).await;
                mark(END);
            })
            .unwrap();
    }
    let Some(text) = support::traced::traced(&[]) else { return };
    let is_begin = |line: &&str| line.contains("write(2,") && line.contains("it is idle now");
    let thread =
        text.lines().find(is_begin).and_then(|line| line.split(' ').next()).expect("a mark").to_owned();
    let own =
        text.lines().filter(|line| line.starts_with(&thread)).skip_while(|line| !is_begin(line)).skip(1);
    let calls: Vec<_> = own.take_while(|line| !line.contains("it is not idle any more")).collect();
    // What makes the thread that will wake it is not the loop's.
    let making =
        ["mmap", "mprotect", "clone", "rt_sigprocmask", "munmap", "madvise", "sched_getaffinity", "brk"];
    let of_the_loop: Vec<_> = calls
        .iter()
        .filter(|line| !line.contains("resumed"))
        .filter(|line| !making.iter().any(|call| line.contains(&format!(" {call}"))))
        .collect();
    let waits = of_the_loop.iter().filter(|line| line.contains("enter") || line.contains("epoll")).count();
    println!("while it was idle for {WHILE:?}:\n{}", calls.join("\n"));
    assert!(of_the_loop.len() <= 8 && waits <= 3, "{of_the_loop:#?}");
}

/// How long this thread has run on a processor.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is this function's own.
    #[allow(unsafe_code, reason = "the standard library does not tell")]
    let told = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(told, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn an_idle_loop_uses_no_processor(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            wait_for_something().await;
            let before = processor_time();
            sleep_by_a_thread(WHILE).await;
            let used = processor_time() - before;
            assert!(used < WHILE / 20, "{used:?} of {WHILE:?}");
        })
        .unwrap();
}

async fn a_wake_from_another_thread_ends_the_sleep() {
    for _ in 0..20 {
        let start = Instant::now();
        timeout(Duration::from_secs(5), sleep_by_a_thread(Duration::from_millis(3)))
            .await
            .expect("it is woken");
        assert!(start.elapsed() >= Duration::from_millis(3));
    }
}

async fn a_thousand_wakes_from_another_thread_cost_no_more_than_as_many_enters() {
    let metrics = || Runtime::try_current().unwrap().metrics();
    yield_now().await;
    let before = metrics();
    for _ in 0..1000 {
        spawn_blocking(|| ()).await.unwrap();
    }
    let enters = metrics().enters - before.enters;
    assert!(enters <= 4 * 1000, "{enters}");
}

async fn yields_make_no_system_call() {
    let metrics = || Runtime::try_current().unwrap().metrics();
    let before = metrics();
    let flag = Rc::new(std::cell::Cell::new(false));
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let flag = Rc::clone(&flag);
            spawn(async move {
                for _ in 0..1000 {
                    flag.set(!flag.get());
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let after = metrics();
    assert!(after.polls - before.polls >= 10_000);
    assert_eq!(after.enters, before.enters);
}

async fn yields_beside_a_waiting_read_make_few_system_calls() {
    const YIELDS: u64 = 10_000;
    let metrics = || Runtime::try_current().unwrap().metrics();
    let (_client, server) = pair().await;
    let reading = spawn(async move { server.read(Vec::with_capacity(8)).await.0 });
    sleep(Duration::from_millis(1)).await;
    let before = metrics().enters;
    for _ in 0..YIELDS {
        yield_now().await;
    }
    let enters = metrics().enters - before;
    // One look for some thirty polls, so that the read is not kept waiting.
    assert!(enters <= YIELDS / 16, "{enters} enters for {YIELDS} yields");
    reading.abort();
}

async fn timers_that_are_not_due_make_no_system_call() {
    let metrics = || Runtime::try_current().unwrap().metrics();
    let before = metrics();
    for _ in 0..1000 {
        assert!(timeout(Duration::from_secs(1000), yield_now()).await.is_ok());
    }
    assert_eq!(metrics().enters, before.enters);
}

fn a_loop_has_no_thread_until_something_blocks(builder: Builder) {
    alone(|| {
        let before = audit::threads();
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let (client, server) = pair().await;
                client.write_all("ping").await.0.unwrap();
                assert_eq!(server.read(Vec::with_capacity(8)).await.1, b"ping");
                sleep(Duration::from_millis(1)).await;
            })
            .unwrap();
        assert_eq!(audit::threads(), before);
    });
}
