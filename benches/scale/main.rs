//! What more shards give, and which shard should get a connection. The server is a process of its own, `annulus::launch()` as a program
//! has it, and answers small HTTP requests on connections that are kept; how much work a request is says its path, in microseconds of a
//! processor that is not disturbed. The load comes from this process, from one loop.
//!
//! - one shard and two: requests a second, and the processor time that the server takes for one. On a machine of two cores server and load share them, so
//!   requests a second say what two shards give only where a request costs the server much more than the load;
//! - the same at a pace that leaves room for the load, twice as many requests for two shards: the processor time again;
//! - eight long-lived connections, which all load their shard, by each `Balance`: requests a second, and the slowest hundredth;
//! - four heavy and four light ones, which ask at a steady pace: what the others' choice does to each kind;
//! - what it costs to hand a connection on.
//!
//! What is compared takes turns, round by round. Told are medians, and of each the least and the most; ratios are of two figures of one round.
//!
//! `cargo bench --bench scale` (a minute and a half), a look: `cargo bench --bench scale -- --quick`, or a part: `-- shards`, `pace`, `long`,
//! `heavy`, `handed`

mod load;
mod server;

use std::io;
use std::time::Duration;

use annulus::launch::Balance;

use load::Server;
use server::{POLICIES, ROLE};

fn main() -> io::Result<()> {
    match std::env::var(ROLE) {
        Ok(role) => server::serve(&role),
        // Cargo says so when it wants the figures, and not only to know that it starts.
        Err(_) if std::env::args().any(|argument| argument == "--bench") => report(),
        Err(_) => Ok(()),
    }
}

fn report() -> io::Result<()> {
    let plan = match std::env::args().any(|argument| argument == "--quick") {
        true => Plan { rounds: 1, span: Duration::from_millis(200), connections: 300 },
        false => Plan { rounds: 7, span: Duration::from_millis(400), connections: 1500 },
    };
    // As other benches do it: what is named is measured, or everything.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str()));
    let steps = server::steps_a_microsecond();
    let servers = POLICIES.map(|(_, policy)| Server::start(2, policy, steps));
    let servers = servers.into_iter().collect::<io::Result<Vec<_>>>()?;
    let one = Server::start(1, Balance::Kernel, steps)?;
    println!("{} rounds; medians (least to most)", plan.rounds);
    if is_wanted("shards") {
        shards(&plan, &one, &servers[0])?;
    }
    if is_wanted("pace") {
        same_rate(&plan, &one, &servers[0])?;
    }
    if is_wanted("long") {
        long_lived(&plan, &servers)?;
    }
    if is_wanted("heavy") {
        heavy_and_light(&plan, &servers)?;
    }
    if is_wanted("handed") {
        handed_on(&plan, &servers[..2])?;
    }
    Ok(())
}

/// How long it is measured.
struct Plan {
    rounds: usize,
    span: Duration,
    /// How many connections of a round are made to be closed again.
    connections: usize,
}

fn shards(plan: &Plan, one: &Server, two: &Server) -> io::Result<()> {
    const WORKS: [u64; 3] = [0, 50, 200];
    println!("\n64 connections, each with its next request as soon as it has an answer:");
    println!(
        "{:10}{:>28}{:>28}{:>22}{:>24}{:>24}{:>24}",
        "work, us", "requests/s, 1 shard", "2 shards", "ratio", "CPU us, 1 shard", "2 shards", "ratio"
    );
    let mut rows = WORKS.map(|_| [const { Vec::new() }; 6]);
    for round in 0..plan.rounds {
        for (work, row) in WORKS.into_iter().zip(&mut rows) {
            let measure = |server: &Server| server.load(64, work, plan.span, None, false);
            // Who is first takes turns as well.
            let (first, second) = if round % 2 == 0 { (one, two) } else { (two, one) };
            let both = (measure(first)?, measure(second)?);
            let (one, two) = if round % 2 == 0 { both } else { (both.1, both.0) };
            let ratios = [two.rate / one.rate, two.cost / one.cost];
            let figures = [one.rate, two.rate, ratios[0], one.cost, two.cost, ratios[1]];
            row.iter_mut().zip(figures).for_each(|(column, figure)| column.push(figure));
        }
    }
    for (work, row) in WORKS.into_iter().zip(rows) {
        let [one, two, ratio, one_cost, two_cost, cost_ratio] = row;
        println!(
            "{work:<10}{:>28}{:>28}{:>22}{:>24}{:>24}{:>24}",
            told(one, 0),
            told(two, 0),
            told(ratio, 2),
            told(one_cost, 1),
            told(two_cost, 1),
            told(cost_ratio, 3)
        );
    }
    Ok(())
}

