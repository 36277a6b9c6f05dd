//! The file that is read, block by block in an order that looks like chance and is the same for all.

use std::path::PathBuf;

use clap::Args;

/// Bytes a read.
pub const BLOCK: usize = 4096;

/// Random reads of blocks of a file whose every block begins with its own number, as a little-endian `u64`.
#[derive(Args, Clone, Debug)]
pub struct Files {
    /// The file, which [`Files::fill`] made.
    #[arg(long)]
    pub path: PathBuf,
    /// How many reads are under way at a time.
    #[arg(long, default_value_t = 1)]
    pub depth: usize,
    /// How many reads in all.
    #[arg(long, default_value_t = 100_000)]
    pub reads: u64,
    /// Past the page cache (O_DIRECT): buffers are then to begin at multiples of 4096.
    #[arg(long)]
    pub direct: bool,
}

impl Files {
    /// How many blocks the file has.
    pub fn blocks(&self) -> std::io::Result<u64> {
        Ok(std::fs::metadata(&self.path)?.len() / BLOCK as u64)
    }

    /// Where the read of this number begins, in bytes, in a file of so many blocks.
    pub fn offset(&self, number: u64, blocks: u64) -> u64 {
        // splitmix64.
        let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % blocks) * BLOCK as u64
    }

    /// Whether `bytes` is what stands at `offset`.
    ///
    /// # Panics
    /// When it is not: a runtime that brings wrong bytes has no figures.
    pub fn check(&self, offset: u64, bytes: &[u8]) {
        assert_eq!(bytes.len(), BLOCK, "a short read at {offset}");
        let stands = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        assert_eq!(stands, offset / BLOCK as u64, "wrong bytes at {offset}");
    }

    /// Makes a file of so many blocks, for all contestants.
    pub fn fill(path: &std::path::Path, blocks: u64) -> std::io::Result<()> {
        use std::io::Write;
        let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
        for number in 0..blocks {
            let mut block = [0x5a; BLOCK];
            block[..8].copy_from_slice(&number.to_le_bytes());
            file.write_all(&block)?;
        }
        file.into_inner()?.sync_all()
    }
}

/// A block of memory that begins where O_DIRECT wants it.
pub struct Aligned(Box<Page>);

#[repr(align(4096))]
struct Page([u8; BLOCK]);

impl Aligned {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Aligned {
        Aligned(Box::new(Page([0; BLOCK])))
    }
}

impl std::ops::Deref for Aligned {
    type Target = [u8; BLOCK];

    fn deref(&self) -> &[u8; BLOCK] {
        &self.0.0
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8; BLOCK] {
        &mut self.0.0
    }
}
