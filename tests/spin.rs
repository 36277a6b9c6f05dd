//! A loop that may spin does so where others wake it and where that pays, and nowhere else; and nothing waits for the end of a spin.

mod support;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use annulus::sync::across::mpsc;
use annulus::time::sleep;
use annulus::{Builder, Metrics, Runtime, spawn};
use support::net::{pair, with_std_peer};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_loop_that_is_not_told_to_never_spins,
    a_loop_that_only_io_and_timers_wake_never_spins,
}

on_real_drivers! {
    because "it is about the machine's threads and time":
        two_loops_that_spin_find_each_other_awake,
        a_loop_that_nobody_wakes_any_more_spins_once_at_most,
        looks_in_vain_become_rare,
        a_timer_ends_a_spin,
        what_arrives_ends_a_spin;
}

/// So long that a test which has to wait for it fails.
const FOR_EVER: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(20);

fn metrics() -> Metrics {
    Runtime::try_current().unwrap().metrics()
}

/// Keeps this thread on the first of its processors, or on the second. Threads that wake each other are otherwise put on the same one, where
/// each has to sleep for the other to go on.
#[cfg(target_os = "linux")]
fn stay_on(which: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let allowed = sched_getaffinity(None).unwrap();
    let Some(chosen) = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).nth(which) else {
        return;
    };
    let mut one = CpuSet::new();
    one.set(chosen);
    sched_setaffinity(None, &one).unwrap();
}

/// How to bind a thread is known of Linux only.
#[cfg(not(target_os = "linux"))]
fn stay_on(_: usize) {}

/// Two loops that may spin for so long, on processors of their own if there are two, send a number there and back, until `done` says of the first's metrics that it is enough.
fn ping_pong(builder: &Builder, limit: Duration, done: impl Fn(&Metrics) -> bool + Send) -> Metrics {
    let build = || builder.clone().spin(limit).build().unwrap();
    let (ask, mut asked) = mpsc::channel(1);
    let (answer, mut answered) = mpsc::channel(1);
    let answers = async move || {
        while let Some(number) = asked.recv().await {
            answer.send(number).await.unwrap();
        }
    };
    let asks = async move || {
        for number in 0.. {
            ask.send(number).await.unwrap();
            assert_eq!(answered.recv().await, Some(number));
            if done(&metrics()) {
                break;
            }
        }
        metrics()
    };
    thread::scope(|scope| {
        let asking = scope.spawn(move || {
            stay_on(0);
            let mut asks = asks;
            build().run(asks()).unwrap()
        });
        scope.spawn(move || {
            stay_on(1);
            let mut answers = answers;
            build().run(answers()).unwrap();
        });
        asking.join().unwrap()
    })
}

/// One task of this loop is woken by another thread, so that the loop has reason to look for more.
async fn be_woken() {
    let woken = metrics().remote_wakes;
    while metrics().remote_wakes == woken {
        let (sender, mut receiver) = mpsc::channel(1);
        let thread = thread::spawn(move || sender.blocking_send(()).unwrap());
        // Or the message was there before anybody waited for it.
        receiver.recv().await.unwrap();
        thread.join().unwrap();
    }
}

fn spins_here() -> bool {
    let several = thread::available_parallelism().is_ok_and(|processors| processors.get() > 1);
    if !several {
        println!("skipped: one processor has nobody to look for");
    }
    several
}

fn a_loop_that_is_not_told_to_never_spins(builder: Builder) {
    let begun = Instant::now();
    let metrics = ping_pong(&builder, Duration::ZERO, |metrics| {
        metrics.remote_wakes > 100 || begun.elapsed() > PATIENCE
    });
    assert_eq!(metrics.spins, 0);
}

