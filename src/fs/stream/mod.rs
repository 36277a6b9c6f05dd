//! Files that are read ahead, written behind, and read in many places at once: several transfers of one file under way,
//! and never out of order for who looks.
//!
//! [`line`] holds what is under way; [`fetch`] is a block on its way here, to its end or the file's; [`facts`] says what the
//! file is, [`blocks`] what is transferred at a time. Where a file is past
//! the page cache (O_DIRECT), offsets and lengths are kept at multiples of its unit, whatever was asked for.

mod blocks;
mod facts;
mod fetch;
mod line;
mod read_ahead;
mod read_many;
mod write_behind;

pub use read_ahead::ReadAhead;
pub use read_many::ReadMany;
pub use write_behind::WriteBehind;

/// How long a block is, in bytes, unless asked for otherwise.
const BLOCK: usize = 128 * 1024;
