//! UDP: datagrams, each for itself. One is lost, comes twice or late as its way has it, and is dropped where no
//! room is left. Nobody hears of that, but a connected socket learns once that nobody is there.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::HALF_HANG_UP;
use super::address::{Transport, anywhere, claim, plain, shaped};
use super::calendar::Event;
use super::socket::internet;
use super::{Address, Answer, Base, HostId, Moment, Network, Received, Socket, SocketId};

/// The longest payloads that the headers can say.
const V4_LENGTH_MAX: usize = 65507;
const V6_LENGTH_MAX: usize = 65527;
const HEADER_SIZE: usize = 42;

#[derive(Clone)]
pub(super) struct Datagram {
    sender: SocketId,
    from_host: HostId,
    to_host: HostId,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

pub(super) struct Udp {
    pub(super) base: Base,
    local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    received: VecDeque<Datagram>,
    /// What the datagrams take of the receive buffer.
    held: usize,
}

impl Udp {
    pub(super) fn new(base: Base) -> Udp {
        Udp { base, local: None, remote: None, received: VecDeque::new(), held: 0 }
    }

    pub(super) fn local_or_none(&self) -> SocketAddr {
        self.local.unwrap_or(SocketAddr::new(anywhere(self.base.domain), 0))
    }

    /// As `datagram_poll` of the kernel. There is always room to send.
    pub(super) fn readiness(&self) -> i16 {
        let mut bits = libc::POLLOUT;
        if self.base.error.is_some() {
            bits |= libc::POLLERR;
        }
        if self.base.shut_read {
            bits |= libc::POLLIN | HALF_HANG_UP;
        }
        if self.base.shut_read && self.base.shut_write {
            bits |= libc::POLLHUP;
        }
        if !self.received.is_empty() {
            bits |= libc::POLLIN;
        }
        bits
    }

    /// An IPv6 socket also takes the other kind of address, other than one of TCP.
    fn destination(&self, address: &Address) -> Answer<SocketAddr> {
        let to = match (self.base.domain, address) {
            (libc::AF_INET6, Address::Internet(address)) => plain(*address),
            _ => internet(self.base.domain, address)?,
        };
        if self.base.options.only_v6 && to.is_ipv4() {
            return Err(libc::ENETUNREACH);
        }
        Ok(to)
    }
}

/// What a message takes of a buffer: the kernel counts what it had to allocate.
pub(super) fn charge(length: usize) -> usize {
    const DESCRIPTION: usize = 256;
    const TRAILER: usize = 320;
    /// What does not fit in one piece is in pages.
    const PIECE_MAX: usize = (16 << 10) - TRAILER;
    let pages = length.saturating_sub(PIECE_MAX).next_multiple_of(4096).min(length);
    (length - pages + TRAILER).next_power_of_two() + DESCRIPTION + pages
}

impl Network {
    pub(super) fn bind_udp(&mut self, moment: &mut Moment, id: SocketId, address: &Address) -> Answer<()> {
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        let (host, domain, is_bound) = (udp.base.host, udp.base.domain, udp.local.is_some());
        let only_v6 = udp.base.options.only_v6;
        let address = internet(domain, address)?;
        if only_v6 && address.is_ipv4() {
            return Err(libc::EINVAL);
        }
        if !address.ip().is_unspecified() && !self.host(host).has(address.ip()) {
            return Err(libc::EADDRNOTAVAIL);
        }
        if is_bound {
            return Err(libc::EINVAL);
        }
        self.hold_udp_port(moment, id, address)
    }

