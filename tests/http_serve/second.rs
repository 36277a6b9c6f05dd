//! HTTP/2 by frames that are written by hand, and what floods of them cost.

use annulus::http::Serve;
use annulus::time::{now, sleep, timeout};

use crate::served::{Client, Server, span, until};
use crate::support::is_simulated;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// GET of a path, in words of HPACK that need no table.
fn get(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x01, 1, b'h', 0x04, path.len() as u8];
    block.extend(path.bytes());
    block
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    payload: Vec<u8>,
}

/// A client that writes frames, and answers what has to be answered.
pub(crate) struct Second {
    client: Client,
}

impl Second {
    pub(crate) async fn connect(server: &Server) -> Second {
        let client = server.connect().await;
        Second::over(client, &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]).await
    }

    pub(crate) async fn over(mut client: Client, preface: &[u8]) -> Second {
        client.says(preface).await;
        client.says(frame(SETTINGS, 0, 0, &[])).await;
        Second { client }
    }

    pub(crate) async fn gets(&mut self, stream: u32, path: &str) {
        self.client.says(frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(path))).await;
    }

    /// The next frame; None is the end.
    async fn next(&mut self) -> Option<Frame> {
        let kept = &mut self.client.kept;
        loop {
            if let [a, b, c, kind, flags, d, e, f, g, rest @ ..] = &kept[..] {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if rest.len() >= length {
                    let stream = u32::from_be_bytes([*d, *e, *f, *g]);
                    let frame =
                        Frame { kind: *kind, flags: *flags, stream, payload: rest[..length].to_vec() };
                    kept.drain(..9 + length);
                    return Some(frame);
                }
            }
            let (result, got) =
                annulus::io::AsyncRead::read(&mut self.client.stream, Vec::with_capacity(16 << 10)).await;
            if !result.is_ok_and(|count| count > 0) {
                return None;
            }
            kept.extend(got);
        }
    }

    /// The next frame of that kind.
    pub(crate) async fn frame_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("the end came before a frame {kind}"));
            match frame.kind {
                _ if frame.kind == kind => return frame,
                SETTINGS if frame.flags & ACK == 0 => {
                    // Gone already, as a rule, if that fails: the end is seen when it is read.
                    let _ = self.client.tries(self::frame(SETTINGS, ACK, 0, &[])).await;
                }
                PING if frame.flags & ACK == 0 => {
                    let _ = self.client.tries(self::frame(PING, ACK, 0, &frame.payload)).await;
                }
                _ => {}
            }
        }
    }

    /// Answers pings until the connection has ended.
    pub(crate) async fn until_the_end(&mut self) {
        while let Some(frame) = self.next().await {
            if frame.kind == PING && frame.flags & ACK == 0 {
                let _ = self.client.tries(self::frame(PING, ACK, 0, &frame.payload)).await;
            }
        }
    }
}

/// Repeats what `makes` gives until the connection ends, or `most` times; reads nothing that it need not. Whether it ended.
async fn floods(second: &mut Second, most: u32, mut makes: impl FnMut(u32) -> Vec<u8>) -> bool {
    for number in 0..most {
        if second.client.tries(makes(number)).await.is_err() {
            return true;
        }
    }
    false
}

/// A hundred frames at a time.
fn hundred(mut one: impl FnMut(u32) -> Vec<u8>) -> impl FnMut(u32) -> Vec<u8> {
    move |number| (0..100).flat_map(|each| one(100 * number + each)).collect()
}

pub(crate) async fn a_rapid_reset_ends_its_connection_and_others_are_served() {
    let server = Server::start(|serve| serve).await;
    let mut flood = Second::connect(&server).await;
    let resets = hundred(|number| {
        let stream = 2 * number + 1;
        let mut bytes = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/hang"));
        bytes.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        bytes
    });
    floods(&mut flood, 100, resets).await;
    server.serves().await;
    flood.frame_of(GOAWAY).await;
    flood.until_the_end().await;
    until(|| server.seen.hanging.get() == 0 && server.handle.connections() == 0).await;
    server.stops().await.unwrap();
}

/// A client that takes no answers while it floods stops being read, and is let go.
async fn a_flood_without_reading(makes: impl FnMut(u32) -> Vec<u8>) {
    let limits = |serve: Serve<_, _>| serve.stall_timeout(span(40)).idle_timeout(span(60));
    let server = Server::start(|serve| limits(serve).header_timeout(span(60))).await;
    let mut flood = Second::connect(&server).await;
    let mut flooding = std::pin::pin!(floods(&mut flood, 20_000, hundred(makes)));
    let ended = loop {
        match timeout(span(4), &mut flooding).await {
            Ok(ended) => break ended,
            Err(_) => server.serves().await,
        }
    };
    assert!(ended, "it was let go on for ever");
    server.serves().await;
    until(|| server.handle.connections() == 0).await;
    server.stops().await.unwrap();
}

