//! What is between hosts, and what it does to what it carries.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use crate::driver::sim;

/// What is between hosts: [`World::link`](super::World::link), [`one_way`](super::World::one_way) and
/// [`links`](super::World::links) give it. What is set counts for what is sent from then on.
///
/// A connection survives all of it, as on a real network: what is lost or cut off is sent again, later and later, until
/// after about 15 minutes the connection ends with ETIMEDOUT. Datagrams are lost, come twice, or overtake each other.
///
/// # Examples
/// ```
/// use annulus::sim::{self, World};
/// use std::time::Duration;
///
/// let world = World::new(7);
/// let (one, other) = (world.host("one", sim::idle), world.host("other", sim::idle));
/// world
///     .link(&one, &other)
///     .latency(Duration::from_millis(1)..Duration::from_millis(40))
///     .loss(0.05)
///     .duplication(0.01)
///     .reordering(0.1)
///     .bandwidth(Some(1 << 20));
/// world.one_way(&one, &other).cut(); // the other way goes on
/// world.one_way(&one, &other).mend();
/// ```
pub struct Link<'a> {
    inner: &'a Rc<RefCell<sim::World>>,
    ways: Vec<(sim::HostId, sim::HostId)>,
}

impl<'a> Link<'a> {
    pub(super) fn new(inner: &'a Rc<RefCell<sim::World>>, ways: Vec<(sim::HostId, sim::HostId)>) -> Link<'a> {
        Link { inner, ways }
    }

    fn each(self, change: impl Fn(&mut sim::Link)) -> Link<'a> {
        let mut world = self.inner.borrow_mut();
        self.ways.iter().for_each(|(from, to)| change(world.link(*from, *to)));
        drop(world);
        self
    }

    /// How long a packet is under way: each time another span of these.
    pub fn latency(self, span: Range<Duration>) -> Link<'a> {
        let (least, most) = (span.start.as_nanos() as u64, span.end.as_nanos() as u64);
        self.each(|link| link.latency_ns = least..=most.max(least))
    }

    /// How many of all packets are lost: 0.0 to 1.0.
    pub fn loss(self, rate: f64) -> Link<'a> {
        self.each(|link| link.loss = rate)
    }

    /// How many of all datagrams come twice.
    pub fn duplication(self, rate: f64) -> Link<'a> {
        self.each(|link| link.duplicate = rate)
    }

    /// How many of all datagrams are held up, so that others overtake them.
    pub fn reordering(self, rate: f64) -> Link<'a> {
        self.each(|link| link.reorder = rate)
    }

    /// How many bytes go through in a second; None is no limit.
    pub fn bandwidth(self, bytes_per_second: Option<u64>) -> Link<'a> {
        self.each(|link| link.bytes_per_second = bytes_per_second)
    }

    /// Nothing goes through any more, and nobody is told.
    pub fn cut(self) {
        drop(self.each(|link| link.up = false));
    }

    /// Ends a cut.
    pub fn mend(self) {
        drop(self.each(|link| link.up = true));
    }
}

impl fmt::Debug for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("ways", &self.ways.len()).finish()
    }
}
