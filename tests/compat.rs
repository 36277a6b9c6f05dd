//! This crate's streams by the traits of tokio, futures-io and hyper, and streams of those as this crate's: both keep their word.

mod support;

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice, Result};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use annulus::buf::{IoBuf, ReadBuf};
use annulus::compat::{FromFutures, FromTokio};
use annulus::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, BufWriter, Owning, PollRead, PollWrite};
use annulus::spawn;
use futures_util::{AsyncWriteExt as _, FutureExt, SinkExt, StreamExt};
use support::data::{Dice, assert_same, bytes, seed};
use support::net::{pair, read_to_end};
use support::on_every_driver;
use support::outside::arrival;
use support::pieces::at_most;
use support::wakers::{assert_that_others_run, steps_between_yields};
use tokio::io::AsyncWriteExt as _;
use tokio_util::codec::{Framed, LinesCodec};

on_every_driver! {
    copies_of_tokio_go_both_ways,
    halves_of_tokio_are_used_by_two_tasks,
    codecs_of_tokio_make_frames,
    extensions_of_futures_read_and_write,
    parts_are_written_by_the_traits_of_each_crate,
    room_of_tokio_that_is_not_filled_is_not_claimed,
    room_of_hyper_that_is_not_filled_is_not_claimed,
    no_reader_passes_another_buffer_off_as_the_one_that_was_lent,
    a_stream_of_tokio_is_read_and_written_with_owned_buffers,
    a_stream_of_futures_is_read_and_written_with_owned_buffers,
    a_dropped_read_of_a_foreign_stream_loses_nothing,
    a_dropped_write_of_a_foreign_stream_has_written_nothing,
    a_dropped_write_of_a_whole_buffer_says_what_it_wrote,
    a_dropped_flush_over_a_foreign_stream_is_taken_up_again,
    foreign_streams_that_are_always_ready_let_others_run,
    errors_and_ends_of_foreign_streams_are_passed_on,
    views_are_read_and_written_with_owned_buffers_again,
    views_go_through_the_traits_of_both_crates_and_back,
    a_read_into_no_room_is_no_end,
}

async fn copies_of_tokio_go_both_ways() {
    let seed = seed();
    let ((client, near), (far, server)) = (pair().await, pair().await);
    let (question, answer) = (bytes(seed, 700_000), bytes(seed + 1, 500_000));
    let proxy = spawn(async move {
        let (mut near, mut far) = (near.into_poll(), far.into_buffered());
        tokio::io::copy_bidirectional(&mut near, &mut far).await.unwrap()
    });
    let serving = spawn({
        let (question, answer) = (question.clone(), answer.clone());
        async move {
            let mut stream = server.into_buffered();
            let mut all = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all).await.unwrap();
            assert_same(&all, &question);
            tokio::io::AsyncWriteExt::write_all(&mut stream, &answer).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        }
    });
    client.write_all(question.clone()).await.0.unwrap();
    client.shutdown(std::net::Shutdown::Write).await.unwrap();
    assert_same(&read_to_end(&client).await, &answer);
    serving.await.unwrap();
    assert_eq!(proxy.await.unwrap(), (question.len() as u64, answer.len() as u64));
}

async fn halves_of_tokio_are_used_by_two_tasks() {
    let (one, other) = pair().await;
    let sent = bytes(seed(), 600_000);
    let (mut reader, mut writer) = tokio::io::split(one.into_poll());
    let echo = spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(other.into_buffered());
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let writing = spawn({
        let sent = sent.clone();
        async move {
            tokio::io::AsyncWriteExt::write_all(&mut writer, &sent).await.unwrap();
            writer.shutdown().await.unwrap();
        }
    });
    let mut got = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut got).await.unwrap();
    assert_same(&got, &sent);
    writing.await.unwrap();
    echo.await.unwrap();
}

async fn codecs_of_tokio_make_frames() {
    let (one, other) = pair().await;
    let mut one = Framed::new(one.into_buffered(), LinesCodec::new());
    let mut other = Framed::new(other.into_poll(), LinesCodec::new());
    for line in ["first", "", "and the last"] {
        one.send(line).await.unwrap();
        assert_eq!(other.next().await.unwrap().unwrap(), line);
    }
    drop(one);
    assert!(other.next().await.is_none());
}

