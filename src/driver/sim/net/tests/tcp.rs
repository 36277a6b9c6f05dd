//! How TCP connections begin, and what they carry.

use super::*;

#[test]
fn a_connection_is_there_before_it_is_accepted_and_so_is_what_was_sent() {
    let mut world = World::new(1);
    let (listener, address) = world.listener("0.0.0.0:80", 5);
    assert_eq!(world.accept(listener), Err(libc::EAGAIN));
    let client = world.stream(world.here);
    let to = internet("10.0.0.2:80");
    assert_eq!(world.connect(client, &to), Err(libc::EAGAIN));
    assert_eq!(world.connect(client, &to), Err(libc::EAGAIN), "still under way");
    assert_eq!((world.ready(client), world.ready(listener)), (0, 0));
    assert_eq!(world.send(client, b"x"), Err(libc::EAGAIN));
    assert_eq!(world.receive(client, 1), Err(libc::EAGAIN));
    world.settle();
    assert!(world.woken.contains(&client) && world.woken.contains(&listener));
    assert_eq!((world.ready(client), world.ready(listener)), (OUT, IN));
    assert_eq!(world.connect(client, &to), Ok(()));
    assert_eq!(world.connect(client, &to), Err(libc::EISCONN));
    assert_eq!(world.send(client, b"early"), Ok(5));
    world.settle();
    let server = world.accept(listener).unwrap();
    assert_eq!(world.receive(server, 9).unwrap(), b"early");
    assert_eq!(world.network.local_name(server).unwrap(), to, "the address that was asked for, not 0.0.0.0");
    assert_eq!(address, internet("0.0.0.0:80"));
    assert_eq!(world.network.peer_name(server), world.network.local_name(client));
    assert_eq!(world.network.peer_name(client).unwrap(), to);
    world.ends_empty(&[client, server, listener]);
}

#[test]
fn a_connection_takes_a_round_trip() {
    let mut world = World::new(1);
    let (here, there) = (world.here, world.there);
    for (from, to) in [(here, there), (there, here)] {
        world.network.link(from, to).latency_ns = 10_000_000..=10_000_000;
    }
    let (listener, address) = world.listener("10.0.0.2:80", 5);
    let client = world.stream(here);
    let _ = world.connect(client, &address);
    world.pass(19_999_999);
    assert_eq!(world.ready(client), 0);
    world.pass(1);
    assert_eq!((world.ready(client), world.ready(listener)), (OUT, 0), "the third part is on its way");
    world.pass(10_000_000);
    assert_eq!(world.ready(listener), IN);
}

#[test]
fn where_nobody_listens_a_connection_is_refused_after_a_round_trip() {
    let mut world = World::new(1);
    let client = world.stream(world.here);
    for _ in 0..2 {
        assert_eq!(world.connect(client, &internet("10.0.0.2:9")), Err(libc::EAGAIN));
        world.settle();
        assert_eq!(world.ready(client), LOST);
        assert_eq!(world.connect(client, &internet("10.0.0.2:9")), Err(libc::ECONNREFUSED));
        assert_eq!(world.ready(client), OUT | HUP, "fresh again");
    }
    let _ = world.connect(client, &internet("10.0.0.2:9"));
    world.settle();
    assert_eq!(world.network.take_error(client), Ok(libc::ECONNREFUSED));
    assert_eq!(world.ready(client), OVER);
    assert_eq!(
        world.connect(client, &internet("10.0.0.2:9")),
        Err(libc::ECONNABORTED),
        "it was told already"
    );
    world.ends_empty(&[client]);
}

#[test]
fn a_question_that_nobody_answers_is_asked_ten_times_more() {
    let mut world = World::new(1);
    let (here, there) = (world.here, world.there);
    world.network.link(here, there).up = false;
    let client = world.stream(here);
    let _ = world.connect(client, &internet("10.0.0.2:80"));
    world.pass(130 * SECOND + SECOND / 2);
    assert_eq!(world.ready(client), 0);
    world.pass(SECOND);
    assert_eq!(world.ready(client), LOST);
    assert_eq!(world.connect(client, &internet("10.0.0.2:80")), Err(libc::ETIMEDOUT));
    assert_eq!(world.notes.iter().filter(|note| note.what == "lost").count(), 11);
    world.ends_empty(&[client]);
}

