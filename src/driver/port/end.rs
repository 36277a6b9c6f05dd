//! The end of a port: all that is in flight is answered first, or leaked (I6).

use std::rc::Rc;
use std::time::Duration;

use super::Port;
use crate::clock::Clock;

impl Port {
    /// Cancels everything and reaps until nothing is in flight, for at most `limit`; then frees the driver. What
    /// is not answered by then is leaked, with its buffers, its descriptors and the driver: closing a ring is no
    /// barrier, the kernel may write afterwards (I6). Says how many operations were leaked.
    pub(crate) fn end(self: &Rc<Port>, limit: Duration, clock: &Clock) -> usize {
        let deadline = clock.now() + limit;
        self.pair.borrow_mut().driver.begin_end();
        self.close_pipes();
        self.cancel_all();
        let left = loop {
            self.reap();
            self.run_later();
            let left = self.in_flight() + self.pair.borrow().driver.closing();
            if left == 0 && !self.has_later() {
                break 0;
            }
            let remaining = deadline.saturating_duration_since(clock.now());
            if remaining.is_zero() || self.wait(Some(remaining), || false).is_err() {
                break left;
            }
        };
        self.ended.set(true);
        #[cfg(feature = "tracing")]
        self.hide_all();
        let driver = {
            let driver = &mut self.pair.borrow_mut().driver;
            let ended = driver.ended();
            std::mem::replace(driver, ended)
        };
        if left == 0 {
            drop(driver);
        } else {
            std::mem::forget(driver);
            std::mem::forget(std::mem::take(&mut *self.later.borrow_mut()));
        }
        left
    }
}
