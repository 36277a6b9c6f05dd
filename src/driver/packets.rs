//! Options of sockets of datagrams: what is told of each that comes, how those that go look, and who hears a group.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use crate::sys::socket as system;

/// An option that is a number, or 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketOption {
    Broadcast,
    OnlyV6,
    ReusePort,
    TrafficClass,
    DontFragment,
    MulticastLoop,
    MulticastHops,
    /// Into datagrams of so many bytes a send is split.
    SegmentSize,
    /// Datagrams of one sender are handed out as one.
    Joined,
    PacketInfo,
    ReceiveTrafficClass,
    ReceiveHopLimit,
    Timestamps,
    PassCredentials,
}

/// Which interface is meant.
///
/// # Examples
/// ```
/// use std::net::Ipv4Addr;
/// use annulus::net::Interface;
///
/// assert_eq!(Interface::from(2), Interface::Index(2));
/// assert_eq!(Interface::from(Ipv4Addr::LOCALHOST), Interface::Address(Ipv4Addr::LOCALHOST));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    /// The one that the system chooses, by its routes.
    #[default]
    Any,
    /// The one of that index, as `ip link` numbers them: if_nametoindex(3).
    Index(u32),
    /// The one that has this address. IPv4 only.
    Address(Ipv4Addr),
}

impl From<u32> for Interface {
    fn from(index: u32) -> Interface {
        Interface::Index(index)
    }
}

impl From<Ipv4Addr> for Interface {
    fn from(address: Ipv4Addr) -> Interface {
        Interface::Address(address)
    }
}

/// What a socket hears of groups.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Multicast {
    Join(IpAddr, Interface),
    Leave(IpAddr, Interface),
    /// Of a group only what one source sends: group, source, interface.
    JoinSource(IpAddr, IpAddr, Interface),
    LeaveSource(IpAddr, IpAddr, Interface),
    /// Where what is sent to groups goes out.
    Out(Interface),
}

/// The name of an interface, for `SO_BINDTODEVICE`. Empty: none.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code, reason = "refused there"))]
pub(crate) struct Device {
    bytes: [u8; libc::IFNAMSIZ],
    length: usize,
}