#[test]
fn where_no_way_leads_a_connection_is_refused_at_once() {
    let mut world = World::new(1);
    let client = world.stream(world.here);
    assert_eq!(world.connect(client, &internet("192.0.2.1:80")), Err(libc::ENETUNREACH));
    assert_eq!(world.connect(client, &internet("[fd00::2]:80")), Err(libc::EAFNOSUPPORT));
    assert_eq!(world.connect(client, &name("x")), Err(libc::EAFNOSUPPORT));
    world.bind(client, &internet("127.0.0.1:0")).unwrap();
    assert_eq!(world.connect(client, &internet("10.0.0.2:80")), Err(libc::EINVAL), "not from the loopback");
    let newer = world.socket(world.here, libc::AF_INET6, libc::SOCK_STREAM);
    assert_eq!(world.connect(newer, &internet("10.0.0.2:80")), Err(libc::EINVAL));
    world.ends_empty(&[client, newer]);
}

#[test]
fn nowhere_in_particular_is_the_own_host() {
    let mut world = World::new(1);
    let (listener, _) = world.listener("0.0.0.0:80", 5);
    for to in ["0.0.0.0:80", "127.0.0.1:80", "127.5.5.5:80", "10.0.0.2:80"] {
        let client = world.stream(world.there);
        let _ = world.connect(client, &internet(to));
        world.settle();
        assert_eq!(world.connect(client, &internet(to)), Ok(()), "{to}");
        world.close(client);
    }
    for _ in 0..4 {
        let server = world.accept(listener).unwrap();
        world.close(server);
    }
    world.ends_empty(&[listener]);
}

#[test]
fn a_listener_of_the_newer_kind_takes_the_older_too_and_tells_it_in_its_shape() {
    let mut world = World::new(1);
    let listener = world.socket(world.there, libc::AF_INET6, libc::SOCK_STREAM);
    world.bind(listener, &internet("[::]:80")).unwrap();
    world.listen(listener, 5).unwrap();
    let client = world.stream(world.here);
    let _ = world.connect(client, &internet("10.0.0.2:80"));
    world.settle();
    let server = world.accept(listener).unwrap();
    assert_eq!(world.network.local_name(server).unwrap(), internet("[::ffff:10.0.0.2]:80"));
    let newer = world.socket(world.here, libc::AF_INET6, libc::SOCK_STREAM);
    let _ = world.connect(newer, &internet("[fd00::2]:80"));
    world.settle();
    assert_eq!(world.connect(newer, &internet("[fd00::2]:80")), Ok(()));
    let other = world.stream(world.there);
    assert_eq!(world.bind(other, &internet("10.0.0.2:80")), Err(libc::EADDRINUSE));
    world.ends_empty(&[listener, client, server, newer, other]);
}

#[test]
fn a_full_backlog_makes_the_next_wait_and_ask_again() {
    let mut world = World::new(1);
    let (listener, address) = world.listener("10.0.0.2:80", 0);
    let clients = [(); 3].map(|()| world.stream(world.here));
    for client in clients {
        let _ = world.connect(client, &address);
        world.settle();
    }
    assert_eq!(clients.map(|client| world.ready(client)), [OUT, 0, 0], "one place more than none");
    let first = world.accept(listener).unwrap();
    world.settle();
    assert_eq!(world.accept(listener), Err(libc::EAGAIN), "nobody has asked again yet");
    world.pass(2 * SECOND);
    let second = world.accept(listener).unwrap();
    world.pass(2 * SECOND);
    let third = world.accept(listener).unwrap();
    world.ends_empty(&[listener, clients[0], clients[1], clients[2], first, second, third]);
}

#[test]
fn sockets_without_a_connection_answer_as_in_linux() {
    let mut world = World::new(1);
    let fresh = world.stream(world.here);
    assert_eq!(world.ready(fresh), OUT | HUP);
    assert_eq!(world.receive(fresh, 1), Err(libc::ENOTCONN));
    assert_eq!(world.send(fresh, b""), Err(libc::EPIPE));
    assert_eq!(world.network.local_name(fresh).unwrap(), internet("0.0.0.0:0"));
    assert_eq!(world.network.peer_name(fresh), Err(libc::ENOTCONN));
    assert_eq!(world.accept(fresh), Err(libc::EINVAL));
    assert_eq!(world.shutdown(fresh, libc::SHUT_WR), Err(libc::ENOTCONN));
    let (listener, address) = world.listener("10.0.0.2:80", 5);
    assert_eq!(world.receive(listener, 1), Err(libc::ENOTCONN));
    assert_eq!(world.send(listener, b"x"), Err(libc::EPIPE));
    assert_eq!(world.connect(listener, &address), Err(libc::EISCONN));
    assert_eq!(world.bind(listener, &internet("0.0.0.0:0")), Err(libc::EINVAL));
    assert_eq!(world.listen(listener, 9), Ok(()));
    assert_eq!(world.shutdown(listener, libc::SHUT_WR), Ok(()));
    assert_eq!(world.accept(listener), Err(libc::EAGAIN), "that changed nothing");
    world.ends_empty(&[fresh, listener]);
}

