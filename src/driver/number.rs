//! Options of sockets that are plain numbers or short names: what each is called here, and by the system.
#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "where a system lacks an option, the method that would set it is not there")
)]

macro_rules! options {
    ($(#[$of:meta])* $kind:ident: $($(#[$system:meta])* $option:ident: $level:ident, $name:ident;)*) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $kind {
            $($option,)*
        }

        impl $kind {
            /// The level and the name, as setsockopt(2) takes them. What a system does not have is a name that none has.
            pub(super) fn place(self) -> (i32, i32) {
                #[allow(unused_imports)]
                use libc::*;
                match self {
                    $($(#[$system])* $kind::$option => ($level, $name),)*
                    #[allow(unreachable_patterns, reason = "this system may have all of them")]
                    _ => (SOL_SOCKET, -1),
                }
            }
        }
    };
}

/// Apple has another name for it.
#[cfg(target_vendor = "apple")]
const TCP_KEEPIDLE: i32 = libc::TCP_KEEPALIVE;

options! {
    /// An option whose value is a number; of a flag, 0 or 1.
    NumberOption:
    ReuseAddress: SOL_SOCKET, SO_REUSEADDR;
    ReusePort: SOL_SOCKET, SO_REUSEPORT;
    OnlyV6: IPPROTO_IPV6, IPV6_V6ONLY;
    TypeOfService: IPPROTO_IP, IP_TOS;
    TrafficClass: IPPROTO_IPV6, IPV6_TCLASS;
    MaxSegment: IPPROTO_TCP, TCP_MAXSEG;
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
    KeepaliveTime: IPPROTO_TCP, TCP_KEEPIDLE;
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
    KeepaliveInterval: IPPROTO_TCP, TCP_KEEPINTVL;
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
    KeepaliveRetries: IPPROTO_TCP, TCP_KEEPCNT;
    #[cfg(target_os = "linux")]
    UserTimeout: IPPROTO_TCP, TCP_USER_TIMEOUT;
    #[cfg(target_os = "linux")]
    Cork: IPPROTO_TCP, TCP_CORK;
    #[cfg(target_os = "linux")]
    QuickAck: IPPROTO_TCP, TCP_QUICKACK;
    #[cfg(target_os = "linux")]
    DeferAccept: IPPROTO_TCP, TCP_DEFER_ACCEPT;
    #[cfg(target_os = "linux")]
    FastOpen: IPPROTO_TCP, TCP_FASTOPEN;
    #[cfg(target_os = "linux")]
    FastOpenConnect: IPPROTO_TCP, TCP_FASTOPEN_CONNECT;
    #[cfg(target_os = "linux")]
    NotSentLowAt: IPPROTO_TCP, TCP_NOTSENT_LOWAT;
    #[cfg(target_os = "linux")]
    FreeBind: IPPROTO_IP, IP_FREEBIND;
    #[cfg(target_os = "linux")]
    Transparent: IPPROTO_IP, IP_TRANSPARENT;
    #[cfg(target_os = "linux")]
    IncomingCpu: SOL_SOCKET, SO_INCOMING_CPU;
    #[cfg(target_os = "linux")]
    BusyPoll: SOL_SOCKET, SO_BUSY_POLL;
}

options! {
    /// An option whose value is a short name.
    NameOption:
    #[cfg(target_os = "linux")]
    Congestion: IPPROTO_TCP, TCP_CONGESTION;
    #[cfg(target_os = "linux")]
    Device: SOL_SOCKET, SO_BINDTODEVICE;
}

/// A name as the system takes it: shorter than TCP_CA_NAME_MAX and IFNAMSIZ, which are both 16.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortName {
    bytes: [u8; 15],
    length: u8,
}

impl ShortName {
    /// None if it is too long.
    pub(crate) fn of(name: &[u8]) -> Option<ShortName> {
        let mut bytes = [0; 15];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(ShortName { bytes, length: name.len() as u8 })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}
