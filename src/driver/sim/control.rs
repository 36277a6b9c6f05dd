//! What is asked of a simulated descriptor and answers at once: names, options.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::kernel::Kernel;
use super::memory::Memory;
use super::net::{Address, Options};
use super::process::ProcessId;
use super::world::World;
use super::{Answer, names};
use crate::driver::PacketOption;
use crate::driver::control::{Control, Property, Reply, Setting};
use crate::sys::peer::PeerCredentials;

/// Of a socket: its domain and its type. None of a pipe.
type Kind = Option<(i32, i32)>;

impl World {
    pub(super) fn control(
        &mut self,
        process: ProcessId,
        number: i32,
        control: Control<'_>,
    ) -> io::Result<Reply> {
        let mut nothing = Memory::none();
        let reply = Kernel::of(self, process, &mut nothing).control(number, control);
        let answer = reply.as_ref().map_or_else(|error| -i64::from(*error), |_| 0);
        self.note(process, "control", (name_of(control), 0), number, answer);
        reply.map_err(io::Error::from_raw_os_error)
    }
}

impl Kernel<'_> {
    fn control(&mut self, number: i32, control: Control<'_>) -> Answer<Reply> {
        let name = match control {
            Control::Bind(address) => {
                let address = self.address_to_bind(address)?;
                return self.ask(number, |network, moment, socket| {
                    network.bind(moment, socket, &address).map(|()| Reply::Done)
                });
            }
            Control::Listen(backlog) => {
                return self.ask(number, |network, moment, socket| {
                    network.listen(moment, socket, backlog).map(|()| Reply::Done)
                });
            }
            Control::EndSending => {
                return self.ask(number, |network, moment, socket| {
                    network.shutdown(moment, socket, libc::SHUT_WR).map(|()| Reply::Done)
                });
            }
            Control::LocalName => self.ask(number, |network, _, socket| network.local_name(socket))?,
            Control::PeerName => self.ask(number, |network, _, socket| network.peer_name(socket))?,
            Control::Set(Setting::Number(option, value)) => {
                return self.ask(number, |network, _, socket| {
                    network.set_number(socket, option, value).map(|()| Reply::Done)
                });
            }
            Control::Get(Property::Number(option)) => {
                return self.ask(number, |network, _, socket| {
                    network.number(socket, option).map(|number| Reply::Number(u64::from(number as u32)))
                });
            }
            Control::Set(Setting::ShortName(option, name)) => {
                return self.ask(number, |network, _, socket| {
                    network.set_short_name(socket, option, name.bytes()).map(|()| Reply::Done)
                });
            }
            Control::Get(Property::ShortName(option)) => {
                return self.ask(number, |network, _, socket| {
                    network.short_name(socket, option).map(Reply::ShortName)
                });
            }
            Control::Set(setting) => {
                let kind = self.ask(number, |network, _, socket| network.domain_and_kind(socket))?;
                return self.ask(number, |network, _, socket| {
                    set(network.options_mut(socket)?, setting, kind).map(|()| Reply::Done)
                });
            }
            Control::Get(Property::Error) => {
                let error = self.ask(number, |network, _, socket| network.take_error(socket))?;
                return Ok(Reply::Error((error != 0).then(|| io::Error::from_raw_os_error(error))));
            }
            Control::Get(property) => {
                let kind = self.ask(number, |network, _, socket| network.domain_and_kind(socket))?;
                return self.ask(number, |network, _, socket| get(network.options(socket)?, property, kind));
            }
            Control::Pair(kind) => return self.pair(kind).map(Reply::Pair),
            Control::PeerCredentials => return self.peer_credentials(number).map(Reply::PeerCredentials),
            Control::Resolve(name) => return Ok(Reply::Addresses(Some(self.addresses_of(name)))),
            Control::Pipe(_) => {
                let (ends, room) = self.passage()?;
                return Ok(Reply::Pipe { ends, room });
            }
            Control::TakeOut(bytes) => return self.take_out(number, bytes).map(Reply::Bytes),
            Control::Plan(faults) => {
                self.plan(number, faults)?;
                return Ok(Reply::Done);
            }
        };
        names::of_the_system(name)
            .map(Reply::Name)
            .map_err(|error| error.raw_os_error().unwrap_or(libc::EINVAL))
    }

    /// All processes of a simulated host are somebody's.
    fn peer_credentials(&mut self, number: i32) -> Answer<PeerCredentials> {
        let name = self.ask(number, |network, _, socket| network.peer_name(socket))?;
        match name {
            Address::Unix(_) => Ok(PeerCredentials::SIMULATED),
            Address::Internet(_) => Err(libc::ENOTCONN),
        }
    }

    fn addresses_of(&self, name: &str) -> Vec<IpAddr> {
        match name {
            "localhost" => vec![IpAddr::from([127, 0, 0, 1])],
            name => self.network().addresses_of(name).to_vec(),
        }
    }
}

