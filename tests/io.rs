//! What is built on reading and writing: buffers in between, pieces and wholes, copies, and ends in memory.

mod support;

use std::cell::Cell;
use std::io::{Cursor, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use annulus::fs::File;
use annulus::io::{
    AsyncBufRead, AsyncRead, AsyncWrite, BufReader, BufWriter, Incomplete, copy, copy_bidirectional,
    copy_buf, duplex, empty, join, pipe, repeat, sink, split,
};
use annulus::net::TcpStream;
use annulus::time::{sleep, timeout};
use annulus::{spawn, yield_now};
use futures_util::StreamExt;
use support::data::{Dice, assert_same, bytes};
use support::net::pair;
use support::on_every_driver;
use support::pieces::{Mute, Pieces, at_most, once_later};

on_every_driver! {
    reading_to_the_end_appends_all_that_comes,
    what_is_no_text_comes_with_the_error,
    lines_have_either_end_and_the_last_may_have_none,
    what_is_empty_has_no_lines,
    pieces_of_any_length_make_the_same_lines,
    a_line_that_is_no_text_stays_in_the_reader,
    a_line_that_is_no_text_does_not_end_the_lines,
    segments_are_what_stands_between,
    a_dropped_read_of_a_line_loses_nothing,
    a_dropped_exact_read_of_a_buffered_reader_loses_nothing,
    a_dropped_read_to_the_end_of_a_buffered_reader_loses_nothing,
    all_kinds_of_dropped_reads_on_one_stream_lose_nothing,
    what_was_read_ahead_can_be_taken_out,
    a_large_read_passes_the_buffer_by,
    an_exact_read_that_meets_the_end_says_how_far_it_came,
    a_long_line_does_not_leave_a_large_buffer,
    vectored_transfers_fill_one_after_the_other,
    a_taken_part_ends_where_it_was_to,
    a_chain_is_one_and_then_the_other,
    small_writes_are_gathered,
    a_large_write_passes_the_gathered_and_comes_behind_it,
    what_was_not_flushed_can_be_taken_out,
    a_dropped_flush_is_taken_up_where_it_was,
    a_dropped_large_write_does_not_count_for_the_next_flush,
    a_dropped_flush_of_a_sink_that_does_not_know_is_told,
    shutting_down_flushes_and_ends,
    a_pipe_ends_by_being_shut_down,
    a_buffered_stream_reads_and_writes,
    a_full_duplex_stream_makes_its_writer_wait,
    a_duplex_stream_can_be_half_closed,
    a_dropped_end_is_an_end_for_the_other,
    much_goes_through_little_in_both_directions,
    a_dropped_duplex_operation_has_done_nothing,
    halves_become_whole_again,
    a_reader_and_a_writer_are_a_stream,
    a_proxy_passes_on_data_and_ends,
    a_proxy_ends_each_direction_by_itself,
    a_proxy_tells_an_error,
    a_copy_that_fails_leaves_the_rest_in_the_reader,
    a_dropped_copy_leaves_the_rest_in_the_reader,
    a_stream_of_lines_ends_once,
    who_never_waits_lets_others_have_their_turn,
    bytes_in_memory_are_read_and_written,
}

async fn reading_to_the_end_appends_all_that_comes() {
    let sent = bytes(1, 300_000);
    let (client, mut server) = pair().await;
    let sending = spawn({
        let sent = sent.clone();
        async move {
            client.write_all(sent).await.0.unwrap();
        }
    });
    let (result, got) = server.read_to_end(b"before".to_vec()).await;
    assert_eq!(result.unwrap(), sent.len());
    assert_eq!(&got[..6], b"before");
    assert_same(&got[6..], &sent);
    sending.await.unwrap();

    let directory = support::outside::directory().await;
    let path = directory.path().join("file");
    support::outside::write(&path, &sent).await;
    let mut file = File::open(&path).await.unwrap();
    let (result, got) = file.read_to_end(Vec::new()).await;
    assert_eq!(result.unwrap(), sent.len());
    assert_same(&got, &sent);
    assert_eq!(file.read_to_end(Vec::new()).await.0.unwrap(), 0, "the end is told again");
}

async fn what_is_no_text_comes_with_the_error() {
    let (result, text) = Pieces::of(b"gr\xc3\xbcn", 3).read_to_string("so ".to_owned()).await;
    assert_eq!((result.unwrap(), text.as_str()), (5, "so grün"), "a letter may come in two pieces");

    let (result, text) = Pieces::of(b"gr\xc3n", 2).read_to_string("so ".to_owned()).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), text.as_str()), (ErrorKind::InvalidData, "so "));
    let source = error.into_inner().unwrap().downcast::<std::string::FromUtf8Error>().unwrap();
    assert_eq!(source.into_bytes(), b"gr\xc3n");

    let mut reader = BufReader::new(Pieces::of(b"gr\xc3n", 2));
    assert!(reader.read_to_string(String::new()).await.0.is_err());
    assert_eq!(reader.buffer(), b"gr\xc3n");
}