    fn hold_udp_port(&mut self, moment: &mut Moment, id: SocketId, mut address: SocketAddr) -> Answer<()> {
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        let (host, options) = (udp.base.host, udp.base.options.clone());
        if address.port() == 0 {
            let port = self.ports.free(moment.dice, host, Transport::Udp).ok_or(libc::EADDRINUSE)?;
            address.set_port(port);
        }
        let in_use = self.ports.holders(host, Transport::Udp, address.port()).any(|other| {
            let Some(Socket::Udp(other)) = self.sockets.get(&other) else { return false };
            let Some(theirs) = other.local.map(|local| local.ip()) else { return false };
            let overlap = claim(address.ip(), options.only_v6, theirs).is_some()
                || claim(theirs, other.base.options.only_v6, address.ip()).is_some();
            let reuse = options.reuse_address && other.base.options.reuse_address;
            let share = options.reuse_port && other.base.options.reuse_port;
            overlap && !reuse && !share
        });
        if in_use {
            return Err(libc::EADDRINUSE);
        }
        self.ports.take(host, Transport::Udp, address.port(), id);
        if let Some(udp) = self.udp(id) {
            udp.local = Some(address);
        }
        Ok(())
    }

    /// A socket that nobody has bound gets a port when it first needs one.
    fn need_udp_port(&mut self, moment: &mut Moment, id: SocketId) -> Answer<()> {
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        if udp.local.is_some() {
            return Ok(());
        }
        let anywhere = SocketAddr::new(anywhere(udp.base.domain), 0);
        self.hold_udp_port(moment, id, anywhere).map_err(|_| libc::EAGAIN)
    }

    pub(super) fn connect_udp(&mut self, moment: &mut Moment, id: SocketId, address: &Address) -> Answer<()> {
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        let to = udp.destination(address)?;
        let (host, bound) = (udp.base.host, udp.local);
        let (_, source, to) = self.route_of(host, bound, to)?;
        self.need_udp_port(moment, id)?;
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        if let Some(local) = &mut udp.local {
            local.set_ip(source);
        }
        udp.remote = Some(to);
        Ok(())
    }

    pub(super) fn shutdown_udp(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        read: bool,
        write: bool,
    ) -> Answer<()> {
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        // It takes effect, whatever is answered.
        udp.base.shut_read |= read;
        udp.base.shut_write |= write;
        moment.wake(id);
        udp.remote.map(|_| ()).ok_or(libc::ENOTCONN)
    }

    pub(super) fn send_udp(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        bytes: &[u8],
        to: Option<&Address>,
    ) -> Answer<usize> {
        // Even before anything else is looked at.
        self.need_udp_port(moment, id)?;
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        if bytes.len() > usize::from(u16::MAX) {
            return Err(libc::EMSGSIZE);
        }
        let to = match to {
            Some(to) => udp.destination(to)?,
            None => udp.remote.ok_or(libc::EDESTADDRREQ)?,
        };
        if to.port() == 0 {
            return Err(libc::EINVAL);
        }
        if to.ip() == IpAddr::V4(Ipv4Addr::BROADCAST) && !udp.base.options.broadcast {
            return Err(libc::EACCES);
        }
        let (host, bound) = (udp.base.host, udp.local);
        let (to_host, source, to) = self.route_of(host, bound, to)?;
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        if bytes.len() > if to.is_ipv4() { V4_LENGTH_MAX } else { V6_LENGTH_MAX } {
            return Err(libc::EMSGSIZE);
        }
        udp.base.take_error()?;
        if udp.base.shut_write {
            return Err(libc::EPIPE);
        }
        let from = SocketAddr::new(source, udp.local.map_or(0, |local| local.port()));
        let datagram = Datagram { sender: id, from_host: host, to_host, from, to, bytes: bytes.to_vec() };
        self.send_datagram(moment, datagram);
        Ok(bytes.len())
    }

    fn send_datagram(&mut self, moment: &mut Moment, datagram: Datagram) {
        let (from, to) = (datagram.from_host, datagram.to_host);
        let size = HEADER_SIZE + datagram.bytes.len();
        let twice = moment.dice.happens(self.links.way(from, to).duplicate);
        if twice {
            moment.note("duplicated", datagram.sender, datagram.bytes.len());
            let arrival = self.links.datagram_arrival(moment, from, to, size);
            self.calendar.enter(arrival, Event::Datagram(Box::new(datagram.clone())));
        }
        let arrival = self.links.datagram_arrival(moment, from, to, size);
        self.calendar.enter(arrival, Event::Datagram(Box::new(datagram)));
    }