async fn extensions_of_futures_read_and_write() {
    let (one, other) = pair().await;
    let (mut one, mut other) = (one.into_poll(), other.into_buffered());
    futures_util::AsyncWriteExt::write_all(&mut one, b"all of it").await.unwrap();
    one.close().await.unwrap();
    let mut four = [0; 4];
    futures_util::AsyncReadExt::read_exact(&mut other, &mut four).await.unwrap();
    assert_eq!(&four, b"all ");
    let mut rest = Vec::new();
    futures_util::AsyncReadExt::read_to_end(&mut other, &mut rest).await.unwrap();
    assert_eq!(rest, b"of it");
    let (reader, mut writer) = futures_util::AsyncReadExt::split(other);
    futures_util::AsyncWriteExt::write_all(&mut writer, b"back").await.unwrap();
    writer.close().await.unwrap();
    drop((reader, writer));
    rest.clear();
    futures_util::AsyncReadExt::read_to_end(&mut one, &mut rest).await.unwrap();
    assert_eq!(rest, b"back");
}

async fn parts_are_written_by_the_traits_of_each_crate() {
    let (one, other) = pair().await;
    let mut one = one.into_poll();
    let parts = ["", "one ", "two "].map(|part| IoSlice::new(part.as_bytes()));
    assert!(tokio::io::AsyncWrite::is_write_vectored(&one) && hyper::rt::Write::is_write_vectored(&one));
    let tokio = poll_fn(|cx| tokio::io::AsyncWrite::poll_write_vectored(Pin::new(&mut one), cx, &parts));
    assert_eq!(tokio.await.unwrap(), 8);
    let futures = poll_fn(|cx| futures_util::AsyncWrite::poll_write_vectored(Pin::new(&mut one), cx, &parts));
    assert_eq!(futures.await.unwrap(), 8);
    let hyper = poll_fn(|cx| hyper::rt::Write::poll_write_vectored(Pin::new(&mut one), cx, &parts));
    assert_eq!(hyper.await.unwrap(), 8);
    let written = poll_fn(|cx| hyper::rt::Write::poll_write(Pin::new(&mut one), cx, b"end"));
    assert_eq!(written.await.unwrap(), 3);
    poll_fn(|cx| hyper::rt::Write::poll_flush(Pin::new(&mut one), cx)).await.unwrap();
    poll_fn(|cx| hyper::rt::Write::poll_shutdown(Pin::new(&mut one), cx)).await.unwrap();
    assert_eq!(read_to_end(&other).await, b"one two one two one two end");
}

/// Room that is taken for uninitialised, and can be looked at nevertheless.
fn marked() -> [MaybeUninit<u8>; 16] {
    [MaybeUninit::new(b'.'); 16]
}

#[allow(unsafe_code)]
fn seen(room: &[MaybeUninit<u8>]) -> Vec<u8> {
    // SAFETY: `marked` has initialised all of it, and nobody makes it less.
    room.iter().map(|byte| unsafe { byte.assume_init() }).collect()
}

async fn room_of_tokio_that_is_not_filled_is_not_claimed() {
    let (one, other) = pair().await;
    let (mut poll, mut buffered) = (one.into_poll(), other.into_buffered());
    tokio::io::AsyncWriteExt::write_all(&mut poll, b"borrowed").await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut buffered, b"borrowed").await.unwrap();
    arrival().await;
    let check = async |stream: &mut (dyn tokio::io::AsyncRead + Unpin)| {
        let mut room = marked();
        let mut buffer = tokio::io::ReadBuf::uninit(&mut room);
        buffer.put_slice(b"> ");
        poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await.unwrap();
        assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"> borrowed"[..], 10));
        let poll = Pin::new(&mut *stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        assert!(poll.is_pending());
        assert_eq!((buffer.filled().len(), buffer.initialized().len()), (10, 10));
        assert_eq!(seen(&room), b"> borrowed......");
    };
    check(&mut poll).await;
    check(&mut buffered).await;
}

async fn room_of_hyper_that_is_not_filled_is_not_claimed() {
    let (one, other) = pair().await;
    let (mut poll, mut buffered) = (one.into_poll(), other.into_buffered());
    tokio::io::AsyncWriteExt::write_all(&mut poll, b"borrowed").await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut buffered, b"borrowed").await.unwrap();
    arrival().await;
    let check = async |stream: &mut (dyn hyper::rt::Read + Unpin)| {
        let mut room = marked();
        let mut buffer = hyper::rt::ReadBuf::uninit(&mut room);
        buffer.unfilled().put_slice(b"> ");
        poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer.unfilled())).await.unwrap();
        assert_eq!(buffer.unfilled().remaining(), 6);
        assert_eq!(buffer.filled(), b"> borrowed");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut *stream).poll_read(&mut cx, buffer.unfilled()).is_pending());
        assert_eq!(buffer.filled().len(), 10);
        assert_eq!(seen(&room), b"> borrowed......");
    };
    check(&mut poll).await;
    check(&mut buffered).await;
}

