//! Frames: the same in whatever pieces they come, none lost and none twice, and clear words for what is none.

mod support;

use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use annulus::io::codec::{
    BytesCodec, Decoder, Encoder, Framed, FramedRead, FramedWrite, LengthDelimited, LinesCodec,
};
use annulus::io::{AsyncRead, AsyncWrite, BufReader, duplex};
use annulus::spawn;
use annulus::time::sleep;
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;
use support::data::{Dice, assert_same, bytes};
use support::net::pair;
use support::on_every_driver;
use support::pieces::{Mute, Pieces, at_most};

on_every_driver! {
    a_message_goes_there_and_an_answer_comes_back,
    a_dropped_wait_for_a_frame_loses_nothing,
    a_dropped_send_is_sent_once_and_as_a_whole,
    frames_are_gathered_until_they_are_many,
    what_follows_the_frames_can_be_taken_out,
    what_came_before_the_frames_can_be_put_in,
    a_stream_of_frames_ends_once,
    an_error_of_the_reader_does_not_end_the_frames,
    a_dropped_send_to_a_sink_that_does_not_know_is_told,
}

/// All frames of bytes that come in these pieces, and where there is none, the kind of error.
fn frames<D>(pieces: Pieces, decoder: D) -> Vec<Result<Vec<u8>, ErrorKind>>
where
    D: Decoder<Error = io::Error>,
    D::Item: AsRef<[u8]>,
{
    let mut frames = FramedRead::new(pieces, decoder);
    let reading = async {
        let mut all = Vec::new();
        while let Some(frame) = frames.next().await {
            all.push(frame.map(|frame| frame.as_ref().to_vec()).map_err(|error| error.kind()));
            assert!(all.len() < 10_000, "it comes to no end");
        }
        assert!(frames.next().await.is_none(), "the end is told again");
        all
    };
    // No loop is needed for what is in memory; each poll gets one piece.
    let mut reading = std::pin::pin!(reading);
    loop {
        if let Some(all) = reading.as_mut().now_or_never() {
            return all;
        }
    }
}

/// Cuts bytes up at these places.
fn cut(bytes: &[u8], places: &[prop::sample::Index]) -> Pieces {
    let mut places: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    Pieces::new(places.windows(2).map(|two| &bytes[two[0]..two[1]]))
}

fn any_length_delimited() -> impl Strategy<Value = LengthDelimited> {
    (1..=8_usize, any::<bool>(), 0..200_usize, -8..8_i64).prop_map(
        |(length, little, frame_max, adjustment)| {
            let codec = LengthDelimited::new().length_field_length(length).max_frame_length(frame_max);
            let codec = if little { codec.little_endian() } else { codec.big_endian() };
            codec.length_adjustment(adjustment)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded_in_any_pieces(
        codec in any_length_delimited(),
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..10),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut encoded = BytesMut::new();
        let mut encoder = codec.clone();
        let taken: Vec<_> = messages
            .into_iter()
            .filter(|message| {
                let before = encoded.len();
                let taken = encoder.encode(message, &mut encoded).is_ok();
                assert!(taken || encoded.len() == before);
                taken
            })
            .map(Ok)
            .collect();
        prop_assert_eq!(frames(cut(&encoded, &places), codec), taken);
    }

    #[test]
    fn any_bytes_are_the_same_frames_in_any_pieces(
        codec in any_length_delimited(),
        bytes in prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..100),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let whole = frames(Pieces::new([&bytes]), codec.clone());
        prop_assert_eq!(frames(Pieces::of(&bytes, 1), codec.clone()), whole.clone());
        prop_assert_eq!(frames(cut(&bytes, &places), codec), whole);
    }

    #[test]
    fn any_bytes_are_the_same_lines_in_any_pieces(
        length_max in 0..10_usize,
        bytes in prop::collection::vec(prop::sample::select(&b"\n\nab\r\xc3\xbc"[..]), 0..60),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let codec = LinesCodec::new().max_length(length_max);
        let whole = frames(Pieces::new([&bytes]), codec.clone());
        prop_assert_eq!(frames(Pieces::of(&bytes, 1), codec.clone()), whole.clone());
        prop_assert_eq!(frames(cut(&bytes, &places), codec), whole.clone());
        // Beside a plain reading of what a line is.
        let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
        let last = lines.pop().unwrap();
        let mut wanted: Vec<_> = lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
        if !last.is_empty() {
            wanted.push(last);
        }
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|line| match std::str::from_utf8(line) {
                Ok(_) if line.len() <= length_max => Ok(line.to_vec()),
                _ => Err(ErrorKind::InvalidData),
            })
            .collect();
        prop_assert_eq!(whole, wanted);
    }
}

