//! Numbers by chance, that a simulated world can repeat.

use crate::engine::expect_current;

/// A number by chance; in a simulated world the seed decides it.
///
/// For what is to differ from run to run and to be repeated in a simulation: jitter, elections, the seed of a generator
/// of your own. Not for secrets.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// use annulus::{Driver, Runtime};
///
/// let numbers = |seed| {
///     let runtime = Runtime::builder().driver(Driver::Sim(seed)).build().unwrap();
///     runtime.run(async { [annulus::random(), annulus::random()] }).unwrap()
/// };
/// assert_eq!(numbers(7), numbers(7));
/// assert_ne!(numbers(7), numbers(8));
/// ```
#[track_caller]
pub fn random() -> u64 {
    expect_current("annulus::random", |engine| engine.random())
}
