//! What the way does to what is sent on it.

use super::*;

/// Numbers of which each place can be told.
fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length).map(|place| (place ^ (place >> 8)) as u8).collect()
}

/// One side of a conversation.
struct Side {
    id: SocketId,
    sent: usize,
    read: usize,
}

fn talk(world: &mut World, side: &mut Side, total: usize) {
    let length = 1 + world.dice.below(30_000) as usize;
    let length = length.min(total - side.sent);
    if length > 0 {
        match world.send(side.id, &pattern(side.sent, length)) {
            Ok(count) => side.sent += count,
            Err(error) => assert_eq!(error, libc::EAGAIN),
        }
        if side.sent == total {
            world.shutdown(side.id, libc::SHUT_WR).unwrap();
        }
    }
    let length = 1 + world.dice.below(50_000) as usize;
    match world.receive(side.id, length) {
        Ok(bytes) => {
            assert_eq!(bytes, pattern(side.read, bytes.len()), "at {}", side.read);
            side.read += bytes.len();
        }
        Err(error) => assert_eq!(error, libc::EAGAIN),
    }
}

#[test]
fn bytes_come_as_they_were_sent_whatever_the_way_does() {
    const TOTAL: usize = 500_000;
    for seed in 0..40 {
        let mut world = World::new(seed);
        let (client, server) = world.connection();
        let (here, there) = (world.here, world.there);
        for (from, to) in [(here, there), (there, here)] {
            let link = world.network.link(from, to);
            link.loss = (seed % 4) as f64 / 10.0;
            link.latency_ns = 1_000..=(1 + seed % 7) * 10_000_000;
            link.bytes_per_second = (seed % 3 == 0).then_some(1_000_000);
        }
        let mut sides = [client, server].map(|id| Side { id, sent: 0, read: 0 });
        let mut steps = 0;
        while sides.iter().any(|side| side.read < TOTAL) {
            steps += 1;
            assert!(steps < 100_000, "it goes on for ever");
            // One direction of two fails now and then, for a second or so.
            if world.dice.one_in(50) {
                let (from, to) = if world.dice.one_in(2) { (here, there) } else { (there, here) };
                let up = world.dice.one_in(2);
                world.network.link(from, to).up = up;
            }
            if world.dice.one_in(10) {
                world.network.link(here, there).up = true;
                world.network.link(there, here).up = true;
            }
            for side in &mut sides {
                talk(&mut world, side, TOTAL);
            }
            let (next, now) = (world.network.next_event(), world.now);
            let wait = next.map_or(1_000_000, |next| next.saturating_sub(now));
            world.pass(wait.min(SECOND));
        }
        world.network.link(here, there).up = true;
        world.network.link(there, here).up = true;
        world.quiet();
        assert_eq!(world.receive(client, 1), Ok(vec![]));
        assert_eq!(world.receive(server, 1), Ok(vec![]));
        world.ends_empty(&[client, server]);
    }
}

#[test]
fn a_partition_that_heals_loses_nothing_of_a_connection() {
    let mut world = World::new(3);
    let (client, server) = world.connection();
    let (here, there) = (world.here, world.there);
    world.network.link(here, there).up = false;
    world.send(client, b"one").unwrap();
    world.pass(60 * SECOND);
    world.send(client, b"two").unwrap();
    assert_eq!(world.receive(server, 9), Err(libc::EAGAIN));
    world.network.link(here, there).up = true;
    world.pass(60 * SECOND);
    assert_eq!(world.receive(server, 9).unwrap(), b"onetwo");
    world.ends_empty(&[client, server]);
}

#[test]
fn who_hears_no_answer_gives_up_though_everything_arrived() {
    let mut world = World::new(3);
    let (client, server) = world.connection();
    let (here, there) = (world.here, world.there);
    world.network.link(there, here).up = false;
    world.send(client, b"heard").unwrap();
    world.pass(SECOND);
    assert_eq!(world.receive(server, 9).unwrap(), b"heard");
    world.pass(930 * SECOND);
    assert_eq!(world.receive(client, 9), Err(libc::ETIMEDOUT));
    world.network.link(there, here).up = true;
    world.ends_empty(&[client, server]);
}