/// Safe code that would have somebody believe in bytes that nobody has written.
struct Swindler;

impl PollRead for Swindler {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        *buffer = ReadBuf::new(Box::leak(vec![0; buffer.remaining()].into_boxed_slice()));
        buffer.put_slice(b"mine");
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncRead for Swindler {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        *buffer = tokio::io::ReadBuf::new(Box::leak(vec![0; buffer.remaining()].into_boxed_slice()));
        buffer.put_slice(b"mine");
        Poll::Ready(Ok(()))
    }
}

/// Says that it has read more than there is room for.
struct Boaster;

impl futures_util::AsyncRead for Boaster {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut [u8]) -> Poll<Result<usize>> {
        Poll::Ready(Ok(room.len() + 1))
    }
}

async fn no_reader_passes_another_buffer_off_as_the_one_that_was_lent() {
    let panics = async |read: Pin<&mut dyn Future<Output = (Result<usize>, Vec<u8>)>>, says: &str| {
        let panic = std::panic::AssertUnwindSafe(read).catch_unwind().await.expect_err("it is found out");
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains(says), "{text}");
    };
    let says = "replaced the buffer";
    panics(pin!(Owning::new(Swindler).read(Vec::with_capacity(64))), says).await;
    panics(pin!(FromTokio::new(Swindler).read(Vec::with_capacity(64))), says).await;
    panics(pin!(FromFutures::new(Boaster).read(Vec::with_capacity(64))), "of 64").await;
}

async fn a_stream_of_tokio_is_read_and_written_with_owned_buffers() {
    let (one, other) = tokio::io::duplex(100);
    let (mut one, mut other) = (FromTokio::new(one), FromTokio::new(other));
    both_ways(&mut one, &mut other).await;
    // And with borrowed ones.
    assert_eq!(poll_fn(|cx| one.poll_write(cx, b"more")).await.unwrap(), 4);
    let mut room = [0; 8];
    let mut buffer = ReadBuf::new(&mut room);
    buffer.put_slice(b"> ");
    poll_fn(|cx| other.poll_read(cx, &mut buffer)).await.unwrap();
    assert_eq!(buffer.filled(), b"> more");
    one.shutdown().await.unwrap();
    assert_eq!(other.read(Vec::with_capacity(64)).await.0.unwrap(), 0, "the end");
    drop((one.into_inner(), other.get_ref()));
}

async fn a_stream_of_futures_is_read_and_written_with_owned_buffers() {
    let (one, other) = pair().await;
    let (mut one, mut other) = (FromFutures::new(one.into_poll()), FromFutures::new(other.into_buffered()));
    both_ways(&mut one, &mut other).await;
    let mut room = [0; 8];
    let mut buffer = ReadBuf::new(&mut room);
    buffer.put_slice(b"> ");
    assert_eq!(poll_fn(|cx| one.poll_write(cx, b"more")).await.unwrap(), 4);
    poll_fn(|cx| other.poll_read(cx, &mut buffer)).await.unwrap();
    assert_eq!(buffer.filled(), b"> more");
    one.shutdown().await.unwrap();
    assert_eq!(other.read(Vec::with_capacity(64)).await.0.unwrap(), 0, "the end");
    assert!(one.get_mut().local_addr().is_ok());
    // Zeroes are written over a part of a long buffer, and the rest is left alone.
    let mut long = FromFutures::new(futures_util::io::Cursor::new(vec![7; 50_000]));
    let (result, got) = long.read_to_end(Vec::with_capacity(60_000)).await;
    assert_eq!((result.unwrap(), got), (50_000, vec![7; 50_000]));
}

