//! What a launch has to tell while it runs.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::failure::Failure;

/// Something that happens to a launch, and that nobody else is told. See [`Launch::on_notice`](super::Launch::on_notice).
///
/// # Examples
/// As [`Launch::on_notice`](super::Launch::on_notice).
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// All shards serve.
    Ready,
    /// A shard has failed, and is started again after a pause.
    Restarting {
        /// What happened.
        failure: &'a Failure,
        /// How long the pause is.
        after: Duration,
    },
    /// A shard has failed, and is not started again.
    Failed {
        /// What happened.
        failure: &'a Failure,
    },
    /// The shards were told to stop, and have so long for it.
    Stopping {
        /// How long.
        limit: Duration,
    },
    /// The time to stop is over, or somebody has no patience: what still runs is cut off.
    CuttingOff,
    /// Settings are read again.
    Reloading,
    /// This program was started once more, with the sockets of this process, and is to take over.
    Starting {
        /// The new process.
        pid: u32,
    },
    /// The new process serves: this one stops.
    Succeeded {
        /// The new process.
        pid: u32,
    },
    /// The new process did not come to serve: this one goes on.
    NotSucceeded {
        /// Why.
        error: &'a io::Error,
    },
}

impl Notice<'_> {
    /// What is said where nobody asked to be told: failures.
    pub(super) fn say(&self) {
        let is_bad =
            matches!(self, Notice::Restarting { .. } | Notice::Failed { .. } | Notice::NotSucceeded { .. });
        if is_bad {
            // A server goes on when nobody listens there.
            let _ = writeln!(io::stderr(), "annulus: {self}");
        }
    }
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Ready => f.write_str("all shards serve"),
            Notice::Restarting { failure, after } if after.is_zero() => {
                write!(f, "{failure}; it is started again")
            }
            Notice::Restarting { failure, after } => write!(f, "{failure}; it is started again in {after:?}"),
            Notice::Failed { failure } => write!(f, "{failure}"),
            Notice::Stopping { limit } => write!(f, "stopping; what runs has {limit:?} to finish"),
            Notice::CuttingOff => f.write_str("what still runs is cut off"),
            Notice::Reloading => f.write_str("settings are read again"),
            Notice::Starting { pid } => write!(f, "process {pid} is to take over"),
            Notice::Succeeded { pid } => write!(f, "process {pid} has taken over"),
            Notice::NotSucceeded { error } => {
                write!(f, "no other process has taken over, this one goes on: {error}")
            }
        }
    }
}
