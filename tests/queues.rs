//! Queues of the smallest size, and more in flight than they hold: slower, and nothing is lost.

mod support;

use std::rc::Rc;
use std::time::Duration;

use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, yield_now};
use support::data::{assert_same, bytes};
use support::net::pair;
use support::on_every_driver;

on_every_driver! {
    ten_thousand_operations_at_once_are_all_answered,
    operations_that_are_made_while_the_queue_is_full_are_all_answered,
    hundreds_of_reads_are_answered_through_the_smallest_queues,
    cancelling_more_than_the_queues_hold_is_answered,
    queues_of_any_size_that_is_asked_for_work,
}

fn smallest(builder: Builder) -> Runtime {
    builder.entries(1).completions(1).build().unwrap()
}

fn ten_thousand_operations_at_once_are_all_answered(builder: Builder) {
    let runtime = smallest(builder);
    runtime
        .run(async {
            let nops: Vec<_> = (0..10_000).map(|_| spawn(annulus::nop())).collect();
            for nop in nops {
                nop.await.unwrap().unwrap();
            }
        })
        .unwrap();
    let metrics = runtime.metrics();
    assert_eq!((metrics.submitted, metrics.completed, metrics.in_flight), (10_000, 10_000, 0), "{metrics:?}");
    assert_eq!(metrics.stray, 0);
}

fn operations_that_are_made_while_the_queue_is_full_are_all_answered(builder: Builder) {
    let runtime = smallest(builder);
    runtime
        .run(async {
            // All in one poll: there is no turn of the loop between them.
            let all = futures_util::future::join_all((0..5000).map(|_| annulus::nop())).await;
            assert!(all.into_iter().all(|result| result.is_ok()));
        })
        .unwrap();
    assert_eq!(runtime.metrics().in_flight, 0);
}

fn hundreds_of_reads_are_answered_through_the_smallest_queues(builder: Builder) {
    smallest(builder)
        .run(async {
            let mut clients = Vec::new();
            let mut reads = Vec::new();
            for _ in 0..200 {
                let (client, server) = pair().await;
                clients.push(client);
                reads.push(spawn(async move { server.read_exact(vec![0; 1000].into_boxed_slice()).await }));
            }
            sleep(Duration::from_millis(5)).await;
            // All become ready at once, many times over what the queue of completions holds.
            let writes: Vec<_> = clients
                .into_iter()
                .enumerate()
                .map(|(n, client)| {
                    spawn(async move {
                        client.write_all(bytes(n as u64, 1000)).await.0.unwrap();
                        client
                    })
                })
                .collect();
            for (n, read) in reads.into_iter().enumerate() {
                let (result, got) = timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
                result.unwrap();
                assert_same(&got, &bytes(n as u64, 1000));
            }
            for write in writes {
                write.await.unwrap();
            }
        })
        .unwrap();
}

fn cancelling_more_than_the_queues_hold_is_answered(builder: Builder) {
    let runtime = smallest(builder);
    runtime
        .run(async {
            let mut pairs = Vec::new();
            for _ in 0..200 {
                pairs.push(Rc::new(pair().await));
            }
            let reads: Vec<_> = pairs
                .iter()
                .flat_map(|pair| [pair.0.read(vec![0; 8]), pair.1.read(vec![0; 8])])
                .map(spawn)
                .collect();
            yield_now().await;
            drop(pairs);
            for read in reads {
                let (result, _) = timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
                assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            }
        })
        .unwrap();
    assert_eq!(runtime.metrics().stray, 0);
}

fn queues_of_any_size_that_is_asked_for_work(builder: Builder) {
    for entries in [0, 1, 17, 1000, 1 << 20, u32::MAX] {
        let runtime = builder.clone().entries(entries).completions(entries).build();
        let runtime = runtime.unwrap_or_else(|error| panic!("{entries} entries: {error}"));
        runtime
            .run(async {
                for _ in 0..10 {
                    annulus::nop().await.unwrap();
                }
            })
            .unwrap();
    }
}
