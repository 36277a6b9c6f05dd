//! TCP as users expect it: every byte, in order, and every kind of end told apart.

mod support;

use std::io::ErrorKind;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annulus::buf::IoBuf;
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{now, sleep, timeout};
use annulus::{Builder, spawn};
use bytes::{Bytes, BytesMut};
use support::data::{Dice, assert_same, bytes};
use support::net::{pair, read_to_end};
use support::outside::{Peer, nobody, with_peer};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    an_echo_comes_back,
    large_transfers_in_both_directions_compare_equal,
    transfers_of_a_few_bytes_at_a_time_compare_equal,
    every_kind_of_buffer_can_be_sent,
    every_kind_of_buffer_can_be_filled,
    a_read_of_no_room_waits_for_nothing,
    a_half_closed_stream_still_carries_the_other_direction,
    the_end_is_told_again_and_again,
    a_peer_that_closes_at_once_is_a_clean_end,
    data_are_read_before_the_end,
    a_reset_is_told_to_a_waiting_read,
    a_reset_is_told_to_the_next_read,
    writing_to_a_peer_that_is_gone_is_an_error_and_no_signal,
    a_refused_connection_says_so,
    connecting_tries_one_address_after_the_other,
    a_text_that_is_no_address_says_what_would_be,
    a_taken_port_says_what_to_do,
    read_exact_fills_the_buffer_over_many_pieces,
    read_exact_tells_an_early_end,
    vectored_transfers_keep_the_order,
    two_reads_take_turns_in_the_order_in_which_they_came,
    two_writes_take_turns_and_do_not_interleave,
    borrowed_halves_work_in_one_task,
    owned_halves_work_in_two_tasks_and_become_whole_again,
    halves_of_two_streams_do_not_become_one,
    options_are_kept,
    both_ends_know_their_addresses,
    version_six_addresses_work,
    a_dropped_stream_is_an_end_for_its_peer_even_with_a_read_pending,
    closing_ends_a_pending_read,
    closing_a_listener_ends_a_pending_accept,
    dropping_a_listener_ends_a_pending_accept,
    a_number_that_is_used_again_after_a_close_is_waited_for_anew,
    dropping_a_stream_whose_peer_never_reads_does_not_wait,
    a_closed_listener_refuses,
    a_hundred_connections_are_accepted,
    readable_and_writable_wait_for_what_they_say,
    copying_from_one_stream_to_another_moves_every_byte,
    a_stream_under_another_loop_panics_with_the_reason,
}

on_real_drivers! {
    because "it asks the machine's resolver":
        names_are_resolved;
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
        let (result, got) = client.read_exact(vec![0; length].into_boxed_slice()).await;
        result.unwrap();
        assert_same(&got, &sent);
    }
    drop(client);
    echo.await.unwrap();
}

