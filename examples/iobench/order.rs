//! Which block is next.

/// Blocks in a row, or as by chance; the same order for the same seed.
pub struct Order {
    blocks: u64,
    /// How many are to be had; None is no end.
    left: Option<u64>,
    way: Way,
    last: u64,
    state: u64,
}

enum Way {
    /// So many further, round and round. A step that has no divisor in common with the number of blocks visits each once.
    Step(u64),
    Drawn,
}

impl Order {
    /// `blocks` of them; each once if `once`.
    pub fn new(blocks: u64, is_random: bool, once: bool, seed: u64) -> Order {
        let way = match (is_random, once) {
            (false, _) => Way::Step(1),
            (true, true) => Way::Step(step(blocks, seed)),
            (true, false) => Way::Drawn,
        };
        let last = if is_random { seed % blocks } else { blocks - 1 };
        Order { blocks, left: once.then_some(blocks), way, last, state: seed }
    }

    /// A number from 0 to 99, for what is drawn besides.
    pub fn hundred(&mut self) -> u8 {
        (self.draw() % 100) as u8
    }

    fn draw(&mut self) -> u64 {
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Iterator for Order {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match &mut self.left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        self.last = match self.way {
            Way::Step(step) => (self.last + step) % self.blocks,
            Way::Drawn => self.draw() % self.blocks,
        };
        Some(self.last)
    }
}

fn step(blocks: u64, seed: u64) -> u64 {
    let golden = (blocks as f64 * 0.618_033_988_75) as u64 + seed % 97;
    (golden.max(1)..).find(|step| common(*step, blocks) == 1).unwrap_or(1)
}

fn common(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_block_comes_once() {
        for blocks in [1, 2, 7, 64, 1000, 4096] {
            for (is_random, seed) in [(false, 1), (true, 1), (true, 2)] {
                let order: Vec<_> = Order::new(blocks, is_random, true, seed).collect();
                assert_eq!(order.len() as u64, blocks);
                assert_eq!(order.iter().copied().collect::<BTreeSet<_>>().len() as u64, blocks);
                assert!(is_random || order.is_sorted());
                assert!(!is_random || blocks < 7 || !order.is_sorted());
            }
        }
    }

    #[test]
    fn without_an_end_all_of_the_file_is_used() {
        let seen: BTreeSet<_> = Order::new(64, true, false, 3).take(2000).collect();
        assert_eq!(seen.len(), 64);
        let in_a_row: Vec<_> = Order::new(3, false, false, 3).take(7).collect();
        assert_eq!(in_a_row, [0, 1, 2, 0, 1, 2, 0]);
    }
}
