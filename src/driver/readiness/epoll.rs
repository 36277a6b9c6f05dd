//! Who is ready, asked of Linux: one call a wait. epoll(7)
//!
//! Everything is watched by edges, the doorbell too, so that nothing is armed again, read or set between two waits.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::{Event, Name};
use crate::driver::doorbell::EventBell;
use crate::executor::Doorbell;
use crate::sys::{self, epoll};

/// As many events as one wait brings.
const EVENTS: usize = 1024;

/// No descriptor's: the doorbell's.
const BELL: Name = Name { number: -1, generation: 0 };

const SPECIAL: i32 = libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLHUP | libc::EPOLLERR;

pub(super) struct Poller {
    poller: OwnedFd,
    bell: Arc<EventBell>,
    events: Vec<epoll::Event>,
    found: usize,
    /// epoll_pwait2(2) is there.
    waits_exactly: bool,
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        let number = sys::checked(epoll::create())?;
        // The call above has just opened it for us.
        let poller = sys::owned(number as i32);
        let bell = Arc::new(EventBell::new()?);
        // Each ring is an edge, so the counter is never read.
        sys::checked(epoll::add(
            poller.as_raw_fd(),
            bell.number(),
            libc::EPOLLIN | libc::EPOLLET,
            key(BELL),
        ))?;
        let events = vec![epoll::Event { events: 0, u64: 0 }; EVENTS];
        Ok(Poller { poller, bell, events, found: 0, waits_exactly: true })
    }

    pub(super) fn number(&self) -> i32 {
        self.poller.as_raw_fd()
    }

    pub(super) fn doorbell(&self) -> Arc<dyn Doorbell> {
        Arc::clone(&self.bell) as Arc<dyn Doorbell>
    }

    /// Whether what was reported has to be asked for again.
    pub(super) fn forgets(&self) -> bool {
        false
    }

    /// Watches an open descriptor for everything, until it is forgotten.
    pub(super) fn watch(&self, name: Name) -> io::Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET;
        sys::checked(epoll::add(self.poller.as_raw_fd(), name.number, events, key(name))).map(drop)
    }

    /// Whether what ends a stream of bytes is always told, and nothing but that and a want of bytes makes a read end
    /// early. Over Unix sockets a change of sender does as well, and descriptors that were passed.
    pub(super) fn tells_ends(&self, number: i32) -> bool {
        let protocol = sys::option::number(number, (libc::SOL_SOCKET, libc::SO_PROTOCOL));
        matches!(protocol, Ok(libc::IPPROTO_TCP))
    }

    /// Nothing is reported once only.
    pub(super) fn watch_again(&self, _: Name, _readable: bool, _writable: bool) {}

    pub(super) fn forget(&self, number: i32) {
        epoll::remove(self.poller.as_raw_fd(), number);
    }

    /// Waits until there is something to report, for at most `limit`.
    pub(super) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let poller = self.poller.as_raw_fd();
        let events = &mut self.events;
        let found = match limit {
            None => epoll::wait(poller, events, true),
            Some(Duration::ZERO) => epoll::wait(poller, events, false),
            Some(limit) if self.waits_exactly => match epoll::wait_for(poller, events, limit) {
                // Kernels before 5.11, and seccomp policies older than that.
                refused if [-libc::ENOSYS, -libc::EPERM].contains(&refused) => {
                    self.waits_exactly = false;
                    return self.wait(Some(limit));
                }
                found => found,
            },
            Some(limit) => {
                epoll::sleep_on(poller, limit);
                epoll::wait(poller, events, false)
            }
        };
        self.found = found.max(0) as usize;
        // A signal came: then there is nothing to report.
        if found == -libc::EINTR { Ok(()) } else { sys::checked(found).map(drop) }
    }

    /// Whether the last wait found as much as there is room for.
    pub(super) fn may_have_more(&self) -> bool {
        self.found == self.events.len()
    }

    /// What the last wait found, by place.
    #[inline]
    pub(super) fn event(&self, place: usize) -> Option<Event> {
        let &epoll::Event { events, u64: key } = self.events[..self.found].get(place)?;
        let tells = |flags: i32| events & flags as u32 != 0;
        Some(Event {
            name: Name { number: key as u32 as i32, generation: (key >> 32) as u32 },
            readable: tells(libc::EPOLLIN | SPECIAL),
            writable: tells(libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR),
            special: tells(SPECIAL),
        })
    }
}

/// A name as the kernel keeps it.
fn key(name: Name) -> u64 {
    u64::from(name.generation) << 32 | u64::from(name.number as u32)
}
