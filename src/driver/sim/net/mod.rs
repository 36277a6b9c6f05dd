//! Sockets, pipes, and the links between hosts.
//!
//! A world in memory that answers as Linux does. Nothing happens by itself: a call does what the kernel does before
//! the call returns, and enters into the calendar what a packet would bring later; [`Network::advance`] lets that
//! happen. Four rules:
//!
//! 1. *All order is said*: by time, then by the number of the entry. Maps are sorted; chance comes from the dice.
//! 2. *Nothing blocks*: `EAGAIN` says ask again when the socket was woken. Whenever the answer to a question may
//!    have changed, its socket is woken; sometimes in vain.
//! 3. *Hosts share nothing but packets*. What one side does, the other learns when a packet is there.
//! 4. *A socket is gone when its last duty is done*: closed by its owner, and with nothing left to deliver.

mod address;
mod calendar;
mod link;
mod numbers;
mod options;
mod pipe;
mod socket;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod unix;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

pub(crate) use self::address::{Address, HostId, SocketId, UnixName};
use self::address::{Host, Ports, destination};
use self::calendar::{Calendar, Event};
pub(crate) use self::link::Link;
use self::link::Links;
pub(crate) use self::options::Options;
use self::pipe::Pipe;
pub(crate) use self::pipe::ROOM as PIPE_ROOM;
use self::tcp::Tcp;
use self::udp::Udp;
use self::unix::{Names, Unix};
use crate::dice::Dice;
use crate::sys::control::Facts;

/// POLLRDHUP, which Apple's systems do not have: nothing more will come.
#[cfg(not(target_vendor = "apple"))]
const HALF_HANG_UP: i16 = libc::POLLRDHUP;
#[cfg(target_vendor = "apple")]
const HALF_HANG_UP: i16 = 0;

/// What socket(2) may be told besides the type, where it can: nothing here waits, or starts another program.
#[cfg(not(target_vendor = "apple"))]
const SOCKET_FLAGS: i32 = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
#[cfg(target_vendor = "apple")]
const SOCKET_FLAGS: i32 = 0;

/// What Linux would answer; an error is an `errno`, positive.
pub(crate) type Answer<T> = Result<T, i32>;

/// What each call is given.
pub(crate) struct Moment<'a> {
    /// Virtual nanoseconds.
    pub(crate) now: u64,
    pub(crate) dice: &'a mut Dice,
    /// Where sockets go whose readiness may have changed. One may come twice.
    pub(crate) woken: &'a mut Vec<SocketId>,
    /// Who wants to know what happens on the way.
    pub(crate) note: &'a mut dyn FnMut(Note),
}

/// Something that happened to a packet or a connection, of which no caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) what: &'static str,
    pub(crate) socket: SocketId,
    pub(crate) bytes: u64,
}

impl Moment<'_> {
    fn wake(&mut self, socket: SocketId) {
        if self.woken.last() != Some(&socket) {
            self.woken.push(socket);
        }
    }

    fn note(&mut self, what: &'static str, socket: SocketId, bytes: usize) {
        (self.note)(Note { what, socket, bytes: bytes as u64 });
    }
}

/// What was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    /// The sender of a datagram, where it has a name.
    pub(crate) from: Option<Address>,
    /// How long the datagram was before it was cut to the length that was asked for.
    pub(crate) full_length: usize,
    /// What the socket was told to report of it.
    pub(crate) facts: Facts,
    /// When it came, if the socket was told to report that.
    pub(crate) arrived: Option<u64>,
}

impl Received {
    /// Bytes of a stream.
    fn bytes(bytes: Vec<u8>) -> Received {
        Received { full_length: bytes.len(), bytes, ..Received::default() }
    }
}

enum Socket {
    Tcp(Box<Tcp>),
    Udp(Udp),
    Unix(Unix),
    Pipe(Pipe),
}

/// What each socket has.
struct Base {
    host: HostId,
    domain: i32,
    options: Options,
    /// Told once, by whichever call comes first.
    error: Option<i32>,
    shut_read: bool,
    shut_write: bool,
}

impl Base {
    fn new(host: HostId, domain: i32, options: Options) -> Base {
        Base { host, domain, options, error: None, shut_read: false, shut_write: false }
    }

    fn take_error(&mut self) -> Answer<()> {
        self.error.take().map_or(Ok(()), Err)
    }
}

/// All hosts, what they have open, and what is under way between them.
pub(crate) struct Network {
    hosts: Vec<Host>,
    links: Links,
    sockets: BTreeMap<SocketId, Socket>,
    opened: u64,
    ports: Ports,
    names: Names,
    calendar: Calendar,
}

impl Network {
    pub(crate) fn new() -> Network {
        Network {
            hosts: Vec::new(),
            links: Links::new(),
            sockets: BTreeMap::new(),
            opened: 0,
            ports: Ports::default(),
            names: Names::default(),
            calendar: Calendar::default(),
        }
    }

