//! The world as its user sees it: it makes the hosts, and lets time pass.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

use super::host::{Host, Main};
use super::link::Link;
use super::stuck::Stuck;
use super::trace::Trace;
use crate::driver::{Faults, sim};

/// A world in memory, in which a seed decides what happens, and when. See [`sim`](super).
///
/// Cloning it gives another handle to the same world.
///
/// # Examples
/// ```
/// use annulus::sim::{self, World};
/// use std::time::Duration;
///
/// let world = World::new(7);
/// let host = world.host("alone", sim::idle);
/// host.run(async { annulus::time::sleep(Duration::from_secs(3600)).await })?;
/// assert!(world.now() >= Duration::from_secs(3600));
/// # Ok::<(), annulus::sim::Stuck>(())
/// ```
#[derive(Clone)]
pub struct World {
    pub(super) shared: Rc<Shared>,
}

pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) inner: Rc<RefCell<sim::World>>,
    hosts: RefCell<Vec<Host>>,
    patience: Cell<Duration>,
}

impl World {
    /// A world without hosts, at its beginning.
    pub fn new(seed: u64) -> World {
        World {
            shared: Rc::new(Shared {
                seed,
                inner: Rc::new(RefCell::new(sim::World::new(seed))),
                hosts: RefCell::default(),
                patience: Cell::new(Duration::from_secs(24 * 3600)),
            }),
        }
    }