impl Device {
    pub(crate) fn named(name: Option<&str>) -> io::Result<Device> {
        let name = name.unwrap_or_default().as_bytes();
        let mut bytes = [0; libc::IFNAMSIZ];
        // The last byte is for the zero that ends it.
        if name.len() >= bytes.len() || name.contains(&0) {
            let text = "no interface has a name like that: it has 15 bytes at most, and none of them is 0";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        bytes[..name.len()].copy_from_slice(name);
        Ok(Device { bytes, length: name.len() })
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn set(self, socket: &socket2::Socket) -> io::Result<()> {
        socket.bind_device((self.length > 0).then(|| &self.bytes[..self.length]))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn set(self, _: &socket2::Socket) -> io::Result<()> {
        Err(unsupported("binding a socket to an interface by its name"))
    }
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("{what} is not there on this system"))
}

impl PacketOption {
    /// The level and the name of the option; and of a socket of IPv6, which may be one of IPv4 as well, the one for that.
    fn names(self, is_v6: bool) -> Option<(Name, Option<Name>)> {
        let one = |level, name| Some(((level, name), None));
        let of_both = |v4: i32, v6: i32| {
            let v4 = (libc::IPPROTO_IP, v4);
            Some(if is_v6 { ((libc::IPPROTO_IPV6, v6), Some(v4)) } else { (v4, None) })
        };
        match self {
            PacketOption::Broadcast => one(libc::SOL_SOCKET, libc::SO_BROADCAST),
            PacketOption::OnlyV6 => one(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
            PacketOption::ReusePort => one(libc::SOL_SOCKET, libc::SO_REUSEPORT),
            PacketOption::TrafficClass => of_both(libc::IP_TOS, libc::IPV6_TCLASS),
            PacketOption::MulticastLoop => of_both(libc::IP_MULTICAST_LOOP, libc::IPV6_MULTICAST_LOOP),
            PacketOption::MulticastHops => of_both(libc::IP_MULTICAST_TTL, libc::IPV6_MULTICAST_HOPS),
            other => other.names_on_linux(is_v6),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn names_on_linux(self, is_v6: bool) -> Option<(Name, Option<Name>)> {
        /// In udp.h.
        const UDP_SEGMENT: i32 = 103;
        const UDP_GRO: i32 = 104;
        let one = |level, name| Some(((level, name), None));
        let of_both = |v4: i32, v6: i32| {
            let v4 = (libc::IPPROTO_IP, v4);
            Some(if is_v6 { ((libc::IPPROTO_IPV6, v6), Some(v4)) } else { (v4, None) })
        };
        match self {
            PacketOption::SegmentSize => one(libc::IPPROTO_UDP, UDP_SEGMENT),
            PacketOption::Joined => one(libc::IPPROTO_UDP, UDP_GRO),
            // An IPv6 socket tells of IPv4 packets by this one as well.
            PacketOption::PacketInfo if is_v6 => one(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            PacketOption::PacketInfo => one(libc::IPPROTO_IP, libc::IP_PKTINFO),
            PacketOption::ReceiveTrafficClass => of_both(libc::IP_RECVTOS, libc::IPV6_RECVTCLASS),
            PacketOption::ReceiveHopLimit => of_both(libc::IP_RECVTTL, libc::IPV6_RECVHOPLIMIT),
            PacketOption::Timestamps => one(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
            PacketOption::PassCredentials => one(libc::SOL_SOCKET, libc::SO_PASSCRED),
            PacketOption::DontFragment => of_both(libc::IP_MTU_DISCOVER, libc::IPV6_MTU_DISCOVER),
            _ => None,
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn names_on_linux(self, _: bool) -> Option<(Name, Option<Name>)> {
        None
    }

    pub(super) fn set(self, socket: &socket2::Socket, value: u32) -> io::Result<()> {
        let Some((first, second)) = self.names(is_v6(socket)?) else {
            return Err(unsupported(&format!("the option {self:?}")));
        };
        let value = match (self, value) {
            // IP_PMTUDISC_WANT, which is the usual, and IP_PMTUDISC_PROBE: never split, whatever is known of the path.
            (PacketOption::DontFragment, 0) => 1,
            (PacketOption::DontFragment, _) => 3,
            (_, value) => i32::try_from(value).unwrap_or(i32::MAX),
        };
        system::set_number(socket, first, value)?;
        // Of a socket that takes IPv6 only this one is refused.
        second.map(|second| system::set_number(socket, second, value));
        Ok(())
    }

    pub(super) fn get(self, socket: &socket2::Socket) -> io::Result<u32> {
        let Some((first, _)) = self.names(is_v6(socket)?) else {
            return Err(unsupported(&format!("the option {self:?}")));
        };
        let value = system::number(socket, first)?;
        Ok(match self {
            PacketOption::DontFragment => u32::from(value >= 2),
            _ => value as u32,
        })
    }
}

/// An option's level and name.
type Name = (i32, i32);

fn is_v6(socket: &socket2::Socket) -> io::Result<bool> {
    Ok(socket.local_addr()?.is_ipv6())
}

impl Interface {
    fn index(self) -> io::Result<u32> {
        match self {
            Interface::Any => Ok(0),
            Interface::Index(index) => Ok(index),
            Interface::Address(_) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "IPv6 names an interface by its index: see if_nametoindex(3)",
            )),
        }
    }

    fn in_v4(self) -> socket2::InterfaceIndexOrAddress {
        match self {
            Interface::Any => socket2::InterfaceIndexOrAddress::Address(Ipv4Addr::UNSPECIFIED),
            Interface::Index(index) => socket2::InterfaceIndexOrAddress::Index(index),
            Interface::Address(address) => socket2::InterfaceIndexOrAddress::Address(address),
        }
    }
}

impl Multicast {
    pub(super) fn set(self, socket: &socket2::Socket) -> io::Result<()> {
        match self {
            Multicast::Join(IpAddr::V4(group), interface) => {
                socket.join_multicast_v4_n(&group, &interface.in_v4())
            }
            Multicast::Join(IpAddr::V6(group), interface) => {
                socket.join_multicast_v6(&group, interface.index()?)
            }
            Multicast::Leave(IpAddr::V4(group), interface) => {
                socket.leave_multicast_v4_n(&group, &interface.in_v4())
            }
            Multicast::Leave(IpAddr::V6(group), interface) => {
                socket.leave_multicast_v6(&group, interface.index()?)
            }
            Multicast::JoinSource(group, source, interface) => {
                of_one_source(socket, group, source, interface, true)
            }
            Multicast::LeaveSource(group, source, interface) => {
                of_one_source(socket, group, source, interface, false)
            }
            Multicast::Out(interface) if is_v6(socket)? => socket.set_multicast_if_v6(interface.index()?),
            Multicast::Out(Interface::Any) => socket.set_multicast_if_v4(&Ipv4Addr::UNSPECIFIED),
            Multicast::Out(Interface::Address(address)) => socket.set_multicast_if_v4(&address),
            Multicast::Out(Interface::Index(index)) => system::set_multicast_out(socket, index),
        }
    }
}

fn of_one_source(
    socket: &socket2::Socket,
    group: IpAddr,
    source: IpAddr,
    interface: Interface,
    join: bool,
) -> io::Result<()> {
    match (group, source, interface) {
        (IpAddr::V4(group), IpAddr::V4(source), Interface::Any | Interface::Address(_)) => {
            let Interface::Address(at) = interface else {
                return of_one_source(
                    socket,
                    group.into(),
                    source.into(),
                    Ipv4Addr::UNSPECIFIED.into(),
                    join,
                );
            };
            match join {
                true => socket.join_ssm_v4(&source, &group, &at),
                false => socket.leave_ssm_v4(&source, &group, &at),
            }
        }
        (IpAddr::V4(_), IpAddr::V4(_), _) | (IpAddr::V6(_), IpAddr::V6(_), _) => {
            system::set_source(socket, interface.index()?, group, source, join)
        }
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the group {group} and the source {source} are not of one family"),
        )),
    }
}