#[test]
fn a_listener_that_is_shut_down_resets_who_waits_and_may_listen_again() {
    let mut world = World::new(1);
    let (listener, address) = world.listener("10.0.0.2:80", 5);
    let client = world.stream(world.here);
    let _ = world.connect(client, &address);
    world.settle();
    assert_eq!(world.shutdown(listener, libc::SHUT_RD), Ok(()));
    assert_eq!(world.accept(listener), Err(libc::EINVAL));
    assert_eq!(world.ready(listener), OUT | HUP);
    assert_eq!(world.shutdown(listener, libc::SHUT_RDWR), Err(libc::ENOTCONN));
    world.settle();
    assert_eq!(world.ready(client), LOST);
    assert_eq!(world.network.take_error(client), Ok(libc::ECONNRESET));
    assert_eq!(world.listen(listener, 5), Ok(()));
    assert_eq!(world.accept(listener), Err(libc::EAGAIN));
    world.ends_empty(&[listener, client]);
}

#[test]
fn ports_are_held_as_reuse_allows() {
    let mut world = World::new(1);
    let at = internet("10.0.0.2:80");
    let (one, two) = (world.stream(world.there), world.stream(world.there));
    assert_eq!(world.bind(one, &internet("10.9.9.9:80")), Err(libc::EADDRNOTAVAIL));
    world.bind(one, &at).unwrap();
    assert_eq!(world.bind(one, &at), Err(libc::EINVAL));
    assert_eq!(world.bind(two, &at), Err(libc::EADDRINUSE));
    assert_eq!(world.bind(two, &internet("0.0.0.0:80")), Err(libc::EADDRINUSE));
    world.network.options_mut(two).unwrap().reuse_address = true;
    assert_eq!(world.bind(two, &at), Err(libc::EADDRINUSE), "both must want it");
    world.network.options_mut(one).unwrap().reuse_address = true;
    assert_eq!(world.bind(two, &at), Ok(()));
    assert_eq!(world.listen(one, 5), Ok(()));
    assert_eq!(world.listen(two, 5), Err(libc::EADDRINUSE), "never two listeners");
    world.close(two);
    let three = world.stream(world.there);
    world.network.options_mut(three).unwrap().reuse_address = true;
    assert_eq!(world.bind(three, &at), Err(libc::EADDRINUSE));
    assert_eq!(world.bind(three, &internet("127.0.0.1:80")), Ok(()), "another address");
    let client = world.stream(world.here);
    let _ = world.connect(client, &at);
    world.settle();
    let server = world.accept(one).unwrap();
    world.close(one);
    let four = world.stream(world.there);
    assert_eq!(world.bind(four, &at), Err(libc::EADDRINUSE), "a connection holds the port");
    world.network.options_mut(four).unwrap().reuse_address = true;
    assert_eq!(world.bind(four, &at), Ok(()));
    assert_eq!(world.listen(four, 5), Ok(()));
    world.ends_empty(&[client, server, three, four]);
}

#[test]
fn a_port_of_ones_own_is_chosen_by_the_dice() {
    let chosen = |seed| {
        let mut world = World::new(seed);
        let (listener, address) = world.listener("10.0.0.2:0", 5);
        assert!((32768..=60999).contains(&port(&address)));
        world.ends_empty(&[listener]);
        port(&address)
    };
    assert_eq!(chosen(1), chosen(1));
    assert_ne!(chosen(1), chosen(2));
}

#[test]
fn what_nobody_reads_is_bounded_and_reading_lets_more_come() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    let mut sent = 0;
    while world.ready(client) & OUT != 0 {
        sent += world.fill(client, 100_000);
        world.settle();
    }
    assert_eq!(world.send(client, b"x"), Err(libc::EAGAIN));
    let options = world.network.options(client).unwrap();
    assert_eq!(sent, options.stream_send_max() + options.stream_receive_max());
    world.woken.clear();
    let mut read = world.receive(server, 10).unwrap().len();
    world.settle();
    assert!(!world.woken.contains(&client), "so little is not worth a packet");
    while world.ready(client) & OUT == 0 {
        read += world.receive(server, 10_000).unwrap().len();
        world.settle();
    }
    assert!(world.woken.contains(&client));
    while let Ok(bytes) = world.receive(server, 100_000) {
        read += bytes.len();
        world.settle();
    }
    assert_eq!(read, sent);
    world.ends_empty(&[client, server]);
}

