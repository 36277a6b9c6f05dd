//! What the tests share: running each body on each driver, and looking after what a test leaves behind.
//!
//! A test file lists its promises in [`on_every_driver!`] and then has a function for each. A function that is not
//! listed is dead code, which the compiler tells.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test file uses a part of it")]

pub(crate) mod audit;
pub(crate) mod blocks;
pub(crate) mod child;
pub(crate) mod counted;
pub(crate) mod data;
pub(crate) mod direct;
pub(crate) mod everything;
pub(crate) mod example;
pub(crate) mod fuse;
pub(crate) mod guarded;
pub(crate) mod limits;
pub(crate) mod managed;
pub(crate) mod net;
pub(crate) mod outside;
pub(crate) mod pieces;
pub(crate) mod pipe;
pub(crate) mod quiet;
pub(crate) mod races;
pub(crate) mod seccomp;
pub(crate) mod served;
pub(crate) mod traced;
pub(crate) mod wakers;
pub(crate) mod watchdog;

use std::cell::Cell;
use std::future::Future;
use std::io::Write as _;
use std::sync::{Once, OnceLock};

use annulus::{Builder, Driver, Error};

/// Makes a test of each function for each driver: `uring::name`, `readiness::name` and `sim::name`.
///
/// A function is either `async fn name()`, run on a loop of its own, or `fn name(builder: Builder)`. In the simulated
/// world it meets nothing of the machine: what it needs from outside is in [`outside`].
macro_rules! on_every_driver {
    ($($name:ident),* $(,)?) => {
        $crate::support::on_every_driver! { @module uring (annulus::Driver::Uring): $($name),* }
        $crate::support::on_every_driver! { @module readiness (annulus::Driver::Readiness): $($name),* }
        #[cfg(feature = "sim")]
        $crate::support::on_every_driver! {
            @module sim (annulus::Driver::Sim($crate::support::sim_seed())): $($name),*
        }
    };
    (@module $module:ident ($driver:expr): $($name:ident),*) => {
        mod $module {
            $(#[test]
            fn $name() {
                $crate::support::on($driver, module_path!(), stringify!($name), super::$name);
            })*
        }
    };
}
pub(crate) use on_every_driver;

/// As [`on_every_driver!`], for what is about the machine, and why: there are `real::uring::name` and
/// `real::readiness::name`, and nothing for the simulated world.
///
/// ```ignore
/// on_real_drivers! {
///     because "it counts the machine's threads": a_promise, another_one;
///     because "there is no pipe of std": a_third;
/// }
/// ```
macro_rules! on_real_drivers {
    ($(because $reason:literal: $($name:ident),* $(,)?);* $(;)?) => {
        mod real {
            use super::*;

            $crate::support::on_every_driver! { @module uring (annulus::Driver::Uring): $($($name),*),* }
            $crate::support::on_every_driver! { @module readiness (annulus::Driver::Readiness): $($($name),*),* }
        }
    };
}
pub(crate) use on_real_drivers;

/// What the kernel may take to give back what a test left in flight.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// The body of a test: see [`on_every_driver!`].
pub(crate) trait Body<Kind> {
    fn run(self, builder: Builder);
}

pub(crate) struct OnALoop;
pub(crate) struct WithABuilder;

impl<B: FnOnce() -> F, F: Future<Output = ()>> Body<OnALoop> for B {
    fn run(self, builder: Builder) {
        let runtime = builder.build().unwrap();
        runtime.run(self()).unwrap();
        assert_eq!(runtime.metrics().stray, 0, "every completion found its operation");
        // The audit after each test: all that is still in flight can be ended, and comes back.
        assert_eq!(runtime.shutdown(PATIENCE), 0, "nothing is leaked");
    }
}

impl<B: FnOnce(Builder)> Body<WithABuilder> for B {
    fn run(self, builder: Builder) {
        self(builder);
    }
}

/// Runs a body on a driver, or says why not.
pub(crate) fn on<Kind>(driver: Driver, module: &str, name: &str, body: impl Body<Kind>) {
    // The crate's own name is not a part of a test's name.
    let modules = module.split_once("::").map_or("", |(_, modules)| modules);
    let test = format!("{modules}::{name}");
    if !is_asked_for(driver) || !is_permitted(driver, &test) {
        return;
    }
    let _watchdog = watchdog::Watchdog::over(&test);
    let _named = child::Named::new(&test);
    SIMULATED.set(kind(&driver.to_string()) == "sim");
    body.run(Builder::new().driver(driver));
}

thread_local! {
    static SIMULATED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the test of this thread runs in a simulated world.
pub(crate) fn is_simulated() -> bool {
    SIMULATED.get()
}

/// The seed of a simulated world: always the same, so that a test that passes goes on to pass. `ANNULUS_SEED=7` sets it,
/// and so does `ANNULUS_DRIVER=sim:7`.
pub(crate) fn sim_seed() -> u64 {
    let driver = std::env::var("ANNULUS_DRIVER").unwrap_or_default();
    let of_the_driver = driver.strip_prefix("sim:").map(|seed| seed.parse().expect("a seed is a number"));
    let seed = data::asked_seed().or(of_the_driver).unwrap_or(1);
    println!("ANNULUS_SEED={seed}");
    seed
}

/// What kind of driver a name says: `sim` of `sim:7`.
fn kind(name: &str) -> &str {
    name.split(':').next().unwrap_or_default()
}

/// Whether ANNULUS_DRIVER leaves this driver's tests to be run.
pub(crate) fn is_asked_for(driver: Driver) -> bool {
    let asked = std::env::var("ANNULUS_DRIVER").unwrap_or_default();
    if asked.is_empty() || asked == "auto" || kind(&asked) == kind(&driver.to_string()) {
        return true;
    }
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        say(&format!("skipped: what runs on the {driver} driver, for ANNULUS_DRIVER asks for {asked} only"));
    });
    false
}

/// Whether the kernel permits this driver; says of the test that it is skipped where not.
pub(crate) fn is_permitted(driver: Driver, test: &str) -> bool {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    if driver != Driver::Uring {
        return true;
    }
    let refusal = REFUSAL.get_or_init(|| match Builder::new().driver(driver).build() {
        Ok(_) => None,
        Err(refused @ Error::Refused(_)) => Some(refused.to_string()),
        Err(other) => panic!("neither a loop nor a refusal: {other}"),
    });
    if let Some(reason) = refusal {
        skipped(test, reason);
    }
    refusal.is_none()
}

/// The real drivers that are asked for and permitted.
pub(crate) fn drivers(test: &str) -> Vec<Driver> {
    let all = [Driver::Uring, Driver::Readiness];
    all.into_iter().filter(|driver| is_asked_for(*driver) && is_permitted(*driver, test)).collect()
}

/// Says that a test was not done: also when the test runner keeps what tests print to itself.
pub(crate) fn skipped(test: &str, reason: &str) {
    say(&format!("skipped: {test}: {reason}"));
}

/// Says something past the test runner.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
