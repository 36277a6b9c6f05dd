//! What pipes promise, on every driver.

mod support;

use std::io;
use std::time::Duration;

use annulus::io::{ReadStream, pipe};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime};

support::on_every_driver! {
    what_goes_in_comes_out,
    the_end_comes_when_the_writer_is_gone,
    writing_to_nobody_is_a_broken_pipe,
    a_read_waits_without_making_the_loop_busy,
    a_dropped_read_leaves_its_bytes_to_the_next,
    more_than_a_pipe_holds_goes_through,
    a_stream_of_leases_has_all_in_order_and_ends_with_the_writer,
    a_dropped_stream_of_leases_leaves_its_bytes_to_the_next_read,
    a_stream_of_leases_that_is_dropped_again_and_again_loses_nothing,
    a_stream_of_leases_holds_no_buffer_while_nothing_comes,
    a_stream_of_leases_is_asked_for_once,
    a_small_pool_serves_a_stream_of_leases,
    a_ring_that_does_not_know_streams_of_leases_loses_nothing,
}

async fn what_goes_in_comes_out() {
    let (reader, writer) = pipe().await.unwrap();
    for word in ["one", "two", "three"] {
        writer.write_all(word).await.0.unwrap();
    }
    let (result, bytes) = reader.read_exact(vec![0; 11]).await;
    result.unwrap();
    assert_eq!(bytes, b"onetwothree");
}

async fn the_end_comes_when_the_writer_is_gone() {
    let (reader, writer) = pipe().await.unwrap();
    writer.write_all("last").await.0.unwrap();
    writer.close().await.unwrap();
    assert_eq!(reader.read(Vec::with_capacity(100)).await.0.unwrap(), 4);
    for _ in 0..2 {
        assert_eq!(reader.read(Vec::with_capacity(100)).await.0.unwrap(), 0);
    }
}

