//! How long the blocks of a stream are, how many are under way, and where they come from.

use std::io;

use crate::buf::Registered;
use crate::fs::RegisteredBuffers;

pub(super) struct Blocks {
    pub(super) bytes: usize,
    pub(super) depth: usize,
    /// None before the first is asked for, unless it is somebody's.
    pool: Option<RegisteredBuffers>,
}

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks { bytes: super::BLOCK, depth: 4, pool: None }
    }
}

impl Blocks {
    #[track_caller]
    pub(super) fn set_bytes(&mut self, bytes: usize) {
        assert!(bytes > 0, "a block has at least one byte");
        self.bytes = bytes;
    }

    #[track_caller]
    pub(super) fn set_depth(&mut self, depth: usize) {
        assert!(depth > 0, "at least one block has to be under way");
        self.depth = depth;
    }

    pub(super) fn set_pool(&mut self, pool: RegisteredBuffers) {
        self.bytes = pool.bytes();
        self.pool = Some(pool);
    }

    /// Makes them multiples of what the file wants, and room for as many as are under way and one more: that is the user's
    /// meanwhile. At most `most`. Those of somebody's pool are what they are, and may be refused.
    pub(super) fn make(&mut self, unit: u64, most: u64) -> io::Result<()> {
        if self.pool.is_none() {
            self.bytes = self.bytes.checked_next_multiple_of(unit as usize).unwrap_or(self.bytes);
            let count = (self.depth as u64).saturating_add(1).min(most) as usize;
            self.pool = Some(RegisteredBuffers::ordinary(count, self.bytes)?);
        }
        check_multiple("buffers of", self.bytes as u64, unit)
    }

    /// One, if one is left.
    pub(super) fn try_take(&self) -> Option<Registered> {
        self.pool.as_ref().expect("made before").try_get()
    }

    /// One, if need be of its own: others may have all.
    pub(super) fn take(&self) -> io::Result<Registered> {
        match self.try_take() {
            Some(block) => Ok(block),
            None => Ok(RegisteredBuffers::ordinary(1, self.bytes)?.try_get().expect("it is new")),
        }
    }
}

/// Refuses what is no multiple of the file's unit: only past the page cache there are such.
pub(super) fn check_multiple(what: &str, bytes: u64, unit: u64) -> io::Result<()> {
    if bytes % unit == 0 {
        return Ok(());
    }
    let text = format!("{what} {bytes}: O_DIRECT wants multiples of {unit} of this file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}