const TEXT: &[u8] = b"one\ntwo\r\n\n\r\nthree\rthree\r\r\nlast";
const LINES: [&str; 6] = ["one", "two", "", "", "three\rthree\r", "last"];

async fn lines_of(reader: impl AsyncBufRead) -> Vec<String> {
    let mut lines = reader.lines();
    let mut all = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        all.push(line);
    }
    assert!(lines.next_line().await.unwrap().is_none(), "the end is told again");
    all
}

async fn lines_have_either_end_and_the_last_may_have_none() {
    assert_eq!(lines_of(BufReader::new(TEXT)).await, LINES);
    assert_eq!(lines_of(BufReader::new(&b"one\n"[..])).await, ["one"]);
    let mut reader = BufReader::new(&b"one\r\ntwo"[..]);
    let (result, text) = reader.read_line(String::new()).await;
    assert_eq!((result.unwrap(), text.as_str()), (5, "one\r\n"), "a line by itself has its end");
    let (result, text) = reader.read_line(text).await;
    assert_eq!((result.unwrap(), text.as_str()), (3, "one\r\ntwo"), "and is appended");
    assert_eq!(reader.read_line(String::new()).await.0.unwrap(), 0);
}

async fn what_is_empty_has_no_lines() {
    assert!(lines_of(empty()).await.is_empty());
    let mut reader = BufReader::new(empty());
    assert!(reader.fill_buf().await.unwrap().is_empty());
    assert_eq!(reader.read_until(b'x', Vec::new()).await.0.unwrap(), 0);
    assert_eq!(reader.read_to_end(Vec::new()).await.0.unwrap(), 0);
    assert_eq!(reader.read(Vec::with_capacity(1)).await.0.unwrap(), 0);
    reader.read_exact(Vec::new()).await.0.unwrap();
}

async fn pieces_of_any_length_make_the_same_lines() {
    for length in 1..=TEXT.len() {
        for capacity in [0, 1, 2, 7, 8192] {
            let reader = BufReader::with_capacity(capacity, Pieces::of(TEXT, length));
            assert_eq!(lines_of(reader).await, LINES, "{length} bytes at a time into {capacity}");
        }
    }
}

async fn a_line_that_is_no_text_stays_in_the_reader() {
    let mut reader = BufReader::new(Pieces::of(b"good\nb\xffd\ngood", 2));
    assert_eq!(reader.read_line(String::new()).await.1, "good\n");
    for _ in 0..2 {
        let (result, text) = reader.read_line("as before".to_owned()).await;
        assert_eq!((result.unwrap_err().kind(), text.as_str()), (ErrorKind::InvalidData, "as before"));
    }
    assert_eq!(reader.read_until(b'\n', Vec::new()).await.1, b"b\xffd\n");
    assert_eq!(reader.read_line(String::new()).await.1, "good");
}

async fn a_line_that_is_no_text_does_not_end_the_lines() {
    let mut lines = BufReader::new(Pieces::of(b"good\nb\xffd\ngood", 2)).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "good");
    let error = lines.next_line().await.unwrap_err();
    let source = error.into_inner().unwrap().downcast::<std::string::FromUtf8Error>().unwrap();
    assert_eq!(source.into_bytes(), b"b\xffd");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "good");
}

async fn segments_are_what_stands_between() {
    let mut segments = BufReader::with_capacity(2, Pieces::of(b"\0one\0\0two\0", 3)).split(0);
    let mut all = Vec::new();
    while let Some(segment) = segments.next_segment().await.unwrap() {
        all.push(segment);
    }
    assert_eq!(all, [&b""[..], b"one", b"", b"two"]);
}

/// Lines of all lengths, and their bytes.
fn many_lines(seed: u64) -> (Vec<String>, Vec<u8>) {
    let mut dice = Dice::new(seed);
    let lines: Vec<String> =
        (0..200).map(|number| format!("{number}:{}", "x".repeat(dice.length(20_000) - 1))).collect();
    let bytes = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
    (lines, bytes)
}

/// Writes bytes in pieces, now and then with a pause.
fn dribble(stream: TcpStream, all: Vec<u8>, seed: u64) -> annulus::task::JoinHandle<TcpStream> {
    spawn(async move {
        let mut dice = Dice::new(seed);
        let mut rest = bytes::Bytes::from(all);
        while !rest.is_empty() {
            let now = rest.split_to(dice.length(30_000).min(rest.len()));
            stream.write_all(now).await.0.unwrap();
            if dice.below(3) == 0 {
                sleep(dice.micros(200)).await;
            }
        }
        stream.shutdown(std::net::Shutdown::Write).await.unwrap();
        stream
    })
}

