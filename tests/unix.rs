//! Unix streams as users expect them: every byte, in order, by names that are files and names that are not.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use annulus::net::unix::SocketAddr;
use annulus::net::{UnixDatagram, UnixListener, UnixStream};
use annulus::time::{now, sleep, timeout};
use annulus::{Runtime, fs, spawn};
use support::data::{assert_same, bytes};
use support::outside::{Directory, directory};
use support::{is_simulated, limits, on_every_driver, on_real_drivers};

on_every_driver! {
    an_echo_comes_back,
    large_transfers_in_both_directions_compare_equal,
    a_half_closed_stream_still_carries_the_other_direction,
    data_are_read_before_the_end,
    unread_bytes_are_a_reset_for_who_sent_them,
    writing_to_a_peer_that_is_gone_is_an_error_and_no_signal,
    vectored_transfers_keep_the_order,
    read_exact_fills_the_buffer_over_many_pieces,
    read_exact_tells_an_early_end,
    leases_receive_what_comes,
    owned_halves_work_in_two_tasks,
    both_ends_know_their_names,
    a_pair_is_connected_and_has_no_names,
    a_name_says_what_it_is,
    a_path_that_is_too_long_says_how_long_it_may_be,
    a_path_that_exists_says_what_to_do,
    a_path_is_used_again_once_it_is_removed,
    nobody_there_is_told_with_the_remedy,
    a_dropped_read_loses_no_byte,
    a_dropped_accept_loses_no_connection,
    closing_a_listener_ends_a_pending_accept,
    connections_come_as_a_stream,
    credentials_are_the_peers,
    a_connect_waits_until_the_listener_accepts,
    a_connect_that_waits_can_be_given_up,
    another_type_of_socket_is_told_by_its_number,
    a_thousand_connections_are_served,
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::*;

    on_every_driver! {
        abstract_names_are_found_and_gone_with_their_listener,
        any_name_is_one_in_the_abstract_namespace,
    }
}

on_real_drivers! {
    because "a simulated world is reached by nobody else":
        the_standard_library_is_understood,
        streams_and_listeners_are_handed_over_and_back;
    because "a simulated descriptor is not shown":
        an_accept_ends_when_somebody_shuts_the_listener_down;
    because "it asks what the machine's kernel was asked":
        a_connect_that_waits_asks_seldom;
    because "a simulated world lets everybody do everything":
        a_path_in_somebody_elses_directory_says_what_is_needed;
    because "simulated descriptors are not closed by a limit of the process":
        used_up_descriptors_are_told_by_a_pair;
}

/// A connection through a path.
async fn pair() -> (UnixStream, UnixStream) {
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let client = spawn(UnixStream::connect(place.path.clone()));
    let (server, _) = listener.accept().await.unwrap();
    (client.await.unwrap().unwrap(), server)
}

/// A path for a socket, in a directory of the test's own.
struct Place {
    path: PathBuf,
    directory: Directory,
}

impl Place {
    async fn new() -> Place {
        let directory = directory().await;
        Place { path: directory.path().join("door"), directory }
    }
}

async fn read_to_end(stream: &UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let (result, filled) = stream.read(buffer).await;
        match result.unwrap() {
            0 => return all,
            _ => all.extend_from_slice(&filled),
        }
        buffer = filled;
    }
}

async fn an_echo_comes_back() {
    let (client, server) = pair().await;
    let echo = spawn(async move {
        let mut buffer = Vec::with_capacity(1024);
        loop {
            let (result, filled) = server.read(buffer).await;
            if result.unwrap() == 0 {
                return;
            }
            let (result, written) = server.write_all(filled).await;
            result.unwrap();
            buffer = written;
        }
    });
    for length in [1, 2, 100, 1024, 5000] {
        let sent = bytes(length as u64, length);
        let (result, sent) = client.write_all(sent).await;
        result.unwrap();
        let (result, got) = client.read_exact(Vec::with_capacity(length)).await;
        result.unwrap();
        assert_same(&got, &sent);
    }
    drop(client);
    echo.await.unwrap();
}

