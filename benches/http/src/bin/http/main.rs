//! axum on annulus beside axum on tokio, and TLS on either: one command that anyone can run.
//!
//! ```text
//! cargo run --release --manifest-path benches/http/Cargo.toml                     everything, seven rounds
//! cargo run --release --manifest-path benches/http/Cargo.toml -- --quick          a look, one short round
//! ... -- --only h1 h2 --contestants annulus --rounds 9                            a part
//! ... -- --only h1 --calls --instructions                                         counts of system calls and instructions
//! ```
//! tokio has a turn before and after each other's (T A T B T), so that what slows the machine down for a while slows both;
//! a contestant is compared with the mean of the two beside it, and a turn between two that differ does not count. `wrk` and
//! `h2load` make the load on one core, each server is a new process on the other. Needs Debian's wrk and nghttp2-client.

mod bulk;
mod contestants;
mod idle;
mod measure;
mod report;
mod server;
mod tools;
mod workloads;

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use annulus_http_bench::{credentials, pin, raise_limits};
use clap::Parser;

use contestants::Contestant;
use measure::{Bench, Turn};
use report::Compared;
use workloads::{Work, Workload};

/// axum on annulus beside axum on tokio, on the same work.
#[derive(Parser)]
struct Arguments {
    /// How many rounds; in each, every contestant has its turn between two of tokio's.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How long a turn is measured, in whole seconds.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// How long each server is loaded before, in whole seconds.
    #[arg(long, default_value_t = 1)]
    warm_seconds: u64,
    /// One round of a second, and fewer idle connections for a shorter time: to see that all works.
    #[arg(long)]
    quick: bool,
    /// Workloads; all by default.
    #[arg(long, num_args = 1..)]
    only: Vec<String>,
    /// Who takes part beside tokio, by the names in the tables or by their beginnings.
    #[arg(long, num_args = 1..)]
    contestants: Vec<String>,
    /// Counts system calls a request, by strace, instead.
    #[arg(long)]
    calls: bool,
    /// Counts instructions in user space a request, by callgrind, instead.
    #[arg(long)]
    instructions: bool,
    /// The core of the servers.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// How many connections are idle.
    #[arg(long, default_value_t = 5000)]
    idle_connections: usize,
    /// How long they are, in seconds, before memory is looked at again.
    #[arg(long, default_value_t = 10.0)]
    idle_seconds: f64,
    /// Takes the servers as they were built before.
    #[arg(long)]
    no_build: bool,
    /// Names what can be chosen.
    #[arg(long)]
    list: bool,
}

