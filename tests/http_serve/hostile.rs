//! What no client of good faith sends by HTTP/1.

use annulus::time::sleep;

use crate::served::{Client, Server, span, until};

/// Says something and reads all answers until the end, which must come.
async fn said(server: &Server, bytes: impl AsRef<[u8]>) -> (Vec<u16>, String) {
    let mut client = server.connect().await;
    // Refused amid of it, who goes on to say it meets a reset.
    let _ = client.tries(bytes).await;
    let _ = client.stream.shutdown(std::net::Shutdown::Write).await;
    let text = String::from_utf8_lossy(&client.rest().await).into_owned();
    let statuses =
        text.match_indices("HTTP/1.1 ").map(|(place, _)| text[place + 9..place + 12].parse().unwrap());
    (statuses.collect(), text)
}

pub(crate) async fn heads_that_are_too_large_or_none_are_refused_and_no_service_is_asked() {
    let server = Server::start(|serve| serve).await;
    let many = format!("GET / HTTP/1.1\r\nhost: h\r\n{}\r\n", "a: b\r\n".repeat(500));
    let (statuses, text) = said(&server, many).await;
    assert_eq!(statuses, [431], "{text}");
    let garbage: [&[u8]; 7] = [
        b"\0\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nname : value\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nx: \0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    ];
    for bytes in garbage {
        let (statuses, text) = said(&server, bytes).await;
        assert!(statuses.iter().all(|status| *status == 400) && statuses.len() <= 1, "{bytes:?}: {text}");
    }
    assert_eq!(server.handle.counts().requests, 0);
    server.serves().await;
    server.stops().await.unwrap();
}

pub(crate) async fn a_head_without_an_end_is_bounded_however_fast_it_comes() {
    let server = Server::start(|serve| serve).await;
    for bomb in ["GET /", "GET / HTTP/1.1\r\nhost: h\r\nx: "] {
        let mut client = server.connect().await;
        client.says(bomb).await;
        let mut taken = 0;
        // A reset, once the server has closed: what came before it is lost, as a rule.
        while taken < 64 << 20 && client.tries([b'a'; 64 << 10]).await.is_ok() {
            taken += 64 << 10;
        }
        assert!(taken < 64 << 20, "64 MiB of one head were taken");
        until(|| server.handle.connections() == 0).await;
    }
    assert_eq!(server.handle.counts().requests, 0);
    server.serves().await;
    server.stops().await.unwrap();
}

pub(crate) async fn chunks_that_are_none_end_their_connection_alone() {
    let server = Server::start(|serve| serve).await;
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "5\r\nab\r\n0\r\n\r\n",
        "-1\r\n",
        "ffffffffffffffffff\r\nx",
        "3;\0\r\nabc\r\n",
        "\r\n",
    ] {
        let head = "POST /echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
        // The one behind is asked for by nobody.
        let (statuses, text) =
            said(&server, format!("{head}{chunks}GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n")).await;
        assert!(!statuses.contains(&200) && !text.contains("smuggled"), "{chunks:?}: {text}");
        server.serves().await;
    }
    server.stops().await.unwrap();
}

pub(crate) async fn a_request_of_two_lengths_is_read_in_one_way_alone() {
    let server = Server::start(|serve| serve).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n";
    let length = smuggled.len() + 5;
    // Both: the chunks hold, as RFC 9112, 6.3 has it, and what follows them is a request of its own; or it is refused.
    let both = format!(
        "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
    );
    let (statuses, text) = said(&server, both).await;
    assert!(matches!(&statuses[..], [200] | [200, 200] | [400]), "{text}");
    for lengths in [
        "content-length: 1\r\ncontent-length: 40\r\n",
        "content-length: 1, 40\r\n",
        "content-length: +1\r\n",
        "content-length: -1\r\n",
        "content-length: 0x1\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding: identity\r\n",
    ] {
        let (statuses, text) =
            said(&server, format!("POST /echo HTTP/1.1\r\nhost: h\r\n{lengths}\r\nx{smuggled}")).await;
        assert!(!text.contains("GET /smuggled") && !statuses.contains(&200), "{lengths:?}: {text}");
    }
    // HTTP/1.0 knows no chunks.
    let old = format!("POST /echo HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}");
    let (statuses, text) = said(&server, old).await;
    assert!(!statuses.contains(&200), "{text}");
    server.stops().await.unwrap();
}

pub(crate) async fn clients_that_vanish_at_any_moment_leave_nothing() {
    let server = Server::start(|serve| serve).await;
    let request = "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbodyGET /hang HTTP/1.1\r\nhost: h\r\n\r\n";
    for length in 0..=request.len() {
        for resets in [false, true] {
            let mut client: Client = server.connect().await;
            client.says(&request[..length]).await;
            if resets {
                client.stream.set_linger(Some(std::time::Duration::ZERO)).unwrap();
            }
            if length % 3 == 0 {
                sleep(span(1) / 8).await;
            }
            drop(client);
        }
    }
    server.serves().await;
    until(|| server.handle.connections() == 0 && server.seen.hanging.get() == 0).await;
    server.stops().await.unwrap();
}