pub(crate) async fn a_flood_of_pings_is_bounded_and_let_go() {
    a_flood_without_reading(|number| frame(PING, 0, 0, &u64::from(number).to_be_bytes())).await;
}

pub(crate) async fn a_flood_of_settings_is_bounded_and_let_go() {
    a_flood_without_reading(|_| frame(SETTINGS, 0, 0, &[])).await;
}

pub(crate) async fn a_client_that_pings_for_ever_and_asks_nothing_is_idle() {
    let server = Server::start(|serve| serve.idle_timeout(span(40)).stall_timeout(span(8))).await;
    let mut client = Second::connect(&server).await;
    client.gets(1, "/one").await;
    client.frame_of(DATA).await;
    let start = now();
    let mut told = false;
    loop {
        if client.client.tries(frame(PING, 0, 0, &[7; 8])).await.is_err() {
            break;
        }
        match timeout(span(1), client.next()).await {
            Ok(Some(frame)) => told |= frame.kind == GOAWAY,
            Ok(None) => break,
            Err(_) => {}
        }
        sleep(span(1)).await;
    }
    assert!(told, "it is told GOAWAY");
    assert!(now() - start >= span(30));
    assert!(!is_simulated() || now() - start < span(80));
    server.stops().await.unwrap();
}

pub(crate) async fn a_bomb_of_headers_is_refused_and_no_service_is_asked() {
    let server = Server::start(|serve| serve).await;
    let mut bomb = Second::connect(&server).await;
    // One header of 4 KiB that goes to the table, and is then said 200 times by one byte each.
    let mut block = get("/bomb");
    block.extend([0x40, 1, b'x', 0x7f, 0xc1, 0x1e]);
    block.extend([b'y'; 4000]);
    block.extend([0xbe; 10_000]);
    bomb.client.says(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).await;
    let mut ended = false;
    while !ended {
        match bomb.next().await {
            // 431, or the stream or the connection is ended.
            Some(frame) if frame.kind == HEADERS => ended = true,
            Some(frame) => ended = matches!(frame.kind, RST_STREAM | GOAWAY),
            None => ended = true,
        }
    }
    assert_eq!(server.handle.counts().requests, 0);
    server.serves().await;
    drop(bomb);
    server.stops().await.unwrap();
}

pub(crate) async fn a_flood_of_continuations_ends_its_connection() {
    let server = Server::start(|serve| serve).await;
    let mut flood = Second::connect(&server).await;
    flood.client.says(frame(HEADERS, END_STREAM, 1, &get("/never"))).await;
    let header = [&[0x00, 1, b'x', 0x7f, 0x81, 0x7d][..], &[b'z'; 16_128][..]].concat();
    let ended = floods(&mut flood, 4000, |_| frame(CONTINUATION, 0, 1, &header)).await;
    assert!(ended, "64 MiB of one head were taken");
    assert_eq!(server.handle.counts().requests, 0);
    server.serves().await;
    until(|| server.handle.connections() == 0).await;
    server.stops().await.unwrap();
}

pub(crate) async fn a_client_whose_window_stays_shut_is_cut_however_much_it_pings() {
    let server = Server::start(|serve| serve.stall_timeout(span(40))).await;
    let mut client = Second::connect(&server).await;
    client.gets(1, "/endless").await;
    client.gets(3, "/events").await;
    until(|| server.seen.bodies.get() == 2).await;
    let start = now();
    loop {
        // It takes all that comes, and goes on to ping; of what the answer waits for it gives nothing.
        if client.client.tries(frame(PING, 0, 0, &[7; 8])).await.is_err() {
            break;
        }
        if let Ok(None) = timeout(span(1), client.next()).await {
            break;
        }
        sleep(span(1)).await;
    }
    assert!(!is_simulated() || now() - start < span(100), "{:?}", now() - start);
    until(|| server.seen.bodies.get() == 0).await;
    assert!(server.seen.made.get() < 4 << 20);
    server.stops().await.unwrap();
}

pub(crate) async fn events_that_are_rare_are_no_stall_of_http_2() {
    let server = Server::start(|serve| serve.stall_timeout(span(1)).idle_timeout(span(1))).await;
    let mut client = Second::connect(&server).await;
    client.gets(1, "/events").await;
    for _ in 0..20 {
        client.frame_of(DATA).await;
        client.client.says(frame(WINDOW_UPDATE, 0, 0, &6u32.to_be_bytes())).await;
    }
    server.stops().await.unwrap();
}

pub(crate) async fn a_stream_that_hangs_is_answered_503_whatever_those_beside_it_do() {
    let server = Server::start(|serve| serve.request_timeout(span(20))).await;
    let mut client = Second::connect(&server).await;
    client.gets(1, "/hang").await;
    until(|| server.seen.hanging.get() == 1).await;
    for number in 1..20 {
        sleep(span(2)).await;
        client.gets(2 * number + 1, "/beside").await;
    }
    assert_eq!((server.seen.hanging.get(), server.handle.counts().late), (0, 1));
    drop(client);
    server.stops().await.unwrap();
}