fn main() -> io::Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.list {
        workloads::ALL.iter().for_each(|one| println!("{:12}{}", one.name, one.work.title()));
        contestants::HTTP.iter().chain(contestants::TLS).for_each(|one| println!("{}", one.name));
        return Ok(());
    }
    if arguments.quick {
        (arguments.rounds, arguments.seconds) = (1, 1);
        (arguments.idle_connections, arguments.idle_seconds) = (1000, 2.0);
    }
    let is_unknown = |name: &&String| workloads::ALL.iter().all(|one| one.name != name.as_str());
    if let Some(unknown) = arguments.only.iter().find(is_unknown) {
        let known: Vec<_> = workloads::ALL.iter().map(|one| one.name).collect();
        return Err(io::Error::other(format!(
            "no workload is called {unknown}; there are: {}",
            known.join(", ")
        )));
    }
    if !arguments.no_build {
        build()?;
    }
    raise_limits();
    pin(arguments.load_core)?;
    let folder = tempfile::tempdir()?;
    credentials(folder.path())?;
    let bench = Bench {
        programs: std::env::current_exe()?.parent().expect("a program is in a folder").to_owned(),
        credentials: folder.path().to_owned(),
        server_core: arguments.server_core,
        seconds: arguments.seconds,
        warm_seconds: arguments.warm_seconds,
        idle_connections: arguments.idle_connections,
        idle_time: Duration::from_secs_f64(arguments.idle_seconds),
    };
    let begun = Instant::now();
    let is_chosen =
        |one: &&Workload| arguments.only.is_empty() || arguments.only.iter().any(|name| name == one.name);
    for Workload { name, work } in workloads::ALL.iter().filter(is_chosen) {
        println!("\n{name}: {}", work.title());
        if arguments.calls || arguments.instructions {
            count(&arguments, &bench, *work);
        } else if matches!(work, Work::Idle) {
            idle(&arguments, &bench, *work);
        } else {
            turns(&arguments, &bench, *work);
        }
    }
    println!("\n{:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// The reference and whoever else takes part.
fn chosen(names: &[String], work: Work) -> (&'static Contestant, Vec<&'static Contestant>) {
    let (reference, others) = work.contestants().split_first().expect("there is always tokio");
    let is = |one: &Contestant, name: &str| one.name == name || one.name.split(',').next() == Some(name);
    let takes_part = |one: &&Contestant| match names {
        [] => one.by_default,
        names => names.iter().any(|name| is(one, name)),
    };
    (reference, others.iter().filter(takes_part).collect())
}

fn turns(arguments: &Arguments, bench: &Bench, work: Work) {
    let (reference, others) = chosen(&arguments.contestants, work);
    let mut of_reference: Vec<Turn> = Vec::new();
    let mut compared: Vec<(&str, Vec<Compared>)> = others.iter().map(|one| (one.name, Vec::new())).collect();
    let measured = |one: &Contestant| {
        let turn = bench.turn(one, work);
        turn.inspect_err(|error| println!("{}: {error}", one.name)).ok()
    };
    for round in 0..arguments.rounds {
        let Some(mut before) = measured(reference) else { return };
        of_reference.push(before);
        // There and back again, so that nobody is always the first after a rest.
        let mut order: Vec<usize> = (0..others.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for other in order {
            let Some(turn) = measured(others[other]) else { continue };
            let Some(after) = measured(reference) else { return };
            of_reference.push(after);
            compared[other].1.push(Compared { before, turn, after });
            before = after;
        }
    }
    compared.retain(|(_, all)| !all.is_empty());
    println!("{}", report::of_turns(work, (reference.name, &of_reference), &compared));
}

fn idle(arguments: &Arguments, bench: &Bench, work: Work) {
    let (reference, others) = chosen(&arguments.contestants, work);
    println!("{} connections, {} s of silence", bench.idle_connections, bench.idle_time.as_secs_f64());
    let all = || std::iter::once(reference).chain(others.iter().copied());
    let mut found: Vec<(&str, Vec<idle::Memory>)> = all().map(|one| (one.name, Vec::new())).collect();
    // It hardly differs from one round to the next.
    for _ in 0..arguments.rounds.min(3) {
        for (place, one) in all().enumerate() {
            match bench.idle(one) {
                Ok(memory) => found[place].1.push(memory),
                Err(error) => println!("{}: {error}", one.name),
            }
        }
    }
    found.retain(|(_, all)| !all.is_empty());
    println!("{}", report::of_memory(&found));
}

fn count(arguments: &Arguments, bench: &Bench, work: Work) {
    if matches!(work, Work::Idle) {
        return println!("what is idle calls nothing");
    }
    let (reference, others) = chosen(&arguments.contestants, work);
    for one in std::iter::once(reference).chain(others) {
        if arguments.calls {
            match bench.calls(one, work) {
                Ok(calls) => {
                    let sum: f64 = calls.iter().map(|(_, each)| each).sum();
                    let each: Vec<_> = calls.iter().map(|(name, each)| format!("{name} {each:.3}")).collect();
                    println!("{:32}{sum:.3} system calls of {}: {}", one.name, work.unit(), each.join(", "));
                }
                Err(error) => println!("{}: {error}", one.name),
            }
        }
        if arguments.instructions {
            match bench.instructions(one, work) {
                Ok(each) => println!("{:32}{each:.0} instructions of {}", one.name, work.unit()),
                Err(error) => println!("{}: {error}", one.name),
            }
        }
    }
}

/// The servers are programs of their own, of the same package.
fn build() -> io::Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--bins", "--manifest-path"]).arg(manifest);
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("the servers were not built: {status}"))),
    }
}