async fn large_transfers_in_both_directions_compare_equal() {
    const LENGTH: usize = 6 << 20;
    let (client, server) = pair().await;
    for end in [&client, &server] {
        end.set_send_buffer_size(4096).unwrap();
    }
    let end = async |stream: Rc<TcpStream>, seed: u64| {
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

async fn transfers_of_a_few_bytes_at_a_time_compare_equal() {
    const LENGTH: usize = 20_000;
    let (client, server) = pair().await;
    let sending = spawn(async move {
        let mut dice = Dice::new(7);
        let mut rest = Bytes::from(bytes(3, LENGTH));
        while !rest.is_empty() {
            let now = rest.split_to(rest.len().min(1 + dice.below(9) as usize));
            client.write_all(now).await.0.unwrap();
        }
    });
    let mut dice = Dice::new(8);
    let mut got = Vec::new();
    loop {
        let (result, piece) = server.read(vec![0; 1 + dice.below(7) as usize].into_boxed_slice()).await;
        match result.unwrap() {
            0 => break,
            count => got.extend_from_slice(&piece[..count]),
        }
    }
    sending.await.unwrap();
    assert_same(&got, &bytes(3, LENGTH));
}

async fn every_kind_of_buffer_can_be_sent() {
    let (client, server) = pair().await;
    client.write_all(b"a".to_vec()).await.0.unwrap();
    client.write_all(Box::<[u8]>::from(*b"b")).await.0.unwrap();
    client.write_all(String::from("c")).await.0.unwrap();
    client.write_all(Bytes::from_static(b"d")).await.0.unwrap();
    client.write_all(BytesMut::from(&b"e"[..])).await.0.unwrap();
    client.write_all(&b"f"[..]).await.0.unwrap();
    client.write_all("g").await.0.unwrap();
    client.write_all(Rc::<[u8]>::from(*b"h")).await.0.unwrap();
    client.write_all(Arc::<[u8]>::from(*b"i")).await.0.unwrap();
    client.write_all("..j..".slice(2..3)).await.0.unwrap();
    drop(client);
    assert_eq!(read_to_end(&server).await, b"abcdefghij");
}

async fn every_kind_of_buffer_can_be_filled() {
    let (client, server) = pair().await;
    client.write_all("abcdefghijkl").await.0.unwrap();
    let (result, vec) = server.read(Vec::with_capacity(3)).await;
    let capacity = vec.capacity();
    assert_eq!((result.unwrap(), &vec[..]), (3, &b"abc"[..]));
    assert_eq!(capacity, 3);
    let (result, boxed) = server.read(Box::<[u8]>::from(*b"123")).await;
    assert_eq!((result.unwrap(), &*boxed), (3, &b"def"[..]));
    let (result, part) = server.read(BytesMut::with_capacity(64).split_off(61)).await;
    assert_eq!((result.unwrap(), &part[..]), (3, &b"ghi"[..]));
    let mut vec = Vec::with_capacity(8);
    vec.extend(b"12345");
    let (result, part) = server.read(vec.slice(5..7)).await;
    assert_eq!((result.unwrap(), &part.into_inner()[..]), (2, &b"12345jk"[..]));
    let (result, boxed) = server.read(Box::<[u8]>::from(*b"123")).await;
    assert_eq!((result.unwrap(), &*boxed), (1, &b"l23"[..]));
}

async fn a_read_of_no_room_waits_for_nothing() {
    let (client, server) = pair().await;
    assert_eq!(server.read(Vec::new()).await.0.unwrap(), 0);
    assert_eq!(server.readv(Vec::<Vec<u8>>::new()).await.0.unwrap(), 0);
    assert_eq!(server.write("").await.0.unwrap(), 0);
    assert_eq!(server.writev(vec!["", ""]).await.0.unwrap(), 0);
    client.write_all("data").await.0.unwrap();
    assert_eq!(server.read(Vec::new()).await.0.unwrap(), 0);
    assert_eq!(server.read(Vec::with_capacity(9)).await.1, b"data");
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

async fn the_end_is_told_again_and_again() {
    let (client, server) = pair().await;
    drop(client);
    for _ in 0..3 {
        let (result, buffer) = server.read(b"before".to_vec()).await;
        assert_eq!(result.unwrap(), 0);
        assert_eq!(buffer, b"");
    }
}

async fn a_peer_that_closes_at_once_is_a_clean_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..50 {
        drop(Peer::connect(listener.local_addr().unwrap()).await.unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.read(Vec::with_capacity(16)).await.0.unwrap(), 0);
    }
}

async fn data_are_read_before_the_end() {
    let (stream, mut peer) = with_peer().await;
    peer.write_all(b"first").await.unwrap();
    assert_eq!(stream.read(Vec::with_capacity(16)).await.1, b"first");
    let waiting = spawn(stream.read(Vec::with_capacity(16)));
    annulus::yield_now().await;
    peer.write_all(b"last").await.unwrap();
    drop(peer);
    assert_eq!(waiting.await.unwrap().1, b"last");
    assert_eq!(stream.read(Vec::with_capacity(16)).await.0.unwrap(), 0);
}

async fn a_reset_is_told_to_a_waiting_read() {
    let (stream, peer) = with_peer().await;
    let waiting = spawn(stream.read(Vec::with_capacity(16)));
    sleep(Duration::from_millis(5)).await;
    peer.reset().await;
    let (result, buffer) = waiting.await.unwrap();
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(buffer.capacity(), 16, "the buffer comes back with the error");
}

async fn a_reset_is_told_to_the_next_read() {
    let (stream, peer) = with_peer().await;
    peer.reset().await;
    let (result, _) = stream.read(Vec::with_capacity(16)).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

async fn writing_to_a_peer_that_is_gone_is_an_error_and_no_signal() {
    let (stream, peer) = with_peer().await;
    peer.reset().await;
    timeout(Duration::from_secs(5), stream.readable()).await.expect("it arrives").unwrap();
    let first = stream.write_all("text").await.0.unwrap_err();
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&first.kind()), "{first}");
    let (result, buffers) = stream.writev(vec!["more ", "text"]).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(buffers, ["more ", "text"]);
}

async fn a_refused_connection_says_so() {
    for _ in 0..20 {
        let error = TcpStream::connect(nobody().await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

async fn connecting_tries_one_address_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = listener.local_addr().unwrap();
    let stream = TcpStream::connect(&[nobody().await, nobody().await, there][..]).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), there);
    let error = TcpStream::connect(&[][..]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn names_are_resolved() {
    let listener = TcpListener::bind(("localhost", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stream = TcpStream::connect(format!("localhost:{port}")).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap().port(), port);
}

async fn a_text_that_is_no_address_says_what_would_be() {
    for text in ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:65536"] {
        let error = TcpStream::connect(text).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}");
        assert!(error.to_string().contains("HOST:PORT"), "{error}");
    }
}

async fn a_taken_port_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = TcpListener::bind(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("another port"), "{text}");
}

async fn read_exact_fills_the_buffer_over_many_pieces() {
    let (client, server) = pair().await;
    let sending = spawn(async move {
        for piece in ["one", "two", "three"] {
            client.write_all(piece).await.0.unwrap();
            sleep(Duration::from_millis(2)).await;
        }
        client
    });
    let (result, got) = server.read_exact(Vec::with_capacity(9)).await;
    result.unwrap();
    assert_eq!(got, b"onetwothr");
    let (result, got) = server.read_exact(vec![0; 10].slice(8..)).await;
    result.unwrap();
    assert_eq!(got.into_inner(), b"\0\0\0\0\0\0\0\0ee");
    drop(sending.await.unwrap());
}

async fn read_exact_tells_an_early_end() {
    let (client, server) = pair().await;
    client.write_all("half").await.0.unwrap();
    drop(client);
    let (result, got) = server.read_exact(Vec::with_capacity(8)).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("4 of 8"), "{error}");
    assert_eq!(got, b"half");
}

