//! Control messages that have a name on Linux.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use super::{Ancillary, Control, Credentials, PacketInfo, number};

/// Options that the C library's list lacks on some systems.
const UDP_SEGMENT: i32 = 103;
const UDP_GRO: i32 = 104;

impl Control {
    pub(super) fn write_of_the_system(&mut self, ancillary: &Ancillary, is_v4: Option<bool>) {
        // What is of the other protocol's level is passed over by the kernel, so where it is not known which one it
        // will be, both are told.
        let (v4, v6) = (is_v4.unwrap_or(true), !is_v4.unwrap_or(false));
        if let Some(Credentials { pid, uid, gid }) = ancillary.facts.credentials {
            let words = [pid as u32, uid, gid].map(u32::to_ne_bytes);
            self.push(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, words.as_flattened());
        }
        match ancillary.facts.packet_info {
            Some(PacketInfo { address: IpAddr::V4(address), interface }) => {
                // in_pktinfo: the interface, the source, and what only a receiver looks at.
                let words = [interface.to_ne_bytes(), address.octets(), address.octets()];
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, words.as_flattened());
            }
            Some(PacketInfo { address: IpAddr::V6(address), interface }) => {
                let info = [&address.octets()[..], &interface.to_ne_bytes()].concat();
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            None => {}
        }
        let small = [
            (v4, libc::IPPROTO_IP, libc::IP_TOS, ancillary.facts.traffic_class),
            (v6, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, ancillary.facts.traffic_class),
            (v4, libc::IPPROTO_IP, libc::IP_TTL, ancillary.facts.hop_limit),
            (v6, libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, ancillary.facts.hop_limit),
        ];
        for (fits, level, kind, value) in small {
            if let Some(value) = value.filter(|_| fits) {
                self.push(level, kind, &i32::from(value).to_ne_bytes());
            }
        }
        if let Some(bytes) = ancillary.facts.segment_size {
            self.push(libc::IPPROTO_UDP, UDP_SEGMENT, &bytes.to_ne_bytes());
        }
    }
}

impl Ancillary {
    /// None if it is of a kind that has no name here, or too short to be what it says.
    pub(super) fn take_of_the_system(&mut self, level: i32, kind: i32, data: &[u8]) -> Option<()> {
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                let pid = number(data)?;
                let (uid, gid) = (number(data.get(4..)?)? as u32, number(data.get(8..)?)? as u32);
                self.facts.credentials = Some(Credentials { pid, uid, gid });
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => self.facts.timestamp = Some(moment(data)?),
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let address: [u8; 4] = data.get(8..12)?.try_into().ok()?;
                let interface = number(data)? as u32;
                self.facts.packet_info =
                    Some(PacketInfo { address: Ipv4Addr::from(address).into(), interface });
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let address: [u8; 16] = data.get(..16)?.try_into().ok()?;
                let interface = number(data.get(16..)?)? as u32;
                self.facts.packet_info =
                    Some(PacketInfo { address: Ipv6Addr::from(address).into(), interface });
            }
            (libc::IPPROTO_IP, libc::IP_TOS) | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                self.facts.traffic_class = Some(number(data)? as u8);
            }
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                self.facts.hop_limit = Some(number(data)? as u8);
            }
            (libc::IPPROTO_UDP, UDP_GRO) => self.facts.segment_size = u16::try_from(number(data)?).ok(),
            (libc::IPPROTO_UDP, UDP_SEGMENT) => {
                self.facts.segment_size = Some(u16::from_ne_bytes(data.get(..2)?.try_into().ok()?));
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether it can be sent on this system.
    pub(super) fn is_known_here(&self) -> bool {
        true
    }
}

/// A simulated kernel tells the time as the real one does.
#[cfg(feature = "sim")]
impl Control {
    pub(crate) fn write_timestamp(&mut self, at: SystemTime) {
        let span = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let words = [span.as_secs() as libc::c_long, span.subsec_nanos() as libc::c_long];
        self.push(
            libc::SOL_SOCKET,
            libc::SCM_TIMESTAMPNS,
            words.map(libc::c_long::to_ne_bytes).as_flattened(),
        );
    }
}

/// A timespec.
fn moment(data: &[u8]) -> Option<SystemTime> {
    let word = size_of::<libc::c_long>();
    let part = |at: usize| match word {
        8 => Some(i64::from_ne_bytes(data.get(at..at + 8)?.try_into().ok()?)),
        _ => number(data.get(at..)?).map(i64::from),
    };
    let (seconds, nanos) = (u64::try_from(part(0)?).ok()?, u32::try_from(part(word)?).ok()?);
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
}
