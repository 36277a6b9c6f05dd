//! annulus beside other runtimes and bare loops: one command that anyone can run.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml                      everything, five rounds
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --quick           a look, one short round
//! ... -- --only echo-64Bx64 http --contestants annulus tokio monoio --rounds 7      a part
//! ... -- --report results/*.csv                                                     tables of earlier runs
//! ```
//! Contestants take turns (A B C, A B C, ...), so that what slows the machine down for a while slows all of them. The
//! leading figure is the server's processor time a message by the bare ring's: the mean of its turns before and after. Turns
//! during which the machine changed its speed do not count, and there are more rounds instead.

mod contestants;
mod figures;
mod load;
mod machine;
mod measure;
mod plot;
mod report;
mod server;
mod tools;
mod workloads;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use annulus_peers::Files;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use contestants::{Contestant, REFERENCE};
use figures::{Figure, Figures};
use measure::Bench;
use workloads::Workload;

/// annulus beside other runtimes and bare loops, on the same work.
#[derive(Parser)]
struct Arguments {
    /// How many rounds; in each, every contestant has its turn. Up to twice as many if the machine is not steady.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn is measured, in seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// One round of a fifth of a second: to see that all works.
    #[arg(long)]
    quick: bool,
    /// Workloads, or groups of them: echo, http, idle, files, micro, calls, instructions. All by default.
    #[arg(long, num_args = 1..)]
    only: Vec<String>,
    /// Who takes part, by the names in the tables or by their beginnings. All by default.
    #[arg(long, num_args = 1..)]
    contestants: Vec<String>,
    /// The core of the contestants.
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// The core of the load.
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    /// Where the file is made that is read: on a disk, not in memory.
    #[arg(long)]
    file_dir: Option<PathBuf>,
    /// Where figures, tables and the page go.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results"))]
    out: PathBuf,
    /// Measures nothing: makes tables of the figures of earlier runs.
    #[arg(long, num_args = 1..)]
    report: Vec<PathBuf>,
    /// Takes the contestants as they were built before.
    #[arg(long)]
    no_build: bool,
    /// Names what can be chosen.
    #[arg(long)]
    list: bool,
}

fn main() -> io::Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.list {
        workloads::all().iter().for_each(|(name, workload)| println!("{name:24}{}", workload.title()));
        contestants::ALL.iter().for_each(|contestant| println!("{}", contestant.name));
        return Ok(());
    }
    let (figures, missing) = if arguments.report.is_empty() {
        if arguments.quick {
            (arguments.rounds, arguments.seconds) = (1, 0.2);
        }
        run(&arguments)?
    } else {
        let mut all = Figures::default();
        for path in &arguments.report {
            let read = Figures::from_csv(tools::read(path)?.as_bytes()).map_err(io::Error::other)?;
            // Rounds of different runs are different rounds.
            let first = all.0.iter().map(|figure| figure.round + 1).max().unwrap_or(0);
            all.0.extend(read.0.into_iter().map(|figure| Figure { round: figure.round + first, ..figure }));
        }
        (all, Vec::new())
    };
    write(&arguments, &figures, &missing)
}

type Missing = Vec<(String, String, String)>;

fn write(arguments: &Arguments, figures: &Figures, missing: &Missing) -> io::Result<()> {
    let tables = report::tables(figures, missing);
    tables.iter().for_each(|table| println!("{}", report::for_terminal(table)));
    let overview = report::overview(figures);
    let head = machine::describe(figures.rounds(), arguments.seconds);
    let out = &arguments.out;
    std::fs::create_dir_all(out.join("plots"))?;
    if arguments.report.is_empty() {
        std::fs::write(out.join("figures.csv"), figures.to_csv().map_err(io::Error::other)?)?;
    }
    let mut markdown = format!("```text\n{head}```\n\n");
    overview.iter().chain(&tables).for_each(|table| markdown += &(report::as_markdown(table, "###") + "\n"));
    std::fs::write(out.join("tables.md"), markdown)?;
    let page = report::as_page(&head, overview.iter().chain(&tables)).map_err(io::Error::other)?;
    std::fs::write(out.join("index.html"), page)?;
    for table in &tables {
        let svg = plot::bars(table).map_err(io::Error::other)?;
        std::fs::write(out.join("plots").join(format!("{}.svg", table.name)), svg)?;
    }
    println!("\n{head}\nfigures.csv, tables.md, index.html and plots are in {}", out.display());
    Ok(())
}

/// Those that are chosen, and always the reference.
fn chosen(names: &[String]) -> Result<Vec<&'static Contestant>, String> {
    let is = |contestant: &Contestant, name: &str| {
        contestant.name == name || contestant.name.split(',').next() == Some(name)
    };
    if let Some(unknown) = names.iter().find(|name| !contestants::ALL.iter().any(|one| is(one, name))) {
        let known: Vec<_> = contestants::ALL.iter().map(|contestant| contestant.name).collect();
        return Err(format!("nobody is called {unknown:?}; there are: {}", known.join("; ")));
    }
    let takes_part = |contestant: &&Contestant| {
        names.is_empty() || contestant.name == REFERENCE || names.iter().any(|name| is(contestant, name))
    };
    Ok(contestants::ALL.iter().filter(takes_part).collect())
}