async fn vectored_transfers_keep_the_order() {
    let (client, server) = pair().await;
    let parts = vec![b"one ".to_vec(), Vec::new(), b"two ".to_vec(), b"three".to_vec()];
    let (result, parts) = client.writev(parts).await;
    assert_eq!(result.unwrap(), 13);
    assert_eq!(parts.concat(), b"one two three");
    let rooms = vec![Vec::with_capacity(2), Vec::new(), Vec::with_capacity(7), b"old text".to_vec()];
    let (result, rooms) = server.readv(rooms).await;
    assert_eq!(result.unwrap(), 13);
    assert_eq!(rooms, [&b"on"[..], b"", b"e two t", b"hree"]);
    // More buffers than one call of the system takes.
    let (result, _) = client.writev(vec!["x"; 3000]).await;
    assert_eq!(result.unwrap(), 1024);
    let (result, rooms) = server.readv((0..3000).map(|_| Vec::with_capacity(1)).collect()).await;
    let count = result.unwrap();
    assert!(count <= 1024);
    assert!(rooms[..count].iter().all(|room| room == b"x"));
    assert!(rooms[count..].iter().all(Vec::is_empty));
}

async fn two_reads_take_turns_in_the_order_in_which_they_came() {
    let (client, server) = pair().await;
    let reads: Vec<_> = (0..8).map(|_| spawn(server.read(Vec::with_capacity(2)))).collect();
    sleep(Duration::from_millis(2)).await;
    client.write_all("0011223344556677").await.0.unwrap();
    for (n, read) in reads.into_iter().enumerate() {
        assert_eq!(read.await.unwrap().1, n.to_string().repeat(2).into_bytes());
    }
}

async fn two_writes_take_turns_and_do_not_interleave() {
    const LENGTH: usize = 1 << 20;
    let (client, server) = pair().await;
    client.set_send_buffer_size(4096).unwrap();
    let client = Rc::new(client);
    let vectored = spawn(client.writev(vec![vec![b'a'; 100]; 3]));
    let writes: Vec<_> = (1..4u8).map(|n| spawn(client.write(vec![b'a' + n; LENGTH]))).collect();
    annulus::yield_now().await;
    let reading = spawn(async move { read_to_end(&server).await });
    let mut wanted = vec![b'a'; vectored.await.unwrap().0.unwrap()];
    for (n, write) in writes.into_iter().enumerate() {
        let count = write.await.unwrap().0.unwrap();
        wanted.extend(vec![b'b' + n as u8; count]);
    }
    drop(client);
    assert_same(&reading.await.unwrap(), &wanted);
}

async fn borrowed_halves_work_in_one_task() {
    let (client, server) = pair().await;
    let echo = spawn(async move { annulus::io::copy(&mut &server, &mut &server).await });
    let (mut reading, mut writing) = client.split();
    let (written, (read, got)) = futures_util::join!(
        annulus::io::AsyncWrite::write_all(&mut writing, "there and back"),
        annulus::io::AsyncRead::read_exact(&mut reading, Vec::with_capacity(14)),
    );
    written.0.unwrap();
    read.unwrap();
    assert_eq!(got, b"there and back");
    drop(client);
    assert_eq!(echo.await.unwrap().unwrap(), 14);
}

