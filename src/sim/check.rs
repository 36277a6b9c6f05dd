//! Looking for a bad day: the same test in many worlds.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use super::world::World;

/// How many events are shown of a world in which a test failed.
const SHOWN: usize = 40;

/// Runs a test in `seeds` worlds, those of the seeds 0, 1, 2 and so on.
///
/// When it fails, the seed, the last events of its world, and the command that has it again are printed; the panic is
/// then the test's. `ANNULUS_SEED=17` runs that world alone, `ANNULUS_SEEDS=10000` as many as that.
///
/// # Panics
/// If the test does.
///
/// # Examples
/// ```
/// use annulus::sim::{self, Faults};
///
/// sim::check(10, |world| {
///     world.set_faults(&Faults::all().swarm(world.seed()));
///     let host = world.host("one", sim::idle);
///     let written = host.run(annulus::fs::write("/note", "text")).unwrap().0;
///     if written.is_ok() {
///         assert!(host.run(annulus::fs::metadata("/note")).unwrap().is_ok_and(|note| note.len() == 4));
///     }
/// });
/// ```
pub fn check(seeds: u64, test: impl Fn(&World)) {
    let number = |name| {
        std::env::var(name).ok().map(|text| match text.parse::<u64>() {
            Ok(number) => number,
            Err(_) => panic!("{name}={text:?} is not a number"),
        })
    };
    let seeds = match number("ANNULUS_SEED") {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..number("ANNULUS_SEEDS").unwrap_or(seeds),
    };
    for seed in seeds {
        let world = World::new(seed);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(&world))) {
            let events = world.trace();
            eprintln!(
                "\nthe last of {} events of the world of seed {seed}:\n{}",
                events.count(),
                events.tail(SHOWN)
            );
            eprintln!("{}", replay(seed));
            // What it holds may be in no state to be dropped in order.
            std::mem::forget(world);
            resume_unwind(panic);
        }
    }
}

/// The command that has it again.
fn replay(seed: u64) -> String {
    // The test runner names its threads after the tests.
    let test =
        thread::current().name().filter(|name| *name != "main").map(|name| format!(" -- --exact {name}"));
    format!("to have it again: ANNULUS_SEED={seed} cargo test{}\n", test.unwrap_or_default())
}