    /// What the world began from.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// How much time has passed since the world's beginning.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.shared.inner.borrow().now())
    }

    /// Makes a host and starts it: `main` makes the future that it runs, now and after each restart. Others find it by
    /// its name, as in `TcpStream::connect("name:80")`.
    ///
    /// The host goes on when `main` has ended. [`idle`](super::idle) is a `main` that does nothing, for a host that is
    /// told by [`Host::run`] what to do.
    ///
    /// # Panics
    /// If there is a host of that name, or for more than 60,000 hosts.
    pub fn host<F, O>(&self, name: &str, main: impl Fn() -> F + 'static) -> Host
    where
        F: Future<Output = O> + 'static,
        O: 'static,
    {
        let count = self.shared.hosts.borrow().len();
        assert!(count < 60_000, "60,000 hosts are the most");
        assert!(self.find(name).is_none(), "there is a host {name:?} already");
        let place = count as u16 + 1;
        let [high, low] = place.to_be_bytes();
        let addresses = vec![
            IpAddr::V4(Ipv4Addr::new(10, 0, high, low)),
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, place)),
        ];
        let id = self.shared.inner.borrow_mut().add_host(name, addresses.clone());
        let main: Main = Box::new(move |runtime| {
            let main = main();
            runtime.spawn(async move { drop(main.await) })
        });
        let host = Host::new(self, id, name, addresses[0], main);
        self.shared.hosts.borrow_mut().push(host.clone());
        host.start();
        host
    }

    /// The host of that name.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn find(&self, name: &str) -> Option<Host> {
        self.shared.hosts.borrow().iter().find(|host| host.name() == name).cloned()
    }

    /// All hosts, in the order in which they were made.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn hosts(&self) -> Vec<Host> {
        self.shared.hosts.borrow().clone()
    }

    /// What may go wrong on all hosts from now on, and how often. By default [`Faults::quiet`]: only what a program
    /// need not notice.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn set_faults(&self, faults: &Faults) {
        self.shared.inner.borrow_mut().set_faults(faults);
    }

    /// The link between two hosts, both ways.
    ///
    /// # Examples
    /// As [`Link`](super::Link).
    pub fn link(&self, one: &Host, other: &Host) -> Link<'_> {
        Link::new(&self.shared.inner, vec![(one.id(), other.id()), (other.id(), one.id())])
    }

    /// What leads from one host to another; not the way back.
    ///
    /// # Examples
    /// As [`Link`](super::Link).
    pub fn one_way(&self, from: &Host, to: &Host) -> Link<'_> {
        Link::new(&self.shared.inner, vec![(from.id(), to.id())])
    }

    /// The links between all hosts.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn links(&self) -> Link<'_> {
        let hosts = self.shared.hosts.borrow();
        let all = hosts.iter().flat_map(|from| hosts.iter().map(|to| (from.id(), to.id())));
        Link::new(&self.shared.inner, all.filter(|(from, to)| from != to).collect())
    }

    /// Cuts all links between two groups of hosts; within each they stay.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn partition(&self, one: &[&Host], other: &[&Host]) {
        for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
            self.link(a, b).cut();
        }
    }

    /// Mends all links that were cut.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn heal(&self) {
        self.links().mend();
    }

    /// How long `run_until` lets pass before it gives up. By default a day, of the world's time.
    ///
    /// # Examples
    /// ```
    /// use annulus::sim::{self, Faults, World};
    /// use std::time::Duration;
    ///
    /// let world = World::new(7);
    /// assert_eq!(world.seed(), 7);
    /// let (one, other) = (world.host("one", sim::idle), world.host("other", sim::idle));
    /// assert!(world.find("one").is_some() && world.hosts().len() == 2);
    /// world.set_faults(&Faults::quiet());
    /// world.links().latency(Duration::from_millis(1)..Duration::from_millis(2));
    /// world.partition(&[&one], &[&other]);
    /// world.run_for(Duration::from_secs(1));
    /// world.heal();
    ///
    /// world.set_patience(Duration::from_secs(60)); // of the world's time
    /// world.run_until(|| one.has_finished() && other.has_finished())?;
    /// assert!(world.now() >= Duration::from_secs(1));
    /// println!("{}", world.trace());
    /// # Ok::<(), annulus::sim::Stuck>(())
    /// ```
    pub fn set_patience(&self, patience: Duration) {
        self.shared.patience.set(patience);
    }

    /// Lets time pass until the condition holds. It is asked between the hosts' turns.
    ///
    /// # Errors
    /// [`Stuck`] if nothing can happen any more, or if it took longer than [`set_patience`](Self::set_patience) says.
    ///
    /// # Panics
    /// If the `main` of a host panics, with its panic.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn run_until(&self, mut condition: impl FnMut() -> bool) -> Result<(), Stuck> {
        let end = self.now() + self.shared.patience.get();
        loop {
            if condition() {
                return Ok(());
            }
            if self.turn_somebody() {
                continue;
            }
            match self.next_moment() {
                None => return Err(Stuck::for_ever(self)),
                Some(next) if next > end => return Err(Stuck::too_long(self)),
                Some(next) => self.shared.inner.borrow_mut().move_to(next.as_nanos() as u64),
            }
        }
    }

    /// Lets that much time pass.
    ///
    /// # Panics
    /// If the `main` of a host panics, with its panic.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn run_for(&self, span: Duration) {
        let end = self.now() + span;
        loop {
            if self.now() >= end {
                return;
            }
            if self.turn_somebody() {
                continue;
            }
            let next = self.next_moment().unwrap_or(end).min(end);
            self.shared.inner.borrow_mut().move_to(next.as_nanos() as u64);
        }
    }

    /// One turn of a host that has something to do; the dice say which. False if there is none.
    fn turn_somebody(&self) -> bool {
        let busy: Vec<Host> = {
            let hosts = self.shared.hosts.borrow();
            hosts.iter().filter(|host| host.is_busy()).cloned().collect()
        };
        if busy.is_empty() {
            return false;
        }
        let next = self.shared.inner.borrow_mut().dice().below(busy.len() as u64);
        busy[next as usize].turn();
        // A turn takes time, so that what spins does not stop the world.
        self.shared.inner.borrow_mut().pass();
        true
    }

    /// When something happens next: in the world, or by a host's timer.
    fn next_moment(&self) -> Option<Duration> {
        let event = self.shared.inner.borrow().next_event();
        let timers = self.shared.hosts.borrow().iter().filter_map(Host::next_timer).min();
        event.into_iter().chain(timers).min().map(Duration::from_nanos)
    }

    /// What has happened so far.
    ///
    /// # Examples
    /// As [`set_patience`](Self::set_patience).
    pub fn trace(&self) -> Trace {
        Trace::of(self.shared.inner.borrow().trace())
    }
}

impl Drop for Shared {
    /// The hosts know their world, and it knows them.
    fn drop(&mut self) {
        self.hosts.borrow_mut().clear();
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.shared.hosts.borrow();
        let names: Vec<_> = hosts.iter().map(Host::name).collect();
        f.debug_struct("World")
            .field("seed", &self.seed())
            .field("now", &self.now())
            .field("hosts", &names)
            .finish()
    }
}