async fn both_ways(one: &mut impl AsyncWrite, other: &mut impl AsyncRead) {
    let seed = seed();
    let sent = bytes(seed, 20_000);
    let writing = async {
        let mut dice = Dice::new(seed);
        let mut rest = sent.clone();
        while !rest.is_empty() {
            let later = rest.split_off(dice.length(1000).min(rest.len()));
            match dice.below(3) {
                0 => one.write_all(rest).await.0.unwrap(),
                1 => {
                    let (written, back) = one.write(rest.clone()).await;
                    one.write_all(back[written.unwrap()..].to_vec()).await.0.unwrap();
                }
                _ => {
                    let middle = rest.len() / 2;
                    let parts = vec![rest[..middle].to_vec(), Vec::new(), rest[middle..].to_vec()];
                    let written = one.writev(parts).await.0.unwrap();
                    one.write_all(rest[written..].to_vec()).await.0.unwrap();
                }
            }
            rest = later;
        }
        one.flush().await.unwrap();
        assert_eq!(one.settle().await.unwrap(), Some(0), "nothing was dropped");
    };
    let reading = async {
        let (mut dice, mut got) = (Dice::new(seed + 1), Vec::new());
        while got.len() < sent.len() {
            let room = dice.length(500).min(sent.len() - got.len());
            if dice.below(2) == 0 {
                // Of what a vector held before only its room counts.
                let mut old = vec![b'?'; dice.below(room as u64) as usize];
                old.reserve_exact(room - old.len());
                let room = old.slice(..).into_inner();
                let (result, read) = other.read(room).await;
                assert_eq!(result.unwrap(), read.len());
                got.extend(read);
            } else {
                let (result, read) = other.read_exact(vec![0; room].into_boxed_slice()).await;
                result.unwrap();
                got.extend(read);
            }
        }
        got
    };
    let ((), got) = futures_util::join!(writing, reading);
    assert_same(&got[..sent.len()], &sent);
    assert_eq!(got.len(), sent.len());
}

async fn a_dropped_read_of_a_foreign_stream_loses_nothing() {
    let (mut one, other) = tokio::io::duplex(100);
    let mut other = FromTokio::new(other);
    for word in [&b"one"[..], b"two", b"three"] {
        assert!(other.read(Vec::with_capacity(64)).now_or_never().is_none());
        tokio::io::AsyncWriteExt::write_all(&mut one, word).await.unwrap();
        assert_eq!(other.read(Vec::with_capacity(64)).await.1, word);
    }
}

async fn a_dropped_write_of_a_foreign_stream_has_written_nothing() {
    let (one, mut other) = tokio::io::duplex(4);
    let mut one = FromTokio::new(one);
    assert_eq!(one.write("fourth").await.0.unwrap(), 4);
    assert!(one.write("never").now_or_never().is_none());
    assert_eq!(one.settle().await.unwrap(), Some(0));
    let mut room = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut other, &mut room).await.unwrap();
    assert_eq!(one.write("then").await.0.unwrap(), 4);
    tokio::io::AsyncReadExt::read_exact(&mut other, &mut room).await.unwrap();
    assert_eq!(&room, b"then");
}

async fn a_dropped_write_of_a_whole_buffer_says_what_it_wrote() {
    let (one, mut other) = tokio::io::duplex(4);
    let mut one = FromTokio::new(one);
    assert!(one.write_all("half of it").now_or_never().is_none());
    let mut room = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut other, &mut room).await.unwrap();
    assert_eq!(&room, b"half");
    // One that is awaited does not count: who waits is told.
    one.write_all("gone").await.0.unwrap();
    assert_eq!(one.settle().await.unwrap(), Some(4));
    assert_eq!(one.settle().await.unwrap(), Some(0), "told once");
}

async fn a_dropped_flush_over_a_foreign_stream_is_taken_up_again() {
    let sent = bytes(seed(), 3000);
    let (one, mut other) = tokio::io::duplex(100);
    let mut writer = BufWriter::with_capacity(4096, FromTokio::new(one));
    let reading = spawn(async move {
        let mut all = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut other, &mut all).await.unwrap();
        all
    });
    for piece in sent.chunks(1000) {
        writer.write_all(piece.to_vec()).await.0.unwrap();
        for polls in 1..5 {
            let _ = at_most(polls, writer.flush()).await;
        }
    }
    writer.shutdown().await.unwrap();
    drop(writer);
    assert_same(&reading.await.unwrap(), &sent);
}

async fn foreign_streams_that_are_always_ready_let_others_run() {
    let steps = steps_between_yields(|| async {
        let mut source = FromTokio::new(tokio::io::repeat(7));
        assert_eq!(source.read(Vec::with_capacity(16)).await.0.unwrap(), 16);
    });
    assert_that_others_run(steps.await);
    let steps = steps_between_yields(|| async {
        let mut sink = FromTokio::new(tokio::io::sink());
        assert_eq!(sink.write("away").await.0.unwrap(), 4);
    });
    assert_that_others_run(steps.await);
    let steps = steps_between_yields(|| async {
        let mut source = FromFutures::new(futures_util::io::repeat(7));
        assert_eq!(source.read(Vec::with_capacity(16)).await.0.unwrap(), 16);
    });
    assert_that_others_run(steps.await);
    let steps = steps_between_yields(|| async {
        let mut sink = FromFutures::new(futures_util::io::sink());
        assert_eq!(sink.writev(vec!["a", "way"]).await.0.unwrap(), 4);
    });
    assert_that_others_run(steps.await);
}

