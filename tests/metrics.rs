//! What a loop counts of itself: each number moves with what it is about, and in a simulated world they are the same each time.

mod support;

use std::rc::Rc;
use std::time::Duration;

use annulus::net::TcpStream;
use annulus::time::sleep;
use annulus::{Builder, Histogram, Metrics, Runtime, nop, spawn, yield_now};
use support::net::pair;
use support::{is_simulated, on_every_driver, on_real_drivers};

on_every_driver! {
    pictures_of_turns_show_how_many_tasks_were_polled,
    pictures_of_turns_show_how_many_operations_were_in_the_driver,
    one_turn_in_sixty_one_is_looked_at,
    some_polls_are_timed_and_all_where_hooks_are_told_of_them,
    a_histogram_is_in_order,
    numbers_are_kept_from_run_to_run,
}

on_real_drivers! {
    because "in a simulated world no times are taken":
        one_operation_in_sixty_four_is_timed_by_its_name,
        the_time_of_operations_is_the_time_that_they_took,
        a_task_that_is_held_up_waits_from_its_wake_to_its_poll;
}

async fn for_turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

fn now() -> Metrics {
    Runtime::try_current().unwrap().metrics()
}

/// Turns in which the driver has its own: pictures are taken of those.
async fn for_driver_turns(count: usize) {
    for _ in 0..count {
        nop().await.unwrap();
    }
}

async fn pictures_of_turns_show_how_many_tasks_were_polled() {
    for_driver_turns(3000).await;
    assert_eq!(now().batches.max(), Some(1));
    let tasks: Vec<_> = (0..99).map(|_| spawn(for_driver_turns(3000))).collect();
    for_driver_turns(2990).await;
    let batches = now().batches;
    // How many answers come together is a matter of chance, and of the machine.
    assert!(batches.max() > Some(if is_simulated() { 1 } else { 10 }), "{batches:?}");
    for task in tasks {
        task.await.unwrap();
    }
}

async fn pictures_of_turns_show_how_many_operations_were_in_the_driver() {
    for_driver_turns(3000).await;
    assert!(now().depths.max() <= Some(1));
    let mut streams = Vec::new();
    for _ in 0..20 {
        let (client, server) = pair().await;
        let server: Rc<TcpStream> = Rc::new(server);
        let reading = Rc::clone(&server);
        streams.push((client, spawn(async move { reading.read(Vec::with_capacity(8)).await.0 })));
    }
    for_driver_turns(3000).await;
    assert!([Some(20), Some(21)].contains(&now().depths.max()), "the reads, and a nop: {:?}", now().depths);
    for (client, read) in streams {
        client.write_all("x").await.0.unwrap();
        assert_eq!(read.await.unwrap().unwrap(), 1);
    }
}

async fn one_turn_in_sixty_one_is_looked_at() {
    for_driver_turns(6100).await;
    let metrics = now();
    assert_eq!(metrics.depths.count(), metrics.batches.count());
    assert!((1..=metrics.turns / 61 + 1).contains(&metrics.batches.count()), "{metrics:?}");
    // A loop that only yields leaves the driver alone.
    for_turns(6100).await;
    assert!(now().batches.count() <= metrics.batches.count() + 1);
}

fn some_polls_are_timed_and_all_where_hooks_are_told_of_them(builder: Builder) {
    let runtime = builder.clone().build().unwrap();
    runtime.run(for_turns(100_000)).unwrap();
    let metrics = runtime.metrics();
    // By chance: 195 in the mean.
    let (polls, waits) = (metrics.poll_time.count(), metrics.wake_to_poll.count());
    assert!((100..400).contains(&polls) && polls == waits, "{polls} polls, {waits} waits");
    assert_eq!(metrics.poll_time.max() == Some(0), is_simulated());

    let runtime = builder.on_after_poll(|_| ()).build().unwrap();
    runtime.run(for_turns(1000)).unwrap();
    let metrics = runtime.metrics();
    assert_eq!((metrics.poll_time.count(), metrics.polls), (1001, 1001));
}

fn assert_in_order(histogram: &Histogram) {
    let percentiles = [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0].map(|of| histogram.percentile(of));
    assert!(percentiles.is_sorted(), "{percentiles:?}");
    assert_eq!(percentiles[6], histogram.max());
    assert_eq!(histogram.mean().is_some(), histogram.count() > 0);
    let (mut last, mut count) = (None, 0);
    for (least, most, of) in histogram.buckets() {
        assert!(last < Some(least) && least <= most && of > 0);
        (last, count) = (Some(most), count + of);
    }
    assert_eq!(count, histogram.count());
    if let (Some(mean), Some(max)) = (histogram.mean(), histogram.max()) {
        assert!(mean <= max as f64);
    }
}

