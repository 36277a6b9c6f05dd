//! How TCP connections end.

use super::*;

fn drain(world: &mut World, id: SocketId) -> (Vec<u8>, Vec<i32>) {
    let (mut bytes, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        match world.receive(id, 2) {
            Ok(more) if more.is_empty() => return (bytes, errors),
            Ok(more) => bytes.extend(more),
            Err(error) => errors.push(error),
        }
    }
    panic!("there is no end")
}

#[test]
fn the_end_comes_after_all_that_was_sent_and_stays() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.send(server, b"hi").unwrap();
    world.close(server);
    world.settle();
    assert_eq!(world.ready(client), IN | OUT | RDHUP);
    assert_eq!(drain(&mut world, client), (b"hi".to_vec(), vec![]));
    assert_eq!(drain(&mut world, client), (vec![], vec![]));
    assert_eq!(world.ready(client), IN | OUT | RDHUP);
    world.ends_empty(&[client]);
}

#[test]
fn the_first_send_to_a_peer_that_is_gone_succeeds_and_the_second_does_not() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.close(server);
    world.settle();
    assert_eq!(world.send(client, b"x"), Ok(1));
    world.settle();
    assert_eq!(world.ready(client), LOST);
    assert_eq!(world.send(client, b"x"), Err(libc::EPIPE));
    assert_eq!(world.ready(client), OVER);
    assert_eq!(drain(&mut world, client), (vec![], vec![]), "a clean end stays clean");
    assert_eq!(world.network.peer_name(client), Err(libc::ENOTCONN));
    assert_eq!(world.shutdown(client, libc::SHUT_WR), Err(libc::ENOTCONN));
    world.ends_empty(&[client]);
}

#[test]
fn what_was_sent_before_a_reset_can_still_be_read() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.send(server, b"hello").unwrap();
    world.close_rudely(server);
    world.settle();
    assert_eq!(world.ready(client), LOST);
    assert_eq!(drain(&mut world, client), (b"hello".to_vec(), vec![libc::ECONNRESET]));
    assert_eq!(world.ready(client), OVER);
    assert_eq!(world.send(client, b"x"), Err(libc::EPIPE));
    world.ends_empty(&[client]);
}

#[test]
fn a_reset_is_told_once_to_whoever_asks_first() {
    for first in ["send", "receive", "error"] {
        let mut world = World::new(1);
        let (client, server) = world.connection();
        world.close_rudely(server);
        world.settle();
        match first {
            "send" => assert_eq!(world.send(client, b"x"), Err(libc::ECONNRESET)),
            "receive" => assert_eq!(world.receive(client, 1), Err(libc::ECONNRESET)),
            _ => assert_eq!(world.network.take_error(client), Ok(libc::ECONNRESET)),
        }
        assert_eq!(world.ready(client), OVER);
        assert_eq!(world.send(client, b"x"), Err(libc::EPIPE));
        assert_eq!(world.receive(client, 1), Ok(vec![]));
        assert_eq!(world.network.take_error(client), Ok(0));
        world.ends_empty(&[client]);
    }
}

#[test]
fn to_close_with_something_unread_is_a_reset() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.send(client, b"unread").unwrap();
    world.send(server, b"answer").unwrap();
    world.settle();
    world.close(server);
    world.settle();
    assert_eq!(drain(&mut world, client), (b"answer".to_vec(), vec![libc::ECONNRESET]));
    world.ends_empty(&[client]);
}

#[test]
fn a_reset_after_the_end_breaks_only_the_pipe() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.send(client, b"unread").unwrap();
    world.send(server, b"q").unwrap();
    world.settle();
    world.shutdown(server, libc::SHUT_WR).unwrap();
    world.settle();
    world.close(server);
    world.settle();
    assert_eq!(drain(&mut world, client), (b"q".to_vec(), vec![]));
    assert_eq!(world.ready(client), LOST);
    assert_eq!(world.send(client, b"x"), Err(libc::EPIPE));
    assert_eq!(world.ready(client), OVER);
    world.ends_empty(&[client]);
}

#[test]
fn half_a_connection_lives_on() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.shutdown(client, libc::SHUT_WR).unwrap();
    world.settle();
    assert_eq!((world.ready(client), world.ready(server)), (OUT, IN | OUT | RDHUP));
    assert_eq!(world.send(client, b"x"), Err(libc::EPIPE));
    assert_eq!(world.shutdown(client, libc::SHUT_WR), Ok(()));
    assert_eq!(world.receive(client, 1), Err(libc::EAGAIN));
    assert_eq!(world.send(server, b"yo"), Ok(2));
    world.close(server);
    world.settle();
    assert_eq!(drain(&mut world, client), (b"yo".to_vec(), vec![]));
    assert_eq!(world.ready(client), OVER);
    assert_eq!(world.network.peer_name(client), Err(libc::ENOTCONN));
    assert_eq!(world.connect(client, &internet("10.0.0.2:80")), Err(libc::EISCONN));
    world.ends_empty(&[client]);
}

