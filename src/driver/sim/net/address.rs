//! Names: of hosts and sockets, where an address leads, and who has which port.
//!
//! Inside, an address is plain: an IPv4 address that an IPv6 socket uses is kept as what it is, and given out in
//! the shape that the socket's family has ([`shaped`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) u16);

/// A socket, or an end of a pipe. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(pub(crate) u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Internet(SocketAddr),
    Unix(UnixName),
}

/// How a Unix socket is called. Each host has its own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnixName {
    Unnamed,
    /// The inode is the name: the path only says how it was found.
    Path {
        path: Vec<u8>,
        inode: u64,
    },
    /// Without the leading zero.
    Abstract(Vec<u8>),
}

pub(super) struct Host {
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) up: bool,
}

impl Host {
    /// Whether packets for this address stay here.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
    }

    /// The address that packets to there come from. None where there is no way.
    pub(super) fn source_for(&self, address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V4(there) if there.is_loopback() => Some(Ipv4Addr::LOCALHOST.into()),
            _ if self.has(address) => Some(address),
            _ => self.addresses.iter().copied().find(|own| own.is_ipv4() == address.is_ipv4()),
        }
    }
}

/// Without what only a shape adds.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// As a socket of this family tells it.
pub(super) fn shaped(domain: i32, address: SocketAddr) -> Address {
    Address::Internet(match address {
        SocketAddr::V4(v4) if domain == libc::AF_INET6 => {
            SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
        }
        other => other,
    })
}

/// Where one connects to that names no address: to the own host.
pub(super) fn destination(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Every address of the socket's family.
pub(super) fn anywhere(domain: i32) -> IpAddr {
    if domain == libc::AF_INET6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// Whether somebody bound to `bound` gets what is sent to `ip`. The stronger the claim, the higher the number.
pub(super) fn claim(bound: IpAddr, only_v6: bool, ip: IpAddr) -> Option<u8> {
    match bound {
        _ if bound == ip => Some(3),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) if ip.is_ipv4() => Some(2),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) if ip.is_ipv6() || !only_v6 => Some(1),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    Tcp,
    /// Connections that were accepted hold the port of their listener; apart, because there may be many, and nobody
    /// looks for a listener among them.
    Accepted,
    Udp,
}

/// Who is bound to which port.
#[derive(Default)]
pub(super) struct Ports(BTreeMap<(HostId, Transport, u16), BTreeSet<SocketId>>);

/// What the kernel gives to who does not care.
pub(super) const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

impl Ports {
    pub(super) fn take(&mut self, host: HostId, transport: Transport, port: u16, socket: SocketId) {
        self.0.entry((host, transport, port)).or_default().insert(socket);
    }

    pub(super) fn give_back(&mut self, host: HostId, transport: Transport, port: u16, socket: SocketId) {
        if let Some(holders) = self.0.get_mut(&(host, transport, port)) {
            holders.remove(&socket);
            if holders.is_empty() {
                self.0.remove(&(host, transport, port));
            }
        }
    }

    pub(super) fn holders(
        &self,
        host: HostId,
        transport: Transport,
        port: u16,
    ) -> impl Iterator<Item = SocketId> {
        self.0.get(&(host, transport, port)).into_iter().flatten().copied()
    }

    pub(super) fn tcp_holders(&self, host: HostId, port: u16) -> impl Iterator<Item = SocketId> {
        self.holders(host, Transport::Tcp, port).chain(self.holders(host, Transport::Accepted, port))
    }

    /// A port that nobody holds: the dice says where to begin to look.
    pub(super) fn free(
        &self,
        dice: &mut crate::dice::Dice,
        host: HostId,
        transport: Transport,
    ) -> Option<u16> {
        let count = EPHEMERAL.len() as u64;
        let begin = dice.below(count);
        (0..count).map(|step| EPHEMERAL.start() + ((begin + step) % count) as u16).find(
            |port| match transport {
                Transport::Udp => self.holders(host, transport, *port).next().is_none(),
                _ => self.tcp_holders(host, *port).next().is_none(),
            },
        )
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
