//! A descriptor that leaves its loop, open.

use std::io;
use std::os::fd::OwnedFd;

use super::Descriptor;
use crate::sys;

impl Descriptor {
    /// Refuses new operations and cancels those in flight, as closing does; what they bring after all is kept.
    pub(crate) fn start_handing_over(&self) {
        self.0.handing_over.set(true);
        self.0.start_closing();
    }

    /// It stays after all. Only when it is settled.
    pub(crate) fn stay(&self) {
        for state in [&self.0.handing_over, &self.0.closing, &self.0.unnamed] {
            state.set(false);
        }
        self.0.directions().iter().for_each(|direction| direction.set_closing(false));
    }

    /// Sets the number to blocking mode, if that is how it came, or if it was made here: so std's own are.
    pub(crate) fn restore_blocking(&self) -> io::Result<()> {
        match self.0.blocks.get() {
            true => {
                let number = self.0.port.plain(self.0.number)?;
                sys::socket::with_socket(number, |socket| socket.set_nonblocking(false))
            }
            false => Ok(()),
        }
    }

    /// It leaves this loop, by the number that the driver has let go of. Only when it is settled: nothing names it any more.
    pub(crate) fn hand_over(self, number: i32) -> OwnedFd {
        debug_assert!(self.0.handing_over.get() && self.0.is_unnamed() && !self.0.closed.get());
        self.forget_number();
        sys::owned(number)
    }
}