async fn a_dropped_read_of_a_line_loses_nothing() {
    let (lines, all) = many_lines(5);
    let (client, server) = pair().await;
    let sending = dribble(client, all, 6);
    let mut reader = BufReader::with_capacity(1000, server);
    let mut dropped = 0;
    for (number, line) in lines.iter().enumerate() {
        let mut polls = 0;
        let got = loop {
            // First it is dropped before it was polled, then after once, after twice.
            match at_most(polls, reader.read_line(String::new())).await {
                Some((result, got)) => {
                    result.unwrap();
                    break got;
                }
                None => (polls, dropped) = (polls + 1, dropped + 1),
            }
        };
        assert!(got.strip_suffix('\n') == Some(line), "line {number} is another: {got:.20}");
    }
    assert_eq!(reader.read_line(String::new()).await.0.unwrap(), 0);
    assert!(dropped > lines.len(), "{dropped} were dropped");
    sending.await.unwrap();
}

async fn a_dropped_exact_read_of_a_buffered_reader_loses_nothing() {
    let all = bytes(7, 400_000);
    let (client, server) = pair().await;
    let sending = dribble(client, all.clone(), 8);
    let mut reader = BufReader::with_capacity(1000, server);
    let (mut dice, mut got) = (Dice::new(9), Vec::new());
    let mut dropped = 0;
    while got.len() < all.len() {
        let length = dice.length(40_000).min(all.len() - got.len());
        let mut polls = 0;
        loop {
            let buffer = vec![0; length].into_boxed_slice();
            match at_most(polls, reader.read_exact(buffer)).await {
                Some((result, piece)) => {
                    result.unwrap();
                    got.extend_from_slice(&piece);
                    break;
                }
                None => (polls, dropped) = (polls + 1, dropped + 1),
            }
        }
    }
    assert_same(&got, &all);
    assert!(dropped > 10, "{dropped} were dropped");
    sending.await.unwrap();
}

async fn a_dropped_read_to_the_end_of_a_buffered_reader_loses_nothing() {
    let all = bytes(17, 200_000);
    let (client, server) = pair().await;
    let sending = dribble(client, all.clone(), 18);
    let mut reader = BufReader::with_capacity(1000, server);
    let mut polls = 0;
    let got = loop {
        match at_most(polls, reader.read_to_end(Vec::new())).await {
            Some((result, got)) => {
                assert_eq!(result.unwrap(), all.len());
                break got;
            }
            None => polls += 1,
        }
    };
    assert!(polls > 2);
    assert_same(&got, &all);
    sending.await.unwrap();
}

async fn all_kinds_of_dropped_reads_on_one_stream_lose_nothing() {
    let all = bytes(27, 300_000);
    let (client, server) = pair().await;
    let sending = dribble(client, all.clone(), 28);
    let mut reader = BufReader::with_capacity(500, server);
    let (mut dice, mut got) = (Dice::new(29), Vec::new());
    loop {
        let polls = dice.below(4) as usize;
        let room = dice.length(2000);
        let count = match dice.below(5) {
            0 => {
                let Some((result, buffer)) = at_most(polls, reader.read(Vec::with_capacity(room))).await
                else {
                    continue;
                };
                got.extend_from_slice(&buffer);
                result.unwrap()
            }
            1 => {
                let byte = dice.below(256) as u8;
                let Some((result, buffer)) = at_most(polls, reader.read_until(byte, Vec::new())).await else {
                    continue;
                };
                got.extend_from_slice(&buffer);
                result.unwrap()
            }
            2 => {
                let buffers = vec![Vec::with_capacity(room), Vec::with_capacity(10)];
                let Some((result, buffers)) = at_most(polls, reader.readv(buffers)).await else { continue };
                got.extend(buffers.concat());
                result.unwrap()
            }
            3 => {
                let Some(held) = at_most(polls, reader.fill_buf()).await else { continue };
                let held = held.unwrap();
                let count = held.len().div_ceil(2);
                got.extend_from_slice(&held[..count]);
                reader.consume(count);
                count
            }
            _ => {
                let room = room.min(all.len() - got.len());
                let Some((result, buffer)) =
                    at_most(polls, reader.read_exact(Vec::with_capacity(room))).await
                else {
                    continue;
                };
                // A vector may have more room than was asked for.
                match result {
                    Ok(()) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
                }
                got.extend_from_slice(&buffer);
                buffer.len().max(1)
            }
        };
        if count == 0 {
            break;
        }
    }
    assert_same(&got, &all);
    sending.await.unwrap();
}

async fn what_was_read_ahead_can_be_taken_out() {
    let (client, server) = pair().await;
    client.write_all("head\nbody").await.0.unwrap();
    let mut reader = BufReader::new(server);
    assert_eq!(reader.read_line(String::new()).await.1, "head\n");
    assert_eq!(reader.buffer(), b"body");
    let (server, rest) = reader.into_inner();
    assert_eq!(&rest[..], b"body");
    client.write_all("more").await.0.unwrap();
    assert_eq!(server.read(Vec::with_capacity(100)).await.1, b"more");
}

