//! What a UDP socket can be told. See ip(7), ipv6(7), udp(7), socket(7).

use std::io;
use std::net::IpAddr;

use super::socket;
use super::udp::UdpSocket;
use crate::driver::{Device, Interface, Multicast, PacketOption, Property, Setting};

/// A method that sets an option, and one that gets it.
macro_rules! options {
    ($(
        $(#[$doc:meta])*
        $set:ident, $(#[$get_doc:meta])* $get:ident: $kind:ident, $option:ident as $like:literal;
    )*) => {
        impl UdpSocket {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// Those of setsockopt(2). `Unsupported` where the system does not know it.
                ///
                /// # Examples
                /// ```
                /// # fn main() -> std::io::Result<()> {
                /// # annulus::run(async {
                /// # let sim = annulus::Runtime::try_current().unwrap().driver() == "sim";
                /// # if sim || !cfg!(target_os = "linux") { return Ok(()); }
                /// let socket = annulus::net::UdpSocket::bind("127.0.0.1:0").await?;
                #[doc = concat!("socket.", stringify!($set), "(", $like, ")?;")]
                #[doc = concat!("assert_eq!(socket.", stringify!($get), "()?, ", $like, ");")]
                /// # Ok(())
                /// # })?
                /// # }
                /// ```
                pub fn $set(&self, value: $kind) -> io::Result<()> {
                    self.set(PacketOption::$option, value.into())
                }

                $(#[$get_doc])*
                ///
                /// # Errors
                /// Those of getsockopt(2). `Unsupported` where the system does not know it.
                ///
                /// # Examples
                #[doc = concat!("As [`", stringify!($set), "`](Self::", stringify!($set), ").")]
                pub fn $get(&self) -> io::Result<$kind> {
                    Ok(options!(@of $kind self.get(PacketOption::$option)?))
                }
            )*
        }
    };
    (@of bool $value:expr) => { $value != 0 };
    (@of $kind:ident $value:expr) => { $value as $kind };
}

options! {
    /// Lets the socket send to broadcast addresses.
    set_broadcast,
    /// Whether the socket may send to broadcast addresses.
    broadcast: bool, Broadcast as "true";

    /// Lets sockets share an address, of all of which one gets each datagram, the same for the same sender. All have to
    /// say so before they are bound, and to be of one user.
    set_reuse_port,
    /// Whether the socket shares its address.
    reuse_port: bool, ReusePort as "true";

    /// The traffic class of what is sent, which was the type of service: six bits of DSCP, two of ECN.
    set_traffic_class,
    /// The traffic class of what is sent.
    traffic_class: u32, TrafficClass as "0x48";

    /// Has what is sent never be split on the way: what is longer than the path takes is lost, or refused with EMSGSIZE.
    /// For who finds out by himself how much that is. Linux only.
    set_dont_fragment,
    /// Whether what is sent is never split on the way. Linux only.
    dont_fragment: bool, DontFragment as "true";

    /// Has what is sent to a group come back to members on this host, which is so unless it is told otherwise.
    set_multicast_loop,
    /// Whether what is sent to a group comes back to members on this host.
    multicast_loop: bool, MulticastLoop as "true";

    /// How many hops go what is sent to groups; 1 unless it is told otherwise: not beyond the local network.
    set_multicast_ttl,
    /// How many hops go what is sent to groups.
    multicast_ttl: u32, MulticastHops as "4";

    /// Splits what one send has into datagrams, each of so many bytes but for the last, which may be shorter; 0 leaves it
    /// whole. At most 64 datagrams (128 from Linux 6.10 on), and not longer than the way's MTU. UDP_SEGMENT, Linux 4.18.
    ///
    /// For a single send: [`Ancillary::with_segment_size`](super::Ancillary::with_segment_size).
    set_segment_size,
    /// Into datagrams of how many bytes a send is split; 0: it is not. Linux only.
    segment_size: u16, SegmentSize as "1200";

    /// Has datagrams of one sender, all of one length but for the last, be received as one:
    /// [`Ancillary::segment_size`](super::Ancillary::segment_size) says where they are to be cut apart, to who receives
    /// messages. So nobody else should receive from the socket, and buffers should have 64 KiB. UDP_GRO, Linux 5.0.
    set_receive_joined,
    /// Whether datagrams are received joined. Linux only.
    receive_joined: bool, Joined as "true";

    /// Has messages tell which address they were sent to, and which interface they came by:
    /// [`Ancillary::packet_info`](super::Ancillary::packet_info). Linux only.
    set_receive_packet_info,
    /// Whether messages tell which way they came. Linux only.
    receive_packet_info: bool, PacketInfo as "true";

    /// Has messages tell their traffic class: [`Ancillary::traffic_class`](super::Ancillary::traffic_class). Linux only.
    set_receive_traffic_class,
    /// Whether messages tell their traffic class. Linux only.
    receive_traffic_class: bool, ReceiveTrafficClass as "true";

    /// Has messages tell how many hops they had left: [`Ancillary::hop_limit`](super::Ancillary::hop_limit). Linux only.
    set_receive_hop_limit,
    /// Whether messages tell how many hops they had left. Linux only.
    receive_hop_limit: bool, ReceiveHopLimit as "true";

    /// Has messages tell when the system got them, in nanoseconds of its clock:
    /// [`Ancillary::timestamp`](super::Ancillary::timestamp). Linux only.
    set_receive_timestamps,
    /// Whether messages tell when the system got them. Linux only.
    receive_timestamps: bool, Timestamps as "true";
}

impl UdpSocket {
    fn set(&self, option: PacketOption, value: u32) -> io::Result<()> {
        socket::set(self.socket(), Setting::Packet(option, value))
    }

    fn get(&self, option: PacketOption) -> io::Result<u32> {
        Ok(socket::number(self.socket(), Property::Packet(option))? as u32)
    }

    fn group(&self, multicast: Multicast) -> io::Result<()> {
        socket::set(self.socket(), Setting::Multicast(multicast))
    }

    /// Has a socket of IPv6 leave IPv4 alone. Before it is bound.
    ///
    /// # Errors
    /// Those of setsockopt(2). `Unsupported` where the system does not know it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let socket = UdpSocket::unbound_v6().await?;
    ///     socket.set_only_v6(true)?;
    ///     assert!(socket.only_v6()?);
    ///     socket.bind_to("[::]:0".parse().unwrap())?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn set_only_v6(&self, yes: bool) -> io::Result<()> {
        self.set(PacketOption::OnlyV6, yes.into())
    }

    /// Whether a socket of IPv6 leaves IPv4 alone.
    ///
    /// # Errors
    /// Those of getsockopt(2). `Unsupported` where the system does not know it.
    ///
    /// # Examples
    /// As [`set_only_v6`](Self::set_only_v6).
    pub fn only_v6(&self) -> io::Result<bool> {
        Ok(self.get(PacketOption::OnlyV6)? != 0)
    }

    /// Sets the time to live of packets, in hops.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     socket.set_ttl(12)?;
    ///     assert_eq!(socket.ttl()?, 12);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        socket::set(self.socket(), Setting::Ttl(hops))
    }

    /// The time to live of packets, in hops.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    ///
    /// # Examples
    /// As [`set_ttl`](Self::set_ttl).
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(socket::number(self.socket(), Property::Ttl)? as u32)
    }

    /// Binds the socket to an interface, by its name: it sends and receives by no other. None unbinds it. Linux only.
    ///
    /// # Errors
    /// Those of setsockopt(2). ENODEV: there is no such interface. EPERM: to bind it to another than before needs
    /// CAP_NET_RAW. `InvalidInput`: no interface can have that name.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let socket = UdpSocket::bind("0.0.0.0:0").await?;
    /// #     let sim = annulus::Runtime::try_current().unwrap().driver() == "sim";
    /// #     if sim || !cfg!(target_os = "linux") { return Ok(()); }
    ///     socket.bind_device(Some("lo"))?; // nothing from elsewhere any more
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn bind_device(&self, name: Option<&str>) -> io::Result<()> {
        socket::set(self.socket(), Setting::Device(Device::named(name)?))
    }

    /// Joins a group, on an interface: from now on the socket gets what is sent to it.
    ///
    /// The socket has to be bound to the group's port, at the group's address or an unspecified one.
    ///
    /// # Errors
    /// Those of setsockopt(2). ENODEV: there is no such interface, or none that is for groups. `Unsupported` in a
    /// simulated world.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{Interface, UdpSocket};
    ///
    /// annulus::run(async {
    ///     let socket = UdpSocket::bind("0.0.0.0:5353").await?;
    ///     socket.join_multicast("224.0.0.251".parse().unwrap(), Interface::Any)?;
    ///     let (received, _buffer) = socket.recv_from(Vec::with_capacity(9000)).await;
    ///     println!("{:?} asks", received?.from);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn join_multicast(&self, group: IpAddr, interface: impl Into<Interface>) -> io::Result<()> {
        self.group(Multicast::Join(group, interface.into()))
    }

    /// Leaves a group that was joined on that interface.
    ///
    /// # Errors
    /// Those of setsockopt(2). EADDRNOTAVAIL: it was not joined there.
    ///
    /// # Examples
    /// As [`join_multicast_source`](Self::join_multicast_source).
    pub fn leave_multicast(&self, group: IpAddr, interface: impl Into<Interface>) -> io::Result<()> {
        self.group(Multicast::Leave(group, interface.into()))
    }

    /// Joins a group for what one source sends to it. Several sources of a group may be joined.
    ///
    /// # Errors
    /// As [`join_multicast`](Self::join_multicast). `InvalidInput`: group and source are not of one family.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{Interface, UdpSocket};
    ///
    /// annulus::run(async {
    ///     let socket = UdpSocket::bind("0.0.0.0:5004").await?;
    ///     let (group, camera) = ("232.1.1.1".parse().unwrap(), "192.0.2.7".parse().unwrap());
    ///     socket.set_multicast_interface(Interface::Any)?;
    ///     socket.join_multicast_source(group, camera, Interface::Any)?;
    ///     let (received, _picture) = socket.recv_from(Vec::with_capacity(9000)).await;
    ///     println!("from {}", received?.from);
    ///     socket.leave_multicast_source(group, camera, Interface::Any)?;
    ///     // What was joined for all sources by `join_multicast` is left by `leave_multicast`.
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn join_multicast_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        interface: impl Into<Interface>,
    ) -> io::Result<()> {
        self.group(Multicast::JoinSource(group, source, interface.into()))
    }

    /// Leaves one source of a group.
    ///
    /// # Errors
    /// As [`leave_multicast`](Self::leave_multicast).
    ///
    /// # Examples
    /// As [`join_multicast_source`](Self::join_multicast_source).
    pub fn leave_multicast_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        interface: impl Into<Interface>,
    ) -> io::Result<()> {
        self.group(Multicast::LeaveSource(group, source, interface.into()))
    }

    /// Which interface what is sent to groups goes out by.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    ///
    /// # Examples
    /// As [`join_multicast_source`](Self::join_multicast_source).
    pub fn set_multicast_interface(&self, interface: impl Into<Interface>) -> io::Result<()> {
        self.group(Multicast::Out(interface.into()))
    }
}
