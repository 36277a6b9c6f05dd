//! The rows, and what is told of them.

use crate::machine::{APART, TOGETHER, Took};
use crate::{bare, ours, theirs};

type Row = (&'static str, fn(u64) -> Took);

/// Of trips without a system call so many times more are made: below a tick of the system's the time of processors is not told.
const SHORT: u64 = 20;

/// How long a loop may spin, in the rows that say so: longer than a wake takes.
const SPIN_US: u64 = 100;

const ROWS: [Row; 18] = [
    ("annulus, mpsc(1)", |trips| ours::channels(trips, 0)),
    ("annulus, mpsc(1), spins", |trips| ours::channels(SHORT * trips, SPIN_US)),
    ("tokio, two tasks", |trips| theirs::two_tasks(SHORT * trips)),
    ("tokio, a task and block_on", theirs::a_task_and_block_on),
    ("tokio, two loops", theirs::two_loops),
    ("annulus, waker", |trips| ours::wakers(trips, 0, APART)),
    ("annulus, waker, spins", |trips| ours::wakers(SHORT * trips, SPIN_US, APART)),
    ("bare, counters", |trips| bare::counters(trips, APART)),
    ("bare, messages, one call", |trips| bare::messages_as_it_waits(trips, APART)),
    ("bare, messages, two calls", |trips| bare::messages(trips, APART)),
    ("bare, messages without a ring", |trips| bare::messages_without_a_ring(trips, APART)),
    ("bare, futex", bare::futexes),
    ("annulus, waker, one processor", |trips| ours::wakers(trips, 0, TOGETHER)),
    ("annulus, waker, spins, one processor", |trips| ours::wakers(trips, SPIN_US, TOGETHER)),
    ("bare, counters, one processor", |trips| bare::counters(trips, TOGETHER)),
    ("bare, messages, one call, one processor", |trips| bare::messages_as_it_waits(trips, TOGETHER)),
    ("bare, messages, two calls, one processor", |trips| bare::messages(trips, TOGETHER)),
    ("bare, messages without a ring, one processor", |trips| bare::messages_without_a_ring(trips, TOGETHER)),
];

/// What is divided by what.
const RATIOS: [(&str, &str); 18] = [
    ("annulus, mpsc(1)", "tokio, two tasks"),
    ("annulus, mpsc(1)", "tokio, a task and block_on"),
    ("annulus, mpsc(1)", "tokio, two loops"),
    ("annulus, mpsc(1), spins", "tokio, two tasks"),
    ("annulus, mpsc(1), spins", "tokio, a task and block_on"),
    ("annulus, mpsc(1), spins", "tokio, two loops"),
    ("annulus, mpsc(1)", "annulus, waker"),
    ("annulus, mpsc(1), spins", "annulus, waker, spins"),
    ("annulus, waker", "bare, counters"),
    ("annulus, waker, one processor", "bare, counters, one processor"),
    ("annulus, waker, spins, one processor", "annulus, waker, one processor"),
    ("bare, messages, one call", "bare, counters"),
    ("bare, messages, two calls", "bare, counters"),
    ("bare, messages without a ring", "bare, counters"),
    ("bare, futex", "bare, counters"),
    ("bare, messages, one call, one processor", "bare, counters, one processor"),
    ("bare, messages, two calls, one processor", "bare, counters, one processor"),
    ("bare, messages without a ring, one processor", "bare, counters, one processor"),
];

pub fn report(rounds: usize, trips: u64, named: &str) {
    let rows: Vec<Row> = ROWS.into_iter().filter(|(name, _)| name.contains(named)).collect();
    let mut took: Vec<Vec<Took>> = vec![Vec::new(); rows.len()];
    for _ in 0..rounds {
        for ((_, run), took) in rows.iter().zip(&mut took) {
            took.push(run(trips));
        }
    }
    println!("a number there and back, {rounds} rounds of {trips}, us:");
    println!("{:46}{:>10}{:>10}{:>10}{:>12}", "", "median", "a tenth", "nine", "processor");
    for ((name, _), took) in rows.iter().zip(&took) {
        let times = sorted(took.iter().map(|took| took.time));
        let processor = sorted(took.iter().map(|took| took.processor));
        println!(
            "{name:46}{:>10.2}{:>10.2}{:>10.2}{:>12.2}",
            at(&times, 0.5),
            at(&times, 0.1),
            at(&times, 0.9),
            at(&processor, 0.5)
        );
    }
    println!("{:76}{:>10}{:>10}{:>10}", "ratios:", "median", "a tenth", "nine");
    let row = |wanted| rows.iter().position(|(name, _)| *name == wanted);
    for (one, other) in RATIOS {
        let (Some(one), Some(other)) = (row(one), row(other)) else { continue };
        let pairs = took[one].iter().zip(&took[other]);
        let ratios = sorted(pairs.map(|(one, other)| one.time / other.time));
        let names = format!("{} / {}", rows[one].0, rows[other].0);
        println!("{names:76}{:>10.3}{:>10.3}{:>10.3}", at(&ratios, 0.5), at(&ratios, 0.1), at(&ratios, 0.9));
    }
    if named.is_empty() {
        prices(rounds, trips);
    }
}

/// What a spin costs and gains where messages come by themselves, one each so many microseconds, from a thread that does nothing else.
fn prices(rounds: usize, messages: u64) {
    const EVERY_US: [u64; 5] = [5, 20, 50, 200, 1000];
    const LIMITS_US: [u64; 3] = [0, 20, SPIN_US];
    println!(
        "a message every so many us, to a loop that spins for so many: its way, and what the loop used of its processor"
    );
    print!("{:>10}", "every");
    LIMITS_US.iter().for_each(|limit| print!("{:>30}", format!("spin {limit}: us, processor")));
    println!();
    for every in EVERY_US {
        let mut took = LIMITS_US.map(|_| (Vec::new(), Vec::new()));
        for _ in 0..rounds.div_ceil(3) {
            for (limit, (ways, used)) in LIMITS_US.iter().zip(&mut took) {
                let (way, processor) = ours::listen(every, *limit, messages / 2);
                ways.push(way);
                used.push(processor);
            }
        }
        print!("{every:>10}");
        for (ways, used) in took {
            let middle = |values: Vec<f64>| at(&sorted(values.into_iter()), 0.5);
            print!("{:>20.1}{:>9.1}%", middle(ways), 100.0 * middle(used));
        }
        println!();
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}
