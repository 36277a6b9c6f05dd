//! Sockets within a host.

use super::*;

const CONNECTED: [i32; 2] = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET];

fn pair(world: &mut World, kind: i32) -> (SocketId, SocketId) {
    let here = world.here;
    world.network.pair(here, kind).unwrap()
}

fn unix(world: &mut World, kind: i32) -> SocketId {
    world.socket(world.here, libc::AF_UNIX, kind)
}

fn listener(world: &mut World, kind: i32, backlog: i32) -> SocketId {
    let id = unix(world, kind);
    world.bind(id, &name("listener")).unwrap();
    world.listen(id, backlog).unwrap();
    id
}

#[test]
fn a_unix_connection_is_there_at_once() {
    for kind in CONNECTED {
        let mut world = World::new(1);
        let at = name("listener");
        let listener = listener(&mut world, kind, 5);
        let client = unix(&mut world, kind);
        assert_eq!(world.connect(client, &at), Ok(()));
        assert_eq!(world.connect(client, &at), Err(libc::EISCONN));
        assert_eq!((world.ready(client), world.ready(listener)), (OUT, IN));
        world.send(client, b"early").unwrap();
        assert_eq!(world.bind(client, &name("client")), Ok(()));
        let server = world.accept(listener).unwrap();
        assert_eq!(world.receive(server, 9).unwrap(), b"early");
        assert_eq!(world.network.peer_name(server), Ok(name("client")));
        assert_eq!(world.network.peer_name(client), Ok(at.clone()));
        assert_eq!(world.connect(listener, &at), Err(libc::EINVAL));
        world.ends_empty(&[client, server, listener]);
    }
}

#[test]
fn names_belong_to_a_host_and_paths_are_found_by_inode() {
    let mut world = World::new(1);
    let path = |inode| Address::Unix(UnixName::Path { path: b"/s".to_vec(), inode });
    let listener = unix(&mut world, libc::SOCK_STREAM);
    assert_eq!(world.listen(listener, 1), Err(libc::EINVAL), "without a name");
    world.bind(listener, &path(7)).unwrap();
    assert_eq!(world.bind(listener, &path(8)), Err(libc::EINVAL));
    let client = unix(&mut world, libc::SOCK_STREAM);
    assert_eq!(world.connect(client, &path(7)), Err(libc::ECONNREFUSED), "it does not listen");
    world.listen(listener, 1).unwrap();
    let wrong = unix(&mut world, libc::SOCK_DGRAM);
    assert_eq!(world.connect(wrong, &path(7)), Err(libc::EPROTOTYPE));
    assert_eq!(world.connect(wrong, &name("none")), Err(libc::ECONNREFUSED));
    assert_eq!(world.connect(wrong, &internet("10.0.0.1:1")), Err(libc::EINVAL));
    let abroad = world.socket(world.there, libc::AF_UNIX, libc::SOCK_STREAM);
    assert_eq!(world.connect(abroad, &path(7)), Err(libc::ECONNREFUSED));
    assert_eq!(world.connect(client, &path(7)), Ok(()));
    assert_eq!(world.bind(wrong, &path(7)), Err(libc::EADDRINUSE));
    assert_eq!(world.bind(wrong, &Address::Unix(UnixName::Unnamed)), Ok(()));
    let named = world.network.local_name(wrong).unwrap();
    assert!(matches!(named, Address::Unix(UnixName::Abstract(name)) if name.len() == 5));
    world.ends_empty(&[listener, client, wrong, abroad]);
}

