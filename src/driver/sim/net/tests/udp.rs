//! Datagrams between hosts.

use super::*;

fn udp(world: &mut World, host: HostId, at: &str) -> (SocketId, Address) {
    let id = world.socket(host, libc::AF_INET, libc::SOCK_DGRAM);
    world.bind(id, &internet(at)).unwrap();
    (id, world.network.local_name(id).unwrap())
}

#[test]
fn datagrams_keep_their_borders_and_name_their_sender() {
    let mut world = World::new(1);
    let (here, there) = (world.here, world.there);
    let (one, at) = udp(&mut world, there, "10.0.0.2:53");
    let other = world.socket(here, libc::AF_INET, libc::SOCK_DGRAM);
    assert_eq!(world.send(other, b""), Err(libc::EDESTADDRREQ));
    for bytes in [&b"hello"[..], b"", b"world"] {
        assert_eq!(world.send_to(other, bytes, &at), Ok(bytes.len()));
    }
    assert_eq!(world.receive(one, 9), Err(libc::EAGAIN), "it is not there yet");
    world.settle();
    assert_eq!(world.ready(one), IN | OUT);
    let first = world.receive_from(one, 2).unwrap();
    assert_eq!((first.bytes.as_slice(), first.full_length), (&b"he"[..], 5));
    let from = port(&world.network.local_name(other).unwrap());
    assert_eq!(first.from, Some(internet(&format!("10.0.0.1:{from}"))));
    assert_eq!(world.receive(one, 9), Ok(vec![]));
    assert_eq!(world.receive(one, 0), Ok(vec![]), "the rest is gone");
    assert_eq!(world.receive(one, 9), Err(libc::EAGAIN));
    world.ends_empty(&[one, other]);
}

#[test]
fn a_datagram_has_a_greatest_length() {
    let mut world = World::new(1);
    let (here, there) = (world.here, world.there);
    let (one, at) = udp(&mut world, there, "10.0.0.2:53");
    let (other, _) = udp(&mut world, here, "0.0.0.0:0");
    for (length, answer) in [(65507, Ok(65507)), (65508, Err(libc::EMSGSIZE)), (70_000, Err(libc::EMSGSIZE))]
    {
        assert_eq!(world.send_to(other, &vec![0; length], &at), answer);
    }
    assert_eq!(world.send_to(other, b"x", &internet("10.0.0.2:0")), Err(libc::EINVAL));
    assert_eq!(world.send_to(other, b"x", &internet("192.0.2.1:9")), Err(libc::ENETUNREACH));
    assert_eq!(world.send_to(other, b"x", &internet("255.255.255.255:9")), Err(libc::EACCES));
    world.ends_empty(&[one, other]);
}

#[test]
fn a_connected_socket_is_told_once_that_nobody_is_there() {
    let mut world = World::new(1);
    let dead = internet("10.0.0.2:9");
    let id = world.socket(world.here, libc::AF_INET, libc::SOCK_DGRAM);
    assert_eq!(world.send_to(id, b"x", &dead), Ok(1));
    world.settle();
    assert_eq!(world.ready(id), OUT, "who is not connected never hears of it");
    world.connect(id, &dead).unwrap();
    assert_eq!(world.send(id, b"x"), Ok(1));
    world.settle();
    assert_eq!(world.ready(id), OUT | ERR);
    assert_eq!(world.send(id, b"x"), Err(libc::ECONNREFUSED));
    assert_eq!(world.send(id, b"x"), Ok(1));
    world.settle();
    assert_eq!(world.receive(id, 1), Err(libc::ECONNREFUSED));
    assert_eq!(world.receive(id, 1), Err(libc::EAGAIN));
    world.ends_empty(&[id]);
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    let mut world = World::new(1);
    let (here, there) = (world.here, world.there);
    let (friend, at) = udp(&mut world, there, "10.0.0.2:1");
    let (stranger, _) = udp(&mut world, there, "10.0.0.2:2");
    let id = world.socket(here, libc::AF_INET, libc::SOCK_DGRAM);
    world.connect(id, &at).unwrap();
    let own = world.network.local_name(id).unwrap();
    world.send_to(stranger, b"stranger", &own).unwrap();
    world.settle();
    assert_eq!(world.ready(id), OUT);
    world.send_to(friend, b"friend", &own).unwrap();
    world.settle();
    assert_eq!(world.receive(id, 9).unwrap(), b"friend");
    assert_eq!(world.network.peer_name(id), Ok(at));
    world.shutdown(id, libc::SHUT_RD).unwrap();
    assert_eq!(world.ready(id), IN | OUT | RDHUP);
    assert_eq!(world.receive(id, 1), Ok(vec![]), "as a call that blocks is told");
    world.shutdown(id, libc::SHUT_WR).unwrap();
    assert_eq!(world.send(id, b"x"), Err(libc::EPIPE));
    assert_eq!(world.ready(id), OVER);
    assert_eq!(world.shutdown(friend, libc::SHUT_RD), Err(libc::ENOTCONN));
    world.ends_empty(&[friend, stranger, id]);
}

