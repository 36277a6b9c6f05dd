//! Child processes: as in [`std::process`], but waiting for one holds up its task alone.
//!
//! A [`Command`] says what to run; [`spawn`](Command::spawn) gives a [`Child`], whose pipes are
//! [`PipeWriter`](crate::io::PipeWriter) and [`PipeReader`](crate::io::PipeReader). On Linux the loop waits for the end of a
//! child by its pidfd (5.3), elsewhere a helper thread does.
//!
//! Processes are the machine's: in a simulated world there are none, and starting one says `Unsupported`.

mod child;
mod command;
mod exit;

pub use child::Child;
pub use command::Command;
pub use std::process::{ExitStatus, Output, Stdio};