async fn large_transfers_in_both_directions_compare_equal() {
    const LENGTH: usize = 3 << 20;
    let (client, server) = pair().await;
    for end in [&client, &server] {
        end.set_send_buffer_size(8192).unwrap();
    }
    let end = async |stream: Rc<UnixStream>, seed: u64| {
        let sending = spawn({
            let stream = Rc::clone(&stream);
            async move {
                stream.write_all(bytes(seed, LENGTH)).await.0.unwrap();
                stream.shutdown(Shutdown::Write).await.unwrap();
            }
        });
        let got = read_to_end(&stream).await;
        sending.await.unwrap();
        got
    };
    let other = spawn(end(Rc::new(server), 2));
    let got = end(Rc::new(client), 1).await;
    assert_same(&got, &bytes(2, LENGTH));
    assert_same(&other.await.unwrap(), &bytes(1, LENGTH));
}

async fn a_half_closed_stream_still_carries_the_other_direction() {
    let (client, server) = pair().await;
    client.write_all("question").await.0.unwrap();
    client.shutdown(Shutdown::Write).await.unwrap();
    assert_eq!(read_to_end(&server).await, b"question");
    server.write_all("answer").await.0.unwrap();
    drop(server);
    assert_eq!(read_to_end(&client).await, b"answer");
    let error = client.write("more").await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

async fn data_are_read_before_the_end() {
    let (client, server) = pair().await;
    client.write_all("last words").await.0.unwrap();
    client.close().await.unwrap();
    assert_eq!(read_to_end(&server).await, b"last words");
    assert_eq!(server.read(Vec::with_capacity(1)).await.0.unwrap(), 0, "and again");
}

async fn unread_bytes_are_a_reset_for_who_sent_them() {
    let (client, server) = pair().await;
    client.write_all("unheard").await.0.unwrap();
    server.close().await.unwrap();
    let error = client.read(Vec::with_capacity(1)).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

async fn writing_to_a_peer_that_is_gone_is_an_error_and_no_signal() {
    let (client, server) = pair().await;
    server.close().await.unwrap();
    let error = client.write_all("anybody there?").await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

async fn vectored_transfers_keep_the_order() {
    let (client, server) = pair().await;
    let parts = vec!["one ".to_owned(), String::new(), "two ".to_owned(), "three".to_owned()];
    assert_eq!(client.writev(parts).await.0.unwrap(), 13);
    let rooms = vec![Vec::with_capacity(3), Vec::with_capacity(0), Vec::with_capacity(20)];
    let (result, got) = server.readv(rooms).await;
    assert_eq!(result.unwrap(), 13);
    assert_eq!(got, [b"one".to_vec(), Vec::new(), b" two three".to_vec()]);
}

async fn read_exact_fills_the_buffer_over_many_pieces() {
    let (client, server) = pair().await;
    let sent = bytes(5, 3000);
    let expected = sent.clone();
    let writer = spawn(async move {
        for piece in sent.chunks(7) {
            client.write_all(piece.to_vec()).await.0.unwrap();
            if piece[0] % 16 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let (result, got) = server.read_exact(Vec::with_capacity(3000)).await;
    result.unwrap();
    assert_same(&got, &expected);
    writer.await.unwrap();
}

async fn read_exact_tells_an_early_end() {
    let (client, server) = pair().await;
    client.write_all("abc").await.0.unwrap();
    drop(client);
    let (result, got) = server.read_exact(Vec::with_capacity(5)).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(got, b"abc");
}

async fn leases_receive_what_comes() {
    let (client, server) = pair().await;
    client.write_all("first").await.0.unwrap();
    assert_eq!(&server.recv().await.unwrap()[..], b"first");
    let writer = spawn(async move {
        for piece in bytes(3, 50_000).chunks(999) {
            client.write_all(piece.to_vec()).await.0.unwrap();
        }
    });
    let mut leases = server.recv_stream();
    let mut came = Vec::new();
    while let Some(lease) = leases.next().await {
        came.extend_from_slice(&lease.unwrap());
    }
    assert_same(&came, &bytes(3, 50_000));
    writer.await.unwrap();
}

async fn owned_halves_work_in_two_tasks() {
    let (client, server) = pair().await;
    let (reader, writer) = server.into_split();
    let echo = spawn(async move {
        let (result, line) = reader.read_exact(Vec::with_capacity(5)).await;
        result.unwrap();
        (reader, line)
    });
    client.write_all("hello").await.0.unwrap();
    writer.write_all("there").await.0.unwrap();
    assert_eq!(client.read_exact(Vec::with_capacity(5)).await.1, b"there");
    let (reader, line) = echo.await.unwrap();
    assert_eq!(line, b"hello");
    assert!(reader.reunite(writer).is_ok());
}

async fn both_ends_know_their_names() {
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(place.path.as_path()));
    let client = UnixStream::connect(&place.path).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert!(peer.is_unnamed() && client.local_addr().unwrap().is_unnamed());
    let name = SocketAddr::from_pathname(&place.path).unwrap();
    assert_eq!(client.peer_addr().unwrap(), name);
    assert_eq!(server.local_addr().unwrap(), name);
    assert!(format!("{client:?}").starts_with("UnixStream { local_addr: Some((unnamed))"), "{client:?}");
    assert!(format!("{listener:?}").contains("door"), "{listener:?}");
}

async fn a_pair_is_connected_and_has_no_names() {
    let (one, other) = UnixStream::pair().unwrap();
    assert!(one.local_addr().unwrap().is_unnamed() && one.peer_addr().unwrap().is_unnamed());
    let writer = spawn(async move {
        one.write_all(bytes(1, 500_000)).await.0.unwrap();
        one.shutdown(Shutdown::Write).await.unwrap();
        read_to_end(&one).await
    });
    assert_same(&read_to_end(&other).await, &bytes(1, 500_000));
    other.write_all("thanks").await.0.unwrap();
    drop(other);
    assert_eq!(writer.await.unwrap(), b"thanks");
}

async fn a_name_says_what_it_is() {
    use std::os::unix::net::SocketAddr as StdAddr;
    let path = SocketAddr::from_pathname("/run/door").unwrap();
    assert!(!path.is_unnamed() && path.as_abstract_name().is_none());
    assert_eq!(format!("{path:?}"), "\"/run/door\"");
    assert_eq!(SocketAddr::from(StdAddr::from(path.clone())), path);
    let none = SocketAddr::unnamed();
    assert!(none.is_unnamed() && none.as_pathname().is_none() && none.as_abstract_name().is_none());
    assert_eq!(format!("{none:?}"), "(unnamed)");
    assert_eq!(SocketAddr::from(StdAddr::from(none.clone())), none);
    for wrong in ["", "a\0b"] {
        assert_eq!(SocketAddr::from_pathname(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    if cfg!(target_os = "linux") {
        let hidden = SocketAddr::from_abstract_name(b"a\0b").unwrap();
        assert_eq!(hidden.as_abstract_name(), Some(&b"a\0b"[..]));
        assert!(!hidden.is_unnamed() && hidden.as_pathname().is_none());
        assert_eq!(format!("{hidden:?}"), "@a\\x00b");
        assert_eq!(SocketAddr::from(StdAddr::from(hidden.clone())), hidden);
        let longest = SocketAddr::from_abstract_name([b'x'; 107]).unwrap();
        assert_eq!(SocketAddr::from(StdAddr::from(longest.clone())), longest);
        assert!(SocketAddr::from_abstract_name([b'x'; 108]).is_err());
    }
}

async fn a_path_that_is_too_long_says_how_long_it_may_be() {
    let path = format!("/tmp/{}", "x".repeat(200));
    for error in [
        UnixListener::bind(&path).await.map(drop).unwrap_err(),
        UnixStream::connect(&path).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains("has 205 bytes") && text.contains("SUN_LEN"), "{text}");
    }
    let place = Place::new().await;
    let room = if cfg!(target_os = "linux") { 107 } else { 103 };
    let rest = room - place.directory.path().as_os_str().len() - 1;
    let longest = place.directory.path().join("y".repeat(rest));
    let listener = UnixListener::bind(&longest).await.unwrap();
    let client = UnixStream::connect(&longest).await.unwrap();
    assert_eq!(client.peer_addr().unwrap(), listener.local_addr().unwrap());
}

async fn a_path_that_exists_says_what_to_do() {
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    drop(listener);
    let error = UnixListener::bind(&place.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains("door") && text.contains("remove it if no server uses it"), "{text}");
    let lost = place.directory.path().join("nowhere/door");
    let error = UnixListener::bind(lost).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("directory"), "{error}");
}

async fn a_path_is_used_again_once_it_is_removed() {
    let place = Place::new().await;
    for round in 0..5 {
        let listener = UnixListener::bind(&place.path).await.unwrap();
        let client = UnixStream::connect(&place.path).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(format!("{round}")).await.0.unwrap();
        assert_eq!(server.read(Vec::with_capacity(1)).await.1, format!("{round}").into_bytes());
        listener.close().await.unwrap();
        fs::remove_file(&place.path).await.unwrap();
    }
}

async fn nobody_there_is_told_with_the_remedy() {
    let place = Place::new().await;
    let error = UnixStream::connect(&place.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("start the server"), "{error}");
    UnixListener::bind(&place.path).await.unwrap().close().await.unwrap();
    let error = UnixStream::connect(&place.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("its server has ended"), "{error}");
}

async fn a_dropped_read_loses_no_byte() {
    let (client, server) = pair().await;
    let sent = bytes(9, 20_000);
    let expected = sent.clone();
    let writer = spawn(async move {
        for piece in sent.chunks(100) {
            client.write_all(piece.to_vec()).await.0.unwrap();
            sleep(Duration::from_micros(50)).await;
        }
    });
    let mut came = Vec::new();
    for round in 0.. {
        // Longer in the end: on a machine that is emulated even an end takes its time, and a dropped end is told to the next read.
        let span = Duration::from_micros(round % 5 * 20 + round / 100);
        let Ok((result, got)) = timeout(span, server.read(Vec::with_capacity(64))).await else { continue };
        match result.unwrap() {
            0 => break,
            _ => came.extend_from_slice(&got),
        }
    }
    assert_same(&came, &expected);
    writer.await.unwrap();
}

async fn a_dropped_accept_loses_no_connection() {
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let clients = spawn({
        let path = place.path.clone();
        async move {
            for number in 0..50u8 {
                let client = UnixStream::connect(&path).await.unwrap();
                client.write_all(vec![number]).await.0.unwrap();
                assert_eq!(client.read(Vec::with_capacity(1)).await.1, [number]);
            }
        }
    });
    for number in 0..50u8 {
        let (server, _) = loop {
            let span = Duration::from_micros(u64::from(number) % 5 * 20);
            match timeout(span, listener.accept()).await {
                Ok(accepted) => break accepted.unwrap(),
                Err(_) => sleep(Duration::from_micros(10)).await,
            }
        };
        assert_eq!(server.read(Vec::with_capacity(1)).await.1, [number]);
        server.write_all(vec![number]).await.0.unwrap();
    }
    clients.await.unwrap();
}

async fn closing_a_listener_ends_a_pending_accept() {
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let mut accept = listener.accept();
    assert!(timeout(Duration::from_millis(1), &mut accept).await.is_err());
    listener.close().await.unwrap();
    assert_eq!(accept.await.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
}

async fn connections_come_as_a_stream() {
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let mut incoming = listener.incoming();
    for number in 0..20u8 {
        let client = UnixStream::connect(&place.path).await.unwrap();
        client.write_all(vec![number]).await.0.unwrap();
        let (server, peer) = incoming.next().await.unwrap().unwrap();
        assert!(peer.is_unnamed());
        assert_eq!(server.read(Vec::with_capacity(1)).await.1, [number]);
    }
}

async fn credentials_are_the_peers() {
    let (client, server) = pair().await;
    let (one, other) = UnixStream::pair().unwrap();
    for end in [&client, &server, &one, &other] {
        let peer = end.peer_cred().unwrap();
        if is_simulated() {
            assert_eq!((peer.pid, peer.uid, peer.gid), (Some(1000), 1000, 1000));
            continue;
        }
        if cfg!(target_os = "linux") {
            assert_eq!(peer.pid, Some(std::process::id() as i32));
        }
        assert_eq!(peer.uid == 0, limits::is_root());
    }
}

async fn a_connect_waits_until_the_listener_accepts() {
    if cfg!(not(target_os = "linux")) {
        return support::skipped("a connect waits", "only Linux has clients wait at a Unix socket");
    }
    let place = Place::new().await;
    let listener = UnixListener::bind_with_backlog(&place.path, 1).await.unwrap();
    let clients: Vec<_> = (0..10u8)
        .map(|number| {
            let path = place.path.clone();
            spawn(async move {
                let client = UnixStream::connect(path).await.unwrap();
                client.write_all(vec![number]).await.0.unwrap();
                client
            })
        })
        .collect();
    sleep(Duration::from_millis(50)).await;
    let through = clients.iter().filter(|client| client.is_finished()).count();
    assert_eq!(through, 2, "the queue has one place more than it was asked for");
    let mut came = Vec::new();
    for _ in 0..10 {
        let (server, _) = listener.accept().await.unwrap();
        came.extend(server.read(Vec::with_capacity(1)).await.1);
    }
    came.sort();
    assert_eq!(came, (0..10).collect::<Vec<_>>(), "each once");
    for client in clients {
        client.await.unwrap();
    }
}

async fn a_connect_that_waits_can_be_given_up() {
    if cfg!(not(target_os = "linux")) {
        return support::skipped("a connect waits", "only Linux has clients wait at a Unix socket");
    }
    let place = Place::new().await;
    let listener = UnixListener::bind_with_backlog(&place.path, 0).await.unwrap();
    let first = UnixStream::connect(&place.path).await.unwrap();
    let begin = now();
    assert!(timeout(Duration::from_millis(100), UnixStream::connect(&place.path)).await.is_err());
    assert!(now() - begin >= Duration::from_millis(100));
    // It has left nothing behind.
    let (server, _) = listener.accept().await.unwrap();
    if let Ok(late) = timeout(Duration::from_millis(20), listener.accept()).await {
        // But where it was asked again in the very moment in which it was given up, and then there was room.
        assert_eq!(late.unwrap().0.read(Vec::with_capacity(1)).await.0.unwrap(), 0, "it is closed");
    }
    first.write_all("x").await.0.unwrap();
    assert_eq!(server.read(Vec::with_capacity(1)).await.1, b"x");
}

async fn another_type_of_socket_is_told_by_its_number() {
    let place = Place::new().await;
    let _datagrams = UnixDatagram::bind(&place.path).await.unwrap();
    let error = UnixStream::connect(&place.path).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPROTOTYPE));
}

async fn a_connect_that_waits_asks_seldom() {
    let place = Place::new().await;
    let listener = UnixListener::bind_with_backlog(&place.path, 0).await.unwrap();
    let _first = UnixStream::connect(&place.path).await.unwrap();
    let runtime = Runtime::try_current().unwrap();
    let before = runtime.metrics();
    let second = spawn(UnixStream::connect(place.path.clone()));
    sleep(Duration::from_millis(300)).await;
    let after = runtime.metrics();
    // Pauses of 0.5, 1, 2, 4, 8, 16 and then 20 ms: about twenty attempts, each of an enter or two and a timer's.
    let enters = after.enters - before.enters;
    assert!(enters < 150, "{enters} enters in 300 ms");
    listener.accept().await.unwrap();
    second.await.unwrap().unwrap();
}

async fn a_thousand_connections_are_served() {
    const COUNT: usize = 1000;
    // Both ends are here, and so are the test's threads.
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let server = spawn(async move {
        let mut streams = Vec::new();
        for _ in 0..COUNT {
            streams.push(listener.accept().await.unwrap().0);
            // Few at a time, so that a limit of 1024 descriptors is enough.
            if streams.len() == 100 {
                for stream in streams.drain(..) {
                    let (result, got) = stream.read(Vec::with_capacity(8)).await;
                    result.unwrap();
                    stream.write_all(got).await.0.unwrap();
                }
            }
        }
    });
    for batch in 0..COUNT / 100 {
        let clients: Vec<_> = (0..100)
            .map(|number| {
                let path = place.path.clone();
                spawn(async move {
                    let client = UnixStream::connect(path).await.unwrap();
                    let text = format!("{batch}:{number}");
                    client.write_all(text.clone()).await.0.unwrap();
                    let (result, got) = client.read_exact(Vec::with_capacity(text.len())).await;
                    result.unwrap();
                    assert_eq!(got, text.into_bytes());
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    }
    server.await.unwrap();
}

#[cfg(target_os = "linux")]
async fn abstract_names_are_found_and_gone_with_their_listener() {
    let test = support::child::name();
    let name = SocketAddr::from_abstract_name(format!("annulus-{}-{test}", std::process::id())).unwrap();
    let listener = UnixListener::bind_addr(&name).await.unwrap();
    let error = UnixListener::bind_addr(&name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains("choose another name"), "{error}");
    let client = UnixStream::connect_addr(&name).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    assert_eq!(client.peer_addr().unwrap(), name);
    assert_eq!(server.local_addr().unwrap(), name);
    listener.close().await.unwrap();
    let error = UnixStream::connect_addr(&name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[cfg(target_os = "linux")]
async fn any_name_is_one_in_the_abstract_namespace() {
    let listener = UnixListener::bind_addr(&SocketAddr::unnamed()).await.unwrap();
    let name = listener.local_addr().unwrap();
    assert_eq!(name.as_abstract_name().map(<[u8]>::len), Some(5));
    let client = UnixStream::connect_addr(&name).await.unwrap();
    drop(listener.accept().await.unwrap());
    assert_eq!(client.read(Vec::with_capacity(1)).await.0.unwrap(), 0);
}

async fn the_standard_library_is_understood() {
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let mut peer = std::os::unix::net::UnixStream::connect(&place.path).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    peer.write_all(b"from std").unwrap();
    assert_eq!(stream.read(Vec::with_capacity(20)).await.1, b"from std");
    stream.write_all("to std").await.0.unwrap();
    stream.close().await.unwrap();
    let mut got = String::new();
    peer.read_to_string(&mut got).unwrap();
    assert_eq!(got, "to std");

    let path = place.directory.path().join("their door");
    let theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let stream = UnixStream::connect_addr(&theirs.local_addr().unwrap().into()).await.unwrap();
    let (mut peer, _) = theirs.accept().unwrap();
    stream.write_all("hello").await.0.unwrap();
    let mut got = [0; 5];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
}

async fn streams_and_listeners_are_handed_over_and_back() {
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let mut accept = listener.accept();
    assert!(timeout(Duration::from_millis(1), &mut accept).await.is_err());
    drop(accept);
    let client = UnixStream::connect(&place.path).await.unwrap();
    sleep(Duration::from_millis(5)).await;
    let (theirs, accepted) = listener.into_std().await.unwrap();
    let mut server = match accepted.into_iter().next() {
        Some(accepted) => accepted,
        None => theirs.accept().unwrap().0,
    };
    client.write_all("hello").await.0.unwrap();
    let mut got = [0; 5];
    server.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");

    let listener = UnixListener::from_std(theirs).unwrap();
    let (mut client, _) = client.into_std().await.unwrap();
    let server = UnixStream::from_std(server).unwrap();
    server.write_all("again").await.0.unwrap();
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"again");
    UnixStream::connect(&place.path).await.unwrap();
    listener.accept().await.unwrap();
}

async fn an_accept_ends_when_somebody_shuts_the_listener_down() {
    if cfg!(not(target_os = "linux")) {
        return support::skipped("an accept ends", "only Linux shuts listeners down");
    }
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let mut accept = listener.accept();
    assert!(timeout(Duration::from_millis(1), &mut accept).await.is_err());
    listener.with_fd(|fd| socket2::SockRef::from(&fd).shutdown(Shutdown::Read)).unwrap().unwrap();
    assert_eq!(accept.await.unwrap_err().raw_os_error(), Some(libc::EINVAL));
    assert_eq!(listener.accept().await.unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

async fn a_path_in_somebody_elses_directory_says_what_is_needed() {
    use std::os::unix::fs::PermissionsExt;
    let test = support::child::name();
    if limits::is_root() {
        return support::skipped(&test, "root may do everything");
    }
    let place = Place::new().await;
    let listener = UnixListener::bind(&place.path).await.unwrap();
    let set = |mode, path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o400, &place.path);
    let error = UnixStream::connect(&place.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("permission to write to the socket's file"), "{error}");
    set(0o500, place.directory.path());
    let error = UnixListener::bind(place.directory.path().join("other")).await.unwrap_err();
    set(0o700, place.directory.path());
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("permission to write to its directory"), "{error}");
    drop(listener);
}

fn used_up_descriptors_are_told_by_a_pair(builder: annulus::Builder) {
    support::child::alone(|| {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let before = limits::limit_descriptors(3);
                let error = UnixStream::pair().unwrap_err();
                limits::limit_descriptors(before);
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                UnixStream::pair().unwrap();
            })
            .unwrap();
    });
}
