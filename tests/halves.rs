//! The halves of a stream that two tasks own: what dropping one tells the peer.

mod support;

use std::time::Duration;

use annulus::net::{OwnedReadHalf, OwnedWriteHalf};
use annulus::spawn;
use annulus::time::{sleep, timeout};
use annulus::{Builder, yield_now};
use support::data::{assert_same, bytes};
use support::net::{pair, read_to_end};
use support::on_every_driver;

on_every_driver! {
    dropping_the_writing_half_is_an_end_for_the_peer,
    the_end_comes_after_what_is_being_written,
    the_end_follows_a_write_that_was_dropped,
    a_writing_half_that_is_forgotten_tells_nothing,
    becoming_whole_again_tells_nothing,
    dropping_the_reading_half_does_nothing,
    the_half_that_is_dropped_last_closes,
    a_task_that_ends_tells_the_peer,
    a_half_that_is_dropped_outside_of_the_loop_tells_the_peer,
    halves_that_are_dropped_when_the_loop_ends_hold_nothing_up,
}

const MILLI: Duration = Duration::from_millis(1);

async fn dropping_the_writing_half_is_an_end_for_the_peer() {
    let (client, server) = pair().await;
    let (reading, writing) = client.into_split();
    writing.write_all("question").await.0.unwrap();
    drop(writing);
    assert_eq!(timeout(Duration::from_secs(5), read_to_end(&server)).await.unwrap(), b"question");
    server.write_all("answer").await.0.unwrap();
    drop(server);
    assert_eq!(read_to_end(&reading).await, b"answer");
}

async fn the_end_comes_after_what_is_being_written() {
    const LENGTH: usize = 4 << 20;
    let (client, server) = pair().await;
    let (_reading, writing) = client.into_split();
    let writes: Vec<_> = (0..3).map(|n| spawn(writing.write_all(bytes(n, LENGTH)))).collect();
    yield_now().await;
    drop(writing);
    let got = read_to_end(&server).await;
    for write in writes {
        write.await.unwrap().0.unwrap();
    }
    assert_same(&got, &(0..3).flat_map(|n| bytes(n, LENGTH)).collect::<Vec<_>>());
}

async fn the_end_follows_a_write_that_was_dropped() {
    const LENGTH: usize = 16 << 20;
    let (client, server) = pair().await;
    let (reading, writing) = client.into_split();
    let write = writing.write_all(bytes(1, LENGTH));
    assert!(timeout(5 * MILLI, write).await.is_err(), "nobody reads");
    drop(writing);
    let got = timeout(Duration::from_secs(10), read_to_end(&server)).await.expect("there is an end");
    assert!(!got.is_empty() && got.len() < LENGTH);
    assert_same(&got, &bytes(1, LENGTH)[..got.len()]);
    drop(reading);
}

async fn a_writing_half_that_is_forgotten_tells_nothing() {
    let (client, server) = pair().await;
    let (reading, writing) = client.into_split();
    writing.forget();
    assert!(timeout(20 * MILLI, server.readable()).await.is_err());
    drop(reading);
    assert_eq!(read_to_end(&server).await, b"");
}

async fn becoming_whole_again_tells_nothing() {
    let (client, server) = pair().await;
    let (reading, writing) = client.into_split();
    let client = reading.reunite(writing).unwrap();
    let (reading, writing) = client.into_split();
    let client = writing.reunite(reading).unwrap();
    assert!(timeout(20 * MILLI, server.readable()).await.is_err());
    client.write_all("still whole").await.0.unwrap();
    drop(client);
    assert_eq!(read_to_end(&server).await, b"still whole");
}

async fn dropping_the_reading_half_does_nothing() {
    let (client, server) = pair().await;
    let (reading, writing) = client.into_split();
    drop(reading);
    server.write_all("for nobody").await.0.unwrap();
    writing.write_all("all the same").await.0.unwrap();
    assert_eq!(server.read(Vec::with_capacity(64)).await.1, b"all the same");
}

async fn the_half_that_is_dropped_last_closes() {
    for reading_first in [true, false] {
        let (client, server) = pair().await;
        let (reading, writing): (OwnedReadHalf, OwnedWriteHalf) = client.into_split();
        if reading_first {
            drop(reading);
            drop(writing);
        } else {
            drop(writing);
            drop(reading);
        }
        assert_eq!(read_to_end(&server).await, b"");
        // Nobody is there any more.
        timeout(Duration::from_secs(5), async {
            while server.write("x").await.0.is_ok() {
                sleep(MILLI).await;
            }
        })
        .await
        .expect("an error at last");
    }
}

async fn a_task_that_ends_tells_the_peer() {
    let (client, server) = pair().await;
    let (reading, writing) = client.into_split();
    let writer = spawn(async move {
        writing.write_all("some words").await.0.unwrap();
        std::future::pending::<()>().await;
    });
    sleep(5 * MILLI).await;
    writer.abort();
    assert_eq!(timeout(Duration::from_secs(5), read_to_end(&server)).await.unwrap(), b"some words");
    drop(reading);
}

fn a_half_that_is_dropped_outside_of_the_loop_tells_the_peer(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (client, server) = runtime.run(pair()).unwrap();
    let (reading, writing) = client.into_split();
    drop(writing);
    assert_eq!(runtime.run(async move { read_to_end(&server).await }).unwrap(), b"");
    drop(reading);
}

fn halves_that_are_dropped_when_the_loop_ends_hold_nothing_up(builder: Builder) {
    let runtime = builder.build().unwrap();
    let kept = runtime
        .run(async {
            let (client, server) = pair().await;
            let (reading, writing) = client.into_split();
            drop(spawn(async move { writing.write_all(vec![0; 64 << 20]).await.0 }));
            sleep(5 * MILLI).await;
            (reading, server)
        })
        .unwrap();
    assert_eq!(runtime.shutdown(Duration::from_secs(20)), 0);
    drop(kept);
}