#[test]
fn a_full_backlog_says_try_again_and_wakes_who_waits() {
    for kind in CONNECTED {
        let mut world = World::new(1);
        let listener = listener(&mut world, kind, 1);
        let clients = [(); 3].map(|()| unix(&mut world, kind));
        let answers = clients.map(|client| world.connect(client, &name("listener")));
        assert_eq!(answers, [Ok(()), Ok(()), Err(libc::EAGAIN)]);
        world.woken.clear();
        let first = world.accept(listener).unwrap();
        assert!(world.woken.contains(&clients[2]));
        assert_eq!(world.connect(clients[2], &name("listener")), Ok(()));
        world.close(listener);
        assert_eq!(world.ready(clients[0]), OUT);
        for client in [clients[1], clients[2]] {
            assert_eq!(world.ready(client), LOST);
            assert_eq!(world.receive(client, 1), Err(libc::ECONNRESET));
            assert_eq!(world.receive(client, 1), Ok(vec![]));
            assert_eq!(world.send(client, b"x"), Err(libc::EPIPE));
        }
        world.ends_empty(&[first, clients[0], clients[1], clients[2]]);
    }
}

#[test]
fn unix_sockets_without_a_connection_answer_as_in_linux() {
    let mut world = World::new(1);
    for (kind, receive, send_to) in [
        (libc::SOCK_STREAM, libc::EINVAL, libc::EOPNOTSUPP),
        (libc::SOCK_SEQPACKET, libc::ENOTCONN, libc::ENOTCONN),
    ] {
        let fresh = unix(&mut world, kind);
        assert_eq!(world.ready(fresh), OUT | HUP);
        assert_eq!(world.receive(fresh, 1), Err(receive));
        assert_eq!(world.send(fresh, b"x"), Err(libc::ENOTCONN));
        assert_eq!(world.send_to(fresh, b"x", &name("none")), Err(send_to));
        assert_eq!(world.accept(fresh), Err(libc::EINVAL));
        assert_eq!(world.shutdown(fresh, libc::SHUT_WR), Ok(()));
        world.close(fresh);
        let listener = listener(&mut world, kind, 1);
        assert_eq!(world.ready(listener), 0);
        assert_eq!(world.receive(listener, 1), Err(receive));
        assert_eq!(world.shutdown(listener, libc::SHUT_RD), Ok(()));
        assert_eq!(world.accept(listener), Err(libc::EINVAL), "as a call that blocks is told");
        let client = unix(&mut world, kind);
        assert_eq!(world.connect(client, &name("listener")), Err(libc::ECONNREFUSED));
        world.close(listener);
        world.close(client);
    }
    let fresh = unix(&mut world, libc::SOCK_DGRAM);
    assert_eq!(world.ready(fresh), OUT);
    assert_eq!(world.receive(fresh, 1), Err(libc::EAGAIN));
    assert_eq!(world.send(fresh, b"x"), Err(libc::ENOTCONN));
    assert_eq!(world.listen(fresh, 1), Err(libc::EOPNOTSUPP));
    assert_eq!(world.send_to(fresh, b"x", &name("none")), Err(libc::ECONNREFUSED));
    world.ends_empty(&[fresh]);
}

#[test]
fn a_stream_flows_together_and_packets_do_not() {
    let mut world = World::new(1);
    for (kind, second) in [(libc::SOCK_STREAM, &b"cdef"[..]), (libc::SOCK_SEQPACKET, b"def")] {
        let (one, other) = pair(&mut world, kind);
        world.send(one, b"abc").unwrap();
        world.send(one, b"def").unwrap();
        assert_eq!(world.receive(other, 2).unwrap(), b"ab");
        assert_eq!(world.receive(other, 9).unwrap(), second);
        assert_eq!(world.receive(other, 9), Err(libc::EAGAIN));
        world.send(other, b"q").unwrap();
        world.close(other);
        assert_eq!(world.ready(one), OVER);
        assert_eq!(world.receive(one, 9).unwrap(), b"q");
        assert_eq!(world.receive(one, 9), Ok(vec![]));
        assert_eq!(world.send(one, b"x"), Err(libc::EPIPE));
        assert_eq!(world.network.peer_name(one), Ok(Address::Unix(UnixName::Unnamed)));
        world.close(one);
    }
    world.ends_empty(&[]);
}

