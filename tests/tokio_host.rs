//! A loop inside of tokio: what is tokio's works in the loop's tasks and the other way round, and nobody turns in vain.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use annulus::net::TcpListener;
use annulus::tokio_host::{drive, drive_until, run};
use annulus::{Builder, Runtime};
use support::child;
use support::on_real_drivers;
use support::quiet::{boom, quietly};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{LocalSet, spawn_local};

on_real_drivers! {
    because "a simulated driver has no descriptor that tokio could wait for":
        sockets_of_tokio_work_in_tasks_of_the_loop,
        tasks_of_the_loop_are_awaited_in_tasks_of_tokio,
        timers_of_both_end_in_their_order,
        each_has_its_turns_while_the_other_is_always_ready,
        ten_thousand_reads_of_tokios_in_one_turn_do_not_stop_the_loop,
        a_wake_from_another_thread_is_heard,
        a_loop_that_is_not_driven_for_a_while_goes_on,
        a_runtime_of_several_threads_drives_a_loop_on_its_main_thread,
        outside_of_tokio_it_says_so,
        an_idle_hosted_loop_makes_no_system_call;
    because "it counts turns that a descriptor brings about":
        an_idle_hosted_loop_makes_no_turn;
}

const MS: Duration = Duration::from_millis(1);

/// A thread with tokio and a loop, and a future between the two.
fn hosted<F: Future>(builder: Builder, body: impl FnOnce(Rc<Runtime>) -> F) -> F::Output {
    let runtime = Rc::new(builder.build().unwrap());
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let future = body(Rc::clone(&runtime));
    let output = LocalSet::new().block_on(&tokio, drive_until(&runtime, future)).unwrap();
    let _inside = tokio.enter();
    drop(runtime);
    output
}

fn sockets_of_tokio_work_in_tasks_of_the_loop(builder: Builder) {
    hosted(builder, |runtime| async move {
        let serving = runtime.spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let echo = annulus::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut bytes = 0;
                let mut leases = stream.recv_stream();
                while let Some(lease) = leases.next().await {
                    let lease = lease.unwrap();
                    bytes += lease.len();
                    stream.write_all(lease).await.0.unwrap();
                }
                bytes
            });
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            for message in 0..1000_u32 {
                stream.write_all(&message.to_be_bytes()).await.unwrap();
                assert_eq!(stream.read_u32().await.unwrap(), message);
            }
            drop(stream);
            echo.await.unwrap()
        });
        assert_eq!(serving.await.unwrap(), 4000);
    });
}

