//! Options that are numbers or short names: which socket has them, what they may be, and what is read back.
//!
//! What the model has a use for it honours: reuse of names, version 6 alone, addresses that are not there yet, and how long
//! what is sent may be lost. The rest is kept, and told as Linux tells it. Keep-alive is among that: timers of connections
//! on which nothing happens would keep a world from ever coming to rest.

use std::ops::RangeInclusive;

use super::{Answer, Network, Options, Socket, SocketId};
use crate::driver::NumberOption as Is;
use crate::driver::{NameOption, NumberOption};

/// `TCP_MSS_DEFAULT`, of a socket that has no connection.
const SEGMENT_USUAL: i32 = 536;
/// What is left of a packet of the loopback device.
const SEGMENT_OF_A_CONNECTION: i32 = 32741;
/// The bits of a type of service that the congestion control of a stream has for itself.
const CONGESTION_BITS: i32 = 3;
/// `net.core.somaxconn`
const QUEUE_MAX: i32 = 4096;

/// What must be known of a socket to set an option.
struct About {
    domain: i32,
    kind: i32,
    is_bound: bool,
    is_fresh: bool,
    is_listening: bool,
    is_connected: bool,
}

impl About {
    fn is_tcp(&self) -> bool {
        self.domain != libc::AF_UNIX && self.kind == libc::SOCK_STREAM
    }
}

impl Network {
    fn about(&self, id: SocketId) -> Answer<About> {
        let (domain, kind) = self.domain_and_kind(id)?.ok_or(libc::ENOTSOCK)?;
        let (is_bound, is_fresh, is_listening) = match self.known(id)? {
            Socket::Tcp(tcp) => (tcp.has_port(), tcp.is_fresh(), tcp.is_listening()),
            Socket::Udp(udp) => (udp.local_or_none().port() != 0, true, false),
            _ => (false, true, false),
        };
        let is_connected = self.peer_name(id).is_ok();
        Ok(About { domain, kind, is_bound, is_fresh, is_listening, is_connected })
    }

    pub(crate) fn set_number(&mut self, id: SocketId, option: NumberOption, value: i32) -> Answer<()> {
        let about = self.about(id)?;
        has_level(&about, option, libc::ENOPROTOOPT)?;
        let value = checked(&about, option, value)?;
        let options = self.options_mut(id)?;
        match option {
            Is::ReuseAddress => options.reuse_address = value != 0,
            Is::ReusePort => options.reuse_port = value != 0,
            Is::OnlyV6 => options.only_v6 = value != 0,
            _ => drop(options.numbers.insert(option, value)),
        }
        if let (Is::UserTimeout, Some(tcp)) = (option, self.tcp(id)) {
            tcp.set_patience((value > 0).then_some(value as u64));
        }
        Ok(())
    }

    pub(crate) fn number(&self, id: SocketId, option: NumberOption) -> Answer<i32> {
        let about = self.about(id)?;
        has_level(&about, option, libc::EOPNOTSUPP)?;
        let options = self.options(id)?;
        let kept = options.numbers.get(&option).copied();
        Ok(match option {
            Is::ReuseAddress => options.reuse_address.into(),
            Is::ReusePort => options.reuse_port.into(),
            Is::OnlyV6 => options.only_v6.into(),
            // What was asked for is an upper limit where there is a connection, and else what is told.
            Is::MaxSegment if about.is_connected => kept
                .filter(|value| *value > 0)
                .map_or(SEGMENT_OF_A_CONNECTION, |value| value.min(SEGMENT_OF_A_CONNECTION)),
            Is::MaxSegment => kept.filter(|value| *value > 0).unwrap_or(SEGMENT_USUAL),
            _ => kept.unwrap_or(usual(option)),
        })
    }

    pub(crate) fn set_short_name(&mut self, id: SocketId, option: NameOption, name: &[u8]) -> Answer<()> {
        let about = self.about(id)?;
        match option {
            NameOption::Congestion if about.domain == libc::AF_UNIX => return Err(libc::EOPNOTSUPP),
            NameOption::Congestion if !about.is_tcp() => return Err(libc::ENOPROTOOPT),
            NameOption::Congestion if name.is_empty() => return Err(libc::EINVAL),
            NameOption::Congestion if !matches!(name, b"cubic" | b"reno") => return Err(libc::ENOENT),
            // The one device that every machine has.
            NameOption::Device if !matches!(name, b"" | b"lo") => return Err(libc::ENODEV),
            _ => {}
        }
        self.options_mut(id)?.names.insert(option, name.to_vec());
        Ok(())
    }