#[test]
fn to_close_with_something_unread_is_told_to_the_peer() {
    let mut world = World::new(1);
    let (one, other) = pair(&mut world, libc::SOCK_STREAM);
    world.send(one, b"unread").unwrap();
    world.send(other, b"q").unwrap();
    world.close(other);
    assert_eq!(world.ready(one), LOST);
    assert_eq!(world.send(one, b"x"), Err(libc::EPIPE));
    assert_eq!(world.receive(one, 9).unwrap(), b"q", "first what was sent");
    assert_eq!(world.receive(one, 9), Err(libc::ECONNRESET));
    assert_eq!(world.receive(one, 9), Ok(vec![]));
    let (packet, other) = pair(&mut world, libc::SOCK_SEQPACKET);
    world.send(packet, b"unread").unwrap();
    world.send(other, b"q").unwrap();
    world.close(other);
    assert_eq!(world.receive(packet, 9), Err(libc::ECONNRESET), "first the error");
    assert_eq!(world.receive(packet, 9).unwrap(), b"q");
    world.ends_empty(&[one, packet]);
}

#[test]
fn a_half_that_is_shut_is_shut_at_the_peer_too() {
    for kind in CONNECTED {
        let mut world = World::new(1);
        let (one, other) = pair(&mut world, kind);
        world.shutdown(one, libc::SHUT_WR).unwrap();
        assert_eq!((world.ready(one), world.ready(other)), (OUT, IN | OUT | RDHUP));
        assert_eq!(world.send(one, b"x"), Err(libc::EPIPE));
        assert_eq!(world.receive(other, 1), Ok(vec![]));
        world.send(other, b"y").unwrap();
        assert_eq!(world.receive(one, 1).unwrap(), b"y");
        world.shutdown(one, libc::SHUT_RD).unwrap();
        assert_eq!((world.ready(one), world.ready(other)), (OVER, OVER));
        assert_eq!(world.send(other, b"x"), Err(libc::EPIPE));
        world.ends_empty(&[one, other]);
    }
}

#[test]
fn a_unix_socket_is_full_when_a_real_one_is() {
    let mut world = World::new(1);
    for (kind, size, takes, writable_after) in [
        (libc::SOCK_STREAM, 1, 278, 209),
        (libc::SOCK_STREAM, 1000, 93_000, 70_000),
        (libc::SOCK_STREAM, 4096, 180_224, 139_264),
        (libc::SOCK_STREAM, 65536, 233_152, 196_608),
        (libc::SOCK_STREAM, 150_000, 223_088, 223_088),
        (libc::SOCK_SEQPACKET, 1000, 93_000, 70_000),
        (libc::SOCK_SEQPACKET, 4096, 106_496, 81_920),
        (libc::SOCK_SEQPACKET, 65536, 262_144, 262_144),
        (libc::SOCK_DGRAM, 100, 27_800, 20_900),
    ] {
        let (one, other) = pair(&mut world, kind);
        assert_eq!(world.fill(one, size), takes, "kind {kind} by {size}");
        assert_eq!(world.ready(one), 0);
        let mut read = 0;
        while world.ready(one) & OUT == 0 {
            read += world.receive(other, size).unwrap().len();
        }
        assert_eq!(read, writable_after, "kind {kind} by {size}");
        world.close(one);
        world.close(other);
    }
    let (one, other) = pair(&mut world, libc::SOCK_DGRAM);
    assert_eq!(world.send(one, &[0; 212_961]), Err(libc::EMSGSIZE));
    assert_eq!(world.send(one, &[0; 212_960]), Ok(212_960));
    world.ends_empty(&[one, other]);
}