async fn a_large_read_passes_the_buffer_by() {
    let mut reader = BufReader::with_capacity(10, Cursor::new(bytes(3, 100)));
    assert_eq!(reader.read(Vec::with_capacity(50)).await.0.unwrap(), 50);
    assert!(reader.buffer().is_empty());
    assert_eq!(reader.read(Vec::with_capacity(4)).await.0.unwrap(), 4);
    assert_eq!(reader.buffer().len(), 6);
    assert_eq!(reader.read(Vec::with_capacity(50)).await.0.unwrap(), 6, "what is there comes first");
    assert_eq!(reader.read(Vec::with_capacity(50)).await.0.unwrap(), 40);
    assert_eq!(reader.read(Vec::<u8>::new()).await.0.unwrap(), 0, "into no room");
}

async fn an_exact_read_that_meets_the_end_says_how_far_it_came() {
    for (ahead, capacity) in [(0, 10), (5, 10), (5, 100), (0, 100)] {
        let mut reader = BufReader::with_capacity(capacity, Pieces::of(&[b'x'; 25], 8));
        if ahead > 0 {
            assert_eq!(reader.read(Vec::with_capacity(1)).await.0.unwrap(), 1);
        }
        let left = 25 - usize::from(ahead > 0);
        let (result, buffer) = reader.read_exact(vec![0; 40].into_boxed_slice()).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let incomplete = Incomplete::of(&error).unwrap();
        assert_eq!((incomplete.done(), incomplete.wanted()), (left, Some(40)));
        assert!(buffer[..left].iter().all(|byte| *byte == b'x'));
        assert!(reader.buffer().is_empty(), "it has given what there was");
    }
}

async fn a_long_line_does_not_leave_a_large_buffer() {
    let long = [&vec![b'x'; 1 << 20][..], b"\nshort\nx"].concat();
    let mut reader = BufReader::with_capacity(1000, Pieces::of(&long, 1 << 16));
    assert_eq!(reader.read_until(b'\n', Vec::new()).await.0.unwrap(), (1 << 20) + 1);
    assert_eq!(reader.read_until(b'\n', Vec::new()).await.0.unwrap(), 6);
    reader.consume(1);
    assert!(reader.fill_buf().await.unwrap().is_empty());
    let room = reader.into_inner().1.capacity();
    assert!(room < 10_000, "{room} bytes are kept");
}

async fn vectored_transfers_fill_one_after_the_other() {
    async fn through(mut writer: impl AsyncWrite, mut reader: impl AsyncRead) {
        let sent = vec![&b""[..], b"one", b"twotwo"];
        let (result, sent) = writer.writev(sent).await;
        assert_eq!((result.unwrap(), sent.len()), (9, 3));
        let room = vec![vec![b'.'; 0], vec![b'.'; 4], vec![b'.'; 100], vec![b'.'; 9]];
        let (result, got) = reader.readv(room).await;
        assert_eq!(result.unwrap(), 9);
        assert_eq!(got, [&b""[..], b"onet", b"wotwo", b""]);
    }
    let (client, server) = pair().await;
    through(&client, &server).await;
    let (reader, writer) = pipe().await.unwrap();
    through(writer, reader).await;
    let directory = support::outside::directory().await;
    let path = directory.path().join("file");
    let writer = File::create(&path).await.unwrap();
    through(&writer, &File::open(&path).await.unwrap()).await;
    let mut gathered = BufWriter::new(Vec::new());
    assert_eq!(gathered.writev(vec![&b""[..], b"one", b"two"]).await.0.unwrap(), 6);
    assert_eq!(gathered.buffered(), 6);

    // What has no vectored transfer fills the first that has room, and the others are empty as well.
    let (mut one, mut two) = duplex(100);
    assert_eq!(one.writev(vec![&b""[..], b"one", b"two"]).await.0.unwrap(), 3);
    let (result, got) = two.readv(vec![Vec::new(), vec![b'.'; 2], vec![b'.'; 2]]).await;
    assert_eq!(result.unwrap(), 2);
    assert_eq!(got, [&b""[..], b"on", b""]);
}

async fn a_taken_part_ends_where_it_was_to() {
    let mut reader = BufReader::new(Pieces::of(b"0123456789", 4));
    let mut part = (&mut reader).take(6);
    assert_eq!(part.read(Vec::with_capacity(100)).await.1, b"0123");
    assert_eq!(part.limit(), 2);
    let (result, buffer) = part.read_exact(vec![0; 3].into_boxed_slice()).await;
    assert_eq!(Incomplete::of(&result.unwrap_err()).unwrap().done(), 2);
    assert_eq!(&buffer[..2], b"45");
    assert_eq!(part.read(Vec::with_capacity(100)).await.0.unwrap(), 0);
    part.set_limit(3);
    assert_eq!(part.read_until(b'9', Vec::new()).await.1, b"678");
    assert_eq!(part.read_until(b'9', Vec::new()).await.0.unwrap(), 0);
    assert_eq!(reader.read(Vec::with_capacity(100)).await.1, b"9", "the rest is where it was");
    assert_eq!(repeat(b'x').take(1 << 20).read_to_end(Vec::new()).await.0.unwrap(), 1 << 20);
}