/// Each shard is asked as often as the one alone, which leaves room for the load.
fn same_rate(plan: &Plan, one: &Server, two: &Server) -> io::Result<()> {
    println!("\n32 connections a shard, no work, at a pace:");
    println!("{:20}{:>24}{:>24}{:>24}", "requests/s a shard", "CPU us, 1 shard", "2 shards", "ratio");
    for rate in [5000, 20_000] {
        let pace = Some(Duration::from_secs(32) / rate);
        let mut row = [const { Vec::new() }; 3];
        for _ in 0..plan.rounds {
            let costs = [
                one.load(32, 0, plan.span, pace, false)?.cost,
                two.load(64, 0, plan.span, pace, false)?.cost,
            ];
            let figures = [costs[0], costs[1], costs[1] / costs[0]];
            row.iter_mut().zip(figures).for_each(|(column, figure)| column.push(figure));
        }
        let [one, two, ratio] = row;
        println!("{rate:<20}{:>24}{:>24}{:>24}", told(one, 1), told(two, 1), told(ratio, 3));
    }
    Ok(())
}

/// All that load their shard as much as it bears.
fn long_lived(plan: &Plan, servers: &[Server]) -> io::Result<()> {
    println!("\n8 long-lived connections, 200 us of work a request, 2 shards:");
    println!("{:20}{:>16}{:>26}{:>22}{:>24}", "", "on one shard", "requests/s", "ratio", "p99, ms");
    let mut cases = vec![("kernel, all on one", &servers[0], true)];
    cases.extend(POLICIES.iter().zip(servers).map(|((name, _), server)| (*name, server, false)));
    let mut rows: Vec<_> = cases.iter().map(|_| [const { Vec::new() }; 4]).collect();
    for _ in 0..plan.rounds {
        let mut base = None;
        for ((_, server, is_skewed), row) in cases.iter().zip(&mut rows) {
            let figures = server.load(8, 200, plan.span, None, *is_skewed)?;
            let base = *base.get_or_insert(figures.rate);
            let figures = [figures.on_one, figures.rate, figures.rate / base, figures.slow];
            row.iter_mut().zip(figures).for_each(|(column, figure)| column.push(figure));
        }
    }
    for ((name, ..), [on_one, rate, ratio, slow]) in cases.iter().zip(rows) {
        println!(
            "{name:20}{:>16}{:>26}{:>22}{:>24}",
            told(on_one, 0),
            told(rate, 0),
            told(ratio, 2),
            told(slow, 1)
        );
    }
    Ok(())
}

/// Four that together nearly fill a processor, and four that cost next to nothing.
fn heavy_and_light(plan: &Plan, servers: &[Server]) -> io::Result<()> {
    println!(
        "\n4 heavy connections (1 ms) and 4 light ones (20 us) by turns, 50 ms apart, each asks every 5 ms in the mean:"
    );
    println!(
        "{:20}{:>16}{:>24}{:>24}{:>24}",
        "", "heavy on one", "heavy p99, ms", "light p50, ms", "light p99, ms"
    );
    let mut rows: Vec<_> = servers.iter().map(|_| [const { Vec::new() }; 4]).collect();
    for _ in 0..plan.rounds {
        for (server, row) in servers.iter().zip(&mut rows) {
            let figures = server.by_turns(plan.span)?;
            row.iter_mut().zip(figures).for_each(|(column, figure)| column.push(figure));
        }
    }
    for ((name, _), [on_one, heavy, light, slow]) in POLICIES.iter().zip(rows) {
        println!(
            "{name:20}{:>16}{:>24}{:>24}{:>24}",
            told(on_one, 0),
            told(heavy, 1),
            told(light, 2),
            told(slow, 1)
        );
    }
    Ok(())
}

fn handed_on(plan: &Plan, servers: &[Server]) -> io::Result<()> {
    println!("\nconnect, one request, close; 8 at a time, 2 shards. Of what goes round half is handed on:");
    println!("{:20}{:>26}{:>24}{:>22}", "", "connections/s", "CPU us", "ratio");
    let mut rows: Vec<_> = servers.iter().map(|_| [const { Vec::new() }; 3]).collect();
    for _ in 0..plan.rounds {
        let mut base = None;
        for (server, row) in servers.iter().zip(&mut rows) {
            let (rate, cost) = server.one_by_one(plan.connections)?;
            let figures = [rate, cost, cost / *base.get_or_insert(cost)];
            row.iter_mut().zip(figures).for_each(|(column, figure)| column.push(figure));
        }
    }
    for ((name, _), [rate, cost, ratio]) in POLICIES.iter().zip(rows) {
        println!("{name:20}{:>26}{:>24}{:>22}", told(rate, 0), told(cost, 1), told(ratio, 2));
    }
    Ok(())
}

/// "17 (16 to 19)"
fn told(mut figures: Vec<f64>, decimals: usize) -> String {
    figures.sort_by(f64::total_cmp);
    let (middle, last) = (figures[figures.len() / 2], figures[figures.len() - 1]);
    format!("{middle:.decimals$} ({:.decimals$} to {last:.decimals$})", figures[0])
}