#[test]
fn what_has_no_room_is_dropped() {
    let mut world = World::new(1);
    let (here, there) = (world.here, world.there);
    let (one, at) = udp(&mut world, there, "10.0.0.2:53");
    let (other, _) = udp(&mut world, here, "0.0.0.0:0");
    // As many as a kernel keeps.
    for (length, kept) in [(1000, 92), (60_000, 3)] {
        for _ in 0..200 {
            world.send_to(other, &vec![0; length], &at).unwrap();
        }
        world.settle();
        let count = std::iter::from_fn(|| world.receive(one, 9).ok()).count();
        assert_eq!(count, kept, "of {length} bytes");
    }
    world.ends_empty(&[one, other]);
}

#[test]
fn the_way_loses_doubles_and_mixes_datagrams() {
    let arrived = |change: fn(&mut Link)| {
        let mut world = World::new(1);
        let (here, there) = (world.here, world.there);
        let (one, at) = udp(&mut world, there, "10.0.0.2:53");
        let (other, _) = udp(&mut world, here, "0.0.0.0:0");
        change(world.network.link(here, there));
        for number in 0..100 {
            world.send_to(other, &[number], &at).unwrap();
            world.pass(10_000);
        }
        world.settle();
        let arrived: Vec<u8> = std::iter::from_fn(|| world.receive(one, 9).ok()).flatten().collect();
        world.ends_empty(&[one, other]);
        arrived
    };
    let all: Vec<u8> = (0..100).collect();
    assert_eq!(arrived(|_| {}), all, "in order, though the latency varies");
    let lost = arrived(|link| link.loss = 0.5);
    assert!(lost.len() > 20 && lost.len() < 80 && lost.is_sorted());
    let doubled = arrived(|link| link.duplicate = 1.0);
    assert_eq!(doubled.len(), 200);
    let mut mixed = arrived(|link| link.reorder = 0.2);
    assert!(!mixed.is_sorted());
    mixed.sort_unstable();
    assert_eq!(mixed, all);
    assert!(arrived(|link| link.up = false).is_empty());
}

#[test]
fn the_most_exact_of_those_who_share_a_port_gets_the_datagram() {
    let mut world = World::new(1);
    let (here, there) = (world.here, world.there);
    let (any, _) = udp(&mut world, there, "0.0.0.0:53");
    let exact = world.socket(there, libc::AF_INET, libc::SOCK_DGRAM);
    assert_eq!(world.bind(exact, &internet("10.0.0.2:53")), Err(libc::EADDRINUSE));
    for id in [any, exact] {
        world.network.options_mut(id).unwrap().reuse_address = true;
    }
    world.bind(exact, &internet("10.0.0.2:53")).unwrap();
    let (other, _) = udp(&mut world, here, "0.0.0.0:0");
    world.send_to(other, b"x", &internet("10.0.0.2:53")).unwrap();
    world.settle();
    assert_eq!((world.ready(any), world.ready(exact)), (OUT, IN | OUT));
    assert_eq!(world.listen(any, 1), Err(libc::EOPNOTSUPP));
    assert_eq!(world.accept(any), Err(libc::EOPNOTSUPP));
    world.ends_empty(&[any, exact, other]);
}

#[test]
fn whoever_tries_to_send_has_a_port() {
    let mut world = World::new(1);
    let id = world.socket(world.here, libc::AF_INET, libc::SOCK_DGRAM);
    assert_eq!(world.network.local_name(id), Ok(internet("0.0.0.0:0")));
    assert_eq!(world.send(id, b"x"), Err(libc::EDESTADDRREQ));
    assert_ne!(world.network.local_name(id), Ok(internet("0.0.0.0:0")));
    assert_eq!(world.bind(id, &internet("0.0.0.0:53")), Err(libc::EINVAL));
    world.ends_empty(&[id]);
}
