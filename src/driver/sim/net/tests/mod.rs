//! What is promised of the network, in the terms of its calls. What Linux answers was asked of Linux: each errno and
//! each set of bits here was seen on a kernel 6.18.

mod ends;
mod links;
mod pipe;
mod tcp;
mod udp;
mod unix;

use std::net::SocketAddr;

use super::*;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const IN: i16 = libc::POLLIN;
pub(super) const OUT: i16 = libc::POLLOUT;
pub(super) const ERR: i16 = libc::POLLERR;
pub(super) const HUP: i16 = libc::POLLHUP;
pub(super) const RDHUP: i16 = super::HALF_HANG_UP;
pub(super) const LOST: i16 = IN | OUT | ERR | HUP | RDHUP;
pub(super) const OVER: i16 = IN | OUT | HUP | RDHUP;

/// Two hosts, a clock, and everything that a call wants.
pub(super) struct World {
    pub(super) network: Network,
    pub(super) dice: Dice,
    pub(super) now: u64,
    pub(super) woken: Vec<SocketId>,
    pub(super) notes: Vec<Note>,
    pub(super) here: HostId,
    pub(super) there: HostId,
}

pub(super) fn internet(text: &str) -> Address {
    Address::Internet(text.parse::<SocketAddr>().unwrap())
}

pub(super) fn name(text: &str) -> Address {
    Address::Unix(UnixName::Abstract(text.into()))
}

pub(super) fn port(address: &Address) -> u16 {
    match address {
        Address::Internet(address) => address.port(),
        Address::Unix(_) => panic!("{address:?} has no port"),
    }
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut network = Network::new();
        let here = network.add_host("here", vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()]);
        let there = network.add_host("there", vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()]);
        World { network, dice: Dice::new(seed), now: 0, woken: vec![], notes: vec![], here, there }
    }

    pub(super) fn call<T>(&mut self, call: impl FnOnce(&mut Network, &mut Moment) -> T) -> T {
        let notes = &mut self.notes;
        let mut note = |note| notes.push(note);
        let mut moment =
            Moment { now: self.now, dice: &mut self.dice, woken: &mut self.woken, note: &mut note };
        call(&mut self.network, &mut moment)
    }

    /// The next event, if there is one.
    pub(super) fn step(&mut self) -> bool {
        let Some(next) = self.network.next_event() else { return false };
        self.now = self.now.max(next);
        self.call(|network, moment| network.advance(moment));
        true
    }

    /// Until nothing happens any more.
    pub(super) fn quiet(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it goes on for ever");
    }

    /// A hundred round trips, and no time-out.
    pub(super) fn settle(&mut self) {
        self.pass(SECOND / 10);
    }

    pub(super) fn pass(&mut self, ns: u64) {
        self.now += ns;
        self.call(|network, moment| network.advance(moment));
    }

    pub(super) fn socket(&mut self, host: HostId, domain: i32, kind: i32) -> SocketId {
        self.network.socket(host, domain, kind, 0).unwrap()
    }

    pub(super) fn stream(&mut self, host: HostId) -> SocketId {
        self.socket(host, libc::AF_INET, libc::SOCK_STREAM)
    }

    pub(super) fn bind(&mut self, id: SocketId, to: &Address) -> Answer<()> {
        self.call(|network, moment| network.bind(moment, id, to))
    }

    pub(super) fn listen(&mut self, id: SocketId, backlog: i32) -> Answer<()> {
        self.call(|network, moment| network.listen(moment, id, backlog))
    }

    pub(super) fn connect(&mut self, id: SocketId, to: &Address) -> Answer<()> {
        self.call(|network, moment| network.connect(moment, id, to))
    }

    pub(super) fn accept(&mut self, id: SocketId) -> Answer<SocketId> {
        self.call(|network, moment| network.accept(moment, id))
    }

    pub(super) fn shutdown(&mut self, id: SocketId, how: i32) -> Answer<()> {
        self.call(|network, moment| network.shutdown(moment, id, how))
    }

    pub(super) fn close(&mut self, id: SocketId) {
        self.call(|network, moment| network.close(moment, id)).unwrap();
    }

    /// Closes as SO_LINGER with zero seconds does.
    pub(super) fn close_rudely(&mut self, id: SocketId) {
        self.network.options_mut(id).unwrap().linger_seconds = Some(0);
        self.close(id);
    }

    pub(super) fn send(&mut self, id: SocketId, bytes: &[u8]) -> Answer<usize> {
        self.call(|network, moment| network.send(moment, id, bytes))
    }

    pub(super) fn send_to(&mut self, id: SocketId, bytes: &[u8], to: &Address) -> Answer<usize> {
        self.call(|network, moment| network.send_to(moment, id, bytes, Some(to)))
    }

    pub(super) fn receive(&mut self, id: SocketId, length: usize) -> Answer<Vec<u8>> {
        self.receive_from(id, length).map(|received| received.bytes)
    }

    pub(super) fn receive_from(&mut self, id: SocketId, length: usize) -> Answer<Received> {
        self.call(|network, moment| network.receive(moment, id, length, 0))
    }

    pub(super) fn ready(&self, id: SocketId) -> i16 {
        self.network.readiness(id)
    }

    /// Fills a socket, and says how much it took.
    pub(super) fn fill(&mut self, id: SocketId, size: usize) -> usize {
        let bytes = vec![7; size];
        let mut sent = 0;
        loop {
            match self.send(id, &bytes) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert_eq!(error, libc::EAGAIN);
                    return sent;
                }
            }
        }
    }

    pub(super) fn listener(&mut self, at: &str, backlog: i32) -> (SocketId, Address) {
        let id = self.stream(self.there);
        self.bind(id, &internet(at)).unwrap();
        self.listen(id, backlog).unwrap();
        let address = self.network.local_name(id).unwrap();
        (id, address)
    }

    /// Two ends of a connection from here to there; nothing else is left.
    pub(super) fn connection(&mut self) -> (SocketId, SocketId) {
        let (listener, address) = self.listener("10.0.0.2:0", 5);
        let client = self.stream(self.here);
        assert_eq!(self.connect(client, &address), Err(libc::EAGAIN));
        self.settle();
        self.connect(client, &address).unwrap();
        let server = self.accept(listener).unwrap();
        self.close(listener);
        (client, server)
    }

    /// After everything was closed, nothing is left.
    pub(super) fn ends_empty(mut self, open: &[SocketId]) {
        for id in open {
            self.close(*id);
        }
        self.quiet();
        assert!(self.network.is_empty(), "{} sockets are left", self.network.count());
    }
}