#[test]
fn nothing_is_no_frame() {
    assert!(frames(Pieces::of(b"", 1), LengthDelimited::new()).is_empty());
    assert!(frames(Pieces::of(b"", 1), LinesCodec::new()).is_empty());
    assert!(frames(Pieces::of(b"", 1), BytesCodec::new()).is_empty());
}

#[test]
fn a_number_may_come_in_pieces() {
    for length in 1..=8 {
        let codec = LengthDelimited::new().length_field_length(length);
        let mut encoded = BytesMut::new();
        codec.clone().encode("word", &mut encoded).unwrap();
        for step in 1..encoded.len() {
            assert_eq!(frames(Pieces::of(&encoded, step), codec.clone()), [Ok(b"word".to_vec())]);
        }
    }
}

#[test]
fn heads_of_all_shapes_are_read() {
    // Two bytes in front of the number, and a byte behind it that it does not count; all of it is wanted.
    let codec =
        LengthDelimited::new().length_field_offset(2).length_field_length(1).length_adjustment(1).num_skip(0);
    let sent = b"HH\x02?ab";
    assert_eq!(frames(Pieces::of(sent, 2), codec.clone()), [Ok(sent.to_vec())]);
    assert_eq!(frames(Pieces::of(sent, 2), codec.clone().num_skip(4)), [Ok(b"ab".to_vec())]);
    assert_eq!(frames(Pieces::of(sent, 2), codec.clone().num_skip(7)), [Err(ErrorKind::InvalidData)]);
    let error = codec.clone().encode("ab", &mut BytesMut::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("length_field_offset"), "{error}");
}

#[test]
fn what_is_too_long_says_what_to_do() {
    let mut codec = LengthDelimited::new().max_frame_length(4);
    let told = codec.decode(&mut BytesMut::from(&b"\0\0\0\x05"[..])).unwrap_err();
    assert_eq!(told.kind(), ErrorKind::InvalidData);
    assert!(told.to_string().contains("5 bytes") && told.to_string().contains("max_frame_length"), "{told}");
    let told = codec.encode("12345", &mut BytesMut::new()).unwrap_err();
    assert!(told.to_string().contains("max_frame_length"), "{told}");
    let long = vec![0; 256];
    let told =
        codec.length_field_length(1).max_frame_length(1000).encode(long, &mut BytesMut::new()).unwrap_err();
    assert!(told.to_string().contains("length_field_length"), "{told}");
    // The largest number that there is, and one that is nothing when it is adjusted.
    for (bytes, adjustment) in [(&[255; 8], 100), (&[0; 8], -1)] {
        let codec = LengthDelimited::new().length_field_length(8).length_adjustment(adjustment);
        let got = frames(Pieces::of(bytes, 3), codec.max_frame_length(usize::MAX));
        assert_eq!(got, [Err(ErrorKind::InvalidData)]);
    }

    let told = LinesCodec::new().max_length(2).decode(&mut BytesMut::from(&b"abcdef"[..])).unwrap_err();
    assert!(told.to_string().contains("2 bytes") && told.to_string().contains("max_length"), "{told}");
}

#[test]
fn a_frame_that_is_too_long_is_the_last_and_a_line_is_not() {
    let codec = LengthDelimited::new().length_field_length(1).max_frame_length(2);
    assert_eq!(
        frames(Pieces::of(b"\x01a\x03abc\x01a", 3), codec),
        [Ok(b"a".to_vec()), Err(ErrorKind::InvalidData)]
    );
    assert_eq!(
        frames(Pieces::of(b"a\nabc\nabcdefgh\nb\n", 3), LinesCodec::new().max_length(2)),
        [Ok(b"a".to_vec()), Err(ErrorKind::InvalidData), Err(ErrorKind::InvalidData), Ok(b"b".to_vec())]
    );
}

#[test]
fn the_end_inside_of_a_frame_is_told_once() {
    for cut_off in [&b"\0"[..], b"\0\0\0\x04", b"\0\0\0\x04abc"] {
        let sent = [b"\0\0\0\x01x", cut_off].concat();
        assert_eq!(
            frames(Pieces::of(&sent, 2), LengthDelimited::new()),
            [Ok(b"x".to_vec()), Err(ErrorKind::UnexpectedEof)]
        );
    }
}