async fn a_chain_is_one_and_then_the_other() {
    let mut chain = Pieces::of(b"abcde", 2).chain(Pieces::of(b"fgh", 2)).chain(empty());
    assert_eq!(chain.read(Vec::<u8>::new()).await.0.unwrap(), 0, "into no room is no end");
    let (result, got) = chain.read_to_end(Vec::new()).await;
    assert_eq!((result.unwrap(), &got[..]), (8, &b"abcdefgh"[..]));
}

async fn small_writes_are_gathered() {
    let (client, server) = pair().await;
    let mut writer = BufWriter::with_capacity(100, client);
    for _ in 0..10 {
        writer.write_all("0123456789").await.0.unwrap();
    }
    let nothing = timeout(Duration::from_millis(5), server.read(Vec::with_capacity(1000))).await;
    assert!(nothing.is_err(), "nothing is written yet");
    assert_eq!(writer.buffered(), 100);
    writer.write_all("x").await.0.unwrap();
    assert_eq!(writer.buffered(), 1, "what was there made room");
    writer.flush().await.unwrap();
    assert_eq!(writer.buffered(), 0);
    let (result, got) = server.read_exact(vec![0; 101]).await;
    result.unwrap();
    assert!(got.starts_with(b"0123456789") && got.ends_with(b"9x"));
}

async fn a_large_write_passes_the_gathered_and_comes_behind_it() {
    let mut writer = BufWriter::with_capacity(10, Vec::new());
    writer.write_all("small").await.0.unwrap();
    writer.write_all("large, larger than the buffer").await.0.unwrap();
    assert_eq!(writer.buffered(), 0);
    writer.write_all("").await.0.unwrap();
    writer.write_all("end").await.0.unwrap();
    let (written, left) = writer.into_inner();
    assert_eq!(written, b"smalllarge, larger than the buffer");
    assert_eq!(&left[..], b"end");
}

