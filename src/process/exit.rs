//! The end of a child: waited for by its pidfd, or by a helper thread.

use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};

use crate::driver::Descriptor;
use crate::engine::current_port;
use crate::op::{Blocking, Poll, Submitted};
use crate::sys;

/// How to learn of a child's end. It is not reaped by that: its number stays its own.
pub(super) enum Exit {
    Watched(Descriptor),
    /// There is no pidfd here: a helper waits for the child of this number.
    Asked(u32),
}

impl Exit {
    pub(super) fn of(number: u32) -> Exit {
        let watched = sys::process::watch(number).map(OwnedFd::into_raw_fd);
        match watched {
            Ok(number) => Exit::Watched(Descriptor::new(number, &current_port()).seen_as("Child", "process")),
            Err(_) => Exit::Asked(number),
        }
    }

    /// Waits until the child has ended.
    pub(super) async fn wait(&self) -> io::Result<()> {
        match self {
            Exit::Watched(watched) => Submitted::new(Poll::new(watched.hold(), libc::POLLIN)).await.map(drop),
            Exit::Asked(number) => {
                let number = *number;
                let waited =
                    Submitted::new(Blocking::new(move || sys::process::wait_for_end(number))).await?;
                waited.unwrap_or_else(|_| {
                    Err(io::Error::other("the helper that waited for the child panicked"))
                })
            }
        }
    }
}
