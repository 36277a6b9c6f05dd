//! What a loop notes of itself in its flight recorder, if it has one, besides tasks and operations.

use super::Engine;

impl Engine {
    /// Notes what time it is and how much there is to do, if that is recorded.
    #[inline]
    pub(crate) fn record_look(&self) {
        if let Some(recorder) = &self.executor.recorder {
            recorder.look(self.executor.ready(), self.port.in_flight());
        }
    }

    /// Notes that the loop is about to sleep, or has slept.
    #[inline]
    pub(crate) fn record_sleep(&self, is_over: bool) {
        match &self.executor.recorder {
            None => {}
            Some(recorder) if is_over => recorder.unpark(),
            Some(recorder) => recorder.park(self.port.in_flight()),
        }
    }
}