#[test]
fn who_reads_no_more_still_gets_what_comes() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.woken.clear();
    world.shutdown(client, libc::SHUT_RD).unwrap();
    assert!(world.woken.contains(&client));
    assert_eq!(world.ready(client), IN | OUT | RDHUP);
    assert_eq!(world.receive(client, 1), Ok(vec![]));
    world.send(server, b"x").unwrap();
    world.settle();
    assert_eq!(world.receive(client, 9), Ok(b"x".to_vec()));
    assert_eq!(world.receive(client, 9), Ok(vec![]));
    world.ends_empty(&[client, server]);
}

#[test]
fn who_shut_both_halves_answers_by_a_reset() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.shutdown(client, libc::SHUT_RDWR).unwrap();
    world.settle();
    assert_eq!((world.ready(client), world.ready(server)), (OVER, IN | OUT | RDHUP));
    assert_eq!(world.send(server, b"x"), Ok(1));
    world.settle();
    assert_eq!((world.ready(client), world.ready(server)), (LOST, LOST));
    assert_eq!(world.network.take_error(client), Ok(libc::ECONNRESET));
    assert_eq!(world.network.take_error(server), Ok(libc::EPIPE));
    world.ends_empty(&[client, server]);
}

#[test]
fn a_connection_that_was_reset_is_still_accepted() {
    let mut world = World::new(1);
    let (listener, address) = world.listener("10.0.0.2:80", 5);
    let client = world.stream(world.here);
    let _ = world.connect(client, &address);
    world.settle();
    world.connect(client, &address).unwrap();
    world.send(client, b"abc").unwrap();
    world.close_rudely(client);
    world.settle();
    let server = world.accept(listener).unwrap();
    assert_eq!(world.network.peer_name(server), Err(libc::ENOTCONN));
    assert_eq!(world.network.local_name(server), Ok(address));
    assert_eq!(drain(&mut world, server), (b"abc".to_vec(), vec![libc::ECONNRESET]));
    world.ends_empty(&[listener, server]);
}

#[test]
fn a_listener_that_closes_resets_who_waits() {
    let mut world = World::new(1);
    let (listener, address) = world.listener("10.0.0.2:80", 5);
    let clients = [(); 2].map(|()| world.stream(world.here));
    let _ = world.connect(clients[0], &address);
    world.settle();
    let _ = world.connect(clients[1], &address);
    // This one has greeted only.
    while world.ready(clients[1]) == 0 {
        world.step();
    }
    world.close(listener);
    world.settle();
    for client in clients {
        assert_eq!(world.connect(client, &address), Err(libc::ECONNRESET));
    }
    world.ends_empty(&clients);
}

#[test]
fn what_was_sent_is_delivered_after_its_sender_has_closed() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    let sent = world.fill(client, 50_000);
    world.close(client);
    let mut read = 0;
    loop {
        match world.receive(server, 7_000) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => read += bytes.len(),
            Err(error) => assert_eq!((error, world.step()), (libc::EAGAIN, true)),
        }
    }
    assert_eq!(read, sent);
    world.ends_empty(&[server]);
}

#[test]
fn who_closed_waits_a_minute_for_the_other_half_and_not_for_ever() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    world.close(client);
    world.pass(50 * SECOND);
    assert_eq!(world.network.count(), 2);
    world.pass(11 * SECOND);
    assert_eq!(world.network.count(), 1);
    assert_eq!(world.receive(server, 1), Ok(vec![]));
    world.ends_empty(&[server]);
}

#[test]
fn a_crash_says_nothing_and_what_is_sent_then_is_answered_by_a_reset() {
    let mut world = World::new(1);
    let (client, _server) = world.connection();
    let there = world.there;
    world.call(|network, moment| network.kill_host(moment, there));
    world.quiet();
    assert_eq!(world.ready(client), OUT);
    assert_eq!(world.send(client, b"x"), Ok(1));
    world.settle();
    assert_eq!(world.receive(client, 1), Err(libc::ECONNRESET));
    world.ends_empty(&[client]);
}

#[test]
fn a_crash_is_found_out_by_who_waits_for_room() {
    let mut world = World::new(1);
    let (client, _server) = world.connection();
    while world.fill(client, 50_000) > 0 {
        world.settle();
    }
    let there = world.there;
    world.call(|network, moment| network.kill_host(moment, there));
    world.quiet();
    assert_eq!(world.send(client, b"x"), Err(libc::ECONNRESET));
    world.ends_empty(&[client]);
}

#[test]
fn a_peer_that_is_down_is_given_up_after_a_quarter_of_an_hour() {
    let mut world = World::new(1);
    let (client, server) = world.connection();
    let there = world.there;
    world.call(|network, moment| network.set_up(moment, there, false));
    world.send(client, b"x").unwrap();
    world.pass(920 * SECOND);
    assert_eq!(world.ready(client), OUT);
    world.pass(10 * SECOND);
    assert_eq!(world.receive(client, 1), Err(libc::ETIMEDOUT));
    world.ends_empty(&[client, server]);
}
