//! What is still to happen, in the order in which it will: by time, and at one time as it was entered.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::address::SocketId;
use super::udp::Datagram;

pub(super) enum Event {
    /// A socket asks for a connection, for the first time or again.
    AskLeaves(SocketId),
    /// The question is there. The number tells it from those of earlier attempts of the socket.
    AskArrives {
        from: SocketId,
        attempt: u32,
    },
    /// Nobody listens where a socket asked.
    Refusal {
        to: SocketId,
        attempt: u32,
    },
    /// The first segment that a connection has under way is there, or is sent again.
    Delivery(SocketId),
    /// A reset that somebody answers who knows no such connection.
    Reset {
        to: SocketId,
        from: SocketId,
    },
    /// Nobody will end the other half of a connection whose owner has closed it.
    Forgetting(SocketId),
    Datagram(Box<Datagram>),
    /// A datagram found no socket, and its sender is told so.
    Unreachable {
        to: SocketId,
        about: SocketAddr,
    },
}

/// Where an event is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u64, u64);

#[derive(Default)]
pub(super) struct Calendar {
    events: BTreeMap<Entry, Event>,
    entered: u64,
}

impl Calendar {
    pub(super) fn enter(&mut self, at: u64, event: Event) -> Entry {
        let entry = Entry(at, self.entered);
        self.entered += 1;
        self.events.insert(entry, event);
        entry
    }

    pub(super) fn strike(&mut self, entry: Option<Entry>) {
        if let Some(entry) = entry {
            self.events.remove(&entry);
        }
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.events.first_key_value().map(|(entry, _)| entry.0)
    }

    /// The next event, if it is due.
    pub(super) fn take(&mut self, now: u64) -> Option<(u64, Event)> {
        let first = self.events.first_entry()?;
        (first.key().0 <= now).then(|| (first.key().0, first.remove()))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}
