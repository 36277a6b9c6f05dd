//! A port whose loop is turned by another: that one waits, and is told by a descriptor.
//!
//! No wake is lost: first we say who waits, then that the loop is parked, then we look once more. What comes after the look rings.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;

use super::Port;
use crate::sys;

impl Port {
    /// A turn has ended, and somebody else waits from now on. False if there is something to do at once; if not, the descriptor
    /// tells when there is.
    pub(crate) fn step_out(&self) -> io::Result<bool> {
        self.refuse_in_child()?;
        self.outside.set(true);
        let driver = &mut self.pair.borrow_mut().driver;
        driver.set_outside(true);
        self.inbox.park();
        let settled = driver.settle()?;
        self.given.set(true);
        Ok(settled && self.inbox.is_empty())
    }

    /// The loop itself is about to wait.
    #[cold]
    pub(super) fn step_in(&self) {
        self.outside.set(false);
        self.pair.borrow().driver.set_outside(false);
    }

    /// Something was asked for between two turns. If somebody waits for the descriptor, it is for him to give the next turn.
    #[inline]
    pub(crate) fn call_for_a_turn(&self) {
        if self.outside.get() && self.announced.get() {
            self.inbox.call();
        }
    }

    /// A descriptor that is readable when there is something to reap.
    pub(crate) fn as_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.refuse_in_child()?;
        let number = self.pair.borrow_mut().driver.announces_by()?;
        let number = number.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                "no descriptor says when this loop has something to do: a simulated driver has none, and with \
                 Builder::iopoll devices have to be asked; give the loop turns at a steady rate instead",
            )
        })?;
        if !self.announced.replace(true) {
            // Of what was asked for before nobody was told.
            self.call_for_a_turn();
        }
        // SAFETY: the driver keeps it open until the runtime ends, which nobody can end while this is borrowed.
        Ok(unsafe { sys::borrow(number) })
    }
}