fn run(arguments: &Arguments) -> io::Result<(Figures, Missing)> {
    let workloads = workloads::chosen(&arguments.only).map_err(io::Error::other)?;
    let contestants = chosen(&arguments.contestants).map_err(io::Error::other)?;
    let programs = std::env::current_exe()?.parent().expect("a program is in a directory").to_owned();
    if !arguments.no_build {
        build()?;
    }
    machine::raise_limits();
    machine::pin(arguments.load_core)?;
    let directory = match &arguments.file_dir {
        Some(place) => tempfile::tempdir_in(place)?,
        None => tempfile::tempdir_in(&programs)?,
    };
    let file = directory.path().join("blocks");
    if workloads.iter().any(|(_, workload)| matches!(workload, Workload::Files { .. })) {
        Files::fill(&file, 64 << 10)?;
    }
    let bench = Bench { programs, server_core: arguments.server_core, seconds: arguments.seconds, file };
    measure(arguments, &bench, &workloads, &contestants)
}

fn measure(
    arguments: &Arguments,
    bench: &Bench,
    workloads: &[(String, Workload)],
    contestants: &[&'static Contestant],
) -> io::Result<(Figures, Missing)> {
    let (mut figures, mut missing) = (Figures::default(), Missing::new());
    // Who has failed at something, or does not take part in it, is not asked again.
    let mut out: BTreeSet<(&str, &str)> = BTreeSet::new();
    let bar = ProgressBar::new(workloads.len() as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} workloads {elapsed_precise} {msg}");
    bar.set_style(style.map_err(io::Error::other)?);
    // A workload is run through all its rounds before the next: so a run that is broken off has whole tables.
    for (name, workload) in workloads {
        // Counts are free of noise, or nearly so, and slow to make.
        let rounds = match workload {
            Workload::Instructions { .. } => 1,
            Workload::Calls { .. } => arguments.rounds.min(2),
            _ => arguments.rounds,
        };
        for round in 0..2 * rounds {
            // So many rounds at least, and more if the machine was not steady in them.
            let is_enough = |one: &&Contestant| {
                let has_failed = out.contains(&(name.as_str(), one.name));
                has_failed || !report::leading(*workload).1 || figures.ratios(name, one.name).len() >= rounds
            };
            if round >= rounds && contestants.iter().all(is_enough) {
                break;
            }
            let mut turns = Vec::new();
            for contestant in order(contestants, report::leading(*workload).1) {
                bar.set_message(format!("{name}, round {}, {}", round + 1, contestant.name));
                if out.contains(&(name.as_str(), contestant.name)) {
                    continue;
                }
                match bench.measure(contestant, *workload) {
                    Ok(Some(found)) => turns.push((contestant.name, found)),
                    Ok(None) => drop(out.insert((name, contestant.name))),
                    Err(error) => {
                        bar.println(format!("{name}: {}: {error}", contestant.name));
                        missing.push((name.clone(), contestant.name.to_owned(), error.to_string()));
                        out.insert((name, contestant.name));
                    }
                }
            }
            if let Workload::Files { direct, depth } = workload
                && let Ok(reads) = tools::fio(&bench.files_of(*direct, *depth), arguments.server_core)
            {
                turns.push(("fio", vec![("cpu", reads.cpu, "ns each"), ("wall", reads.wall, "ns each")]));
            }
            figures.add_round(name, round, turns);
        }
        bar.inc(1);
        // What there is so far, in case the rest is broken off.
        std::fs::create_dir_all(&arguments.out)?;
        std::fs::write(arguments.out.join("figures.csv"), figures.to_csv().map_err(io::Error::other)?)?;
    }
    bar.finish_and_clear();
    missing.retain(|(workload, contestant, _)| !figures.has(workload, contestant));
    Ok((figures, missing))
}

/// The turns of a round. Where figures are ratios the reference has one between every few others, and at the end: a machine
/// that others use, too, changes its speed by half within seconds.
fn order(contestants: &[&'static Contestant], as_ratios: bool) -> Vec<&'static Contestant> {
    const BETWEEN: usize = 3;
    let Some(reference) = contestants.iter().find(|one| one.name == REFERENCE).filter(|_| as_ratios) else {
        return contestants.to_vec();
    };
    let others: Vec<_> = contestants.iter().filter(|one| one.name != REFERENCE).copied().collect();
    let mut order = vec![*reference];
    for few in others.chunks(BETWEEN) {
        order.extend(few);
        order.push(reference);
    }
    order
}

/// The contestants are programs of their own, of the same package.
fn build() -> io::Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--bins", "--manifest-path"]).arg(manifest);
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("the contestants were not built: {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_its_turns_beside_all_others() {
        let all: Vec<_> = contestants::ALL.iter().collect();
        let order: Vec<_> = order(&all, true).iter().map(|one| one.name).collect();
        let is_reference = |name: &&str| *name == REFERENCE;
        assert!(is_reference(&order[0]) && is_reference(&order[order.len() - 1]));
        assert!(order.split(is_reference).all(|few| few.len() <= 3), "{order:?}");
        assert_eq!(order.iter().filter(|name| !is_reference(name)).count(), all.len() - 1);
        assert_eq!(super::order(&all, false).len(), all.len());
    }
}
