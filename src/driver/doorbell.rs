//! The doorbell that is an event counter: what other threads end a driver's wait with, on Linux.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::executor::Doorbell;
use crate::sys;

pub(super) struct EventBell(OwnedFd);

impl EventBell {
    pub(super) fn new() -> io::Result<EventBell> {
        let number = sys::checked(sys::event::counter())?;
        // The call above has just opened it for us.
        Ok(EventBell(sys::owned(number as i32)))
    }

    pub(super) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Doorbell for EventBell {
    fn ring(&self) {
        sys::event::ring(self.number());
    }
}