/// Writes a line, and then finds that it cannot.
struct Refusing;

impl Encoder<&str> for Refusing {
    type Error = io::Error;

    fn encode(&mut self, line: &str, bytes: &mut BytesMut) -> io::Result<()> {
        bytes.extend_from_slice(line.as_bytes());
        if line.is_empty() || line.contains('?') { Err(ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }
}

#[test]
fn a_frame_that_cannot_be_written_leaves_nothing_of_itself() {
    let mut frames = FramedWrite::new(Vec::new(), Refusing);
    frames.send("good ").now_or_never().unwrap().unwrap();
    frames.feed("gathered ").now_or_never().unwrap().unwrap();
    assert!(frames.send("bad?").now_or_never().unwrap().is_err());
    frames.send("good").now_or_never().unwrap().unwrap();
    assert_eq!(frames.get_ref(), b"good gathered good");
}

#[test]
fn what_is_announced_takes_no_memory() {
    let mut bytes = BytesMut::from(&[0, 0x7f, 0, 0][..]);
    let before = bytes.capacity();
    assert!(LengthDelimited::new().decode(&mut bytes).unwrap().is_none());
    assert_eq!(bytes.capacity(), before);
}

async fn a_message_goes_there_and_an_answer_comes_back() {
    let (client, server) = pair().await;
    let serving = spawn(async move {
        let mut server = Framed::new(server, LengthDelimited::new());
        while let Some(message) = server.next().await {
            server.send(message.unwrap().to_ascii_uppercase()).await.unwrap();
        }
        server.shutdown().await.unwrap();
    });
    let mut client = Framed::new(client, LengthDelimited::new());
    for message in ["one", "", "three"] {
        client.send(message).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), message.to_uppercase());
    }
    client.shutdown().await.unwrap();
    assert!(client.next().await.is_none());
    serving.await.unwrap();
}

/// Messages of all lengths.
fn messages(seed: u64, count: u64) -> Vec<Bytes> {
    let mut dice = Dice::new(seed);
    (0..count).map(|number| Bytes::from(bytes(number, dice.length(30_000) - 1))).collect()
}

async fn a_dropped_wait_for_a_frame_loses_nothing() {
    let (client, server) = pair().await;
    let messages = Rc::new(messages(1, 100));
    let sending = spawn({
        let messages = Rc::clone(&messages);
        async move {
            let (mut dice, mut client) = (Dice::new(2), FramedWrite::new(client, LengthDelimited::new()));
            for message in messages.iter() {
                client.feed(message).await.unwrap();
                if dice.below(3) == 0 {
                    client.flush().await.unwrap();
                    sleep(dice.micros(200)).await;
                }
            }
            client.shutdown().await.unwrap();
        }
    });
    let mut server = FramedRead::new(server, LengthDelimited::new());
    let mut dropped = 0;
    for message in messages.iter() {
        let mut polls = 0;
        let got = loop {
            match at_most(polls, server.next()).await {
                Some(got) => break got.unwrap().unwrap(),
                None => (polls, dropped) = (polls + 1, dropped + 1),
            }
        };
        assert_same(&got, message);
    }
    assert!(server.next().await.is_none());
    assert!(dropped > messages.len(), "{dropped} were dropped");
    sending.await.unwrap();
}

async fn a_dropped_send_is_sent_once_and_as_a_whole() {
    let (client, server) = pair().await;
    client.set_send_buffer_size(4096).unwrap();
    server.set_recv_buffer_size(4096).unwrap();
    let messages = Rc::new(messages(3, 200));
    let reading = spawn({
        let messages = Rc::clone(&messages);
        async move {
            let (mut dice, mut server) = (Dice::new(4), FramedRead::new(server, LengthDelimited::new()));
            for message in messages.iter() {
                assert_same(&server.next().await.unwrap().unwrap(), message);
                if dice.below(8) == 0 {
                    sleep(dice.micros(300)).await;
                }
            }
            assert!(server.next().await.is_none());
        }
    });
    let (mut dice, mut dropped) = (Dice::new(5), 0);
    let mut client = FramedWrite::new(client, LengthDelimited::new());
    for message in messages.iter() {
        // A frame is taken by the first poll, so it is not sent again.
        if at_most(1 + dice.below(3) as usize, client.send(message)).await.is_none() {
            dropped += 1;
        }
    }
    client.shutdown().await.unwrap();
    reading.await.unwrap();
    assert!(dropped > 10, "{dropped} were dropped");
}