    pub(crate) fn short_name(&self, id: SocketId, option: NameOption) -> Answer<Vec<u8>> {
        let about = self.about(id)?;
        if option == NameOption::Congestion && !about.is_tcp() {
            return Err(libc::EOPNOTSUPP);
        }
        let usual = if option == NameOption::Congestion { "cubic" } else { "" };
        Ok(self.options(id)?.names.get(&option).cloned().unwrap_or_else(|| usual.into()))
    }
}

/// Whether a socket of this kind has options of that level.
fn has_level(about: &About, option: NumberOption, error: i32) -> Answer<()> {
    let has = match option.place().0 {
        libc::SOL_SOCKET => true,
        _ if about.domain == libc::AF_UNIX => return Err(libc::EOPNOTSUPP),
        libc::IPPROTO_TCP => about.is_tcp(),
        libc::IPPROTO_IPV6 => about.domain == libc::AF_INET6,
        _ => true,
    };
    if has { Ok(()) } else { Err(error) }
}

/// What a value becomes, where it is allowed.
fn checked(about: &About, option: NumberOption, value: i32) -> Answer<i32> {
    let within = |range: RangeInclusive<i32>| match range.contains(&value) {
        true => Ok(value),
        false => Err(libc::EINVAL),
    };
    match option {
        Is::OnlyV6 if about.is_bound => Err(libc::EINVAL),
        Is::TypeOfService => Ok(of_a_kind(about, value & 255)),
        Is::TrafficClass => within(0..=255).map(|class| of_a_kind(about, class)),
        Is::MaxSegment if value == 0 => Ok(0),
        Is::MaxSegment => within(88..=32767),
        Is::KeepaliveTime | Is::KeepaliveInterval => within(1..=32767),
        Is::KeepaliveRetries => within(1..=127),
        Is::UserTimeout | Is::BusyPoll => within(0..=i32::MAX),
        Is::DeferAccept => Ok(whole_retransmissions(value)),
        Is::FastOpen if !about.is_fresh && !about.is_listening => Err(libc::EINVAL),
        Is::FastOpen => within(0..=i32::MAX).map(|value| value.min(QUEUE_MAX)),
        Is::FastOpenConnect if !about.is_fresh => Err(libc::EINVAL),
        Is::FastOpenConnect => within(0..=1),
        Is::NotSentLowAt | Is::IncomingCpu => Ok(value),
        Is::ReuseAddress
        | Is::ReusePort
        | Is::OnlyV6
        | Is::Cork
        | Is::QuickAck
        | Is::FreeBind
        | Is::Transparent => Ok(i32::from(value != 0)),
    }
}

/// Of a type of service or a traffic class, what a socket of that kind may set.
fn of_a_kind(about: &About, value: i32) -> i32 {
    if about.is_tcp() { value & !CONGESTION_BITS } else { value }
}

/// Seconds are counted in retransmissions of a greeting: after 1, 3, 7, 15, 31, 63 and 127, and then each 120.
fn whole_retransmissions(seconds: i32) -> i32 {
    let (mut period, mut step) = (0, 1);
    for _ in 0..255 {
        if period >= seconds {
            break;
        }
        period += step;
        step = (step * 2).min(120);
    }
    period
}

/// What nobody has set.
fn usual(option: NumberOption) -> i32 {
    match option {
        Is::KeepaliveTime => 7200,
        Is::KeepaliveInterval => 75,
        Is::KeepaliveRetries => 9,
        Is::QuickAck => 1,
        Is::IncomingCpu => -1,
        _ => 0,
    }
}

impl Options {
    /// Whether an address may be bound that the host does not have.
    pub(super) fn binds_freely(&self) -> bool {
        [Is::FreeBind, Is::Transparent].iter().any(|option| self.numbers.get(option) == Some(&1))
    }
}
