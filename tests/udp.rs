//! UDP: datagrams, each whole, from whom they came, and with what.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use annulus::buf::IoBuf;
use annulus::net::{Ancillary, Interface, Outgoing, PacketInfo, UdpSocket};
use annulus::time::{sleep, timeout};
use annulus::{spawn, yield_now};
use support::data::{Dice, seed};
use support::outside::arrival;
use support::races::{begin, metrics, or_given_up};
use support::{is_simulated, on_every_driver, on_real_drivers, skipped};

on_every_driver! {
    datagrams_keep_their_bounds_and_say_who_sent_them,
    an_empty_datagram_is_a_datagram,
    a_datagram_that_is_too_long_for_the_buffer_is_told_to_be_cut_off,
    a_peek_leaves_the_datagram_where_it_is,
    several_buffers_are_one_datagram,
    a_connected_socket_hears_its_peer_only,
    a_refusal_is_told_once,
    a_receive_that_is_cancelled_gives_its_buffer_back,
    a_dropped_receive_leaves_its_datagram_as_it_was,
    a_dropped_receive_leaves_an_empty_datagram,
    a_left_datagram_is_cut_off_to_the_room_of_the_next_receive,
    a_left_datagram_can_be_looked_at,
    a_left_datagram_makes_the_socket_readable,
    dropped_receives_lose_no_datagram,
    ten_thousand_datagrams_come_with_few_calls,
    a_socket_is_shared_by_tasks,
    a_closed_socket_ends_its_receive,
    what_is_known_of_a_datagram_is_told,
    a_datagram_comes_from_the_address_that_was_asked_for,
    control_data_that_has_no_room_is_told_to_be_cut_off,
    a_dropped_receive_leaves_control_data,
    a_send_is_split_into_segments_and_joined_again,
    options_are_kept,
    sockets_share_a_port,
    a_name_without_an_address_is_an_error,
}

on_real_drivers! {
    because "a simulated world has no groups": groups_are_joined_and_left, one_source_of_a_group_is_heard;
    because "a simulated world has nothing to do with sockets of the standard library":
        a_socket_is_given_to_the_standard_library_with_what_was_left,
        a_receive_that_was_just_dropped_is_settled_before_the_socket_is_given_away,
        a_socket_is_taken_from_the_standard_library;
    because "a simulated world has one interface": a_socket_is_bound_to_an_interface;
}

const HERE: &str = "127.0.0.1:0";

async fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(HERE).await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn couple() -> (UdpSocket, UdpSocket) {
    let ((one, at), (other, there)) = (bound().await, bound().await);
    one.connect(there).await.unwrap();
    other.connect(at).await.unwrap();
    (one, other)
}

fn room() -> Vec<u8> {
    Vec::with_capacity(2000)
}

/// What comes next, and from whom.
async fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let (received, buffer) = socket.recv_from(room()).await;
    let received = received.unwrap();
    assert_eq!((received.len, received.truncated), (buffer.len(), false));
    (buffer, received.from)
}

async fn nothing_comes(socket: &UdpSocket) {
    let (received, _) = socket.recv(room()).timeout(Duration::from_millis(20)).await;
    assert_eq!(received.unwrap_err().kind(), ErrorKind::TimedOut);
}