async fn some_work() {
    let (client, server) = pair().await;
    let echo = spawn(async move {
        for _ in 0..200 {
            let (_, bytes) = server.read_exact(vec![0; 4]).await;
            server.write_all(bytes).await.0.unwrap();
        }
    });
    for round in 0..200 {
        client.write_all("ping").await.0.unwrap();
        assert_eq!(client.read_exact(vec![0; 4]).await.1, b"ping");
        if round % 10 == 0 {
            sleep(Duration::from_micros(300)).await;
        }
    }
    echo.await.unwrap();
    for_turns(2000).await;
    for _ in 0..200 {
        nop().await.unwrap();
    }
}

fn a_histogram_is_in_order(builder: Builder) {
    let runtime = builder.build().unwrap();
    let none = runtime.metrics();
    assert_eq!((none.poll_time.count(), none.poll_time.percentile(50.0), none.depths.max()), (0, None, None));
    runtime.run(some_work()).unwrap();
    let Metrics { batches, depths, poll_time, wake_to_poll, .. } = runtime.metrics();
    [batches, depths, poll_time, wake_to_poll].iter().for_each(assert_in_order);
    runtime.operations().iter().for_each(|kind| assert_in_order(&kind.time));
    assert_eq!(timed(&runtime) == 0, is_simulated());
}

/// How many operations were timed.
fn timed(runtime: &Runtime) -> u64 {
    runtime.operations().iter().map(|kind| kind.time.count()).sum()
}

fn numbers_are_kept_from_run_to_run(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime.run(some_work()).unwrap();
    let before = runtime.metrics();
    let timed_before = timed(&runtime);
    runtime.run(some_work()).unwrap();
    let after = runtime.metrics();
    assert!(after.batches.count() > before.batches.count() && after.polls > before.polls);
    assert!(timed(&runtime) > timed_before || is_simulated());
}

fn one_operation_in_sixty_four_is_timed_by_its_name(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            for _ in 0..6400 {
                nop().await.unwrap();
            }
        })
        .unwrap();
    let operations = runtime.operations();
    let [nops] = &operations[..] else { panic!("{operations:?}") };
    assert_eq!(nops.operation, "nop");
    // By chance, lest a rhythm is seen in one of its beats only.
    assert!((75..=125).contains(&nops.time.count()), "{nops:?}");
    runtime.run(some_work()).unwrap();
    let names: Vec<_> = runtime.operations().iter().map(|kind| kind.operation).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "{names:?}");
}

fn the_time_of_operations_is_the_time_that_they_took(builder: Builder) {
    const TIME: Duration = Duration::from_millis(20);
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            // Reads that nothing comes for in that time, so many that one of them is timed.
            let mut reads = Vec::new();
            for _ in 0..130 {
                let (client, server) = pair().await;
                reads.push((client, spawn(async move { server.read(Vec::with_capacity(8)).await.0 })));
            }
            sleep(TIME).await;
            for (client, _) in &reads {
                client.write_all("x").await.0.unwrap();
            }
            for (_, read) in reads {
                assert_eq!(read.await.unwrap().unwrap(), 1);
            }
        })
        .unwrap();
    let operations = runtime.operations();
    let reads = operations.iter().find(|kind| kind.operation == "recv");
    let Some(reads) = reads else { panic!("{operations:?}") };
    let longest = Duration::from_nanos(reads.time.max().unwrap());
    assert!(longest >= TIME && longest < Duration::from_secs(60), "{reads:?}");
}

fn a_task_that_is_held_up_waits_from_its_wake_to_its_poll(builder: Builder) {
    const TIME: Duration = Duration::from_micros(20);
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            // Each of two is ready while the other one is polled.
            let other = spawn(async {
                for _ in 0..5000 {
                    support::races::spin(TIME);
                    yield_now().await;
                }
            });
            for_turns(5000).await;
            other.await.unwrap();
        })
        .unwrap();
    let waits = runtime.metrics().wake_to_poll;
    let longest = Duration::from_nanos(waits.max().unwrap());
    assert!(longest >= TIME && longest < Duration::from_secs(60), "{waits:?}");
}

#[cfg(feature = "sim")]
#[test]
fn a_simulated_world_has_the_same_numbers_each_time() {
    let numbers = |seed| {
        let runtime = Builder::new().driver(annulus::Driver::Sim(seed)).build().unwrap();
        runtime.run(some_work()).unwrap();
        let list: Vec<_> = runtime.metrics().batches.buckets().collect();
        format!("{:?} {list:?} {:?}", runtime.metrics(), runtime.operations())
    };
    assert_eq!(numbers(7), numbers(7));
    assert_ne!(numbers(7), numbers(8), "they are of that world");
}