fn tasks_of_the_loop_are_awaited_in_tasks_of_tokio(builder: Builder) {
    let sum = hosted(builder, |runtime| async move {
        let tasks: Vec<_> = (0..100_u64)
            .map(|number| {
                let runtime = Rc::clone(&runtime);
                spawn_local(async move {
                    let asked = runtime.spawn(async move {
                        annulus::time::sleep(MS).await;
                        // And back again.
                        spawn_local(async move { number }).await.unwrap()
                    });
                    asked.await.unwrap()
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 4950);
}

fn timers_of_both_end_in_their_order(builder: Builder) {
    let order = hosted(builder, |runtime| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for place in 0..6 {
            let (order, until) = (Rc::clone(&order), begun + 30 * MS * (6 - place));
            tasks.push(runtime.spawn(async move {
                match place % 2 {
                    0 => annulus::time::sleep_until(until).await,
                    _ => tokio::time::sleep_until(until.into()).await,
                }
                assert!(Instant::now() >= until);
                order.borrow_mut().push(place);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        order.take()
    });
    assert_eq!(order, [5, 4, 3, 2, 1, 0]);
}

fn each_has_its_turns_while_the_other_is_always_ready(builder: Builder) {
    hosted(builder, |runtime| async move {
        let (ours, theirs) = (Rc::new(Cell::new(0_u32)), Rc::new(Cell::new(0_u32)));
        let (our_count, their_count) = (Rc::clone(&ours), Rc::clone(&theirs));
        drop(runtime.spawn(async move {
            loop {
                our_count.set(our_count.get() + 1);
                annulus::yield_now().await;
            }
        }));
        let busy = spawn_local(async move {
            loop {
                their_count.set(their_count.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        while ours.get() < 1000 || theirs.get() < 1000 {
            tokio::time::sleep(MS).await;
        }
        busy.abort();
    });
}

/// tokio lets one task of its own take only so much at a time, and for it the loop is one task.
fn ten_thousand_reads_of_tokios_in_one_turn_do_not_stop_the_loop(builder: Builder) {
    hosted(builder, |runtime| async move {
        let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..10_000_u32 {
            sender.send(number).unwrap();
        }
        drop(sender);
        let reading = runtime.spawn(async move {
            let mut count = 0;
            while received.recv().await.is_some() {
                count += 1;
            }
            count
        });
        assert_eq!(reading.await.unwrap(), 10_000);
    });
}

fn a_wake_from_another_thread_is_heard(builder: Builder) {
    hosted(builder, |runtime| async move {
        for _ in 0..50 {
            let remote = runtime.remote();
            let asking = std::thread::spawn(move || remote.run(|| 7));
            // Only the answer wakes anybody: nothing else goes on.
            let answer = tokio::task::spawn_blocking(move || asking.join().unwrap()).await.unwrap();
            assert_eq!(answer.await.unwrap(), 7);
        }
    });
}

fn a_loop_that_is_not_driven_for_a_while_goes_on(builder: Builder) {
    let runtime = builder.build().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let task = runtime.spawn(async {
        let mut count = 0;
        for _ in 0..20 {
            annulus::time::sleep(MS).await;
            annulus::fs::metadata("/").await.unwrap();
            count += 1;
        }
        count
    });
    let count = tokio.block_on(async {
        let mut task = pin!(task);
        loop {
            // Given up in the middle of whatever it does, and begun again.
            let some = tokio::time::timeout(3 * MS, drive_until(&runtime, task.as_mut()));
            if let Ok(finished) = some.await {
                return finished.unwrap().unwrap();
            }
        }
    });
    assert_eq!(count, 20);
}

fn a_runtime_of_several_threads_drives_a_loop_on_its_main_thread(builder: Builder) {
    let runtime = builder.build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sum = tokio.block_on(drive_until(&runtime, async {
        let here = std::thread::current().id();
        let task = runtime.spawn(async move {
            assert_eq!(std::thread::current().id(), here);
            let tasks: Vec<_> = (0..20_u32)
                .map(|number| {
                    tokio::spawn(async move {
                        tokio::time::sleep(MS).await;
                        number
                    })
                })
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
                annulus::time::sleep(MS).await;
            }
            sum
        });
        task.await.unwrap()
    }));
    assert_eq!(sum.unwrap(), 190);
}

fn outside_of_tokio_it_says_so(builder: Builder) {
    let runtime = builder.build().unwrap();
    let mut driving = pin!(drive(&runtime));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(Err(error)) = driving.as_mut().poll(&mut cx) else { panic!("it is no error") };
    assert!(error.to_string().contains("no tokio here"), "{error}");
}

/// Like a server to which nobody talks: with a listener and a timer on each side.
async fn wait_for_something(runtime: &Runtime) {
    drop(runtime.spawn(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        drop(annulus::spawn(annulus::time::sleep(Duration::from_secs(1000))));
        listener.accept().await.map(drop)
    }));
    drop(runtime.spawn(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        drop(spawn_local(tokio::time::sleep(Duration::from_secs(1000))));
        listener.accept().await.map(drop)
    }));
    tokio::time::sleep(30 * MS).await;
}

const WHILE: Duration = Duration::from_millis(300);

/// Resumed by a thread of its own, so that no timer is armed for it.
async fn sleep_by_a_thread() {
    let (sender, slept) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(WHILE);
        sender.send(())
    });
    slept.await.unwrap();
}

fn an_idle_hosted_loop_makes_no_turn(builder: Builder) {
    hosted(builder, |runtime| async move {
        wait_for_something(&runtime).await;
        let before = runtime.metrics();
        sleep_by_a_thread().await;
        let after = runtime.metrics();
        assert_eq!((after.turns, after.polls, after.enters), (before.turns, before.polls, before.enters));
    });
}

/// Says so on standard error, so that the calls between the two marks can be counted.
fn mark(text: &'static str) {
    rustix::io::write(io::stderr(), text.as_bytes()).unwrap();
}

fn an_idle_hosted_loop_makes_no_system_call(builder: Builder) {
    const BEGIN: &str = "(it is idle now)\n";
    const END: &str = "(it is not idle any more)\n";
    if child::is_child(&child::name()) {
        return hosted(builder, |runtime| async move {
            wait_for_something(&runtime).await;
            let (sender, slept) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                std::thread::sleep(100 * MS);
                mark(BEGIN);
                std::thread::sleep(WHILE);
                mark(END);
                sender.send(())
            });
            slept.await.unwrap();
        });
    }
    let Some(text) = support::traced::traced(&[]) else { return };
    let of_the_span = text.lines().skip_while(|line| !line.contains("it is idle now")).skip(1);
    let calls: Vec<_> = of_the_span.take_while(|line| !line.contains("it is not idle any more")).collect();
    // Of the thread that waits until the span is over, and nobody else's. The mark itself is among the lines, each of which has a thread.
    let is_call = |line: &&&str| line.starts_with(|first: char| first.is_ascii_digit());
    let others: Vec<_> = calls.iter().filter(is_call).filter(|line| !line.contains("nanosleep")).collect();
    println!("while it was idle for {WHILE:?}:\n{}", calls.join("\n"));
    assert!(others.is_empty(), "{others:#?}");
}

fn refused_on_a_simulated_driver() -> bool {
    std::env::var("ANNULUS_DRIVER").is_ok_and(|driver| driver.starts_with("sim"))
}

#[test]
fn a_run_gives_what_its_future_gives() {
    if refused_on_a_simulated_driver() {
        return support::skipped("a_run_gives_what_its_future_gives", "ANNULUS_DRIVER has no descriptor");
    }
    let output = run(async {
        let theirs = spawn_local(async { 1 });
        let ours = annulus::spawn(async {
            annulus::time::sleep(MS).await;
            2
        });
        theirs.await.unwrap() + ours.await.unwrap()
    });
    assert_eq!(output.unwrap(), 3);
    assert!(annulus::run(async { run(async {}) }).unwrap().is_err(), "inside of a loop there is none");
}

#[test]
fn a_panic_of_the_future_is_the_runs() {
    if refused_on_a_simulated_driver() {
        return support::skipped("a_panic_of_the_future_is_the_runs", "ANNULUS_DRIVER has no descriptor");
    }
    let panics = quietly(|| run(async { boom("the future") }));
    assert!(panics.unwrap_err().downcast::<String>().unwrap().contains("the future"));
}

#[test]
fn what_ends_with_the_loop_finds_tokio() {
    if refused_on_a_simulated_driver() {
        return support::skipped("what_ends_with_the_loop_finds_tokio", "ANNULUS_DRIVER has no descriptor");
    }
    /// As a pooled connection, which goes back to its pool by a task.
    struct Pooled(Rc<Cell<bool>>);
    impl Drop for Pooled {
        fn drop(&mut self) {
            self.0.set(tokio::runtime::Handle::try_current().is_ok());
        }
    }
    let found = Rc::new(Cell::new(false));
    let pooled = Pooled(Rc::clone(&found));
    run(async move {
        drop(annulus::spawn(async move {
            let _pooled = pooled;
            pending::<()>().await;
        }));
        annulus::yield_now().await;
    })
    .unwrap();
    assert!(found.get());
}

#[cfg(feature = "sim")]
#[test]
fn a_simulated_loop_is_refused_with_the_reason() {
    let runtime = Builder::new().driver(annulus::Driver::Sim(1)).build().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = tokio.block_on(drive_until(&runtime, pending::<()>())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    println!("{error}");
}

#[test]
fn a_loop_is_not_driven_inside_of_another() {
    let inner = Builder::new().driver(annulus::Driver::Readiness).build().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = annulus::run(async {
        let _inside = tokio.enter();
        let mut driving = pin!(drive(&inner));
        poll_fn(|cx| driving.as_mut().poll(cx)).await
    });
    let error = refused.unwrap().unwrap_err();
    assert!(error.to_string().contains("inside a running annulus loop"), "{error}");
}
