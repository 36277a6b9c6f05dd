//! The flight recorder: what a loop has done lately, in a ring of small records that costs a few nanoseconds each.
//!
//! `ring` is what the loop writes to, `recording` a copy of it in which pointers are names and ticks are nanoseconds, `chrome` the same
//! as a file that browsers open.

mod chrome;
mod recording;
mod ring;

pub use chrome::write_all;
pub(crate) use recording::Place;
pub use recording::{Event, Recording, What};
pub(crate) use ring::Ring;