/// As the trace says it.
fn name_of(control: Control<'_>) -> &'static str {
    match control {
        Control::Bind(_) => "bind",
        Control::Listen(_) => "listen",
        Control::EndSending => "end sending",
        Control::LocalName => "local name",
        Control::PeerName => "peer name",
        Control::Set(_) => "set",
        Control::Get(_) => "get",
        Control::Pair(_) => "pair",
        Control::PeerCredentials => "peer credentials",
        Control::Resolve(_) => "resolve",
        Control::Pipe(_) => "pipe",
        Control::TakeOut(_) => "take out",
        Control::Plan(_) => "plan",
    }
}

fn is_unix(kind: Kind) -> bool {
    kind.is_some_and(|(domain, _)| domain == libc::AF_UNIX)
}

fn is_tcp(kind: Kind) -> bool {
    kind.is_some_and(|(domain, kind)| domain != libc::AF_UNIX && kind == libc::SOCK_STREAM)
}

fn set(options: &mut Options, setting: Setting, kind: Kind) -> Answer<()> {
    match setting {
        Setting::Nodelay(_) | Setting::Ttl(_) if is_unix(kind) => return Err(libc::EOPNOTSUPP),
        Setting::Nodelay(_) if !is_tcp(kind) => return Err(libc::ENOPROTOOPT),
        Setting::Ttl(hops) if !(1..=255).contains(&hops) => return Err(libc::EINVAL),
        Setting::Nodelay(on) => options.no_delay = on,
        Setting::Keepalive(on) => options.keep_alive = on,
        Setting::ReuseAddress(on) => options.reuse_address = on,
        Setting::Linger(span) => options.linger_seconds = span.map(|span| span.as_secs() as u32),
        Setting::Ttl(hops) => options.time_to_live = hops,
        Setting::ReceiveBuffer(bytes) => options.set_receive_size(bytes),
        Setting::SendBuffer(bytes) => options.set_send_size(bytes),
        // Set on the socket, whose state decides.
        Setting::Number(..) => {}
        Setting::ShortName(..) => {}
        Setting::Packet(option, value) => set_packet(options, option, value, kind)?,
        // There is one interface, and no groups.
        Setting::Multicast(_) | Setting::Device(_) => return Err(libc::EOPNOTSUPP),
    }
    Ok(())
}

fn get(options: &Options, property: Property, kind: Kind) -> Answer<Reply> {
    Ok(match property {
        Property::Nodelay if !is_tcp(kind) => return Err(libc::EOPNOTSUPP),
        Property::Ttl if is_unix(kind) => return Err(libc::EOPNOTSUPP),
        Property::Nodelay => Reply::Flag(options.no_delay),
        Property::Keepalive => Reply::Flag(options.keep_alive),
        Property::Linger => {
            Reply::Span(options.linger_seconds.map(|seconds| Duration::from_secs(seconds.into())))
        }
        Property::Ttl => Reply::Number(options.time_to_live.into()),
        Property::ReceiveBuffer => Reply::Number(options.receive_size() as u64),
        Property::SendBuffer => Reply::Number(options.send_size() as u64),
        Property::Packet(option) => Reply::Number(get_packet(options, option, kind)?.into()),
        // Asked of the socket, not of its options.
        Property::Number(_) => return Err(libc::ENOPROTOOPT),
        Property::ShortName(_) => return Err(libc::ENOPROTOOPT),
        Property::Error => Reply::Error(None),
    })
}

fn check(option: PacketOption, kind: Kind) -> Answer<()> {
    let is_udp = kind.is_some_and(|(domain, kind)| domain != libc::AF_UNIX && kind == libc::SOCK_DGRAM);
    let is_v6 = kind.is_some_and(|(domain, _)| domain == libc::AF_INET6);
    match option {
        PacketOption::Broadcast | PacketOption::ReusePort => Ok(()),
        PacketOption::OnlyV6 if is_v6 => Ok(()),
        PacketOption::OnlyV6 => Err(libc::ENOPROTOOPT),
        PacketOption::Joined | PacketOption::SegmentSize if !is_udp => Err(libc::ENOPROTOOPT),
        _ if is_unix(kind) => Err(libc::EOPNOTSUPP),
        _ => Ok(()),
    }
}

fn set_packet(options: &mut Options, option: PacketOption, value: u32, kind: Kind) -> Answer<()> {
    check(option, kind)?;
    let on = value != 0;
    let small = u8::try_from(value).map_err(|_| libc::EINVAL);
    match option {
        PacketOption::Broadcast => options.broadcast = on,
        PacketOption::OnlyV6 => options.only_v6 = on,
        PacketOption::ReusePort => options.reuse_port = on,
        PacketOption::TrafficClass => options.traffic_class = small?,
        PacketOption::SegmentSize => options.segment_size = u16::try_from(value).map_err(|_| libc::EINVAL)?,
        PacketOption::Joined => options.receive_joined = on,
        PacketOption::PacketInfo => options.receive_packet_info = on,
        PacketOption::ReceiveTrafficClass => options.receive_traffic_class = on,
        PacketOption::ReceiveHopLimit => options.receive_hop_limit = on,
        PacketOption::Timestamps => options.receive_timestamps = on,
        // Nothing is ever split on the way.
        PacketOption::DontFragment => {}
        PacketOption::MulticastLoop | PacketOption::MulticastHops | PacketOption::PassCredentials => {
            return Err(libc::EOPNOTSUPP);
        }
    }
    Ok(())
}

fn get_packet(options: &Options, option: PacketOption, kind: Kind) -> Answer<u32> {
    check(option, kind)?;
    Ok(match option {
        PacketOption::Broadcast => options.broadcast.into(),
        PacketOption::OnlyV6 => options.only_v6.into(),
        PacketOption::ReusePort => options.reuse_port.into(),
        PacketOption::TrafficClass => options.traffic_class.into(),
        PacketOption::SegmentSize => options.segment_size.into(),
        PacketOption::Joined => options.receive_joined.into(),
        PacketOption::PacketInfo => options.receive_packet_info.into(),
        PacketOption::ReceiveTrafficClass => options.receive_traffic_class.into(),
        PacketOption::ReceiveHopLimit => options.receive_hop_limit.into(),
        PacketOption::Timestamps => options.receive_timestamps.into(),
        PacketOption::DontFragment => 1,
        PacketOption::MulticastLoop | PacketOption::MulticastHops | PacketOption::PassCredentials => {
            return Err(libc::EOPNOTSUPP);
        }
    })
}