#[test]
fn eleven_datagrams_wait_and_who_sends_the_next_is_woken() {
    let mut world = World::new(1);
    let receiver = unix(&mut world, libc::SOCK_DGRAM);
    world.bind(receiver, &name("receiver")).unwrap();
    let sender = unix(&mut world, libc::SOCK_DGRAM);
    for _ in 0..11 {
        assert_eq!(world.send_to(sender, b"x", &name("receiver")), Ok(1));
    }
    assert_eq!(world.send_to(sender, b"x", &name("receiver")), Err(libc::EAGAIN));
    assert_eq!(world.ready(sender), OUT, "nobody knows to whom it will send");
    world.connect(sender, &name("receiver")).unwrap();
    assert_eq!(world.ready(sender), 0);
    world.woken.clear();
    world.receive(receiver, 9).unwrap();
    assert!(world.woken.contains(&sender));
    assert_eq!(world.ready(sender), OUT);
    world.ends_empty(&[receiver, sender]);
}

#[test]
fn datagrams_between_two_are_not_for_a_third() {
    let mut world = World::new(1);
    let [one, two, three] = [(); 3].map(|()| unix(&mut world, libc::SOCK_DGRAM));
    world.bind(one, &name("one")).unwrap();
    world.bind(two, &name("two")).unwrap();
    world.connect(three, &name("one")).unwrap();
    world.connect(one, &name("two")).unwrap();
    assert_eq!(world.send(three, b"x"), Err(libc::EPERM));
    assert_eq!(world.connect(three, &name("one")), Err(libc::EPERM));
    assert_eq!(world.send_to(two, b"hello", &name("one")), Ok(5));
    let received = world.receive_from(one, 2).unwrap();
    let expected =
        Received { bytes: b"he".to_vec(), from: Some(name("two")), full_length: 5, ..Received::default() };
    assert_eq!(received, expected);
    world.close(two);
    assert_eq!(world.send(one, b"x"), Err(libc::ECONNREFUSED));
    assert_eq!(world.send(one, b"x"), Err(libc::ENOTCONN));
    assert_eq!(world.receive(one, 1), Err(libc::EAGAIN));
    world.ends_empty(&[one, three]);
}

#[test]
fn kinds_that_are_not_there_are_refused_as_in_linux() {
    let mut world = World::new(1);
    let here = world.here;
    for (domain, kind, protocol, error) in [
        (99, 1, 0, libc::EAFNOSUPPORT),
        (2, 5, 0, libc::ESOCKTNOSUPPORT),
        (2, 77, 0, libc::EINVAL),
        (2, 1, 17, libc::EPROTONOSUPPORT),
        (2, 1, 999, libc::EINVAL),
        (2, 2, 6, libc::EPROTONOSUPPORT),
        (10, 5, 0, libc::ESOCKTNOSUPPORT),
        (1, 1, 5, libc::EPROTONOSUPPORT),
        (1, 77, 0, libc::EINVAL),
    ] {
        assert_eq!(world.network.socket(here, domain, kind, protocol), Err(error));
    }
    let flags = super::super::SOCKET_FLAGS;
    for (domain, kind, protocol) in [(1, 1, 1), (2, 1, 6), (2, 2, 17), (1, 3, 0), (1, 5 | flags, 0)] {
        let id = world.network.socket(here, domain, kind, protocol).unwrap();
        world.close(id);
    }
    world.ends_empty(&[]);
}

#[test]
fn who_turns_to_another_loses_what_the_first_has_sent_and_says_so() {
    let mut world = World::new(1);
    let (one, other) = pair(&mut world, libc::SOCK_DGRAM);
    let third = unix(&mut world, libc::SOCK_DGRAM);
    world.bind(third, &name("third")).unwrap();
    world.send(other, b"lost").unwrap();
    world.connect(one, &name("third")).unwrap();
    assert_eq!(world.receive(one, 9), Err(libc::EAGAIN));
    assert_eq!(world.ready(other), OUT | ERR);
    assert_eq!(world.network.take_error(other), Ok(libc::ECONNRESET));
    world.shutdown(third, libc::SHUT_WR).unwrap();
    assert_eq!(world.send(third, b"x"), Err(libc::EPIPE), "before it is seen that there is no peer");
    world.ends_empty(&[one, other, third]);
}