async fn owned_halves_work_in_two_tasks_and_become_whole_again() {
    let (client, server) = pair().await;
    let (reading, writing) = client.into_split();
    let reader = spawn(async move {
        let (result, got) = reading.read_exact(Vec::with_capacity(4)).await;
        result.unwrap();
        assert_eq!(got, b"pong");
        reading
    });
    let writer = spawn(async move {
        writing.write_all("ping").await.0.unwrap();
        writing
    });
    let (_, got) = server.read_exact(Vec::with_capacity(4)).await;
    assert_eq!(got, b"ping");
    server.write_all("pong").await.0.unwrap();
    let whole = writer.await.unwrap().reunite(reader.await.unwrap()).unwrap();
    whole.write_all("whole").await.0.unwrap();
    drop(whole);
    assert_eq!(read_to_end(&server).await, b"whole");
}

async fn halves_of_two_streams_do_not_become_one() {
    let (client, server) = pair().await;
    let (one, other) = (client.into_split(), server.into_split());
    let error = one.0.reunite(other.1).unwrap_err();
    assert!(error.to_string().contains("not of the same stream"));
    let annulus::net::ReuniteError(reading, writing) = error;
    reading.reunite(one.1).unwrap();
    writing.reunite(other.0).unwrap();
}

async fn options_are_kept() {
    let (stream, _peer) = pair().await;
    for on in [true, false] {
        stream.set_nodelay(on).unwrap();
        assert_eq!(stream.nodelay().unwrap(), on);
        stream.set_keepalive(on).unwrap();
        assert_eq!(stream.keepalive().unwrap(), on);
    }
    for span in [Some(Duration::from_secs(3)), None] {
        stream.set_linger(span).unwrap();
        assert_eq!(stream.linger().unwrap(), span);
    }
    stream.set_ttl(9).unwrap();
    assert_eq!(stream.ttl().unwrap(), 9);
    stream.set_recv_buffer_size(10_000).unwrap();
    assert!(stream.recv_buffer_size().unwrap() >= 10_000);
    stream.set_send_buffer_size(10_000).unwrap();
    assert!(stream.send_buffer_size().unwrap() >= 10_000);
    assert!(stream.take_error().unwrap().is_none());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.set_ttl(7).unwrap();
    assert_eq!(listener.ttl().unwrap(), 7);
}

async fn both_ends_know_their_addresses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
    assert_eq!(server.local_addr().unwrap(), listener.local_addr().unwrap());
}

async fn version_six_addresses_work() {
    let listener = match TcpListener::bind("[::1]:0").await {
        Ok(listener) => listener,
        Err(error) => return support::skipped("version six addresses", &error.to_string()),
    };
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.set_ttl(11).unwrap();
    assert_eq!(client.ttl().unwrap(), 11);
    let (server, _) = listener.accept().await.unwrap();
    client.write_all("six").await.0.unwrap();
    drop(client);
    assert_eq!(read_to_end(&server).await, b"six");
}

async fn a_dropped_stream_is_an_end_for_its_peer_even_with_a_read_pending() {
    let (stream, mut peer) = with_peer().await;
    let pending = spawn(stream.read(Vec::with_capacity(16)));
    sleep(Duration::from_millis(5)).await;
    let (seen, at) =
        futures_util::join!(async { (peer.read(16).await.map_err(|error| error.kind()), now()) }, async {
            sleep(Duration::from_millis(10)).await;
            drop(stream);
            now()
        },);
    let (end, seen_at) = seen;
    assert_eq!(end, Ok(vec![]));
    assert!(seen_at - at < Duration::from_millis(100), "after {:?}", seen_at - at);
    let (result, buffer) = pending.await.unwrap();
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buffer.capacity(), 16);
}

async fn closing_ends_a_pending_read() {
    let (client, server) = pair().await;
    let pending: Vec<_> = (0..3).map(|_| spawn(server.read(Vec::with_capacity(16)))).collect();
    sleep(Duration::from_millis(5)).await;
    timeout(Duration::from_secs(5), server.close()).await.unwrap().unwrap();
    for read in pending {
        assert_eq!(read.await.unwrap().0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    }
    assert_eq!(read_to_end(&client).await, b"");
}

async fn closing_a_listener_ends_a_pending_accept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pending = spawn(listener.accept());
    sleep(Duration::from_millis(5)).await;
    timeout(Duration::from_secs(5), listener.close()).await.unwrap().unwrap();
    // The accept keeps the listener until it has told.
    let result = timeout(Duration::from_secs(5), pending).await.unwrap().unwrap();
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
}

