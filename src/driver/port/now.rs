//! Calls with borrowed memory: they are made now, or say that they would have had to wait, and touch nothing afterwards.
#![allow(unsafe_code)]

use super::Port;
use crate::driver::{Completion, Driver, Request};
#[cfg(feature = "tracing")]
use crate::executor::traced::may_be_wanted;

impl Port {
    /// Makes the one call of a request. -EAGAIN if it would have to wait.
    ///
    /// # Safety
    /// The memory that the request points to is the caller's until this returns, and the descriptor is open.
    #[inline]
    pub(crate) unsafe fn attempt(&self, request: &Request) -> i32 {
        // SAFETY: passed on to the caller.
        let answer = unsafe { self.pair.borrow_mut().driver.attempt(request) };
        if answer != -libc::EAGAIN {
            self.tally.begun(request.form.kind);
            self.tally.answered(request.form, Completion::of(answer));
        }
        #[cfg(feature = "tracing")]
        if may_be_wanted() {
            self.show_attempt(request, Some(answer));
        }
        answer
    }
}

impl Driver {
    /// # Safety
    /// As the port's.
    unsafe fn attempt(&mut self, request: &Request) -> i32 {
        #[cfg(annulus_faults)]
        let request = &match self {
            Driver::Faulty(faulty) => match faulty.attempted(request) {
                Some(request) => request,
                None => return -libc::EAGAIN,
            },
            _ => *request,
        };
        match self {
            #[cfg(feature = "sim")]
            Driver::Sim(driver) => driver.attempt(request),
            #[cfg(test)]
            Driver::Scripted(_) => -libc::EAGAIN,
            _ => match self.plain(request.fd) {
                // SAFETY: passed on to the caller.
                Ok(fd) => unsafe { Request { fd, ..*request }.attempt() },
                Err(error) => -error.raw_os_error().unwrap_or(libc::EIO),
            },
        }
    }
}