    /// A host, which is up. It also has the loopback addresses, which lead to itself.
    pub(crate) fn add_host(&mut self, name: &str, addresses: Vec<IpAddr>) -> HostId {
        let id = HostId(u16::try_from(self.hosts.len()).expect("there are at most 65536 hosts"));
        self.hosts.push(Host { name: name.to_owned(), addresses, up: true });
        id
    }

    /// The addresses of a host that was given this name.
    pub(crate) fn addresses_of(&self, name: &str) -> &[IpAddr] {
        self.hosts.iter().find(|host| host.name == name).map_or(&[], |host| &host.addresses)
    }

    /// The way from one host to another: the way back is another link.
    pub(crate) fn link(&mut self, from: HostId, to: HostId) -> &mut Link {
        self.links.way_mut(from, to)
    }

    /// A host that is down loses every packet that comes.
    pub(crate) fn set_up(&mut self, moment: &mut Moment, host: HostId, up: bool) {
        self.hosts[host.0 as usize].up = up;
        if !up {
            self.prod_senders_to(moment, host);
        }
    }

    /// A crash: all sockets of the host vanish, and nobody is told. What other hosts send to them is answered by
    /// resets, as long as the host is up.
    pub(crate) fn kill_host(&mut self, moment: &mut Moment, host: HostId) {
        self.prod_senders_to(moment, host);
        let gone: Vec<_> =
            self.sockets.iter().filter(|(_, socket)| socket.host() == host).map(|(id, _)| *id).collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// When something happens next, if nobody calls.
    pub(crate) fn next_event(&self) -> Option<u64> {
        self.calendar.next()
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, moment: &mut Moment) {
        let until = moment.now;
        while let Some((at, event)) = self.calendar.take(until) {
            // Each event sees its own time, so that it does not matter how far the clock leaps.
            moment.now = at;
            match event {
                Event::AskLeaves(id) => self.ask(moment, id),
                Event::AskArrives { from, attempt } => self.asked(moment, from, attempt),
                Event::Refusal { to, attempt } => self.refused(moment, to, attempt),
                Event::Delivery(id) => self.deliver(moment, id),
                Event::Reset { to, from } => self.answer_arrives(moment, to, from),
                Event::Forgetting(id) => {
                    moment.note("forgotten", id, 0);
                    self.remove(id);
                }
                Event::Datagram(datagram) => self.datagram_arrives(moment, *datagram),
                Event::Unreachable { to, about } => self.unreachable(moment, to, about),
            }
        }
        moment.now = until;
    }

    #[cfg(test)]
    /// How many sockets there are, with those that their owners have closed but that have something to deliver.
    pub(crate) fn count(&self) -> usize {
        self.sockets.len()
    }

    #[cfg(test)]
    /// Whether nothing is open, nothing under way and no name taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.calendar.is_empty() && self.ports.is_empty() && self.names.is_empty()
    }

    fn add(&mut self, socket: Socket) -> SocketId {
        self.opened += 1;
        let id = SocketId(self.opened);
        self.sockets.insert(id, socket);
        id
    }

    /// Forgets a socket, and whatever only it needed.
    fn remove(&mut self, id: SocketId) {
        match self.sockets.remove(&id) {
            Some(Socket::Tcp(tcp)) => self.forget_tcp(id, *tcp),
            Some(Socket::Udp(udp)) => self.forget_udp(id, &udp),
            Some(Socket::Unix(unix)) => self.names.forget(id, &unix),
            Some(Socket::Pipe(_)) | None => {}
        }
    }

    fn host(&self, host: HostId) -> &Host {
        &self.hosts[host.0 as usize]
    }

    /// Which host has this address, seen from one, and the address that packets to there come from.
    fn route(&self, from: HostId, to: IpAddr) -> Answer<(HostId, IpAddr)> {
        let source = self.host(from).source_for(to).ok_or(libc::ENETUNREACH)?;
        if self.host(from).has(to) {
            return Ok((from, source));
        }
        let there = self.hosts.iter().position(|host| host.addresses.contains(&to));
        there.map(|index| (HostId(index as u16), source)).ok_or(libc::ENETUNREACH)
    }

    /// The same, for a socket that may be bound to an address.
    fn route_of(
        &self,
        host: HostId,
        bound: Option<SocketAddr>,
        to: SocketAddr,
    ) -> Answer<(HostId, IpAddr, SocketAddr)> {
        let to = destination(to);
        let (there, source) = self.route(host, to.ip())?;
        let source = match bound.map(|bound| bound.ip()) {
            Some(ip) if ip.is_loopback() && there != host => return Err(libc::EINVAL),
            Some(ip) if !ip.is_unspecified() => ip,
            _ => source,
        };
        Ok((there, source, to))
    }

    /// Whether a packet that would be there now is not.
    fn loses(&self, moment: &mut Moment, from: HostId, to: HostId) -> bool {
        !self.host(to).up || self.links.loses(moment, from, to)
    }
}
