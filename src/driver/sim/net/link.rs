//! The ways between hosts: how long a packet takes, and whether it comes at all.
//!
//! A way has a direction, so that one of a pair can fail alone. What is asked here has no memory but one: where a
//! way has a bandwidth, a packet waits until those before it have left.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Moment;
use super::address::HostId;

/// The way from one host to another.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) latency_ns: RangeInclusive<u64>,
    /// How many packets of one are lost. TCP sends them again; a datagram is gone.
    pub(crate) loss: f64,
    /// How many datagrams of one come twice.
    pub(crate) duplicate: f64,
    /// How many datagrams of one are held up, so that later ones overtake them.
    pub(crate) reorder: f64,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) up: bool,
}

impl Default for Link {
    /// A local network: a tenth to half a millisecond, and nothing goes wrong.
    fn default() -> Link {
        Link {
            latency_ns: 100_000..=500_000,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            bytes_per_second: None,
            up: true,
        }
    }
}

impl Link {
    /// From a host to itself.
    pub(crate) fn loopback() -> Link {
        Link { latency_ns: 5_000..=30_000, ..Link::default() }
    }
}

/// All ways. Where nothing was said of a pair, the usual link leads from one to the other.
pub(super) struct Links {
    pub(super) usual: Link,
    pub(super) loopback: Link,
    special: BTreeMap<(HostId, HostId), Link>,
    /// When the last packet has left, of each way that has a bandwidth.
    busy_until: BTreeMap<(HostId, HostId), u64>,
    /// When the last datagram is there. Of two ways that a datagram could take, all take the same.
    last_datagram: BTreeMap<(HostId, HostId), u64>,
}

impl Links {
    pub(super) fn new() -> Links {
        Links {
            usual: Link::default(),
            loopback: Link::loopback(),
            special: BTreeMap::new(),
            busy_until: BTreeMap::new(),
            last_datagram: BTreeMap::new(),
        }
    }

    pub(super) fn way(&self, from: HostId, to: HostId) -> &Link {
        let otherwise = if from == to { &self.loopback } else { &self.usual };
        self.special.get(&(from, to)).unwrap_or(otherwise)
    }

    pub(super) fn way_mut(&mut self, from: HostId, to: HostId) -> &mut Link {
        let otherwise = self.way(from, to).clone();
        self.special.entry((from, to)).or_insert(otherwise)
    }

    /// When a packet that is sent now is there. Whether it comes is decided when it would.
    pub(super) fn arrival(&mut self, moment: &mut Moment, from: HostId, to: HostId, size: usize) -> u64 {
        let link = self.way(from, to);
        let (least, most) = (*link.latency_ns.start(), *link.latency_ns.end());
        let latency_ns = if least < most { moment.dice.within(least, most) } else { least };
        let bytes_per_second = link.bytes_per_second;
        let mut leaves = moment.now;
        if let Some(bytes_per_second) = bytes_per_second {
            let busy_until = self.busy_until.entry((from, to)).or_default();
            let takes_ns = size as u128 * 1_000_000_000 / u128::from(bytes_per_second.max(1));
            leaves = leaves.max(*busy_until).saturating_add(u64::try_from(takes_ns).unwrap_or(u64::MAX));
            *busy_until = leaves;
        }
        leaves.saturating_add(latency_ns)
    }

    /// The same for a datagram. They keep their order, but for those that are held up.
    pub(super) fn datagram_arrival(
        &mut self,
        moment: &mut Moment,
        from: HostId,
        to: HostId,
        size: usize,
    ) -> u64 {
        let arrival = self.arrival(moment, from, to, size);
        let link = self.way(from, to);
        if moment.dice.happens(link.reorder) {
            let longest_ns = link.latency_ns.end().max(&1);
            return arrival.saturating_add(moment.dice.within(*longest_ns, longest_ns.saturating_mul(4)));
        }
        let last = self.last_datagram.entry((from, to)).or_default();
        *last = arrival.max(*last);
        *last
    }

    /// Whether a packet that would be there now is not.
    pub(super) fn loses(&self, moment: &mut Moment, from: HostId, to: HostId) -> bool {
        let link = self.way(from, to);
        !link.up || moment.dice.happens(link.loss)
    }
}