#[test]
fn sizes_are_doubled_and_bound_what_is_under_way() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    for (size, told) in [(0, 4608), (5000, 10_000), (100_000, 200_000), (10_000_000, 425_984)] {
        let options = world.network.options_mut(client).unwrap();
        options.set_send_size(size);
        assert_eq!(options.send_size(), told);
    }
    world.network.options_mut(client).unwrap().set_send_size(5000);
    world.network.options_mut(server).unwrap().set_receive_size(5000);
    assert_eq!(world.fill(client, 100_000), 5000);
    world.settle();
    assert_eq!(world.fill(client, 100_000), 5000);
    world.settle();
    assert_eq!(world.fill(client, 1), 0);
    world.ends_empty(&[client, server]);
}

#[test]
fn a_peek_takes_nothing() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    assert_eq!(world.send(client, b""), Ok(0));
    world.send(client, b"0123456789").unwrap();
    world.settle();
    let peek = world.call(|network, moment| network.receive(moment, server, 4, libc::MSG_PEEK)).unwrap();
    assert_eq!(peek.bytes, b"0123");
    assert_eq!(world.receive(server, 0).unwrap(), b"");
    assert_eq!(world.receive(server, 4).unwrap(), b"0123");
    assert_eq!(world.receive(server, 99).unwrap(), b"456789");
    assert_eq!(world.receive(server, 0), Err(libc::EAGAIN));
    world.ends_empty(&[client, server]);
}

#[test]
fn a_socket_that_failed_may_be_bound_and_one_that_was_shut_is_of_no_use() {
    let mut world = World::new(1);
    let dead = internet("10.0.0.2:9");
    let [one, two] = [(); 2].map(|()| world.stream(world.here));
    for id in [one, two] {
        let _ = world.connect(id, &dead);
    }
    world.settle();
    let before = world.network.local_name(one);
    assert_ne!(before, Ok(internet("0.0.0.0:0")), "the name stays, though the port is free");
    assert_eq!(world.bind(one, &internet("10.0.0.1:7")), Ok(()));
    assert_eq!(world.network.local_name(one), Ok(internet("10.0.0.1:7")));
    assert_eq!(world.shutdown(two, libc::SHUT_RD), Err(libc::ENOTCONN));
    assert_eq!(world.connect(two, &dead), Err(libc::EINVAL));
    assert_eq!(world.listen(two, 1), Err(libc::EINVAL));
    world.ends_empty(&[one, two]);
}

#[test]
fn who_connects_to_itself_is_its_own_peer() {
    let mut world = World::new(1);
    let at = internet("127.0.0.1:80");
    let id = world.stream(world.here);
    world.bind(id, &at).unwrap();
    let _ = world.connect(id, &at);
    world.settle();
    assert_eq!(world.connect(id, &at), Ok(()));
    assert_eq!(world.send(id, b"echo"), Ok(4));
    world.settle();
    assert_eq!(world.receive(id, 9).unwrap(), b"echo");
    assert_eq!(world.network.peer_name(id), Ok(at));
    world.ends_empty(&[id]);
}

#[test]
fn no_two_connections_have_the_same_two_names() {
    let mut world = World::new(1);
    let (listener, at) = world.listener("10.0.0.2:80", 5);
    let clients = [(); 2].map(|()| world.stream(world.here));
    for client in clients {
        world.network.options_mut(client).unwrap().reuse_address = true;
        world.bind(client, &internet("10.0.0.1:7")).unwrap();
    }
    assert_eq!(world.connect(clients[0], &at), Err(libc::EAGAIN));
    assert_eq!(world.connect(clients[1], &at), Err(libc::EADDRNOTAVAIL));
    world.ends_empty(&[listener, clients[0], clients[1]]);
}

#[test]
fn a_listener_that_was_shut_before_has_children_that_are_shut() {
    let mut world = World::new(1);
    let listener = world.stream(world.there);
    assert_eq!(world.shutdown(listener, libc::SHUT_RDWR), Err(libc::ENOTCONN));
    let at = internet("10.0.0.2:80");
    world.bind(listener, &at).unwrap();
    world.listen(listener, 5).unwrap();
    let client = world.stream(world.here);
    let _ = world.connect(client, &at);
    world.settle();
    assert_eq!(world.ready(client), IN | OUT | RDHUP);
    let server = world.accept(listener).unwrap();
    assert_eq!((world.ready(server), world.receive(server, 1)), (OVER, Ok(vec![])));
    world.ends_empty(&[listener, client, server]);
}
