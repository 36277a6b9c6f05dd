//! Unix datagrams and sequenced packets: whole, in order, never lost, and with what they carry.
#![allow(unsafe_code, reason = "the system is asked what descriptors are open, and who we are")]

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;
use std::time::Duration;

use annulus::net::unix::{SocketAddr, UnixStream};
use annulus::net::{
    Ancillary, Credentials, Message, Outgoing, UnixDatagram, UnixSeqpacket, UnixSeqpacketListener,
};
use annulus::spawn;
use annulus::time::{sleep, timeout};
use support::data::{Dice, seed};
use support::outside::{arrival, directory};
use support::races::{begin, metrics, or_given_up};
use support::{is_simulated, on_every_driver, on_real_drivers};

on_every_driver! {
    datagrams_arrive_whole_and_in_order_and_say_who_sent_them,
    names_are_told,
    a_pair_is_connected,
    a_datagram_that_is_too_long_for_the_buffer_is_told_to_be_cut_off,
    an_empty_datagram_is_a_datagram,
    a_send_that_waits_for_room_sends_its_datagram_once,
    a_send_to_a_name_waits_for_room,
    dropped_receives_lose_no_datagram_and_keep_the_order,
    many_datagrams_go_with_few_calls,
    many_datagrams_to_a_name_are_as_many_as_there_is_room_for,
    a_peer_that_is_gone_is_told_once,
    packets_keep_their_bounds_and_end,
    packets_come_through_a_listener,
    a_dropped_accept_loses_no_connection,
    a_dropped_receive_loses_no_packet,
}

on_real_drivers! {
    because "a simulated world has no descriptors to pass":
        a_descriptor_is_passed,
        many_descriptors_are_passed,
        descriptors_that_have_no_room_are_closed,
        descriptors_of_a_dropped_receive_are_kept_for_the_next_or_closed,
        descriptors_of_a_plain_receive_are_closed,
        a_peek_leaves_descriptors_for_the_receive,
        packets_carry_descriptors,
        streams_carry_descriptors,
        descriptors_of_a_dropped_receive_of_a_stream_are_kept_or_closed;
    because "a simulated world has no users": who_sent_it_is_told;
}

#[cfg(feature = "sim")]
#[test]
fn a_simulated_world_says_that_it_has_no_descriptors_to_pass() {
    let runtime = annulus::Builder::new().driver(annulus::Driver::Sim(1)).build().unwrap();
    let error = runtime.run(async {
        let (one, _other) = UnixDatagram::pair().unwrap();
        let (_, writer) = watched();
        let with = Ancillary::new().with_descriptors([writer.into()]);
        one.send_message("x", with).await.0.unwrap_err()
    });
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("use a real driver"), "{error}");
}

fn room() -> Vec<u8> {
    Vec::with_capacity(2000)
}

async fn next(socket: &UnixDatagram) -> Vec<u8> {
    let (received, buffer) = timeout(Duration::from_secs(10), socket.recv(room())).await.unwrap();
    let received = received.unwrap();
    assert_eq!((received.len, received.truncated), (buffer.len(), false));
    buffer
}

async fn nothing_comes(socket: &UnixDatagram) {
    let (received, _) = socket.recv(room()).timeout(Duration::from_millis(20)).await;
    assert_eq!(received.unwrap_err().kind(), ErrorKind::TimedOut);
}

