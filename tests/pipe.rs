//! What pipes promise, on every driver.

mod support;

use std::io;
use std::time::Duration;

use annulus::io::pipe;
use annulus::time::{sleep, timeout};

support::on_every_driver! {
    what_goes_in_comes_out,
    the_end_comes_when_the_writer_is_gone,
    writing_to_nobody_is_a_broken_pipe,
    a_read_waits_without_making_the_loop_busy,
    a_dropped_read_leaves_its_bytes_to_the_next,
    more_than_a_pipe_holds_goes_through,
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
