//! Random programs of operations, drops, cancels, time-outs and aborts, in simulated worlds, against a small model.
//!
//! The model: what is read is what was written, in order, without a gap and nothing twice; a clean end comes after all of
//! it; each connection is accepted once; a file holds what the operations that succeeded have written, and where one was
//! left behind, either that or what was there before; all futures are ready in the end, and nothing is left open.
//!
//! A seed makes the program, the faults and the world. A program that fails is made smaller before it is shown.
//! `ANNULUS_SEEDS=10000 cargo test --release --test programs` runs as many; `ANNULUS_SEED=17` the one.
#![cfg(feature = "sim")]

#[path = "programs/files.rs"]
mod files;
#[path = "programs/plan.rs"]
mod plan;
#[path = "programs/streams.rs"]
mod streams;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use annulus::sim::{self, World};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use plan::Program;

/// How many seeds unless ANNULUS_SEEDS says otherwise.
const SEEDS: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}

/// Runs one program in the world of a seed, and checks what came of it. Panics where the model does not agree.
fn run(program: &Program, seed: u64) -> u64 {
    let world = World::new(seed);
    // Connections that starve end after fifteen minutes; a few of these may come one after the other.
    world.set_patience(Duration::from_secs(3000));
    world.set_faults(&program.faults);
    let server = world.host("server", sim::idle);
    let client = world.host("client", sim::idle);
    world
        .link(&server, &client)
        .latency(Duration::from_micros(20)..Duration::from_micros(20 + program.latency_us))
        .loss(program.loss);

    let streams = streams::start(program, &server, &client);
    let files = files::start(program, &server);
    world
        .run_until(|| streams.are_done() && files.iter().all(|file| file.is_finished()))
        .unwrap_or_else(|stuck| panic!("a future was never ready: {stuck}"));
    streams.check(&program.faults);
    for file in files {
        server.run(file).unwrap().unwrap();
    }
    // What was dropped at the very end is settled and closed.
    world.run_for(Duration::from_secs(1));
    for host in [&server, &client] {
        let metrics = host.metrics();
        let name = host.name();
        assert_eq!((metrics.in_flight, metrics.orphans), (0, 0), "{name}: operations are left in flight");
        assert_eq!(metrics.timers, 0, "{name}: a timer is left armed");
        assert_eq!(metrics.alive, 0, "{name}: a task is left");
        assert_eq!(host.descriptors(), 0, "{name}: a descriptor is left open");
    }
    world.trace().hash()
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

#[test]
fn random_programs_agree_with_a_small_model() {
    let seeds = match number("ANNULUS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ANNULUS_SEEDS").unwrap_or(SEEDS),
    };
    let config = Config { failure_persistence: None, max_shrink_iters: 3000, ..Config::default() };
    for seed in seeds {
        let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
        let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config.clone(), dice);
        let tree = plan::programs().new_tree(&mut runner).unwrap();
        let outcome = runner.run_one(tree, |program| {
            let ran = catch_unwind(AssertUnwindSafe(|| run(&program, seed)));
            ran.map(drop).map_err(|panic| TestCaseError::fail(words_of(&*panic)))
        });
        if let Err(TestError::Fail(reason, program)) = outcome {
            panic!(
                "seed {seed}: {reason}\nof this program, the smallest that fails:\n{program:#?}\n\
                 to have it again: ANNULUS_SEED={seed} cargo test --test programs"
            );
        }
    }
}

#[test]
fn the_same_program_and_seed_give_the_same_events() {
    for seed in 0..20 {
        let bytes: Vec<u8> = u64::to_le_bytes(seed).repeat(4);
        let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), dice);
        let program = Rc::new(plan::programs().new_tree(&mut runner).unwrap().current());
        assert_eq!(run(&program, seed), run(&program, seed), "seed {seed}");
    }
}
