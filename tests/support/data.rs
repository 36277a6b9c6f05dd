//! Bytes and numbers that look random and are the same each time.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Another number each time, for what is left to chance. It is printed: `ANNULUS_SEED` sets it, to have the same again.
/// In a simulated world it is the world's.
pub(crate) fn seed() -> u64 {
    if super::is_simulated() {
        return super::sim_seed();
    }
    let seed = asked_seed().unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    println!("ANNULUS_SEED={seed}");
    seed
}

/// What `ANNULUS_SEED` says.
pub(crate) fn asked_seed() -> Option<u64> {
    std::env::var("ANNULUS_SEED").ok().map(|seed| seed.parse().expect("ANNULUS_SEED is a number"))
}

/// A generator of numbers (xorshift64*), from a seed that is part of the test.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    /// A length from 1 to `longest`, short ones as often as long ones.
    pub(crate) fn length(&mut self, longest: usize) -> usize {
        let order = self.below(u64::from(longest.ilog2()) + 1);
        (1 + self.below(2 << order) as usize).min(longest)
    }

    /// A span of at most so many microseconds, to the nanosecond.
    pub(crate) fn micros(&mut self, longest: u64) -> Duration {
        Duration::from_nanos(self.below(longest * 1000 + 1))
    }
}

/// So many bytes that look random.
pub(crate) fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(dice.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Where two runs of bytes differ first, instead of megabytes of both.
#[track_caller]
pub(crate) fn assert_same(got: &[u8], wanted: &[u8]) {
    // A build for tests takes long to look at each byte.
    if got == wanted {
        return;
    }
    let first = got.iter().zip(wanted).position(|(a, b)| a != b);
    assert_eq!(first, None, "they differ first at that byte");
    assert_eq!(got.len(), wanted.len(), "lengths");
}
