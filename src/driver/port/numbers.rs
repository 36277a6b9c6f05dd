//! Numbers of descriptors: only the driver knows what they mean.

use std::io;

use super::Port;
use crate::driver::{Control, Reply, RingFacts};

impl Port {
    /// Closes a number that nothing names.
    pub(crate) fn close(&self, number: i32) {
        if self.is_forked() {
            // The child's own copy. The parent's driver is not told.
            crate::sys::close(number);
            return;
        }
        self.given.set(true);
        self.pair.borrow_mut().driver.close(number);
        self.call_for_a_turn();
    }

    /// A number will be closed by an operation, and nothing else names it any more.
    pub(crate) fn forget(&self, number: i32) {
        if self.is_forked() {
            return;
        }
        // Before somebody else may have the number.
        #[cfg(feature = "tracing")]
        self.hide_descriptor(number);
        self.pair.borrow_mut().driver.forget(number);
    }

    /// Whether accepted connections are kept in a table of the ring's own.
    pub(crate) fn accepts_directly(&self) -> bool {
        self.accepts_directly
    }

    /// Whether a number is the driver's alone, and no system call's.
    pub(crate) fn is_elsewhere(&self, number: i32) -> bool {
        self.accepts_directly && self.pair.borrow().driver.is_elsewhere(number)
    }

    /// The number by which the process knows a descriptor.
    pub(crate) fn plain(&self, number: i32) -> io::Result<i32> {
        self.pair.borrow_mut().driver.plain(number)
    }

    /// A number leaves this loop, open. The one by which the process knows it.
    pub(crate) fn leave(&self, number: i32) -> io::Result<i32> {
        #[cfg(feature = "tracing")]
        self.hide_descriptor(number);
        self.pair.borrow_mut().driver.leave(number)
    }

    /// Whether devices are asked, of files that are named to it.
    pub(crate) fn polls_files(&self) -> bool {
        self.pair.borrow().driver.polls_files()
    }

    /// From now on the device of this file is asked, which takes so many bytes at once.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux names files to it"))]
    pub(crate) fn poll_file(&self, number: i32, most: u32) {
        self.pair.borrow_mut().driver.poll_file(number, most);
    }

    /// Whether a helper, or a thread of the kernel's, is at something.
    pub(crate) fn is_at_work(&self) -> bool {
        self.pair.borrow().slots.some_end_by_themselves()
    }

    /// Whether its numbers mean nothing to the operating system.
    pub(crate) fn is_simulated(&self) -> bool {
        self.pair.borrow().driver.is_simulated()
    }

    /// Whether a ring of the kernel's does the transfers.
    pub(crate) fn is_ring(&self) -> bool {
        self.is_ring
    }

    /// What the ring's set-up got, if there is one.
    pub(crate) fn ring_facts(&self) -> Option<RingFacts> {
        // Only then it is known whether the kernel picks buffers.
        self.pool();
        self.pair.borrow().driver.ring_facts()
    }

    /// A call on a descriptor that answers at once.
    pub(crate) fn control(&self, number: i32, control: Control<'_>) -> io::Result<Reply> {
        self.pair.borrow_mut().driver.control(number, control)
    }
}
