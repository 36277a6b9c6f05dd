//! What stands in a block: its number, a sum over the rest, and bytes that follow from both. So a block that is in the wrong
//! place, of an older time in part, or has one wrong bit, is found.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The least length of a block: number and sum.
pub const LEAST: u64 = 16;

/// Writes the block of that number.
pub fn write(block: &mut [u8], number: u64, seed: u64) {
    let mut state = number ^ seed.rotate_left(32);
    for bytes in block[LEAST as usize..].chunks_mut(8) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.copy_from_slice(&state.to_le_bytes()[..bytes.len()]);
    }
    block[..8].copy_from_slice(&number.to_le_bytes());
    let sum = sum(block);
    block[8..16].copy_from_slice(&sum.to_le_bytes());
}

/// Whether it is a block of that number, and whole.
pub fn is_right(block: &[u8], number: u64) -> bool {
    block.len() >= LEAST as usize
        && block[..8] == number.to_le_bytes()
        && block[8..16] == sum(block).to_le_bytes()
}

/// FNV-1a over words: of the number and of all that is behind the sum.
fn sum(block: &[u8]) -> u64 {
    let parts = [&block[..8], &block[LEAST as usize..]];
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for bytes in parts.into_iter().flat_map(|part| part.chunks(8)) {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    sum
}

/// Makes a file of such blocks.
pub fn fill(path: &Path, size: u64, block_size: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut block = vec![0; block_size as usize];
    for number in 0..size / block_size {
        if block_size >= LEAST {
            write(&mut block, number, 0);
        }
        file.write_all(&block)?;
    }
    file.write_all(&vec![0; (size % block_size) as usize])?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_bit_is_found() {
        for length in [16, 17, 100, 512] {
            let mut block = vec![0; length];
            write(&mut block, 5, 9);
            assert!(is_right(&block, 5) && !is_right(&block, 6));
            for bit in 0..length * 8 {
                block[bit / 8] ^= 1 << (bit % 8);
                assert!(!is_right(&block, 5), "bit {bit} of {length} bytes");
                block[bit / 8] ^= 1 << (bit % 8);
            }
        }
        assert!(!is_right(&[0; 8], 0));
    }
}