#[test]
fn a_bandwidth_makes_bytes_take_their_time() {
    let mut world = World::new(3);
    let (client, server) = world.connection();
    let (here, there) = (world.here, world.there);
    let link = world.network.link(here, there);
    link.bytes_per_second = Some(100_000);
    assert_eq!(world.send(client, &[7; 50_000]), Ok(50_000));
    let mut read = 0;
    for (until, least, most) in [(2, 0, 20_000), (4, 30_000, 40_000), (6, 50_000, 50_000)] {
        world.pass(SECOND / 5 + SECOND / 200);
        read += world.receive(server, 99_999).unwrap_or_default().len();
        assert!((least..=most).contains(&read), "{read} after {until} tenths");
    }
    world.ends_empty(&[client, server]);
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let run = |seed| {
        let mut world = World::new(seed);
        let (client, server) = world.connection();
        let (here, there) = (world.here, world.there);
        world.network.link(here, there).loss = 0.3;
        for _ in 0..50 {
            world.send(client, b"something").unwrap();
            world.step();
        }
        world.quiet();
        world.close(client);
        world.close(server);
        (world.now, world.notes)
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

/// Calls that make no sense, on everything that is open.
fn anything(world: &mut World, open: &mut Vec<SocketId>) {
    let addresses = ["10.0.0.2:80", "10.0.0.1:80", "0.0.0.0:0", "127.0.0.1:81"].map(internet);
    let address = [&addresses[..], &[name("a"), name("b")]].concat()[world.dice.below(6) as usize].clone();
    let host = if world.dice.one_in(2) { world.here } else { world.there };
    let Some(&id) = open.get(world.dice.below(open.len().max(1) as u64) as usize) else {
        open.push(world.stream(host));
        return;
    };
    let how = world.dice.below(3) as i32;
    let length = world.dice.below(20_000) as usize;
    match world.dice.below(16) {
        0 => {
            let (domain, kind) = [(2, 1), (2, 2), (1, 1), (1, 2), (1, 5)][world.dice.below(5) as usize];
            open.push(world.socket(host, domain, kind));
        }
        1 => drop(world.bind(id, &address)),
        2 => drop(world.listen(id, how)),
        3 | 4 => drop(world.connect(id, &address)),
        5 => open.extend(world.accept(id)),
        6 => drop(world.shutdown(id, how)),
        7 | 8 => drop(world.send(id, &vec![1; length])),
        9 => drop(world.send_to(id, &vec![1; length], &address)),
        10 | 11 => drop(world.receive(id, length)),
        12 if how == 0 => {
            open.retain(|other| *other != id);
            world.close(id);
        }
        13 if how == 0 => {
            open.retain(|other| *other != id);
            let _ = world.network.options_mut(id).map(|options| options.linger_seconds = Some(0));
            world.close(id);
        }
        14 => {
            let (reader, writer) = world.network.pipe(host);
            open.extend([reader, writer]);
        }
        15 => {
            let kind = [1, 2, 5][how as usize];
            let (one, other) = world.network.pair(host, kind).unwrap();
            open.extend([one, other]);
        }
        _ => world.pass(length as u64 * 10_000),
    }
    for id in open {
        world.ready(*id);
        let _ = (world.network.local_name(*id), world.network.peer_name(*id));
    }
}

#[test]
fn whatever_is_called_closing_everything_leaves_nothing() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        let (here, there) = (world.here, world.there);
        world.network.link(here, there).loss = (seed % 3) as f64 / 5.0;
        world.network.link(there, here).duplicate = 0.5;
        let mut open = Vec::new();
        for _ in 0..300 {
            anything(&mut world, &mut open);
        }
        if seed % 5 == 0 {
            world.call(|network, moment| network.kill_host(moment, there));
            open.retain(|id| world.network.readiness(*id) != libc::POLLNVAL);
        }
        world.ends_empty(&open);
    }
}
