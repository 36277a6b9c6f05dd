//! Who is ready, asked of what is not Linux: kqueue(2) and its like, by the crate `polling`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use super::{Event, Name};
use crate::executor::Doorbell;
use crate::sys;

pub(super) struct Poller {
    poller: Arc<polling::Poller>,
    mode: polling::PollMode,
    reported: polling::Events,
    events: Vec<polling::Event>,
}

struct Notifier(Arc<polling::Poller>);

impl Doorbell for Notifier {
    fn ring(&self) {
        // Refused only if the poller is gone, and then there is nobody to wake.
        let _ = self.0.notify();
    }
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        let poller = Arc::new(polling::Poller::new()?);
        let mode = if poller.supports_edge() { polling::PollMode::Edge } else { polling::PollMode::Oneshot };
        Ok(Poller { poller, mode, reported: polling::Events::new(), events: Vec::new() })
    }

    pub(super) fn number(&self) -> i32 {
        self.poller.as_raw_fd()
    }

    pub(super) fn doorbell(&self) -> Arc<dyn Doorbell> {
        Arc::new(Notifier(Arc::clone(&self.poller)))
    }

    /// Whether what was reported has to be asked for again.
    pub(super) fn forgets(&self) -> bool {
        self.mode == polling::PollMode::Oneshot
    }

    /// Watches an open descriptor for everything, until it is forgotten.
    pub(super) fn watch(&self, name: Name) -> io::Result<()> {
        // SAFETY: the driver forgets it before it is closed (I4).
        unsafe { self.poller.add_with_mode(name.number, polling::Event::all(key(name)), self.mode) }
    }

    /// An end that comes together with bytes looks like bytes.
    pub(super) fn tells_ends(&self, _number: i32) -> bool {
        false
    }

    /// Asks again for what is waited for.
    pub(super) fn watch_again(&self, name: Name, readable: bool, writable: bool) {
        let interest = polling::Event::new(key(name), readable, writable);
        // SAFETY: open while an operation waits on it (I4).
        let descriptor = unsafe { sys::borrow(name.number) };
        let _ = self.poller.modify_with_mode(descriptor, interest, self.mode);
    }

    pub(super) fn forget(&self, number: i32) {
        // SAFETY: its closing comes after this.
        let descriptor = unsafe { sys::borrow(number) };
        let _ = self.poller.delete(descriptor);
    }

    /// Waits until there is something to report, for at most `limit`.
    pub(super) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.reported.clear();
        let waited = self.poller.wait(&mut self.reported, limit);
        self.events.clear();
        self.events.extend(self.reported.iter());
        match waited {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the last wait found as much as there is room for.
    pub(super) fn may_have_more(&self) -> bool {
        self.events.len() >= self.reported.capacity().get()
    }

    /// What the last wait found, by place.
    pub(super) fn event(&self, place: usize) -> Option<Event> {
        self.events.get(place).map(|event| Event {
            name: Name { number: (event.key & 0x7fff_ffff) as i32, generation: (event.key >> 31) as u32 },
            readable: event.readable,
            writable: event.writable,
            special: false,
        })
    }
}

/// 32 bits of generation, 31 of number: never the poller's own key, `usize::MAX`.
fn key(name: Name) -> usize {
    (name.generation as usize) << 31 | name.number as usize
}
