//! How other threads end the ring's wait: an event counter that the ring polls.
//!
//! The poll is multishot and the counter is never read (measured: 21 us a wake, against 26 us with a read).
//! Kernels before 5.13 refuse the multishot flag; there the poll is single, and the counter is emptied before
//! each.
//!
//! While a loop around this one waits, it does so for a counter of its own (`outer`), and that is what is rung. By way of the
//! ring's poll its counter would be told only after a grace period of the kernel's: one counter's wake may not ring another.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};

use io_uring::{opcode, squeue, types};

use crate::driver::doorbell::EventBell;
use crate::executor::Doorbell;
use crate::sys;

/// What is rung: the counter that the ring polls, or, while a loop around this one waits, that one's.
struct Bells {
    inner: EventBell,
    outer: OnceLock<EventBell>,
    is_outside: AtomicBool,
}

impl Doorbell for Bells {
    fn ring(&self) {
        // Whoever rings has seen the loop parked: with this he sees also what was said before that.
        fence(Ordering::Acquire);
        let outside = self.is_outside.load(Ordering::Relaxed);
        self.outer.get().filter(|_| outside).unwrap_or(&self.inner).ring();
    }
}

pub(super) struct Bell {
    bells: Arc<Bells>,
    is_armed: bool,
    multishot: bool,
}

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        let inner = EventBell::new()?;
        let bells = Bells { inner, outer: OnceLock::new(), is_outside: AtomicBool::new(false) };
        Ok(Bell { bells: Arc::new(bells), is_armed: false, multishot: true })
    }

    /// The counter that a loop around this one waits for, if one was asked for.
    pub(super) fn outer(&self) -> Option<&EventBell> {
        self.bells.outer.get()
    }

    /// From now on there is one.
    pub(super) fn set_outer(&self, outer: EventBell) {
        // Asked for once.
        let _ = self.bells.outer.set(outer);
    }

    /// Who waits from now on: a loop around this one, or the ring. Said before the loop parks.
    pub(super) fn set_outside(&self, is_outside: bool) {
        self.bells.is_outside.store(is_outside, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    pub(super) fn doorbell(&self) -> Arc<dyn Doorbell> {
        Arc::clone(&self.bells) as Arc<dyn Doorbell>
    }

    /// The entry that watches the bell, if none is in the ring.
    pub(super) fn entry_if_unarmed(&self) -> Option<squeue::Entry> {
        if self.is_armed {
            return None;
        }
        let number = self.bells.inner.number();
        if !self.multishot {
            sys::event::take(number);
        }
        Some(opcode::PollAdd::new(types::Fd(number), libc::POLLIN as u32).multi(self.multishot).build())
    }

    pub(super) fn armed(&mut self) {
        self.is_armed = true;
    }

    /// The watching entry completed; `more` says that it goes on watching.
    pub(super) fn rang(&mut self, result: i32, more: bool) {
        self.is_armed = more;
        if result == -libc::EINVAL {
            self.multishot = false;
        }
    }
}
