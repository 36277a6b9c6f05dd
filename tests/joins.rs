//! Several futures in one task: all, the first, or one after the other, and nothing lost of those that are dropped.

mod support;

use std::future::pending;
use std::time::Duration;

use annulus::sync::oneshot;
use annulus::task::{as_completed, join_all, select_all, try_join_all};
use annulus::time::sleep;
use annulus::{join, select, try_join};
use futures_util::StreamExt;
use support::net::pair;
use support::on_every_driver;

on_every_driver! {
    all_outputs_are_given_in_the_order_of_the_futures,
    the_first_error_ends_a_join,
    the_first_branch_that_is_ready_is_taken_in_the_order_written,
    a_select_may_have_conditions_and_an_else,
    a_read_that_lost_a_select_loses_no_byte,
    outputs_come_in_the_order_in_which_they_are_ready,
}

async fn all_outputs_are_given_in_the_order_of_the_futures() {
    let after = |ms: u64| async move {
        sleep(Duration::from_millis(ms)).await;
        ms
    };
    assert_eq!(join!(after(3), after(1), async { "at once" }), (3, 1, "at once"));
    assert_eq!(join_all([3, 1, 2].map(after)).await, [3, 1, 2]);
    let (first, index, rest) = select_all([30, 1, 20].map(|ms| Box::pin(after(ms)))).await;
    assert_eq!((first, index, rest.len()), (1, 1, 2));
}

async fn the_first_error_ends_a_join() {
    let never = pending::<Result<(), &str>>;
    assert_eq!(async { try_join!(never(), async { Err::<(), _>("no") }) }.await, Err("no"));
    let all =
        [Box::pin(never()) as std::pin::Pin<Box<dyn Future<Output = _>>>, Box::pin(async { Err("no") })];
    assert_eq!(try_join_all(all).await, Err("no"));
    assert_eq!(async { try_join!(async { Ok::<_, ()>(1) }, async { Ok(2) }) }.await, Ok((1, 2)));
}

async fn the_first_branch_that_is_ready_is_taken_in_the_order_written() {
    for _ in 0..50 {
        let taken = select! {
            () = pending() => "never",
            () = async {} => "first",
            () = async {} => "second",
        };
        assert_eq!(taken, "first");
        let taken = select! {
            biased;
            () = async {} => "first",
            () = async {} => "second",
        };
        assert_eq!(taken, "first");
    }
}

async fn a_select_may_have_conditions_and_an_else() {
    let taken = select! {
        () = async {}, if false => "refused",
        Some(word) = async { Some("matched") } => word,
        else => "else",
    };
    assert_eq!(taken, "matched");
    let taken = select! {
        Some(word) = async { None::<&str> } => word,
        else => "else",
    };
    assert_eq!(taken, "else");
}

async fn a_read_that_lost_a_select_loses_no_byte() {
    const ROUNDS: usize = 100;
    let (stream, peer) = pair().await;
    let mut received = Vec::new();
    let writes = async {
        for round in 0..ROUNDS {
            peer.write_all(vec![round as u8]).await.0.unwrap();
            for _ in 0..round % 4 {
                annulus::yield_now().await;
            }
        }
    };
    let reads = async {
        while received.len() < ROUNDS {
            select! {
                () = sleep(Duration::from_micros(50)) => {}
                (result, bytes) = stream.read(Vec::with_capacity(3)) => {
                    assert!(result.unwrap() > 0);
                    received.extend(bytes);
                }
            }
        }
    };
    join!(writes, reads);
    assert_eq!(received, (0..ROUNDS as u8).collect::<Vec<_>>());
}

async fn outputs_come_in_the_order_in_which_they_are_ready() {
    let (ends, waits): (Vec<_>, Vec<_>) = (0..4).map(|_| oneshot::channel::<usize>()).unzip();
    let mut ended = as_completed(waits);
    let mut ends: Vec<_> = ends.into_iter().map(Some).collect();
    for number in [2, 0, 3] {
        ends[number].take().unwrap().send(number).unwrap();
        assert_eq!(ended.next().await, Some(Ok(number)));
    }
    ends[1].take().unwrap().send(1).unwrap();
    // As a stream.
    assert_eq!(ended.by_ref().collect::<Vec<_>>().await, [Ok(1)]);
    assert!(ended.next().await.is_none());
}