    pub(super) fn datagram_arrives(&mut self, moment: &mut Moment, datagram: Datagram) {
        let (from, to) = (datagram.from_host, datagram.to_host);
        let length = datagram.bytes.len();
        if self.loses(moment, from, to) {
            return moment.note("datagram lost", datagram.sender, length);
        }
        let Some(id) = self.find_udp(moment, &datagram) else {
            let arrival = self.links.arrival(moment, to, from, HEADER_SIZE);
            let told = Event::Unreachable { to: datagram.sender, about: datagram.to };
            self.calendar.enter(arrival, told);
            return;
        };
        let Some(udp) = self.udp(id) else { return };
        if udp.held + charge(length) > udp.base.options.receive_size() {
            return moment.note("no room for a datagram", id, length);
        }
        udp.held += charge(length);
        udp.received.push_back(datagram);
        moment.note("datagram", id, length);
        moment.wake(id);
    }

    /// Who gets a datagram: one who is connected to its sender, else the one who named the address most exactly,
    /// and of several the last.
    fn find_udp(&self, moment: &mut Moment, datagram: &Datagram) -> Option<SocketId> {
        let (to_host, to) = (datagram.to_host, datagram.to);
        let mut best: (u8, Vec<SocketId>) = (0, Vec::new());
        for id in self.ports.holders(to_host, Transport::Udp, to.port()) {
            let Some(Socket::Udp(udp)) = self.sockets.get(&id) else { continue };
            let Some(local) = udp.local else { continue };
            let Some(claim) = claim(local.ip(), udp.base.options.only_v6, to.ip()) else { continue };
            let claim = match udp.remote {
                Some(remote) if remote != datagram.from => continue,
                Some(_) => claim + 10,
                None => claim,
            };
            if claim > best.0 {
                best = (claim, Vec::new());
            }
            if claim == best.0 {
                best.1.push(id);
            }
        }
        let share = best
            .1
            .iter()
            .all(|id| matches!(self.sockets.get(id), Some(Socket::Udp(udp)) if udp.base.options.reuse_port));
        if share && best.1.len() > 1 {
            return Some(best.1[moment.dice.below(best.1.len() as u64) as usize]);
        }
        best.1.pop()
    }

    /// Only who is connected is told: others could not know which datagram is meant.
    pub(super) fn unreachable(&mut self, moment: &mut Moment, id: SocketId, about: SocketAddr) {
        let Some(udp) = self.udp(id) else { return };
        let host = udp.base.host;
        let told = udp.remote == Some(about);
        let Ok((there, _)) = self.route(host, about.ip()) else { return };
        if !told || self.loses(moment, there, host) {
            return;
        }
        if let Some(udp) = self.udp(id) {
            udp.base.error = Some(libc::ECONNREFUSED);
        }
        moment.note("refused", id, 0);
        moment.wake(id);
    }

    pub(super) fn receive_udp(&mut self, id: SocketId, length: usize, peek: bool) -> Answer<Received> {
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        udp.base.take_error()?;
        let Some(datagram) = udp.received.front() else {
            // What a blocking `recv` answers; one that does not block is told to try again, for ever.
            return if udp.base.shut_read { Ok(Received::default()) } else { Err(libc::EAGAIN) };
        };
        let full_length = datagram.bytes.len();
        let received = Received {
            bytes: datagram.bytes[..length.min(full_length)].to_vec(),
            from: Some(shaped(udp.base.domain, datagram.from)),
            full_length,
        };
        if !peek {
            udp.received.pop_front();
            udp.held -= charge(full_length);
        }
        Ok(received)
    }

    pub(super) fn forget_udp(&mut self, id: SocketId, udp: &Udp) {
        if let Some(local) = udp.local {
            self.ports.give_back(udp.base.host, Transport::Udp, local.port(), id);
        }
    }
}