/// Gives some bytes, and fails then.
struct Failing(&'static [u8]);

impl PollRead for Failing {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.0.is_empty() {
            // What it has written says nothing: an error has read nothing.
            buffer.put_slice(b"!");
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        buffer.put_slice(std::mem::take(&mut self.0));
        Poll::Ready(Ok(()))
    }
}

async fn errors_and_ends_of_foreign_streams_are_passed_on() {
    let mut failing = Owning::new(Failing(b"some"));
    let (result, buffer) = failing.read(Vec::with_capacity(16)).await;
    assert_eq!((result.unwrap(), &buffer[..]), (4, &b"some"[..]));
    let (result, buffer) = failing.read(buffer).await;
    assert_eq!((result.unwrap_err().kind(), buffer.len()), (ErrorKind::TimedOut, 4));
    let (result, _) = failing.read_exact(Vec::with_capacity(16)).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);

    let (one, other) = tokio::io::duplex(16);
    drop(other);
    let mut one = FromTokio::new(one);
    assert_eq!(one.read(Vec::with_capacity(16)).await.0.unwrap(), 0);
    assert_eq!(one.write("nobody").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let (result, _) = one.read_exact(Vec::with_capacity(16)).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

async fn views_are_read_and_written_with_owned_buffers_again() {
    let (one, other) = pair().await;
    let (mut one, mut other) = (Owning::new(one.into_poll()), Owning::new(other.into_poll()));
    both_ways(&mut one, &mut other).await;
    let (one, other) = (one.into_inner().into_stream(), other.into_inner().into_stream());
    let (mut one, mut other) = (Owning::new(one.into_buffered()), Owning::new(other.into_buffered()));
    both_ways(&mut one, &mut other).await;
    let mut lines = BufReader::new(other);
    one.write_all("a line\nanother\n").await.0.unwrap();
    one.shutdown().await.unwrap();
    for line in ["a line\n", "another\n", ""] {
        assert_eq!(lines.read_line(String::new()).await.1, line);
    }
}

async fn views_go_through_the_traits_of_both_crates_and_back() {
    let (one, other) = pair().await;
    let (mut one, mut other) = (FromTokio::new(one.into_poll()), FromTokio::new(other.into_poll()));
    both_ways(&mut one, &mut other).await;
    let (one, other) = (one.into_inner().into_stream(), other.into_inner().into_stream());
    let (mut one, mut other) = (FromTokio::new(one.into_buffered()), FromTokio::new(other.into_buffered()));
    both_ways(&mut other, &mut one).await;
    // Into a stream of this crate's, by way of another's, and out again.
    let (mut near, far) = annulus::io::duplex(1000);
    let copying = spawn(async move {
        let (reader, writer) = tokio::io::split(one.into_inner());
        let (mut far_reader, mut far_writer) = annulus::io::split(far);
        let one = (&mut FromTokio::new(reader), &mut FromTokio::new(writer));
        annulus::io::copy_both(one, (&mut far_reader, &mut far_writer)).await.unwrap()
    });
    other.write_all("question").await.0.unwrap();
    other.shutdown().await.unwrap();
    assert_eq!(near.read_exact(vec![0; 8]).await.1, b"question");
    near.write_all("answer").await.0.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(other.read_exact(vec![0; 6]).await.1, b"answer");
    assert_eq!(copying.await.unwrap(), (8, 6));
}

async fn a_read_into_no_room_is_no_end() {
    let (mut one, other) = tokio::io::duplex(16);
    let mut other = FromTokio::new(other);
    assert_eq!(other.read(Vec::new()).await.0.unwrap(), 0);
    tokio::io::AsyncWriteExt::write_all(&mut one, b"here").await.unwrap();
    assert_eq!(other.read(Vec::with_capacity(16)).await.1, b"here");
    assert_eq!(other.write("").await.0.unwrap(), 0);
    assert_eq!(other.writev(Vec::<Vec<u8>>::new()).await.0.unwrap(), 0);
}
