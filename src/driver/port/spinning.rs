//! Waiting without sleeping: for what other threads leave, as long as the driver has nothing to do meanwhile.

use std::time::Duration;

use super::Port;
use crate::driver::Driver;
use crate::sys;

impl Port {
    /// Whether the loop could wait here: the driver has nothing to do and nothing to tell, and would tell at once.
    pub(crate) fn rests(&self) -> bool {
        !self.outside.get() && self.pair.borrow_mut().driver.rests()
    }

    /// Looks until `look` finds something, for at most `limit`, and as long as the driver rests. Who wakes sees that the loop is awake, and
    /// rings no bell.
    pub(crate) fn spin(&self, limit: Duration, look: impl Fn() -> bool) -> bool {
        let driver = &mut self.pair.borrow_mut().driver;
        let begun = sys::clock::now();
        let most = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        while driver.rests() {
            if look() {
                return true;
            }
            if sys::clock::now() - begun >= most {
                return false;
            }
            std::hint::spin_loop();
        }
        false
    }
}

impl Driver {
    /// Whether nothing is to be handed over or reaped, as far as memory tells, and memory would tell at once.
    fn rests(&mut self) -> bool {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.rests(),
            // It sees who is ready only when it asks: it rests while nobody waits for that.
            #[cfg(annulus_readiness)]
            Driver::Readiness(driver) => driver.queued() == 0 && !driver.has_answers(),
            // The time of a world goes by in its waits.
            _ => false,
        }
    }
}