async fn writing_to_nobody_is_a_broken_pipe() {
    let (reader, writer) = pipe().await.unwrap();
    reader.close().await.unwrap();
    assert_eq!(writer.write("word").await.0.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

async fn a_read_waits_without_making_the_loop_busy() {
    let (reader, writer) = pipe().await.unwrap();
    let read = annulus::spawn(async move { reader.read(Vec::with_capacity(100)).await.0 });
    sleep(Duration::from_millis(20)).await;
    let before = annulus::Runtime::try_current().unwrap().metrics();
    sleep(Duration::from_millis(50)).await;
    let after = annulus::Runtime::try_current().unwrap().metrics();
    assert!(!read.is_finished());
    assert!(after.turns - before.turns < 20, "{} turns", after.turns - before.turns);
    assert!(after.submitted - before.submitted < 5, "{} submissions", after.submitted - before.submitted);
    writer.write_all("word").await.0.unwrap();
    assert_eq!(read.await.unwrap().unwrap(), 4);
}

async fn a_dropped_read_leaves_its_bytes_to_the_next() {
    let (reader, writer) = pipe().await.unwrap();
    let read = timeout(Duration::from_millis(1), reader.read(Vec::with_capacity(100)));
    assert!(read.await.is_err());
    writer.write_all("word").await.0.unwrap();
    let (result, bytes) = reader.read_exact(vec![0; 4]).await;
    result.unwrap();
    assert_eq!(bytes, b"word");
}

async fn more_than_a_pipe_holds_goes_through() {
    let (reader, writer) = pipe().await.unwrap();
    let bytes = support::data::bytes(1, 1 << 20);
    let sent = bytes.clone();
    drop(annulus::spawn(async move { writer.write_all(sent).await.0.unwrap() }));
    let (result, received) = reader.read_exact(vec![0; 1 << 20]).await;
    result.unwrap();
    support::data::assert_same(&received, &bytes);
}

/// What is lost would be waited for.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("it comes")
}

/// All of it, to the end.
async fn gathered(mut leases: ReadStream) -> Vec<u8> {
    let mut came = Vec::new();
    while let Some(lease) = in_time(leases.next()).await {
        came.extend_from_slice(&lease.unwrap());
    }
    came
}

async fn a_stream_of_leases_has_all_in_order_and_ends_with_the_writer() {
    let (reader, writer) = pipe().await.unwrap();
    let bytes = support::data::bytes(2, 1 << 20);
    let sent = bytes.clone();
    drop(annulus::spawn(async move {
        for chunk in sent.chunks(3001) {
            writer.write_all(chunk.to_vec()).await.0.unwrap();
        }
    }));
    support::data::assert_same(&gathered(reader.read_stream()).await, &bytes);
    assert!(reader.read_stream().next().await.is_none(), "and stays so");
}

async fn a_dropped_stream_of_leases_leaves_its_bytes_to_the_next_read() {
    let (reader, writer) = pipe().await.unwrap();
    let mut leases = reader.read_stream();
    writer.write_all("one").await.0.unwrap();
    assert_eq!(&*leases.next().await.unwrap().unwrap(), b"one");
    // It is asked for already: the kernel answers, and nobody takes it.
    assert!(timeout(Duration::from_millis(1), leases.next()).await.is_err());
    writer.write_all("two").await.0.unwrap();
    sleep(Duration::from_millis(5)).await;
    drop(leases);
    writer.write_all("three").await.0.unwrap();
    let (result, bytes) = in_time(reader.read_exact(vec![0; 8])).await;
    result.unwrap();
    assert_eq!(bytes, b"twothree");
    // And the other way round.
    assert!(timeout(Duration::from_millis(1), reader.read_exact(vec![0; 8])).await.is_err());
    drop(writer.write_all("four").await.0);
    sleep(Duration::from_millis(5)).await;
    drop(writer);
    assert_eq!(gathered(reader.read_stream()).await, b"four");
}

async fn a_stream_of_leases_that_is_dropped_again_and_again_loses_nothing() {
    let (reader, writer) = pipe().await.unwrap();
    let bytes = support::data::bytes(3, 100_000);
    let sent = bytes.clone();
    drop(annulus::spawn(async move {
        let mut dice = support::data::Dice::new(4);
        for chunk in sent.chunks(133) {
            writer.write_all(chunk.to_vec()).await.0.unwrap();
            match dice.below(3) {
                0 => sleep(Duration::from_micros(dice.below(100))).await,
                _ => annulus::yield_now().await,
            }
        }
    }));
    let mut dice = support::data::Dice::new(5);
    let mut came = Vec::new();
    let end = annulus::time::now() + Duration::from_secs(20);
    while came.len() < bytes.len() {
        assert!(annulus::time::now() < end, "{} bytes were lost", bytes.len() - came.len());
        let mut leases = reader.read_stream();
        for _ in 0..dice.below(4) {
            let next = timeout(Duration::from_micros(dice.below(60)), leases.next());
            if let Ok(Some(lease)) = next.await {
                came.extend_from_slice(&lease.unwrap());
            }
        }
    }
    support::data::assert_same(&came, &bytes);
}

async fn a_stream_of_leases_holds_no_buffer_while_nothing_comes() {
    let metrics = || Runtime::try_current().unwrap().metrics();
    let (reader, writer) = pipe().await.unwrap();
    let reading = annulus::spawn(async move { gathered(reader.read_stream()).await });
    sleep(Duration::from_millis(5)).await;
    assert_eq!(metrics().leases_out, 0);
    writer.write_all("word").await.0.unwrap();
    sleep(Duration::from_millis(5)).await;
    assert_eq!(metrics().leases_out, 0);
    drop(writer);
    assert_eq!(reading.await.unwrap(), b"word");
}

async fn a_stream_of_leases_is_asked_for_once() {
    let runtime = Runtime::try_current().unwrap();
    let (reader, writer) = pipe().await.unwrap();
    let mut leases = reader.read_stream();
    let before = runtime.metrics();
    for number in 0..20_u8 {
        writer.write_all(vec![number]).await.0.unwrap();
        assert_eq!(*in_time(leases.next()).await.unwrap().unwrap(), [number]);
    }
    let read = runtime.operations().into_iter().find(|kind| kind.operation == "read_often").unwrap();
    assert_eq!((read.bytes, read.errors), (20, 0));
    if runtime.driver() != "uring" || runtime.metrics().fallbacks > before.fallbacks {
        return println!("skipped: that the kernel is asked once: it cannot be ({})", runtime.driver());
    }
    let submitted = runtime.metrics().submitted - before.submitted;
    assert!(submitted < 20 + 5, "20 writes and one read, and not {submitted} submissions");
}

fn a_small_pool_serves_a_stream_of_leases(builder: Builder) {
    let runtime = builder.lease_size(4096).leases(2).leases_max(2).build().unwrap();
    let ran = runtime.run(async {
        let (reader, writer) = pipe().await.unwrap();
        let bytes = support::data::bytes(6, 200_000);
        let sent = bytes.clone();
        drop(annulus::spawn(async move { writer.write_all(sent).await.0.unwrap() }));
        support::data::assert_same(&gathered(reader.read_stream()).await, &bytes);
        assert_eq!(Runtime::try_current().unwrap().metrics().leases_out, 0);
    });
    ran.unwrap();
}

fn a_ring_that_does_not_know_streams_of_leases_loses_nothing(builder: Builder) {
    let runtime = builder.without_operation("read_often").build().unwrap();
    runtime.run(a_stream_of_leases_that_is_dropped_again_and_again_loses_nothing()).unwrap();
    runtime.run(a_dropped_stream_of_leases_leaves_its_bytes_to_the_next_read()).unwrap();
    assert_eq!(runtime.metrics().fallbacks > 0, runtime.driver() == "uring");
}
