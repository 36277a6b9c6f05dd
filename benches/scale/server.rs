//! The server: `annulus::launch()`, as a program has it.

use std::hint::black_box;
use std::io::{self, Read};
use std::time::Instant;

use annulus::launch::{Balance, Connection, Shard};

/// What a server process is told to be: shards, policy, and how many steps of work a microsecond is.
pub const ROLE: &str = "ANNULUS_SCALE_SERVER";
/// What it answers, before the number of the shard that does.
pub const REPLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
pub const POLICIES: [(&str, Balance); 4] = [
    ("kernel", Balance::Kernel),
    ("round robin", Balance::RoundRobin),
    ("least connections", Balance::LeastConnections),
    ("least busy", Balance::LeastBusy),
];

/// Serves until its input ends.
pub fn serve(role: &str) -> io::Result<()> {
    let numbers: Vec<usize> = role.split(' ').map(|number| number.parse().expect("a number")).collect();
    let &[shards, policy, steps] = &numbers[..] else { panic!("three numbers, not {role:?}") };
    let launched = annulus::launch()
        .shards(shards)
        .listen("127.0.0.1:0")
        .balance(POLICIES[policy].1)
        .start(move |shard| serve_on(shard, steps as u64))?;
    launched.wait_until_ready();
    println!("{}", launched.addresses()[0]);
    io::stdin().read_to_end(&mut Vec::new())?;
    launched.stop();
    launched.join()?;
    Ok(())
}

async fn serve_on(shard: Shard, steps: u64) -> io::Result<()> {
    let mut incoming = shard.incoming()?;
    while let Some(connection) = incoming.next().await {
        drop(annulus::spawn(answer(connection?, shard.index(), steps)));
    }
    Ok(())
}

async fn answer(connection: Connection, shard: usize, steps: u64) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let (mut buffer, mut request) = (Vec::with_capacity(1024), Vec::new());
    let mut reply = format!("{REPLY}{shard}").into_bytes();
    loop {
        buffer.clear();
        let (received, filled) = connection.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        request.extend_from_slice(&filled);
        buffer = filled;
        let mut headers = [httparse::EMPTY_HEADER; 4];
        let mut parsed = httparse::Request::new(&mut headers);
        if parsed.parse(&request).map_err(io::Error::other)?.is_partial() {
            continue;
        }
        let work: u64 = parsed.path.and_then(|path| path[1..].parse().ok()).expect("the load's own");
        request.clear();
        step(work * steps);
        let (sent, same) = connection.write_all(reply).await;
        sent?;
        reply = same;
    }
}

/// Something to do that nobody can do in advance, and that takes no memory.
fn step(times: u64) {
    let mut number = black_box(1_u64);
    for _ in 0..times {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    black_box(number);
}

/// As the fastest of many tries has it, since all others were disturbed.
pub fn steps_a_microsecond() -> u64 {
    const STEPS: u64 = 100_000;
    let tries = (0..200).map(|_| {
        let begun = Instant::now();
        step(STEPS);
        begun.elapsed()
    });
    let least = tries.min().expect("some").as_nanos() as u64;
    (STEPS * 1000 / least).max(1)
}