fn a_loop_that_only_io_and_timers_wake_never_spins(builder: Builder) {
    let runtime = builder.spin(Duration::from_millis(1)).build().unwrap();
    let metrics = runtime.run(async {
        let (client, server) = pair().await;
        let echo = spawn(async move {
            loop {
                let (read, mut buffer) = server.read(Vec::with_capacity(16)).await;
                let Ok(1..) = read else { break };
                buffer = server.write_all(buffer).await.1;
                drop(buffer);
            }
        });
        for _ in 0..100 {
            client.write_all(&b"ping"[..]).await.0.unwrap();
            client.read_exact(vec![0; 4]).await.0.unwrap();
            sleep(Duration::from_micros(10)).await;
        }
        drop(client);
        echo.await.unwrap();
        metrics()
    });
    let metrics = metrics.unwrap();
    assert_eq!((metrics.remote_wakes, metrics.spins), (0, 0), "{metrics:?}");
}

/// Nobody can say beforehand what a look at other threads would find.
#[cfg(feature = "sim")]
#[test]
fn nothing_spins_in_a_simulated_world() {
    let builder = Runtime::builder().driver(annulus::Driver::Sim(support::sim_seed()));
    let metrics = ping_pong(&builder, Duration::from_millis(1), |metrics| metrics.remote_wakes > 20);
    assert_eq!(metrics.spins, 0);
}

fn two_loops_that_spin_find_each_other_awake(builder: Builder) {
    if !spins_here() {
        return;
    }
    let begun = Instant::now();
    let found = |metrics: &Metrics| metrics.spins - metrics.spins_in_vain;
    let metrics = ping_pong(&builder, Duration::from_micros(200), |metrics| {
        found(metrics) > 100 || begun.elapsed() > PATIENCE
    });
    assert!(found(&metrics) > 100, "{metrics:?}");
}

fn a_loop_that_nobody_wakes_any_more_spins_once_at_most(builder: Builder) {
    let runtime = builder.spin(Duration::from_micros(20)).build().unwrap();
    let (before, after) = runtime
        .run(async {
            be_woken().await;
            let before = metrics();
            for _ in 0..50 {
                sleep(Duration::from_millis(1)).await;
            }
            (before, metrics())
        })
        .unwrap();
    assert!(after.parks > before.parks);
    assert!(after.spins <= before.spins + 1, "{before:?} {after:?}");
}

fn looks_in_vain_become_rare(builder: Builder) {
    const WAKES: u64 = 1000;
    let runtime = builder.spin(Duration::from_nanos(1)).build().unwrap();
    let metrics = runtime
        .run(async {
            let (ask, mut asked) = mpsc::channel(1);
            let (answer, mut answered) = mpsc::channel(1);
            let answering = thread::spawn(move || {
                while let Some(()) = asked.blocking_recv() {
                    answer.blocking_send(()).unwrap();
                }
            });
            while metrics().remote_wakes < WAKES {
                ask.send(()).await.unwrap();
                answered.recv().await.unwrap();
            }
            drop(ask);
            answering.join().unwrap();
            metrics()
        })
        .unwrap();
    // A look of a nanosecond finds something now and then all the same.
    let found = metrics.spins - metrics.spins_in_vain;
    assert!(metrics.spins_in_vain <= 12 * (found + 1), "{metrics:?}");
}

fn a_timer_ends_a_spin(builder: Builder) {
    let runtime = builder.spin(FOR_EVER).build().unwrap();
    let begun = Instant::now();
    runtime
        .run(async {
            be_woken().await;
            sleep(Duration::from_millis(20)).await;
        })
        .unwrap();
    assert!(begun.elapsed() < PATIENCE);
}

fn what_arrives_ends_a_spin(builder: Builder) {
    let runtime = builder.spin(FOR_EVER).build().unwrap();
    let begun = Instant::now();
    runtime
        .run(async {
            let (stream, mut peer) = with_std_peer().await;
            let reading = spawn(async move { stream.read(Vec::with_capacity(16)).await.0 });
            be_woken().await;
            let writing = thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                peer.write_all(b"here").unwrap();
                peer
            });
            assert_eq!(reading.await.unwrap().unwrap(), 4);
            drop(writing.join().unwrap());
        })
        .unwrap();
    assert!(begun.elapsed() < PATIENCE);
}