async fn dropping_a_listener_ends_a_pending_accept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pending = spawn(listener.accept());
    sleep(Duration::from_millis(5)).await;
    drop(listener);
    let result = timeout(Duration::from_secs(5), pending).await.unwrap().unwrap();
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    // Dropping does not wait: the socket is released when the kernel returns from the enter that closes it.
    sleep(Duration::from_millis(20)).await;
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

async fn a_number_that_is_used_again_after_a_close_is_waited_for_anew() {
    // The system gives the lowest number that is free: the one that was just closed.
    let round = async |closed: bool| {
        let (stream, mut peer) = with_peer().await;
        let reading = spawn(stream.read(Vec::with_capacity(16)));
        sleep(Duration::from_millis(2)).await;
        peer.write_all(b"here").await.unwrap();
        assert_eq!(reading.await.unwrap().1, b"here");
        if closed {
            stream.close().await.unwrap();
        }
    };
    for closed in [true, true, false, false, true, false] {
        timeout(Duration::from_secs(5), round(closed)).await.expect("it is told");
    }
}

fn dropping_a_stream_whose_peer_never_reads_does_not_wait(builder: Builder) {
    let runtime = builder.build().unwrap();
    let start = Instant::now();
    let peer = runtime.run(async {
        let (stream, peer) = with_peer().await;
        let stream = Rc::new(stream);
        let writing = spawn({
            let stream = Rc::clone(&stream);
            async move { stream.write_all(vec![0; 64 << 20]).await.0 }
        });
        sleep(Duration::from_millis(20)).await;
        writing.abort();
        drop(stream);
        peer
    });
    drop(runtime);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    drop(peer);
}

async fn a_closed_listener_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    listener.close().await.unwrap();
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    // SO_REUSEADDR is set, so the port is free at once.
    TcpListener::bind(address).await.unwrap();
}

async fn a_hundred_connections_are_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..100u8)
        .map(|n| {
            spawn(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(vec![n]).await.0.unwrap();
                read_to_end(&stream).await
            })
        })
        .collect();
    for _ in 0..100 {
        let (stream, _) = listener.accept().await.unwrap();
        drop(spawn(async move {
            let (result, got) = stream.read(Vec::with_capacity(4)).await;
            result.unwrap();
            stream.write_all(got).await.0.unwrap();
        }));
    }
    for (n, client) in clients.into_iter().enumerate() {
        assert_eq!(client.await.unwrap(), [n as u8]);
    }
}

async fn readable_and_writable_wait_for_what_they_say() {
    let (client, server) = pair().await;
    server.writable().await.unwrap();
    assert!(timeout(Duration::from_millis(10), server.readable()).await.is_err());
    client.write_all("now").await.0.unwrap();
    timeout(Duration::from_secs(5), server.readable()).await.unwrap().unwrap();
    assert_eq!(server.read(Vec::with_capacity(8)).await.1, b"now");
    assert!(timeout(Duration::from_millis(10), server.readable()).await.is_err());
    drop(client);
    timeout(Duration::from_secs(5), server.readable()).await.unwrap().unwrap();
}

async fn copying_from_one_stream_to_another_moves_every_byte() {
    const LENGTH: usize = 1 << 20;
    let ((source, mut left), (mut right, sink)) = (pair().await, pair().await);
    let sending = spawn(async move { source.write_all(bytes(5, LENGTH)).await.0.unwrap() });
    let getting = spawn(async move { read_to_end(&sink).await });
    let moved = annulus::io::copy(&mut left, &mut right).await.unwrap();
    drop(right);
    sending.await.unwrap();
    assert_eq!(moved, LENGTH as u64);
    assert_same(&getting.await.unwrap(), &bytes(5, LENGTH));
}

fn a_stream_under_another_loop_panics_with_the_reason(builder: Builder) {
    let (one, other) = (builder.clone().build().unwrap(), builder.build().unwrap());
    let (stream, _peer) = one.run(pair()).unwrap();
    let read = stream.read(Vec::with_capacity(16));
    let error = other.run(async { spawn(read).await.unwrap_err() }).unwrap();
    assert!(error.to_string().contains("belong to the loop that opened them"), "{error}");
    one.run(async move { stream.write_all("still whole").await.0.unwrap() }).unwrap();
}