async fn datagrams_arrive_whole_and_in_order_and_say_who_sent_them() {
    let directory = directory().await;
    let (there, here) = (directory.path().join("server"), directory.path().join("client"));
    let server = UnixDatagram::bind(&there).await.unwrap();
    let client = UnixDatagram::bind(&here).await.unwrap();
    let nobody = UnixDatagram::unbound().await.unwrap();
    for text in ["first", "second", "third"] {
        assert_eq!(client.send_to(text, &there).await.0.unwrap(), text.len());
    }
    nobody.send_to("fourth", &there).await.0.unwrap();
    for text in ["first", "second", "third"] {
        let (received, buffer) = server.recv_from(room()).await;
        assert_eq!(received.unwrap().from.as_pathname(), Some(&*here));
        assert_eq!(buffer, text.as_bytes());
    }
    let (message, buffer) = server.recv_message(room()).await;
    let message = message.unwrap();
    assert!(message.from.is_unnamed() && message.control.is_empty());
    assert_eq!(buffer, b"fourth");
    server.connect(&here).await.unwrap();
    server.send("answer").await.0.unwrap();
    assert_eq!(next(&client).await, b"answer");
    // What is not there, and what was left.
    let error = client.send_to("x", directory.path().join("none")).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    server.close().await.unwrap();
    let error = client.send_to("x", &there).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let error = UnixDatagram::bind(&there).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

async fn names_are_told() {
    let directory = directory().await;
    let path = directory.path().join("name");
    let socket = UnixDatagram::bind(&path).await.unwrap();
    assert_eq!(socket.local_addr().unwrap().as_pathname(), Some(&*path));
    assert_eq!(socket.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    let other = UnixDatagram::unbound().await.unwrap();
    assert!(other.local_addr().unwrap().is_unnamed());
    other.connect(&path).await.unwrap();
    assert_eq!(other.peer_addr().unwrap(), socket.local_addr().unwrap());
    assert!(format!("{other:?}").starts_with("UnixDatagram"));
    if cfg!(target_os = "linux") {
        let name = format!("annulus-test-{}-{:p}", std::process::id(), &raw const socket);
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let hidden = UnixDatagram::bind_addr(&address).await.unwrap();
        assert_eq!(hidden.local_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        other.connect_addr(&address).await.unwrap();
        other.send("x").await.0.unwrap();
        hidden.connect(&path).await.unwrap();
        hidden.send("y").await.0.unwrap();
        let (received, _) = socket.recv_from(room()).await;
        assert_eq!(received.unwrap().from, address);
    }
    assert_eq!(UnixDatagram::bind("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(UnixDatagram::bind("x".repeat(200)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn a_pair_is_connected() {
    let (one, other) = UnixDatagram::pair().unwrap();
    one.send("there").await.0.unwrap();
    other.send_vectored(vec!["and ", "back"]).await.0.unwrap();
    assert_eq!((next(&other).await, next(&one).await), (b"there".to_vec(), b"and back".to_vec()));
    one.shutdown(Shutdown::Write).await.unwrap();
    assert_eq!(one.send("x").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

async fn a_datagram_that_is_too_long_for_the_buffer_is_told_to_be_cut_off() {
    let (one, other) = UnixDatagram::pair().unwrap();
    for _ in 0..3 {
        one.send("a long one").await.0.unwrap();
    }
    let (received, buffer) = other.peek(Vec::with_capacity(4)).await;
    assert_eq!((received.unwrap().truncated, &buffer[..]), (true, &b"a lo"[..]));
    let (received, parts) = other.recv_vectored(vec![vec![0; 1], vec![0; 2]]).await;
    let received = received.unwrap();
    assert!(received.truncated && received.len >= 3, "{received:?} {parts:?}");
    let (message, _) = other.recv_message(vec![0; 10].into_boxed_slice()).await;
    assert!(!message.unwrap().truncated);
    assert_eq!(next(&other).await, b"a long one");
    let error = one.send(vec![0; 10 << 20]).await.0.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
}

async fn an_empty_datagram_is_a_datagram() {
    let (one, other) = UnixDatagram::pair().unwrap();
    for text in ["", "between", ""] {
        one.send(text).await.0.unwrap();
    }
    for text in ["", "between", ""] {
        assert_eq!(next(&other).await, text.as_bytes());
    }
    nothing_comes(&other).await;
}

/// Sends until a send waits.
async fn fill(client: &UnixDatagram) -> u32 {
    let mut sent = 0;
    loop {
        let text = format!("{sent}");
        let length = text.len();
        match client.send(text).timeout(Duration::from_millis(20)).await.0 {
            Ok(count) => assert_eq!(count, length),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                return sent;
            }
        }
        sent += 1;
        assert!(sent < 100_000, "there is room for everything");
    }
}

async fn a_send_that_waits_for_room_sends_its_datagram_once() {
    let directory = directory().await;
    let path = directory.path().join("server");
    let server = UnixDatagram::bind(&path).await.unwrap();
    let client = UnixDatagram::unbound().await.unwrap();
    client.connect(&path).await.unwrap();
    let sent = fill(&client).await;
    let mut waits = client.send("it waited");
    assert!(begin(&mut waits).is_pending());
    sleep(Duration::from_millis(5)).await;
    assert!(begin(&mut waits).is_pending());
    for number in 0..sent {
        assert_eq!(next(&server).await, format!("{number}").as_bytes());
    }
    assert_eq!(timeout(Duration::from_secs(10), waits).await.unwrap().0.unwrap(), 9);
    assert_eq!(next(&server).await, b"it waited");
    nothing_comes(&server).await;
    // Given up, it was not sent.
    let sent = fill(&client).await;
    let mut waits = client.send("it was given up");
    assert!(begin(&mut waits).is_pending());
    sleep(Duration::from_millis(5)).await;
    drop(waits);
    for number in 0..sent {
        assert_eq!(next(&server).await, format!("{number}").as_bytes());
    }
    nothing_comes(&server).await;
}

async fn a_send_to_a_name_waits_for_room() {
    let directory = directory().await;
    let path = directory.path().join("server");
    let server = UnixDatagram::bind(&path).await.unwrap();
    let client = Rc::new(UnixDatagram::unbound().await.unwrap());
    let sending = {
        let (client, path) = (Rc::clone(&client), path.clone());
        spawn(async move {
            for number in 0..1000u32 {
                let text = format!("{number}");
                let length = text.len();
                assert_eq!(client.send_to(text, &path).await.0.unwrap(), length);
            }
        })
    };
    sleep(Duration::from_millis(30)).await;
    for number in 0..1000 {
        assert_eq!(next(&server).await, format!("{number}").as_bytes());
    }
    sending.await.unwrap();
    nothing_comes(&server).await;
    // Where somebody else has filled the queue, nothing of the sender's own tells it that there is room.
    let other = UnixDatagram::unbound().await.unwrap();
    other.connect(&path).await.unwrap();
    let sent = fill(&other).await;
    let sending = spawn(async move { client.send_to("at last", &path).await.0 });
    let before = metrics().enters;
    sleep(Duration::from_millis(30)).await;
    let enters = metrics().enters - before;
    assert!(enters < 500, "it does not try all the time: {enters} enters");
    for number in 0..sent {
        assert_eq!(next(&server).await, format!("{number}").as_bytes());
    }
    assert_eq!(next(&server).await, b"at last");
    assert_eq!(sending.await.unwrap().unwrap(), 7);
}

async fn dropped_receives_lose_no_datagram_and_keep_the_order() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let count = if is_simulated() { 500 } else { 5000 };
    let mut dice = Dice::new(seed());
    let sending = spawn(async move {
        let mut dice = Dice::new(seed() + 1);
        for number in 0..count {
            one.send(vec![(number % 251) as u8; number % 300]).await.0.unwrap();
            if dice.below(3) == 0 {
                sleep(dice.micros(200)).await;
            }
        }
        one
    });
    let (mut number, mut given_up) = (0, 0);
    let mut take = |bytes: &[u8]| {
        assert_eq!(bytes, vec![(number % 251) as u8; number % 300], "of number {number}");
        number += 1;
        number
    };
    let mut got = 0;
    while got < count {
        match dice.below(5) {
            0 => match or_given_up(other.recv_message(room()), &mut dice, 200).await {
                Some((message, bytes)) => {
                    message.unwrap();
                    got = take(&bytes);
                }
                None => given_up += 1,
            },
            1 => {
                let rooms = (0..1 + dice.below(6)).map(|_| room()).collect();
                match or_given_up(other.recv_many(rooms), &mut dice, 200).await {
                    Some((messages, buffers)) => {
                        let messages = messages.unwrap();
                        assert!(!messages.is_empty());
                        for (_, bytes) in messages.iter().zip(&buffers) {
                            got = take(bytes);
                        }
                    }
                    None => given_up += 1,
                }
            }
            2 => {
                let rooms = vec![Vec::with_capacity(7), room()];
                match or_given_up(other.recv_vectored(rooms), &mut dice, 200).await {
                    Some((received, parts)) => {
                        received.unwrap();
                        got = take(&parts.concat());
                    }
                    None => given_up += 1,
                }
            }
            3 => {
                let _ = or_given_up(other.peek(room()), &mut dice, 100).await;
            }
            _ => match or_given_up(other.recv(room()), &mut dice, 200).await {
                Some((received, bytes)) => {
                    received.unwrap();
                    got = take(&bytes);
                }
                None => given_up += 1,
            },
        }
    }
    println!("{given_up} given up");
    assert!(given_up > count / 20, "a race: {given_up} of {count}");
    let _one = sending.await.unwrap();
    nothing_comes(&other).await;
}

async fn many_datagrams_go_with_few_calls() {
    const COUNT: u32 = 10_000;
    let (one, other) = UnixDatagram::pair().unwrap();
    let sending = spawn(async move {
        let mut number = 0;
        while number < COUNT {
            let messages: Vec<_> = (number..COUNT.min(number + 500))
                .map(|number| Outgoing::new(number.to_le_bytes().to_vec()))
                .collect();
            let wanted = messages.len();
            let (sent, buffers) = one.send_many(messages).await;
            assert_eq!((sent.unwrap(), buffers.len()), (wanted, wanted));
            assert_eq!(buffers[0], number.to_le_bytes());
            number += wanted as u32;
        }
        one
    });
    let mut buffers: Vec<_> = (0..64).map(|_| Vec::with_capacity(16)).collect();
    let (mut got, mut calls) = (0, 0);
    while got < COUNT {
        let (messages, filled) = timeout(Duration::from_secs(10), other.recv_many(buffers)).await.unwrap();
        let messages = messages.unwrap();
        calls += 1;
        for (message, bytes) in messages.iter().zip(&filled) {
            assert_eq!((message.len, &bytes[..]), (4, &got.to_le_bytes()[..]));
            got += 1;
        }
        buffers = filled;
    }
    let _one = sending.await.unwrap();
    println!("{calls} receives");
    assert!(calls <= COUNT / 2, "{calls} receives");
    nothing_comes(&other).await;
    // Nothing at all is nothing.
    assert!(other.recv_many(Vec::<Vec<u8>>::new()).await.0.unwrap().is_empty());
    assert_eq!(other.send_many(Vec::<Outgoing<Vec<u8>, _>>::new()).await.0.unwrap(), 0);
}

async fn many_datagrams_to_a_name_are_as_many_as_there_is_room_for() {
    let directory = directory().await;
    let server = UnixDatagram::bind(directory.path().join("server")).await.unwrap();
    let client = UnixDatagram::unbound().await.unwrap();
    let address = server.local_addr().unwrap();
    let messages =
        || (0..2000u32).map(|number| Outgoing::new(number.to_le_bytes().to_vec()).to(address.clone()));
    let sent = client.send_many(messages()).await.0.unwrap();
    assert!(0 < sent && sent < 2000, "{sent}");
    assert_eq!(client.send_many(messages()).await.0.unwrap_err().kind(), ErrorKind::WouldBlock);
    for number in 0..sent as u32 {
        assert_eq!(next(&server).await, number.to_le_bytes());
    }
    nothing_comes(&server).await;
}

async fn a_peer_that_is_gone_is_told_once() {
    let (one, other) = UnixDatagram::pair().unwrap();
    drop(other);
    arrival().await;
    let error = one.send("x").await.0.unwrap_err();
    assert!([ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset].contains(&error.kind()), "{error}");
    assert_eq!(one.send("x").await.0.unwrap_err().kind(), ErrorKind::NotConnected);
}

async fn packets_keep_their_bounds_and_end() {
    let (one, other) = UnixSeqpacket::pair().unwrap();
    one.send("first").await.0.unwrap();
    one.send_vectored(vec!["sec", "ond"]).await.0.unwrap();
    one.send("a long one").await.0.unwrap();
    one.send("last").await.0.unwrap();
    other.readable().await.unwrap();
    other.writable().await.unwrap();
    assert_eq!(other.peek(room()).await.1, b"first");
    assert_eq!(other.recv(room()).await.1, b"first");
    let (received, parts) = other.recv_vectored(vec![Vec::with_capacity(3), room()]).await;
    assert_eq!((received.unwrap().len, parts.concat()), (6, b"second".to_vec()));
    let (received, buffer) = other.recv(Vec::with_capacity(6)).await;
    assert_eq!((received.unwrap().truncated, &buffer[..]), (true, &b"a long"[..]));
    one.close().await.unwrap();
    let (message, buffer) = other.recv_message(room()).await;
    let Message { len, truncated, control_truncated, .. } = message.unwrap();
    assert_eq!((len, truncated, control_truncated, &buffer[..]), (4, false, false, &b"last"[..]));
    for _ in 0..2 {
        assert_eq!(other.recv(room()).await.0.unwrap().len, 0);
    }
    assert_eq!(other.send("x").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);

    let (one, other) = UnixSeqpacket::pair().unwrap();
    one.shutdown(Shutdown::Write).await.unwrap();
    assert_eq!(other.recv(room()).await.0.unwrap().len, 0);
    other.send("still").await.0.unwrap();
    assert_eq!(one.recv(room()).await.1, b"still");
}

async fn packets_come_through_a_listener() {
    let directory = directory().await;
    let path = directory.path().join("server");
    let listener = UnixSeqpacketListener::bind(&path).await.unwrap();
    assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
    let client = UnixSeqpacket::connect(&path).await.unwrap();
    let (server, from) = listener.accept().await.unwrap();
    assert!(from.is_unnamed());
    assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
    client.send("x").await.0.unwrap();
    assert_eq!(server.recv(room()).await.1, b"x");
    listener.close().await.unwrap();
    let error = UnixSeqpacket::connect(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let datagrams = UnixDatagram::bind(directory.path().join("datagrams")).await.unwrap();
    let error = UnixSeqpacket::connect_addr(&datagrams.local_addr().unwrap()).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPROTOTYPE));
}

async fn a_dropped_accept_loses_no_connection() {
    let directory = directory().await;
    let path = directory.path().join("server");
    let listener = UnixSeqpacketListener::bind(&path).await.unwrap();
    {
        let mut accept = Box::pin(listener.accept());
        assert!(begin(&mut accept).is_pending());
        sleep(Duration::from_millis(5)).await;
        let client = UnixSeqpacket::connect(&path).await.unwrap();
        client.send("lost and found").await.0.unwrap();
        arrival().await;
        drop(accept);
        let (server, _) = timeout(Duration::from_secs(10), listener.accept()).await.unwrap().unwrap();
        assert_eq!(server.recv(room()).await.1, b"lost and found");
    }
}

async fn a_dropped_receive_loses_no_packet() {
    let (one, other) = UnixSeqpacket::pair().unwrap();
    let mut receive = other.recv(Vec::with_capacity(3));
    assert!(begin(&mut receive).is_pending());
    sleep(Duration::from_millis(5)).await;
    one.send("lost and found").await.0.unwrap();
    one.send("second").await.0.unwrap();
    arrival().await;
    drop(receive);
    // What the dropped one had no room for is gone, and that is told.
    let (received, buffer) = other.recv(room()).await;
    assert_eq!((received.unwrap().truncated, &buffer[..]), (true, &b"los"[..]));
    assert_eq!(other.recv(room()).await.1, b"second");
}

/// Two ends, of which the first finds the end when all duplicates of the second are closed.
fn watched() -> (StdStream, StdStream) {
    StdStream::pair().unwrap()
}

/// Whether somebody still has the other end.
fn is_held(reader: &StdStream) -> bool {
    let mut poll = libc::pollfd { fd: reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, for the time of the call.
    assert!(unsafe { libc::poll(&mut poll, 1, 0) } >= 0);
    poll.revents & libc::POLLHUP == 0
}

async fn is_let_go(reader: &StdStream) {
    for _ in 0..1000 {
        if !is_held(reader) {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("a descriptor is leaked");
}

async fn a_descriptor_is_passed() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let (mut reader, writer) = watched();
    let with = Ancillary::new().with_descriptors([writer.into()]);
    one.send_message("take it", with).await.0.unwrap();
    let (message, buffer) = other.recv_message(room()).await;
    let mut message = message.unwrap();
    assert_eq!((&buffer[..], message.control_truncated), (&b"take it"[..], false));
    assert_eq!(message.control.descriptors().len(), 1);
    let descriptor = message.control.take_descriptors().remove(0);
    // SAFETY: asks for flags of a descriptor that is open.
    let flags = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFD) };
    assert_ne!(flags & libc::FD_CLOEXEC, 0, "no other program gets it");
    File::from(descriptor).write_all(b"through it").unwrap();
    let mut text = String::new();
    // The end: the sender's own was closed when it was sent.
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through it");
}

async fn many_descriptors_are_passed() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let (reader, writer) = watched();
    let descriptors: Vec<OwnedFd> = (0..253).map(|_| writer.try_clone().unwrap().into()).collect();
    drop(writer);
    one.send_message("", Ancillary::new().with_descriptors(descriptors)).await.0.unwrap();
    let (message, _) = other.recv_message(room()).await;
    let message = message.unwrap();
    assert!(!message.control_truncated);
    let numbers: BTreeSet<_> = message.control.descriptors().iter().map(AsRawFd::as_raw_fd).collect();
    assert_eq!(numbers.len(), 253);
    assert!(is_held(&reader));
    drop(message);
    is_let_go(&reader).await;
    // One more is too many.
    let (_reader, writer) = watched();
    let descriptors: Vec<OwnedFd> = (0..254).map(|_| writer.try_clone().unwrap().into()).collect();
    let error = one.send_message("", Ancillary::new().with_descriptors(descriptors)).await.0.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    // Numbers that nobody vouches for are not sent.
    let numbers = Ancillary::new().with_other(libc::SOL_SOCKET, libc::SCM_RIGHTS, 0i32.to_ne_bytes());
    assert_eq!(one.send_message("x", numbers).await.0.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn descriptors_that_have_no_room_are_closed() {
    let (one, other) = UnixDatagram::pair().unwrap();
    for room_for_control in [0, 8, 20, 24] {
        let (reader, writer) = watched();
        let descriptors = [writer.try_clone().unwrap(), writer.try_clone().unwrap(), writer];
        let with = Ancillary::new().with_descriptors(descriptors.map(OwnedFd::from));
        one.send_message("x", with).await.0.unwrap();
        let (message, _) = other.recv_message_vectored(vec![room()], room_for_control).await;
        let message = message.unwrap();
        assert!(message.control_truncated, "{message:?}");
        assert!(message.control.descriptors().len() < 3);
        drop(message);
        is_let_go(&reader).await;
    }
}

async fn descriptors_of_a_dropped_receive_are_kept_for_the_next_or_closed() {
    for kept in [true, false] {
        for many in [true, false] {
            let (one, other) = UnixDatagram::pair().unwrap();
            let (reader, writer) = watched();
            {
                let mut receive = other.recv_message(room());
                let mut receive_many = other.recv_many(vec![room(), room()]);
                match many {
                    true => assert!(begin(&mut receive_many).is_pending()),
                    false => assert!(begin(&mut receive).is_pending()),
                }
                sleep(Duration::from_millis(5)).await;
                let with = Ancillary::new().with_descriptors([writer.into()]);
                one.send_message("x", with).await.0.unwrap();
                arrival().await;
            }
            assert!(is_held(&reader), "on its way");
            if kept {
                let (message, buffer) = other.recv_message(room()).await;
                let message = message.unwrap();
                assert_eq!((&buffer[..], message.control.descriptors().len()), (&b"x"[..], 1));
                assert!(is_held(&reader));
            } else {
                drop(other);
            }
            is_let_go(&reader).await;
        }
    }
}

async fn descriptors_of_a_plain_receive_are_closed() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let (reader, writer) = watched();
    one.send_message("x", Ancillary::new().with_descriptors([writer.into()])).await.0.unwrap();
    assert_eq!(next(&other).await, b"x");
    is_let_go(&reader).await;
    // Nobody receives it at all.
    let (reader, writer) = watched();
    one.send_message("x", Ancillary::new().with_descriptors([writer.into()])).await.0.unwrap();
    assert!(is_held(&reader));
    drop(other);
    is_let_go(&reader).await;
    // It cannot be sent.
    let (reader, writer) = watched();
    one.send_message("x", Ancillary::new().with_descriptors([writer.into()])).await.0.unwrap_err();
    is_let_go(&reader).await;
}

async fn a_peek_leaves_descriptors_for_the_receive() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let (reader, writer) = watched();
    one.send_message("x", Ancillary::new().with_descriptors([writer.into()])).await.0.unwrap();
    assert_eq!(other.peek(room()).await.1, b"x");
    let (message, _) = other.recv_message(room()).await;
    let message = message.unwrap();
    assert_eq!(message.control.descriptors().len(), 1);
    drop(message);
    is_let_go(&reader).await;
}

async fn packets_carry_descriptors() {
    let (one, other) = UnixSeqpacket::pair().unwrap();
    let (reader, writer) = watched();
    let with = Ancillary::new().with_descriptors([writer.into()]);
    one.send_message("x", with).await.0.unwrap();
    let (message, parts) = other.recv_message_vectored(vec![room()], 64).await;
    let message = message.unwrap();
    assert_eq!((parts.concat(), message.control.descriptors().len()), (b"x".to_vec(), 1));
    drop(message);
    is_let_go(&reader).await;
}

async fn streams_carry_descriptors() {
    let (one, other) = UnixStream::pair().unwrap();
    let (reader, writer) = watched();
    one.write_all("before").await.0.unwrap();
    let with = Ancillary::new().with_descriptors([writer.into()]);
    assert_eq!(one.send_message_vectored(vec!["wi", "th"], with).await.0.unwrap(), 4);
    one.write_all("after").await.0.unwrap();
    // The kernel joins it to what came before, and to nothing that comes after.
    let (message, parts) = other.recv_message_vectored(vec![Vec::with_capacity(8), room()], 100).await;
    let message = message.unwrap();
    assert_eq!((message.len, parts.concat()), (10, b"beforewith".to_vec()));
    assert_eq!((message.control.descriptors().len(), message.truncated), (1, false));
    drop(message);
    is_let_go(&reader).await;
    assert_eq!(other.recv_message(room()).await.1, b"after");
    // Without a byte there is nothing to go with.
    let (reader, writer) = watched();
    let with = Ancillary::new().with_descriptors([writer.into()]);
    let error = one.send_message("", with).await.0.unwrap_err();
    assert!(error.to_string().contains("a byte at least"), "{error}");
    assert_eq!(one.send_message("", Ancillary::new()).await.0.unwrap(), 0);
    is_let_go(&reader).await;
    drop(one);
    assert_eq!(other.recv_message(room()).await.0.unwrap().len, 0);
}

async fn descriptors_of_a_dropped_receive_of_a_stream_are_kept_or_closed() {
    for then in 0..4 {
        let (one, other) = UnixStream::pair().unwrap();
        let (reader, writer) = watched();
        {
            let mut receive = other.recv_message(room());
            assert!(begin(&mut receive).is_pending());
            sleep(Duration::from_millis(5)).await;
            let with = Ancillary::new().with_descriptors([writer.into()]);
            one.send_message("lost and found", with).await.0.unwrap();
            arrival().await;
        }
        assert!(is_held(&reader), "on its way");
        match then {
            // Bytes and descriptor, and the rest of the bytes afterwards.
            0 => {
                let (message, buffer) = other.recv_message(Vec::with_capacity(4)).await;
                let message = message.unwrap();
                assert_eq!((&buffer[..], message.control.descriptors().len()), (&b"lost"[..], 1));
                assert!(is_held(&reader) && !message.truncated);
                drop(message);
                is_let_go(&reader).await;
                let (message, buffer) = other.recv_message(room()).await;
                assert_eq!((&buffer[..], message.unwrap().control.is_empty()), (&b" and found"[..], true));
            }
            // Who reads in another way gets the bytes.
            1 => {
                assert_eq!(other.read(Vec::with_capacity(4)).await.1, b"lost");
                is_let_go(&reader).await;
                assert_eq!(other.read_exact(Vec::with_capacity(10)).await.1, b" and found");
            }
            2 => {
                let (_, parts) = other.readv(vec![Vec::with_capacity(2), room()]).await;
                assert_eq!(parts.concat(), b"lost and found");
                is_let_go(&reader).await;
            }
            _ => {
                drop(other);
                is_let_go(&reader).await;
            }
        }
    }
}

async fn who_sent_it_is_told() {
    let (one, other) = UnixDatagram::pair().unwrap();
    other.set_pass_credentials(true).unwrap();
    assert!(other.pass_credentials().unwrap());
    one.send("x").await.0.unwrap();
    let (message, _) = other.recv_message(room()).await;
    // SAFETY: these two ask who we are.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let me = Credentials { pid: std::process::id() as i32, uid, gid };
    assert_eq!(message.unwrap().control.credentials(), Some(me));
    // As the sender says it, if it may.
    one.send_message("x", Ancillary::new().with_credentials(me)).await.0.unwrap();
    let (message, _) = other.recv_message(room()).await;
    assert_eq!(message.unwrap().control.credentials(), Some(me));
}