async fn what_was_not_flushed_can_be_taken_out() {
    let (one, two) = duplex(4);
    let mut writer = BufWriter::new(one);
    writer.write_all("0123456789").await.0.unwrap();
    assert!(at_most(1, writer.flush()).await.is_none(), "nobody reads");
    writer.write_all("ab").await.0.unwrap();
    drop(two);
    assert_eq!(writer.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let (_, left) = writer.into_inner();
    assert_eq!(&left[..], b"456789ab", "four bytes were written");
}

async fn a_dropped_flush_is_taken_up_where_it_was() {
    let all = bytes(41, 600_000);
    let (client, server) = pair().await;
    client.set_send_buffer_size(4096).unwrap();
    server.set_recv_buffer_size(4096).unwrap();
    let reading = spawn(async move {
        let (mut dice, mut got) = (Dice::new(42), Vec::new());
        loop {
            let (result, buffer) = server.read(Vec::with_capacity(dice.length(20_000))).await;
            if result.unwrap() == 0 {
                return got;
            }
            got.extend_from_slice(&buffer);
            if dice.below(4) == 0 {
                sleep(dice.micros(300)).await;
            }
        }
    });
    let (mut dice, mut dropped) = (Dice::new(43), 0);
    let mut writer = BufWriter::with_capacity(20_000, client);
    let mut rest = bytes::Bytes::from(all.clone());
    while !rest.is_empty() {
        let now = rest.split_to(dice.length(15_000).min(rest.len()));
        let length = now.len();
        // It either takes all of it or, dropped, nothing.
        let taken = loop {
            match at_most(dice.below(4) as usize, writer.write(now.clone())).await {
                Some((result, _)) => break result.unwrap(),
                None => dropped += 1,
            }
        };
        assert_eq!(taken, length);
        if dice.below(2) == 0 && at_most(dice.below(3) as usize, writer.flush()).await.is_none() {
            dropped += 1;
        }
    }
    writer.shutdown().await.unwrap();
    assert_same(&reading.await.unwrap(), &all);
    assert!(dropped > 20, "{dropped} were dropped");
}

async fn a_dropped_large_write_does_not_count_for_the_next_flush() {
    let (client, server) = pair().await;
    client.set_send_buffer_size(4096).unwrap();
    let mut writer = BufWriter::with_capacity(1000, client);
    // Dropped when it has begun: the kernel has taken a part.
    assert!(at_most(1, writer.write(vec![b'x'; 16 << 20])).await.is_none());
    writer.write_all("behind it").await.0.unwrap();
    assert!(at_most(1, writer.flush()).await.is_none());
    let reading = spawn(async move { support::net::read_to_end(&server).await });
    writer.shutdown().await.unwrap();
    let got = reading.await.unwrap();
    let count = got.iter().take_while(|byte| **byte == b'x').count();
    assert!(count < 16 << 20, "{count}");
    assert_eq!(String::from_utf8_lossy(&got[count..]), "behind it", "as a whole, and once");
}

async fn a_dropped_flush_of_a_sink_that_does_not_know_is_told() {
    let (one, mut two) = duplex(4);
    let mut writer = BufWriter::with_capacity(100, Mute(one));
    writer.write_all("0123456789").await.0.unwrap();
    // In its second write.
    assert!(at_most(1, writer.flush()).await.is_none());
    assert_eq!(two.read(Vec::with_capacity(100)).await.1, b"0123");
    for _ in 0..2 {
        let error = writer.flush().await.unwrap_err().to_string();
        assert!(error.contains("dropped half-way") && error.contains("into_inner"), "{error}");
    }
    assert_eq!(&writer.into_inner().1[..], b"456789");
    drop(two);
}

async fn shutting_down_flushes_and_ends() {
    let (client, mut server) = pair().await;
    let mut writer = BufWriter::new(client);
    writer.write_all("the last words").await.0.unwrap();
    writer.shutdown().await.unwrap();
    assert_eq!(server.read_to_end(Vec::new()).await.1, b"the last words");
    AsyncWrite::write_all(&mut server, "an answer").await.0.unwrap();
    AsyncWrite::shutdown(&mut server).await.unwrap();
    assert_eq!(writer.read_to_end(Vec::new()).await.1, b"an answer", "the other direction goes on");

    // A file has no end of writing: it is left as it is.
    let directory = support::outside::directory().await;
    let mut file = File::create(directory.path().join("file")).await.unwrap();
    AsyncWrite::write_all(&mut file, "one").await.0.unwrap();
    file.flush().await.unwrap();
    AsyncWrite::shutdown(&mut file).await.unwrap();
    AsyncWrite::write_all(&mut file, "two").await.0.unwrap();
    assert_eq!(support::outside::read(directory.path().join("file")).await, b"onetwo");
}

async fn a_pipe_ends_by_being_shut_down() {
    let (mut reader, mut writer) = pipe().await.unwrap();
    writer.write_all("last").await.0.unwrap();
    writer.shutdown().await.unwrap();
    writer.shutdown().await.unwrap();
    assert_eq!(reader.read_to_end(Vec::new()).await.1, b"last");
    assert!(writer.write("more").await.0.is_err());
    assert!(writer.write("again").await.0.is_err());
    // Its number may be somebody else's by now, whom closing it again would close.
    let (other, other_writer) = pipe().await.unwrap();
    drop(writer);
    other_writer.write_all("word").await.0.unwrap();
    assert_eq!(other.read(Vec::with_capacity(10)).await.1, b"word");
}

async fn a_buffered_stream_reads_and_writes() {
    let (client, server) = pair().await;
    let echo = spawn(async move {
        let mut server = BufReader::new(BufWriter::new(server));
        loop {
            let (result, line) = server.read_line(String::new()).await;
            if result.unwrap() == 0 {
                return server.shutdown().await.unwrap();
            }
            server.write_all(line.to_uppercase()).await.0.unwrap();
            server.flush().await.unwrap();
        }
    });
    let mut client = BufReader::new(BufWriter::new(client));
    for word in ["one\n", "two\n"] {
        client.write_all(word).await.0.unwrap();
        client.flush().await.unwrap();
        assert_eq!(client.read_line(String::new()).await.1, word.to_uppercase());
    }
    client.shutdown().await.unwrap();
    assert_eq!(client.read_line(String::new()).await.0.unwrap(), 0);
    echo.await.unwrap();
}

async fn a_full_duplex_stream_makes_its_writer_wait() {
    let (mut one, mut two) = duplex(8);
    assert_eq!(one.write("0123456789").await.0.unwrap(), 8);
    let written = Rc::new(Cell::new(false));
    let writing = spawn({
        let written = Rc::clone(&written);
        async move {
            one.write_all("abcdefghijkl").await.0.unwrap();
            written.set(true);
            one
        }
    });
    for _ in 0..5 {
        yield_now().await;
    }
    assert!(!written.get());
    let (result, got) = two.read_exact(vec![0; 20]).await;
    result.unwrap();
    assert_eq!(got, b"01234567abcdefghijkl");
    drop(writing.await.unwrap());
    assert_eq!(two.read(Vec::with_capacity(1)).await.0.unwrap(), 0);
    assert_eq!(duplex(0).0.write("ab").await.0.unwrap(), 1, "there is room for a byte at least");
}

async fn a_duplex_stream_can_be_half_closed() {
    let (mut one, mut two) = duplex(100);
    one.write_all("question").await.0.unwrap();
    one.shutdown().await.unwrap();
    assert_eq!(one.write("more").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(two.read_to_end(Vec::new()).await.1, b"question");
    assert_eq!(two.read(Vec::with_capacity(1)).await.0.unwrap(), 0, "the end is told again");
    two.write_all("answer").await.0.unwrap();
    two.shutdown().await.unwrap();
    assert_eq!(one.read_to_end(Vec::new()).await.1, b"answer");
}

async fn a_dropped_end_is_an_end_for_the_other() {
    let (mut one, mut two) = duplex(100);
    one.write_all("left").await.0.unwrap();
    let reading = spawn(async move {
        assert_eq!(two.read(Vec::with_capacity(100)).await.1, b"left");
        assert_eq!(two.read(Vec::with_capacity(100)).await.0.unwrap(), 0);
        two
    });
    yield_now().await;
    yield_now().await;
    drop(one);
    let mut two = reading.await.unwrap();
    assert_eq!(two.write("word").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);

    // Also for who waits.
    let (mut one, two) = duplex(4);
    let writing = spawn(async move { one.write_all("too much").await.0 });
    yield_now().await;
    drop(two);
    assert_eq!(writing.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
}

/// Writes bytes of its own, and gives all that comes.
async fn end(stream: annulus::io::DuplexStream, seed: u64, length: usize) -> Vec<u8> {
    let (mut reader, mut writer) = split(stream);
    let writing = spawn(async move {
        writer.write_all(bytes(seed, length)).await.0.unwrap();
        writer.shutdown().await.unwrap();
    });
    let got = reader.read_to_end(Vec::new()).await.1;
    writing.await.unwrap();
    got
}

async fn much_goes_through_little_in_both_directions() {
    const LENGTH: usize = 100_000;
    for room in [1, 7, 64 * 1024] {
        let length = if room == 1 { 2000 } else { LENGTH };
        let (one, two) = duplex(room);
        let other = spawn(end(two, 2, length));
        assert_same(&end(one, 1, length).await, &bytes(2, length));
        assert_same(&other.await.unwrap(), &bytes(1, length));
    }
}

async fn a_dropped_duplex_operation_has_done_nothing() {
    let (mut one, mut two) = duplex(4);
    assert!(at_most(1, two.read(Vec::with_capacity(10))).await.is_none());
    one.write_all("full").await.0.unwrap();
    assert!(at_most(1, one.write("lost?")).await.is_none());
    assert_eq!(one.settle().await.unwrap(), Some(0));
    assert_eq!(two.read(Vec::with_capacity(10)).await.1, b"full");
    drop(one);
    assert_eq!(two.read(Vec::with_capacity(10)).await.0.unwrap(), 0);
}

async fn halves_become_whole_again() {
    let (one, _two) = duplex(4);
    let (three, _four) = duplex(4);
    let ((reader, writer), (_other, wrong)) = (split(one), split(three));
    let error = reader.reunite(wrong).unwrap_err();
    let mut one = error.0.reunite(writer).unwrap();
    one.write_all("word").await.0.unwrap();
}

async fn a_reader_and_a_writer_are_a_stream() {
    let (reader, writer) = pipe().await.unwrap();
    let mut stream = join(BufReader::new(reader), BufWriter::new(writer));
    stream.write_all("one\ntwo").await.0.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read_line(String::new()).await.1, "one\n");
    assert_eq!(stream.read_to_end(Vec::new()).await.1, b"two");
}

/// A proxy's two streams, and the ends that speak through it.
async fn proxied() -> ((TcpStream, TcpStream), (TcpStream, TcpStream)) {
    let (client, near) = pair().await;
    let (far, server) = pair().await;
    ((client, server), (near, far))
}

async fn a_proxy_passes_on_data_and_ends() {
    let ((mut client, mut server), (mut near, mut far)) = proxied().await;
    let proxy = spawn(async move { copy_bidirectional(&mut near, &mut far).await });
    let (question, answer) = (bytes(51, 1_000_000), bytes(52, 700_000));
    let serving = spawn({
        let answer = answer.clone();
        async move {
            let got = server.read_to_end(Vec::new()).await.1;
            AsyncWrite::write_all(&mut server, answer).await.0.unwrap();
            got
        }
    });
    AsyncWrite::write_all(&mut client, question.clone()).await.0.unwrap();
    AsyncWrite::shutdown(&mut client).await.unwrap();
    assert_same(&client.read_to_end(Vec::new()).await.1, &answer);
    assert_same(&serving.await.unwrap(), &question);
    assert_eq!(proxy.await.unwrap().unwrap(), (1_000_000, 700_000));
}

async fn a_proxy_ends_each_direction_by_itself() {
    let ((client, server), (mut near, mut far)) = proxied().await;
    let proxy = spawn(async move { copy_bidirectional(&mut near, &mut far).await });
    // The one that answers ends first.
    server.shutdown(std::net::Shutdown::Write).await.unwrap();
    assert_eq!(client.read(Vec::with_capacity(1)).await.0.unwrap(), 0);
    for _ in 0..3 {
        client.write_all("still here").await.0.unwrap();
        let (result, got) = server.read_exact(vec![0; 10]).await;
        result.unwrap();
        assert_eq!(got, b"still here");
        assert!(!proxy.is_finished());
    }
    client.shutdown(std::net::Shutdown::Write).await.unwrap();
    assert_eq!(server.read(Vec::with_capacity(1)).await.0.unwrap(), 0);
    assert_eq!(proxy.await.unwrap().unwrap(), (30, 0));
}

async fn a_proxy_tells_an_error() {
    let ((client, server), (mut near, mut far)) = proxied().await;
    let proxy = spawn(async move { copy_bidirectional(&mut near, &mut far).await });
    client.write_all("word").await.0.unwrap();
    assert_eq!(server.read_exact(vec![0; 4]).await.1, b"word");
    client.set_linger(Some(Duration::ZERO)).unwrap();
    client.close().await.unwrap();
    let error = proxy.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.read(Vec::with_capacity(10)).await.0.unwrap_or(0), 0, "the other end is let go");
}

async fn a_copy_that_fails_leaves_the_rest_in_the_reader() {
    let mut reader = BufReader::with_capacity(8, Pieces::of(b"0123456789", 4));
    let (mut one, mut two) = duplex(6);
    let taking = spawn(async move {
        let got = two.read_exact(vec![0; 6]).await.1;
        drop(two);
        got
    });
    let error = copy_buf(&mut reader, &mut one).await.unwrap_err();
    let got = taking.await.unwrap();
    assert_eq!((error.kind(), got), (ErrorKind::BrokenPipe, b"012345".to_vec()));
    let done = Incomplete::of(&error).unwrap().done();
    let mut all = b"0123456789"[..done].to_vec();
    let (result, rest) = reader.read_to_end(Vec::new()).await;
    result.unwrap();
    all.extend_from_slice(&rest);
    assert_eq!(all, b"0123456789");
}

async fn a_dropped_copy_leaves_the_rest_in_the_reader() {
    let mut reader = BufReader::new(&b"0123456789"[..]);
    let (mut one, mut two) = duplex(4);
    assert!(at_most(1, copy_buf(&mut reader, &mut one)).await.is_none());
    assert_eq!(reader.buffer().len(), 10, "nothing has left it");
    assert_eq!(two.read(Vec::with_capacity(10)).await.1, b"0123");
    assert_eq!(copy_buf(&mut reader.take(4), &mut sink()).await.unwrap(), 4);
}

async fn a_stream_of_lines_ends_once() {
    let mut stream = BufReader::new(Pieces::of(TEXT, 5)).lines().into_stream();
    let mut all = Vec::new();
    while let Some(line) = stream.next().await {
        all.push(line.unwrap());
        // Asking and letting it be costs nothing.
        if let Some(Some(line)) = at_most(1, stream.next()).await {
            all.push(line.unwrap());
        }
    }
    assert_eq!(all, LINES);
    assert!(stream.next().await.is_none());
    let segments: Vec<_> = BufReader::new(&b"a,b"[..]).split(b',').into_stream().collect().await;
    assert_eq!(segments.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [b"a", b"b"]);
}

async fn who_never_waits_lets_others_have_their_turn() {
    let turns = Rc::new(Cell::new(0));
    let other = spawn({
        let turns = Rc::clone(&turns);
        async move {
            loop {
                turns.set(turns.get() + 1);
                once_later().await;
            }
        }
    });
    let mut endless = repeat(b'x').take(10_000_000);
    copy(&mut endless, &mut sink()).await.unwrap();
    assert!(turns.get() > 10, "{} turns", turns.get());
    other.abort();
}

async fn bytes_in_memory_are_read_and_written() {
    let mut cursor = Cursor::new(Vec::new());
    cursor.write_all("0123456789").await.0.unwrap();
    cursor.set_position(4);
    cursor.write_all("xx").await.0.unwrap();
    assert_eq!(AsyncBufRead::buffer(&cursor), b"6789");
    assert_eq!(AsyncRead::read_to_end(&mut cursor, Vec::new()).await.1, b"6789");
    cursor.set_position(100);
    assert_eq!(AsyncRead::read_to_end(&mut cursor, Vec::new()).await.0.unwrap(), 0);
    assert_eq!(cursor.into_inner(), b"0123xx6789");
    let mut slice = &b"abc"[..];
    assert_eq!(AsyncRead::read(&mut slice, Vec::with_capacity(2)).await.1.len(), 2);
    assert_eq!(slice, b"c");
}
