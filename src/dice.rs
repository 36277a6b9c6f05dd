//! Numbers that look random and are the same each time: where something is decided by a seed.

/// A generator of numbers, from a seed. Two of the same seed give the same numbers on every machine.
///
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014).
#[derive(Clone, Debug, Default)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    #[cfg(any(annulus_faults, feature = "sim"))]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The part of a bias is `bound` in 2^64: nothing that a test could see.
        self.next() % bound
    }

    #[cfg(any(annulus_faults, feature = "sim"))]
    pub(crate) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

#[cfg(any(annulus_faults, feature = "sim"))]
impl Dice {
    /// A number from `least` to `most`, both included.
    #[cfg(feature = "sim")]
    pub(crate) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below((most - least).saturating_add(1))
    }

    /// True so often of one: 0.0 never, 1.0 always. Never asks for a number where the answer is clear, so that a
    /// rate of zero leaves all other decisions as they are.
    pub(crate) fn happens(&mut self, rate: f64) -> bool {
        if rate <= 0.0 {
            return false;
        }
        // 53 bits: what a double holds.
        rate >= 1.0 || ((self.next() >> 11) as f64) < rate * (1u64 << 53) as f64
    }
}

#[cfg(feature = "sim")]
impl Dice {
    /// Another generator, whose numbers do not depend on how many more this one is asked for.
    pub(crate) fn split(&mut self) -> Dice {
        Dice(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_everywhere() {
        let mut dice = Dice::new(1_234_567);
        let numbers: Vec<_> = (0..3).map(|_| dice.next()).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