async fn datagrams_keep_their_bounds_and_say_who_sent_them() {
    let ((server, there), (one, at), (other, elsewhere)) = (bound().await, bound().await, bound().await);
    for text in ["first", "second", "third"] {
        assert_eq!(one.send_to(text, there).await.0.unwrap(), text.len());
        // On the way they may overtake each other.
        arrival().await;
    }
    assert_eq!(other.send_to("fourth".to_owned(), there).await.0.unwrap(), 6);
    for text in ["first", "second", "third"] {
        assert_eq!(next(&server).await, (text.into(), at));
    }
    assert_eq!(next(&server).await, (b"fourth".into(), elsewhere));
    // And back, on the same socket.
    server.send_to("answer", at).await.0.unwrap();
    assert_eq!(next(&one).await, (b"answer".into(), there));
    assert_eq!(one.local_addr().unwrap(), at);
    assert_eq!(one.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    server.close().await.unwrap();
}

async fn an_empty_datagram_is_a_datagram() {
    let (one, other) = couple().await;
    assert_eq!(one.send("").await.0.unwrap(), 0);
    arrival().await;
    one.send("not empty").await.0.unwrap();
    let (received, buffer) = other.recv(room()).await;
    assert_eq!((received.unwrap().len, buffer.len()), (0, 0));
    // Into no room at all: the whole of it is cut off, and gone.
    let (received, _) = other.recv(Vec::new()).await;
    let received = received.unwrap();
    assert_eq!((received.len, received.truncated), (0, true));
    nothing_comes(&other).await;
}

async fn a_datagram_that_is_too_long_for_the_buffer_is_told_to_be_cut_off() {
    let ((server, there), (client, at)) = (bound().await, bound().await);
    let send = |text| {
        let client = &client;
        async move {
            client.send_to(text, there).await.0.unwrap();
            arrival().await;
        }
    };
    send("a long one").await;
    let (received, buffer) = server.recv_from(vec![b'.'; 6].into_boxed_slice()).await;
    let received = received.unwrap();
    assert_eq!((received.len, received.truncated, received.from), (6, true, at));
    assert_eq!(&buffer[..], b"a long");
    send("a long one").await;
    let (received, buffer) = server.recv(Vec::with_capacity(4)).await;
    assert_eq!((received.unwrap().truncated, &buffer[..]), (true, &b"a lo"[..]));
    send("a long one").await;
    let (message, buffer) = server.recv_message(Vec::with_capacity(4)).await;
    assert_eq!((message.unwrap().truncated, &buffer[..]), (true, &b"a lo"[..]));
    // It fits exactly.
    send("abcd").await;
    let (received, buffer) = server.recv(vec![b'.'; 4].into_boxed_slice()).await;
    assert_eq!((received.unwrap().truncated, &buffer[..]), (false, &b"abcd"[..]));
    nothing_comes(&server).await;
}

async fn a_peek_leaves_the_datagram_where_it_is() {
    let ((server, there), (client, at)) = (bound().await, bound().await);
    client.send_to("peekaboo", there).await.0.unwrap();
    let (peeked, buffer) = server.peek_from(Vec::with_capacity(4)).await;
    let peeked = peeked.unwrap();
    assert_eq!((peeked.len, peeked.truncated, peeked.from, &buffer[..]), (4, true, at, &b"peek"[..]));
    let (peeked, buffer) = server.peek(room()).await;
    assert_eq!((peeked.unwrap().truncated, &buffer[..]), (false, &b"peekaboo"[..]));
    // A peek that is dropped takes nothing.
    drop(server.peek(room()));
    let mut peek = server.peek(room());
    let _ = begin(&mut peek);
    sleep(Duration::from_millis(5)).await;
    drop(peek);
    assert_eq!(next(&server).await, (b"peekaboo".into(), at));
    nothing_comes(&server).await;
}

async fn several_buffers_are_one_datagram() {
    let ((server, there), (client, at)) = (bound().await, bound().await);
    client.send_to_vectored(vec!["he", "", "llo"], there).await.0.unwrap();
    let rooms = || vec![Vec::with_capacity(1), Vec::with_capacity(3), Vec::with_capacity(100)];
    let (received, parts) = server.recv_from_vectored(rooms()).await;
    assert_eq!((received.unwrap().len, parts.concat()), (5, b"hello".to_vec()));
    assert_eq!(parts[1].len(), 3.min(parts[1].capacity()));
    client.connect(there).await.unwrap();
    client.send_vectored(vec!["good ", "bye"]).await.0.unwrap();
    let (received, parts) = server.recv_vectored(rooms()).await;
    assert_eq!((received.unwrap().len, parts.concat()), (8, b"good bye".to_vec()));
    client.send_message_vectored(vec!["a", "b"], None, Ancillary::new()).await.0.unwrap();
    let (message, parts) = server.recv_message_vectored(rooms(), 64).await;
    let message = message.unwrap();
    assert_eq!((message.len, message.from, parts.concat()), (2, at, b"ab".to_vec()));
    assert!(message.control.is_empty());
}

async fn a_connected_socket_hears_its_peer_only() {
    let (one, other) = couple().await;
    let (stranger, _) = bound().await;
    stranger.send_to("nonsense", other.local_addr().unwrap()).await.0.unwrap();
    arrival().await;
    one.send("sense").await.0.unwrap();
    assert_eq!(next(&other).await, (b"sense".into(), one.local_addr().unwrap()));
    nothing_comes(&other).await;
    assert_eq!(other.peer_addr().unwrap(), one.local_addr().unwrap());
}

async fn a_refusal_is_told_once() {
    let (one, other) = couple().await;
    other.close().await.unwrap();
    one.send("x").await.0.unwrap();
    arrival().await;
    let (received, _) = one.recv(room()).await;
    assert_eq!(received.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    nothing_comes(&one).await;
    one.send("x").await.0.unwrap();
    arrival().await;
    assert_eq!(one.send("x").await.0.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    arrival().await;
    // The datagram that was refused with an error was not sent.
    assert!(one.take_error().unwrap().is_none());
    // A receive that is dropped leaves the refusal to the next one.
    let mut receive = one.recv(room());
    assert!(begin(&mut receive).is_pending());
    sleep(Duration::from_millis(5)).await;
    one.send("x").await.0.unwrap();
    arrival().await;
    drop(receive);
    let (received, _) = one.recv(room()).await;
    assert_eq!(received.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    nothing_comes(&one).await;
}

async fn a_receive_that_is_cancelled_gives_its_buffer_back() {
    let (socket, _) = bound().await;
    let mut receive = socket.recv_from(room());
    assert!(begin(&mut receive).is_pending());
    yield_now().await;
    receive.cancel();
    let (received, buffer) = receive.await;
    assert_eq!(received.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!((buffer.len(), buffer.capacity()), (0, 2000));
    let (received, parts) =
        socket.recv_vectored(vec![vec![1], vec![2]]).timeout(Duration::from_millis(2)).await;
    assert_eq!(received.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(parts, [[1], [2]]);
}

/// A receive of each kind that was under way when a datagram came, and was dropped without a look at the answer.
async fn left_by_each(text: &'static str, then: impl AsyncFn(&UdpSocket, SocketAddr)) {
    for kind in 0..5 {
        let ((server, there), (client, at)) = (bound().await, bound().await);
        macro_rules! leave {
            ($receive:expr) => {{
                let mut receive = $receive;
                assert!(begin(&mut receive).is_pending());
                sleep(Duration::from_millis(5)).await;
                client.send_to(text, there).await.0.unwrap();
                arrival().await;
                drop(receive);
            }};
        }
        match kind {
            0 => leave!(server.recv(room())),
            1 => leave!(server.recv_from(room())),
            2 => leave!(server.recv_message(room())),
            3 => leave!(server.recv_vectored(vec![vec![0; 3], room()])),
            _ => leave!(server.recv_many(vec![room(), room()])),
        }
        then(&server, at).await;
        nothing_comes(&server).await;
    }
}

async fn a_dropped_receive_leaves_its_datagram_as_it_was() {
    left_by_each("lost and found", async |server, at| {
        let before = metrics().submitted;
        let (received, buffer) = server.recv_from(room()).await;
        match received {
            Ok(received) => {
                assert_eq!(buffer, b"lost and found");
                assert_eq!((received.len, received.truncated), (14, false));
                // Who does not ask is not told, and neither is who comes after.
                assert_eq!(received.from, at);
            }
            Err(error) => panic!("{error}"),
        }
        // A simulated system may have said "not ready after all", and left it where it was.
        assert!(is_simulated() || metrics().submitted == before, "it was at hand");
    })
    .await;
}

async fn a_dropped_receive_leaves_an_empty_datagram() {
    left_by_each("", async |server, at| assert_eq!(next(server).await, (b"".into(), at))).await;
}

async fn a_left_datagram_is_cut_off_to_the_room_of_the_next_receive() {
    left_by_each("a long one", async |server, _| {
        let (received, buffer) = server.recv(Vec::with_capacity(4)).await;
        assert_eq!((received.unwrap().truncated, &buffer[..]), (true, &b"a lo"[..]));
    })
    .await;
}

async fn a_left_datagram_can_be_looked_at() {
    left_by_each("look", async |server, at| {
        let (peeked, buffer) = server.peek_from(Vec::with_capacity(2)).await;
        let peeked = peeked.unwrap();
        assert_eq!((peeked.truncated, peeked.from, &buffer[..]), (true, at, &b"lo"[..]));
        assert_eq!(next(server).await, (b"look".into(), at));
    })
    .await;
}

async fn a_left_datagram_makes_the_socket_readable() {
    left_by_each("x", async |server, _| {
        timeout(Duration::from_secs(5), server.readable()).await.unwrap().unwrap();
        let (received, parts) = server.recv_vectored(vec![Vec::with_capacity(0), room()]).await;
        assert_eq!((received.unwrap().len, parts.concat()), (1, b"x".to_vec()));
    })
    .await;
}

/// So many that they fit into the socket's buffer at once.
const AT_ONCE: u32 = 20;

async fn dropped_receives_lose_no_datagram() {
    let ((server, there), (client, at)) = (bound().await, bound().await);
    let client = Rc::new(client);
    let mut dice = Dice::new(seed());
    let (mut given_up, mut at_hand) = (0, 0);
    let rounds = if is_simulated() { 40 } else { 200 };
    for round in 0..rounds {
        let mut awaited = BTreeSet::new();
        let sending = {
            let client = Rc::clone(&client);
            let mut dice = Dice::new(seed() + round);
            spawn(async move {
                for number in 0..AT_ONCE {
                    let bytes = vec![number as u8; number as usize];
                    client.send_to(bytes, there).await.0.unwrap();
                    if dice.below(2) == 0 {
                        sleep(dice.micros(100)).await;
                    }
                }
            })
        };
        let mut take = |bytes: &[u8], from: Option<SocketAddr>| {
            assert!(bytes.iter().all(|byte| usize::from(*byte) == bytes.len()), "whole, and of one send");
            assert!(from.is_none_or(|from| from == at));
            assert!(awaited.insert(bytes.len()), "nothing comes twice");
            awaited.len()
        };
        let mut count = 0;
        while count < AT_ONCE as usize {
            let before = metrics().submitted;
            match dice.below(6) {
                0 => match or_given_up(server.recv(room()), &mut dice, 200).await {
                    Some((received, bytes)) => {
                        assert_eq!(received.unwrap().len, bytes.len());
                        count = take(&bytes, None);
                    }
                    None => given_up += 1,
                },
                1 => match or_given_up(server.recv_message(room()), &mut dice, 200).await {
                    Some((message, bytes)) => count = take(&bytes, Some(message.unwrap().from)),
                    None => given_up += 1,
                },
                2 => {
                    let rooms = vec![Vec::with_capacity(3), room()];
                    match or_given_up(server.recv_from_vectored(rooms), &mut dice, 200).await {
                        Some((received, parts)) => {
                            count = take(&parts.concat(), Some(received.unwrap().from))
                        }
                        None => given_up += 1,
                    }
                }
                3 => {
                    let rooms = (0..1 + dice.below(4)).map(|_| room()).collect();
                    match or_given_up(server.recv_many(rooms), &mut dice, 200).await {
                        Some((messages, buffers)) => {
                            for (message, bytes) in messages.unwrap().into_iter().zip(buffers) {
                                assert_eq!(message.len, bytes.len());
                                count = take(&bytes, Some(message.from));
                            }
                        }
                        None => given_up += 1,
                    }
                }
                4 => {
                    let _ = or_given_up(server.peek(room()), &mut dice, 200).await;
                }
                _ => match or_given_up(server.recv_from(room()), &mut dice, 200).await {
                    Some((received, bytes)) => {
                        at_hand += u32::from(metrics().submitted == before);
                        count = take(&bytes, Some(received.unwrap().from));
                    }
                    None => given_up += 1,
                },
            }
        }
        sending.await.unwrap();
    }
    println!("{given_up} given up, {at_hand} at hand");
    assert!(given_up > rounds as u32 / 4, "a race: {given_up}");
    nothing_comes(&server).await;
}

async fn ten_thousand_datagrams_come_with_few_calls() {
    const COUNT: u32 = 10_000;
    let ((server, there), (client, at)) = (bound().await, bound().await);
    let mut rooms: Vec<_> = (0..64).map(|_| Vec::with_capacity(16)).collect();
    let (mut got, mut calls) = (BTreeSet::new(), 0);
    for first in (0..COUNT).step_by(AT_ONCE as usize) {
        let numbers = first..first + AT_ONCE;
        let messages = numbers.map(|number| Outgoing::new(number.to_le_bytes().to_vec()).to(there));
        let (sent, _) = client.send_many(messages).await;
        assert_eq!(sent.unwrap(), AT_ONCE as usize);
        while got.len() < (first + AT_ONCE) as usize {
            let (messages, filled) = server.recv_many(rooms).await;
            calls += 1;
            for (message, bytes) in messages.unwrap().iter().zip(&filled) {
                assert_eq!((message.from, message.len, message.truncated), (at, 4, false));
                assert!(got.insert(u32::from_le_bytes(bytes[..].try_into().unwrap())), "nothing comes twice");
            }
            rooms = filled;
        }
    }
    assert_eq!(got.last(), Some(&(COUNT - 1)));
    println!("{calls} receives");
    if !is_simulated() {
        // Over loopback a datagram is there when it is sent.
        assert_eq!(calls, COUNT / AT_ONCE);
    }
}

async fn a_socket_is_shared_by_tasks() {
    let ((server, there), (client, _)) = (bound().await, bound().await);
    let server = Rc::new(server);
    let got = Rc::new(RefCell::new(BTreeSet::new()));
    let shares = Rc::new([Cell::new(0), Cell::new(0)]);
    let tasks: Vec<_> = (0..2)
        .map(|task| {
            let (server, got, shares) = (Rc::clone(&server), Rc::clone(&got), Rc::clone(&shares));
            spawn(async move {
                while got.borrow().len() < 100 {
                    let (received, bytes) = server.recv(room()).timeout(Duration::from_millis(50)).await;
                    if received.is_ok() {
                        assert!(got.borrow_mut().insert(bytes), "nothing comes twice");
                        shares[task].set(shares[task].get() + 1);
                    }
                    yield_now().await;
                }
            })
        })
        .collect();
    for number in 0..100 {
        client.send_to(format!("{number}"), there).await.0.unwrap();
        yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(got.borrow().len(), 100);
    assert!(shares.iter().all(|share| share.get() > 0), "both had some: {shares:?}");
}

async fn a_closed_socket_ends_its_receive() {
    let (socket, address) = bound().await;
    let mut receive = socket.recv_from(room());
    assert!(begin(&mut receive).is_pending());
    yield_now().await;
    socket.close().await.unwrap();
    let (received, buffer) = receive.await;
    assert_eq!(received.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buffer.capacity(), 2000);
    // The address is free again.
    UdpSocket::bind(address).await.unwrap();
}

async fn what_is_known_of_a_datagram_is_told() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        if is_simulated() && address.starts_with('[') {
            continue;
        }
        let any = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        let server = UdpSocket::bind(any).await.unwrap();
        server.set_receive_packet_info(true).unwrap();
        server.set_receive_traffic_class(true).unwrap();
        server.set_receive_hop_limit(true).unwrap();
        server.set_receive_timestamps(true).unwrap();
        let client = UdpSocket::bind(address).await.unwrap();
        let there = SocketAddr::new(client.local_addr().unwrap().ip(), server.local_addr().unwrap().port());
        let before = SystemTime::now();
        let with = Ancillary::new().with_traffic_class(0b1010_0010).with_hop_limit(9);
        client.send_message("hello", Some(there), with).await.0.unwrap();
        let (message, buffer) = server.recv_message(room()).await;
        let message = message.unwrap();
        assert_eq!((message.len, &buffer[..], message.truncated), (5, &b"hello"[..], false));
        assert_eq!((message.from, message.control_truncated), (client.local_addr().unwrap(), false));
        let control = message.control;
        let info = control.packet_info().unwrap();
        assert_eq!(info.address, there.ip());
        assert_ne!(info.interface, 0);
        assert_eq!((control.traffic_class(), control.congestion()), (Some(0b1010_0010), Some(2)));
        assert_eq!(control.hop_limit(), Some(9));
        let at = control.timestamp().unwrap();
        if !is_simulated() {
            let span = at.duration_since(before - Duration::from_secs(1)).unwrap();
            assert!(span < Duration::from_secs(60), "{span:?}");
        }
        assert_eq!(control.segment_size(), None);
        assert!(control.descriptors().is_empty() && control.others().is_empty());
        // Who is not told anything loses nothing else by it.
        client.set_traffic_class(0b100).unwrap();
        client.send_to("plain", there).await.0.unwrap();
        assert_eq!(next(&server).await, (b"plain".into(), client.local_addr().unwrap()));
        client.send_to("classy", there).await.0.unwrap();
        let (message, _) = server.recv_message(room()).await;
        assert_eq!(message.unwrap().control.traffic_class(), Some(0b100));
        // What was told of one message is not told of the next, which may be received into the same memory.
        for text in ["first", "second"] {
            client.send_to(text, there).await.0.unwrap();
        }
        arrival().await;
        let (message, _) = server.recv_message(room()).await;
        assert!(message.unwrap().control.packet_info().is_some());
        server.set_receive_packet_info(false).unwrap();
        server.set_receive_traffic_class(false).unwrap();
        server.set_receive_hop_limit(false).unwrap();
        server.set_receive_timestamps(false).unwrap();
        let (message, _) = server.recv_message(room()).await;
        assert!(message.unwrap().control.is_empty());
    }
}

async fn a_datagram_comes_from_the_address_that_was_asked_for() {
    let (server, there) = bound().await;
    let client = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let port = client.local_addr().unwrap().port();
    for last in [1, 2, 77] {
        let address = IpAddr::from([127, 0, 0, last]);
        let with = Ancillary::new().with_packet_info(PacketInfo { address, interface: 0 });
        client.send_message("x", Some(there), with).await.0.unwrap();
        assert_eq!(next(&server).await, (b"x".into(), SocketAddr::new(address, port)));
    }
    // Not one of this host's.
    let address = IpAddr::from([203, 0, 113, 1]);
    let with = Ancillary::new().with_packet_info(PacketInfo { address, interface: 0 });
    assert!(client.send_message("x", Some(there), with).await.0.is_err());
}

async fn control_data_that_has_no_room_is_told_to_be_cut_off() {
    let ((server, there), (client, _)) = (bound().await, bound().await);
    server.set_receive_packet_info(true).unwrap();
    for room_for_control in [0, 8] {
        client.send_to("x", there).await.0.unwrap();
        let (message, _) = server.recv_message_vectored(vec![room()], room_for_control).await;
        let message = message.unwrap();
        assert!(message.control.is_empty() && message.control_truncated && !message.truncated);
    }
}

async fn a_dropped_receive_leaves_control_data() {
    let ((server, there), (client, at)) = (bound().await, bound().await);
    server.set_receive_packet_info(true).unwrap();
    let mut receive = server.recv_message(room());
    assert!(begin(&mut receive).is_pending());
    sleep(Duration::from_millis(5)).await;
    client.send_to("hello", there).await.0.unwrap();
    arrival().await;
    drop(receive);
    assert_eq!(server.peek(room()).await.0.unwrap().len, 5);
    let (message, buffer) = server.recv_message(room()).await;
    let message = message.unwrap();
    assert_eq!((message.from, &buffer[..]), (at, &b"hello"[..]));
    assert_eq!(message.control.packet_info().unwrap().address, there.ip());
}

async fn a_send_is_split_into_segments_and_joined_again() {
    let ((server, there), (client, at)) = (bound().await, bound().await);
    let bytes: Vec<u8> = (0..2500u32).map(|byte| byte as u8).collect();
    let with = || Ancillary::new().with_segment_size(1000);
    match client.send_message(bytes.clone(), Some(there), with()).await.0 {
        Ok(count) => assert_eq!(count, 2500),
        Err(error) => return skipped("segments", &format!("this kernel does not split: {error}")),
    }
    let mut got = Vec::new();
    for length in [1000, 1000, 500] {
        let (part, from) = next(&server).await;
        assert_eq!((part.len(), from), (length, at));
        got.extend(part);
        // In a simulated world parts may overtake each other.
    }
    got.sort_unstable();
    let mut wanted = bytes.clone();
    wanted.sort_unstable();
    assert_eq!(got, wanted);
    // The socket's own size.
    client.set_segment_size(500).unwrap();
    assert_eq!(client.segment_size().unwrap(), 500);
    client.send_to(bytes[..1200].to_vec(), there).await.0.unwrap();
    let mut lengths = Vec::new();
    for _ in 0..3 {
        lengths.push(next(&server).await.0.len());
    }
    lengths.sort_unstable();
    assert_eq!(lengths, [200, 500, 500]);
    client.set_segment_size(0).unwrap();

    server.set_receive_joined(true).unwrap();
    assert!(server.receive_joined().unwrap());
    client.send_message(bytes[..2000].to_vec(), Some(there), with()).await.0.unwrap();
    arrival().await;
    let (message, buffer) = server.recv_message(Vec::with_capacity(65536)).await;
    let message = message.unwrap();
    if message.len == 1000 && message.control.segment_size().is_none() && !is_simulated() {
        return skipped("joining", "this kernel hands out segments of loopback one by one");
    }
    assert_eq!((message.len, message.control.segment_size(), message.from), (2000, Some(1000), at));
    if !is_simulated() {
        assert_eq!(buffer, bytes[..2000]);
    }
    // One by itself says nothing of segments.
    client.send_to("alone", there).await.0.unwrap();
    let (message, _) = server.recv_message(room()).await;
    assert!(matches!(message.unwrap().control.segment_size(), None | Some(5)));
}

async fn options_are_kept() {
    let socket = UdpSocket::unbound_v4().await.unwrap();
    macro_rules! kept {
        ($($get:ident, $set:ident: $value:expr;)*) => {
            $(socket.$set($value).unwrap();
            assert_eq!(socket.$get().unwrap(), $value, stringify!($get));)*
        };
    }
    kept! {
        broadcast, set_broadcast: true;
        reuse_port, set_reuse_port: true;
        traffic_class, set_traffic_class: 0b1000;
        ttl, set_ttl: 17;
        segment_size, set_segment_size: 1200;
        receive_joined, set_receive_joined: true;
        receive_packet_info, set_receive_packet_info: true;
        receive_traffic_class, set_receive_traffic_class: true;
        receive_hop_limit, set_receive_hop_limit: true;
        receive_timestamps, set_receive_timestamps: true;
        dont_fragment, set_dont_fragment: true;
    }
    socket.set_recv_buffer_size(50_000).unwrap();
    assert!(socket.recv_buffer_size().unwrap() >= 50_000);
    socket.set_send_buffer_size(50_000).unwrap();
    assert!(socket.send_buffer_size().unwrap() >= 50_000);
    if !is_simulated() {
        kept! {
            multicast_loop, set_multicast_loop: false;
            multicast_ttl, set_multicast_ttl: 5;
            dont_fragment, set_dont_fragment: false;
        }
    }
    let v6 = UdpSocket::unbound_v6().await.unwrap();
    v6.set_only_v6(true).unwrap();
    assert!(v6.only_v6().unwrap());
    assert!(socket.only_v6().is_err(), "of IPv4");
    v6.set_ttl(18).unwrap();
    assert_eq!(v6.ttl().unwrap(), 18);
    assert_eq!(
        socket.bind_device(Some("a name that is too long")).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    // Without the option it is refused to send to all.
    let (plain, _) = bound().await;
    let all = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
    assert_eq!(plain.send_to("x", all).await.0.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

async fn sockets_share_a_port() {
    let (first, address) = {
        let first = UdpSocket::unbound_v4().await.unwrap();
        first.set_reuse_port(true).unwrap();
        first.bind_to(HERE.parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        (first, address)
    };
    let error = UdpSocket::bind(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains("choose another port"), "{error}");
    let second = UdpSocket::unbound_v4().await.unwrap();
    second.set_reuse_port(true).unwrap();
    second.bind_to(address).unwrap();
    assert_eq!(first.bind_to(address).unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn a_name_without_an_address_is_an_error() {
    assert_eq!(UdpSocket::bind("no port").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let (socket, _) = bound().await;
    assert!(socket.connect("no port").await.is_err());
    let error = socket.send("x").await.0.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ));
    let long = vec![0; 65_508];
    let (error, long) = socket.send_to(long, socket.local_addr().unwrap()).await;
    assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
    let (sent, _) = socket.send_to(long.slice(..65_507), socket.local_addr().unwrap()).await;
    assert_eq!(sent.unwrap(), 65_507);
}

async fn a_socket_is_given_to_the_standard_library_with_what_was_left() {
    for many in [false, true] {
        let ((server, there), (client, at)) = (bound().await, bound().await);
        {
            let mut receive = server.recv(room());
            let mut receive_many = server.recv_many(vec![room(), room(), room()]);
            match many {
                true => assert!(begin(&mut receive_many).is_pending()),
                false => assert!(begin(&mut receive).is_pending()),
            }
            sleep(Duration::from_millis(5)).await;
            for text in ["first", "second"] {
                client.send_to(text, there).await.0.unwrap();
            }
            arrival().await;
        }
        client.send_to("third", there).await.0.unwrap();
        let (std, left) = server.into_std().await.unwrap();
        let mut all: Vec<_> = left.into_iter().map(|left| (left.bytes, left.message.from)).collect();
        assert!(!all.is_empty());
        std.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut room = [0; 100];
        while let Ok((count, from)) = std.recv_from(&mut room) {
            all.push((room[..count].to_vec(), from));
        }
        let wanted = ["first", "second", "third"].map(|text| (text.as_bytes().to_vec(), at));
        assert_eq!(all, wanted);
        std.send_to(b"and out", at).unwrap();
        assert_eq!(next(&client).await.0, b"and out");
    }
}

async fn a_receive_that_was_just_dropped_is_settled_before_the_socket_is_given_away() {
    for many in [false, true] {
        let ((server, there), (client, at)) = (bound().await, bound().await);
        client.send_to("lost and found", there).await.0.unwrap();
        // It is there, and the kernel is given the receive only after it was dropped.
        match many {
            true => drop(begin(&mut server.recv_many(vec![room()]))),
            false => drop(begin(&mut server.recv(room()))),
        }
        let (std, left) = server.into_std().await.unwrap();
        std.set_nonblocking(true).unwrap();
        assert!(std.recv(&mut [0; 100]).is_err(), "the receive had it");
        assert_eq!(left.len(), 1);
        assert_eq!((&left[0].bytes[..], left[0].message.from), (&b"lost and found"[..], at));
    }
}

async fn a_socket_is_taken_from_the_standard_library() {
    let std = std::net::UdpSocket::bind(HERE).unwrap();
    let there = std.local_addr().unwrap();
    let socket = UdpSocket::from_std(std).unwrap();
    let (client, at) = bound().await;
    client.send_to("hello", there).await.0.unwrap();
    assert_eq!(next(&socket).await, (b"hello".into(), at));
    socket.close().await.unwrap();
    // It is closed: the address is free.
    UdpSocket::bind(there).await.unwrap();
}

async fn groups_are_joined_and_left() {
    // A group of this test alone: a socket that was told nothing else also hears groups that others have joined.
    static TESTS: AtomicU8 = AtomicU8::new(0);
    let number = TESTS.fetch_add(1, Ordering::Relaxed);
    let v4 = IpAddr::from([239, 255, std::process::id() as u8, 9 + number]);
    let server = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let to = SocketAddr::new(v4, server.local_addr().unwrap().port());
    let client = UdpSocket::bind(HERE).await.unwrap();
    client.set_multicast_interface(Ipv4Addr::LOCALHOST).unwrap();
    server.join_multicast(v4, Ipv4Addr::LOCALHOST).unwrap();
    assert_eq!(client.send_to("to all", to).await.0.unwrap(), 6);
    assert_eq!(next(&server).await.0, b"to all");
    server.leave_multicast(v4, Ipv4Addr::LOCALHOST).unwrap();
    client.send_to("to nobody", to).await.0.unwrap();
    nothing_comes(&server).await;
    assert!(server.leave_multicast(v4, Ipv4Addr::LOCALHOST).is_err());
    // By the interface's index.
    server.join_multicast(v4, 1).unwrap();
    client.set_multicast_interface(1).unwrap();
    client.send_to("again", to).await.0.unwrap();
    assert_eq!(next(&server).await.0, b"again");
    // IPv6.
    let Ok(server) = UdpSocket::bind("[::]:0").await else { return };
    let v6: IpAddr = "ff02::7:9".parse().unwrap();
    server.join_multicast(v6, 1).unwrap();
    let client = UdpSocket::bind("[::1]:0").await.unwrap();
    client.set_multicast_interface(1).unwrap();
    let to = SocketAddr::new(v6, server.local_addr().unwrap().port());
    match client.send_to("six", to).await.0 {
        Ok(_) => assert_eq!(next(&server).await.0, b"six"),
        // Where the loopback interface has no route for groups.
        Err(error) => skipped("groups of IPv6", &error.to_string()),
    }
    server.leave_multicast(v6, Interface::Index(1)).unwrap();
    assert_eq!(server.join_multicast(v6, Ipv4Addr::LOCALHOST).unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn one_source_of_a_group_is_heard() {
    let group = IpAddr::from([232, 7, 7, 7]);
    let server = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let to = SocketAddr::new(group, server.local_addr().unwrap().port());
    let wanted = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let unwanted = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let (source, here) = (IpAddr::from([127, 0, 0, 1]), Ipv4Addr::LOCALHOST);
    for socket in [&wanted, &unwanted] {
        socket.set_multicast_interface(here).unwrap();
    }
    for interface in [Interface::Address(here), Interface::Index(1)] {
        server.join_multicast_source(group, source, interface).unwrap();
        unwanted.send_to("not for us", to).await.0.unwrap();
        wanted.send_to("for us", to).await.0.unwrap();
        assert_eq!(next(&server).await, (b"for us".into(), wanted.local_addr().unwrap()));
        nothing_comes(&server).await;
        server.leave_multicast_source(group, source, interface).unwrap();
    }
    let v6 = "::1".parse().unwrap();
    let error = server.join_multicast_source(group, v6, Interface::Any).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn a_socket_is_bound_to_an_interface() {
    let (server, there) = bound().await;
    if let Err(error) = server.bind_device(Some("lo")) {
        return skipped("an interface", &error.to_string());
    }
    let (client, at) = bound().await;
    client.send_to("x", there).await.0.unwrap();
    assert_eq!(next(&server).await, (b"x".into(), at));
    assert!(server.bind_device(Some("no-such-device")).is_err());
}
