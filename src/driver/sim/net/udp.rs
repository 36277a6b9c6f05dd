//! UDP: datagrams, each for itself. One is lost, comes twice or late as its way has it, and is dropped where no
//! room is left. Nobody hears of that, but a connected socket learns once that nobody is there.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::HALF_HANG_UP;
use super::address::{Transport, anywhere, claim, plain, shaped};
use super::calendar::Event;
use super::socket::internet;
use super::{Address, Answer, Base, HostId, Moment, Network, Received, Socket, SocketId};
use crate::sys::control::{Facts, PacketInfo};

/// `UDP_MAX_SEGMENTS`: into so many datagrams one send may be split.
const SEGMENTS_MAX: usize = 128;
/// The longest payloads that the headers can say.
const V4_LENGTH_MAX: usize = 65507;
const V6_LENGTH_MAX: usize = 65527;
const HEADER_SIZE: usize = 42;
/// The index of the one interface that there is.
const LOOPBACK: u32 = 1;

#[derive(Clone)]
pub(super) struct Datagram {
    sender: SocketId,
    from_host: HostId,
    to_host: HostId,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
    traffic_class: u8,
    hop_limit: u8,
    /// Of datagrams that were sent as one by their segment size: which send that was, so that they may be joined again.
    batch: Option<u64>,
    arrived: u64,
}

pub(super) struct Udp {
    pub(super) base: Base,
    local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    received: VecDeque<Datagram>,
    /// What the datagrams take of the receive buffer.
    held: usize,
    /// How many sends were split into segments.
    batches: u64,
}

impl Udp {
    pub(super) fn new(base: Base) -> Udp {
        Udp { base, local: None, remote: None, received: VecDeque::new(), held: 0, batches: 0 }
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

    /// How many of the datagrams that wait are handed out as one: of a socket that has UDP_GRO those that were sent as
    /// one, as long as they came in order. The last may be shorter.
    fn joined(&self) -> usize {
        let Some(first) = self.received.front() else { return 0 };
        if !self.base.options.receive_joined || first.batch.is_none() {
            return 1;
        }
        let of_the_batch = |other: &&Datagram| (other.sender, other.batch) == (first.sender, first.batch);
        let (mut count, mut length) = (0, 0);
        for part in self.received.iter().take_while(of_the_batch) {
            length += part.bytes.len();
            if part.bytes.len() > first.bytes.len() || length > V4_LENGTH_MAX {
                break;
            }
            count += 1;
            if part.bytes.len() < first.bytes.len() {
                break;
            }
        }
        count
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
        facts: Facts,
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
        let port = udp.local.map_or(0, |local| local.port());
        let source = match facts.packet_info.map(|info| info.address.to_canonical()) {
            Some(ip) if !ip.is_unspecified() && ip.is_ipv4() == to.is_ipv4() => {
                if !self.host(host).has(ip) {
                    return Err(libc::EINVAL);
                }
                ip
            }
            _ => source,
        };
        let udp = self.udp(id).ok_or(libc::EBADF)?;
        let options = &udp.base.options;
        let segment = usize::from(facts.segment_size.unwrap_or(options.segment_size));
        let mut datagram = Datagram {
            sender: id,
            from_host: host,
            to_host,
            from: SocketAddr::new(source, port),
            to,
            bytes: bytes.to_vec(),
            traffic_class: facts.traffic_class.unwrap_or(options.traffic_class),
            hop_limit: facts.hop_limit.unwrap_or(options.time_to_live as u8),
            batch: None,
            arrived: 0,
        };
        if segment == 0 || bytes.len() <= segment {
            self.send_datagram(moment, datagram);
            return Ok(bytes.len());
        }
        if bytes.len().div_ceil(segment) > SEGMENTS_MAX {
            return Err(libc::EINVAL);
        }
        udp.batches += 1;
        datagram.batch = Some(udp.batches);
        for part in bytes.chunks(segment) {
            self.send_datagram(moment, Datagram { bytes: part.to_vec(), ..datagram.clone() });
        }
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
        udp.received.push_back(Datagram { arrived: moment.now, ..datagram });
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
        let options = &udp.base.options;
        let shape = |ip: IpAddr| match (ip, udp.base.domain) {
            (IpAddr::V4(v4), libc::AF_INET6) => v4.to_ipv6_mapped().into(),
            (ip, _) => ip,
        };
        let facts = Facts {
            packet_info: options
                .receive_packet_info
                .then(|| PacketInfo { address: shape(datagram.to.ip()), interface: LOOPBACK }),
            traffic_class: options.receive_traffic_class.then_some(datagram.traffic_class),
            hop_limit: options.receive_hop_limit.then_some(datagram.hop_limit),
            ..Facts::default()
        };
        let arrived = options.receive_timestamps.then_some(datagram.arrived);
        let from = Some(shaped(udp.base.domain, datagram.from));
        let joined = udp.joined();
        let parts = udp.received.iter().take(joined);
        let segment_size = (joined > 1).then_some(datagram.bytes.len() as u16);
        let mut bytes: Vec<u8> = parts.flat_map(|part| &part.bytes).copied().collect();
        let full_length = bytes.len();
        bytes.truncate(length);
        for part in udp.received.drain(..if peek { 0 } else { joined }) {
            udp.held -= charge(part.bytes.len());
        }
        Ok(Received { bytes, from, full_length, facts: Facts { segment_size, ..facts }, arrived })
    }

    pub(super) fn forget_udp(&mut self, id: SocketId, udp: &Udp) {
        if let Some(local) = udp.local {
            self.ports.give_back(udp.base.host, Transport::Udp, local.port(), id);
        }
    }
}
