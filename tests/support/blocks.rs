//! A stream that is known at each place: gigabytes of it are made, and compared, as fast as they come.
#![allow(unsafe_code)]

use super::data::bytes;

pub(crate) const BLOCK: usize = 4096;

/// Blocks that look random: all are the same but for their number, which stands in front.
pub(crate) struct Blocks {
    block: Vec<u8>,
    made: u64,
    sum: u64,
}

impl Blocks {
    pub(crate) fn new(seed: u64) -> Blocks {
        Blocks { block: bytes(seed, BLOCK), made: 0, sum: 0 }
    }

    pub(crate) fn next(&mut self) -> &[u8] {
        self.block[..8].copy_from_slice(&self.made.to_le_bytes());
        self.made += 1;
        self.sum = fold(self.sum, &self.block);
        &self.block
    }

    /// A number that says what was made, and in which order.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }
}

/// Compares what comes, in pieces of any length, with what was sent: every byte of it.
pub(crate) struct Compared {
    wanted: Blocks,
    /// The beginning of the block that is not complete yet.
    begun: Vec<u8>,
    blocks: u64,
    sum: u64,
}

impl Compared {
    pub(crate) fn new(seed: u64) -> Compared {
        Compared { wanted: Blocks::new(seed), begun: Vec::with_capacity(BLOCK), blocks: 0, sum: 0 }
    }

    /// # Panics
    /// If it is not what was sent.
    #[track_caller]
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if !self.begun.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK - self.begun.len()));
            self.begun.extend_from_slice(now);
            rest = later;
            if self.begun.len() == BLOCK {
                let block = std::mem::take(&mut self.begun);
                self.compare(&block);
                self.begun = block;
                self.begun.clear();
            }
        }
        while rest.len() >= BLOCK {
            let (block, later) = rest.split_at(BLOCK);
            self.compare(block);
            rest = later;
        }
        self.begun.extend_from_slice(rest);
    }

    #[track_caller]
    fn compare(&mut self, block: &[u8]) {
        let wanted = self.wanted.next();
        if block != wanted {
            let first = block.iter().zip(wanted).position(|(got, wanted)| got != wanted);
            panic!("block {} is another from byte {first:?} on: {:02x?}", self.blocks, &block[..16]);
        }
        self.blocks += 1;
        self.sum = fold(self.sum, block);
    }

    /// How many bytes have come.
    pub(crate) fn length(&self) -> u64 {
        self.blocks * BLOCK as u64 + self.begun.len() as u64
    }

    /// As [`Blocks::sum`], of what has come.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }
}

/// A few instructions for eight bytes, also in a debug build, where an iterator costs ten times as much.
fn fold(mut sum: u64, block: &[u8]) -> u64 {
    let mut place = 0;
    while place + 8 <= block.len() {
        // SAFETY: eight bytes from there are inside of the block.
        let word = unsafe { block.as_ptr().add(place).cast::<u64>().read_unaligned() };
        sum = (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        place += 8;
    }
    sum
}