async fn frames_are_gathered_until_they_are_many() {
    let mut frames = FramedWrite::new(Vec::new(), LinesCodec::new());
    frames.feed("one").await.unwrap();
    frames.feed("two").await.unwrap();
    assert_eq!((frames.buffered(), frames.get_ref().len()), (8, 0));
    frames.feed("x".repeat(10_000)).await.unwrap();
    assert_eq!((frames.buffered(), frames.get_ref().len()), (0, 10_009));
    frames.feed("left").await.unwrap();
    let (written, left) = frames.into_inner();
    assert!(written.starts_with(b"one\ntwo\nx"));
    assert_eq!(left, "left\n");
}

async fn what_follows_the_frames_can_be_taken_out() {
    let (client, mut server) = duplex(100);
    server.write_all("switch\nraw bytes").await.0.unwrap();
    server.shutdown().await.unwrap();
    let mut client = Framed::new(client, LinesCodec::new());
    assert_eq!(client.next().await.unwrap().unwrap(), "switch");
    client.feed("unsent").await.unwrap();
    let mut parts = client.into_parts();
    assert_eq!((&parts.unread[..], &parts.unwritten[..]), (&b"raw bytes"[..], &b"unsent\n"[..]));
    assert_eq!(parts.stream.read_to_end(Vec::new()).await.0.unwrap(), 0);
}

async fn what_came_before_the_frames_can_be_put_in() {
    let mut reader = BufReader::new(Pieces::of(b"head\n\x03one\x03two", 7));
    use annulus::io::AsyncBufRead;
    reader.read_line(String::new()).await.0.unwrap();
    let (reader, rest) = reader.into_inner();
    let codec = LengthDelimited::new().length_field_length(1);
    let mut frames = FramedRead::with_bytes(reader, codec, rest);
    assert_eq!(frames.next().await.unwrap().unwrap(), "one");
    assert_eq!(frames.next().await.unwrap().unwrap(), "two");
    assert!(frames.next().await.is_none());
}

async fn a_stream_of_frames_ends_once() {
    let (client, server) = pair().await;
    let sending = spawn(async move {
        let mut client = FramedWrite::new(client, LinesCodec::new());
        for number in 0..100 {
            client.send(number.to_string()).await.unwrap();
        }
    });
    let mut lines = FramedRead::new(server, LinesCodec::new()).into_stream();
    for number in 0..100 {
        let line = loop {
            // Asked for, let be, and asked for again.
            match at_most(1, lines.next()).await {
                Some(line) => break line,
                None => sleep(Duration::from_micros(50)).await,
            }
        };
        assert_eq!(line.unwrap().unwrap(), number.to_string());
    }
    assert!(lines.next().await.is_none());
    assert!(lines.next().await.is_none());
    sending.await.unwrap();
}

/// Fails once, in front of a piece.
struct Flaky(Pieces, bool);

impl AsyncRead for Flaky {
    async fn read<B: annulus::buf::IoBufMut>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        if std::mem::replace(&mut self.1, false) {
            return (Err(ErrorKind::TimedOut.into()), buffer);
        }
        self.0.read(buffer).await
    }
}

async fn an_error_of_the_reader_does_not_end_the_frames() {
    let mut frames = FramedRead::new(Flaky(Pieces::of(b"one\ntwo", 2), false), LinesCodec::new());
    assert_eq!(frames.next().await.unwrap().unwrap(), "one");
    frames.get_mut().1 = true;
    assert_eq!(frames.next().await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(frames.next().await.unwrap().unwrap(), "two");
}

async fn a_dropped_send_to_a_sink_that_does_not_know_is_told() {
    let (one, mut two) = duplex(4);
    let mut frames = FramedWrite::new(Mute(one), LinesCodec::new());
    assert!(at_most(1, frames.send("0123456789")).await.is_none());
    assert_eq!(two.read(Vec::with_capacity(100)).await.1, b"0123");
    let error = frames.send("more").await.unwrap_err().to_string();
    assert!(error.contains("dropped half-way"), "{error}");
    assert_eq!(&frames.into_inner().1[..], b"456789\nmore\n");
}
