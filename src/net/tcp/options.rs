//! What TCP sockets are told and asked: the same methods for each type whose sockets have the option.
//!
//! What a system does not have is not there, so that a program learns of it when it is built. A connection that is accepted
//! has the options of its listener.

use std::io;
use std::time::Duration;

use super::{TcpListener, TcpSocket, TcpStream};
#[cfg(target_os = "linux")]
use crate::driver::{NameOption, ShortName};
use crate::driver::{NumberOption, Property, Setting};
use crate::net::socket;

/// Writes a setter and a getter, for one type after the other. `linux on ...`: where there is Linux, and the documentation says so.
macro_rules! option {
    (linux on $($rest:tt)*) => {
        option! { @[cfg(target_os = "linux"), cfg_attr(docsrs, doc(cfg(target_os = "linux")))] $($rest)* }
    };
    (on $($rest:tt)*) => { option! { @[] $($rest)* } };
    (@[$($if:meta),*] $first:ty $(, $other:ty)*; $($methods:tt)*) => {
        option! { @for [$($if),*] $first; $($methods)* }
        option! { @[$($if),*] $($other),*; $($methods)* }
    };
    (@[$($if:meta),*]; $($methods:tt)*) => {};
    (
        @for [$($if:meta),*] $of:ty;
        $(#[$about_set:meta])*
        fn $set:ident($value:ident: $takes:ty) = $setting:expr;
        $(#[$about_get:meta])*
        fn $get:ident() -> $gives:ty = $ask:ident($property:expr) $(, |$reply:ident| $made:expr)?;
    ) => {
        $(#[$if])*
        impl $of {
            $(#[$about_set])*
            ///
            /// # Errors
            /// Those of setsockopt(2).
            pub fn $set(&self, $value: $takes) -> io::Result<()> {
                socket::set(self.socket(), $setting)
            }

            $(#[$about_get])*
            ///
            /// # Errors
            /// Those of getsockopt(2).
            pub fn $get(&self) -> io::Result<$gives> {
                let got = socket::$ask(self.socket(), $property)?;
                $(let $reply = got;
                let got = $made;)?
                Ok(got)
            }
        }
    };
}

// What there is everywhere.

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// Sends small writes at once instead of gathering them (Nagle's algorithm off).
    fn set_nodelay(on: bool) = Setting::Nodelay(on);
    /// Whether small writes are sent at once.
    fn nodelay() -> bool = flag(Property::Nodelay);
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// Lets the system find out by itself that a silent peer is gone. When and how often it asks is the system's choice
    /// (on Linux after two hours), or that of `set_tcp_keepalive`.
    fn set_keepalive(on: bool) = Setting::Keepalive(on);
    /// Whether the system looks after a silent peer.
    fn keepalive() -> bool = flag(Property::Keepalive);
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// How long closing may take to send what was written, in whole seconds; zero resets the connection instead.
    fn set_linger(span: Option<Duration>) = Setting::Linger(span);
    /// How long closing may take to send what was written.
    fn linger() -> Option<Duration> = span(Property::Linger);
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// Sets the time to live of packets, in hops: 1 to 255.
    fn set_ttl(hops: u32) = Setting::Ttl(hops);
    /// The time to live of packets, in hops.
    fn ttl() -> u32 = number(Property::Ttl), |hops| hops as u32;
}

option! {
    on TcpSocket, TcpListener;
    /// Asks for a receive buffer of so many bytes in the kernel, which doubles the number for itself. Above 64 KiB it is to
    /// be set before the socket connects or listens: the window's scale is agreed on in the greeting.
    fn set_recv_buffer_size(bytes: usize) = Setting::ReceiveBuffer(bytes);
    /// The size of the kernel's receive buffer, in bytes.
    fn recv_buffer_size() -> usize = number(Property::ReceiveBuffer), |bytes| bytes as usize;
}

option! {
    on TcpSocket, TcpListener;
    /// Asks for a send buffer of so many bytes in the kernel, which doubles the number for itself.
    fn set_send_buffer_size(bytes: usize) = Setting::SendBuffer(bytes);
    /// The size of the kernel's send buffer, in bytes.
    fn send_buffer_size() -> usize = number(Property::SendBuffer), |bytes| bytes as usize;
}

option! {
    on TcpSocket;
    /// Lets an address be bound that connections of an earlier socket still have, so that a server can be started again
    /// at once. See socket(7): SO_REUSEADDR.
    fn set_reuseaddr(on: bool) = of_flag(NumberOption::ReuseAddress, on);
    /// Whether an address may be bound that connections of an earlier socket still have.
    fn reuseaddr() -> bool = number(Property::Number(NumberOption::ReuseAddress)), |number| number != 0;
}

option! {
    on TcpSocket;
    /// Lets several sockets listen at one address, which all of them have to ask for; on Linux connections are spread
    /// over them. See socket(7): SO_REUSEPORT.
    fn set_reuseport(on: bool) = of_flag(NumberOption::ReusePort, on);
    /// Whether several sockets may listen at one address.
    fn reuseport() -> bool = number(Property::Number(NumberOption::ReusePort)), |number| number != 0;
}

option! {
    on TcpSocket;
    /// Whether a socket of version 6 has nothing to do with version 4. To be set before it is bound. See ipv6(7):
    /// IPV6_V6ONLY.
    fn set_only_v6(on: bool) = of_flag(NumberOption::OnlyV6, on);
    /// Whether a socket of version 6 has nothing to do with version 4.
    fn only_v6() -> bool = number(Property::Number(NumberOption::OnlyV6)), |number| number != 0;
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// The type of service of packets of version 4: the byte that routers prefer packets by. The two lowest bits are the
    /// system's. See ip(7): IP_TOS.
    fn set_tos_v4(tos: u32) = of_number(NumberOption::TypeOfService, tos);
    /// The type of service of packets of version 4.
    fn tos_v4() -> u32 = number(Property::Number(NumberOption::TypeOfService)), |tos| tos as u32;
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// The traffic class of packets of version 6: the byte that routers prefer packets by. The two lowest bits are the
    /// system's. See ipv6(7): IPV6_TCLASS.
    fn set_tclass_v6(class: u32) = of_number(NumberOption::TrafficClass, class);
    /// The traffic class of packets of version 6.
    fn tclass_v6() -> u32 = number(Property::Number(NumberOption::TrafficClass)), |class| class as u32;
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// The most bytes that one segment carries; on Linux from 88 to 32767. To be set before the socket connects or listens.
    /// See tcp(7): TCP_MAXSEG.
    fn set_mss(bytes: u32) = of_number(NumberOption::MaxSegment, bytes);
    /// The most bytes that one segment carries.
    fn mss() -> u32 = number(Property::Number(NumberOption::MaxSegment)), |bytes| bytes as u32;
}

// What only Linux has.

option! {
    linux on TcpSocket, TcpStream, TcpListener;
    /// How long what was sent may stay unacknowledged, or the peer without room, until the connection is given up with
    /// ETIMEDOUT; None leaves that to the system, which takes many minutes. Whole milliseconds, and at least one. See
    /// tcp(7): TCP_USER_TIMEOUT.
    fn set_user_timeout(span: Option<Duration>) = of_number(NumberOption::UserTimeout, milliseconds(span));
    /// How long what was sent may stay unacknowledged.
    fn user_timeout() -> Option<Duration> = number(Property::Number(NumberOption::UserTimeout)),
        |span| (span != 0).then(|| Duration::from_millis(span));
}

option! {
    linux on TcpSocket, TcpStream;
    /// Holds back what does not fill a segment, for at most 200 ms, until this is turned off again: for a header and a body
    /// that are written one after the other. See tcp(7): TCP_CORK.
    fn set_cork(on: bool) = of_flag(NumberOption::Cork, on);
    /// Whether what does not fill a segment is held back.
    fn cork() -> bool = number(Property::Number(NumberOption::Cork)), |number| number != 0;
}

option! {
    linux on TcpSocket, TcpStream;
    /// Acknowledges at once what comes, instead of waiting for something to send along. The system turns it on and off
    /// again by itself as the connection goes on. See tcp(7): TCP_QUICKACK.
    fn set_quickack(on: bool) = of_flag(NumberOption::QuickAck, on);
    /// Whether what comes is acknowledged at once, just now.
    fn quickack() -> bool = number(Property::Number(NumberOption::QuickAck)), |number| number != 0;
}

option! {
    linux on TcpSocket, TcpStream, TcpListener;
    /// From how many bytes on that are written and not sent yet the connection does not count as writable; 0 leaves it to
    /// the system. Keeps what is written last from waiting behind much that was written before. See
    /// [the kernel's documentation](https://docs.kernel.org/networking/ip-sysctl.html) of `tcp_notsent_lowat`.
    fn set_notsent_lowat(bytes: u32) = of_number(NumberOption::NotSentLowAt, bytes);
    /// From how many unsent bytes on the connection does not count as writable.
    fn notsent_lowat() -> u32 = number(Property::Number(NumberOption::NotSentLowAt)), |bytes| bytes as u32;
}

option! {
    linux on TcpSocket, TcpStream, TcpListener;
    /// How the speed of sending is found: `"cubic"`, `"bbr"`, or another name of those in
    /// /proc/sys/net/ipv4/tcp_allowed_congestion_control. ENOENT says that there is none of that name. See tcp(7):
    /// TCP_CONGESTION.
    fn set_congestion(name: &str) = Setting::ShortName(NameOption::Congestion, short(name.as_bytes())?);
    /// How the speed of sending is found.
    fn congestion() -> String = short_name(Property::ShortName(NameOption::Congestion)),
        |name| String::from_utf8_lossy(&name).into_owned();
}

option! {
    linux on TcpSocket, TcpStream, TcpListener;
    /// Which processor is to have the packets of this socket: among listeners of one address, a connection goes to the
    /// one whose processor its packets came to. See socket(7): SO_INCOMING_CPU.
    fn set_incoming_cpu(cpu: u32) = of_number(NumberOption::IncomingCpu, cpu);
    /// Which processor had the last packet of this socket. None if none has.
    fn incoming_cpu() -> Option<u32> = number(Property::Number(NumberOption::IncomingCpu)),
        |cpu| (cpu as u32 != u32::MAX).then_some(cpu as u32);
}

option! {
    linux on TcpSocket, TcpStream, TcpListener;
    /// How long, in microseconds, a receive that finds nothing looks for packets itself before it waits: less delay, for
    /// more work of the processor. More than the system's own number needs CAP_NET_ADMIN. See socket(7): SO_BUSY_POLL.
    fn set_busy_poll(microseconds: u32) = of_number(NumberOption::BusyPoll, microseconds);
    /// How long, in microseconds, a receive that finds nothing looks for packets itself.
    fn busy_poll() -> u32 = number(Property::Number(NumberOption::BusyPoll)), |span| span as u32;
}

option! {
    linux on TcpSocket, TcpListener;
    /// Accepts a connection only when its first bytes are there, or when the span is over; None accepts it at once. The
    /// system rounds up to what it sends a greeting again after: 1, 3, 7, 15 seconds and so on. See tcp(7):
    /// TCP_DEFER_ACCEPT.
    fn set_defer_accept(span: Option<Duration>) = of_number(NumberOption::DeferAccept, seconds(span));
    /// For how long a connection without bytes is not accepted.
    fn defer_accept() -> Option<Duration> = number(Property::Number(NumberOption::DeferAccept)),
        |span| (span != 0).then(|| Duration::from_secs(span));
}

option! {
    linux on TcpSocket, TcpListener;
    /// Takes bytes that come with the greeting (TCP Fast Open), from as many greetings at a time as `queue` says; 0 takes
    /// none. The system has to permit it: bit 2 of net.ipv4.tcp_fastopen. Such bytes may come twice: only for requests
    /// that may be made again. See tcp(7): TCP_FASTOPEN.
    fn set_fastopen(queue: u32) = of_number(NumberOption::FastOpen, queue);
    /// From how many greetings at a time bytes are taken.
    fn fastopen() -> u32 = number(Property::Number(NumberOption::FastOpen)), |queue| queue as u32;
}

option! {
    linux on TcpSocket;
    /// Sends the first bytes with the greeting (TCP Fast Open), where the server has permitted it before. Connecting then
    /// resolves at once, and the first write does what connecting would; so write before reading. See tcp(7):
    /// TCP_FASTOPEN_CONNECT.
    fn set_fastopen_connect(on: bool) = of_flag(NumberOption::FastOpenConnect, on);
    /// Whether the first bytes are sent with the greeting.
    fn fastopen_connect() -> bool = number(Property::Number(NumberOption::FastOpenConnect)), |number| number != 0;
}

option! {
    linux on TcpSocket;
    /// Lets an address be bound that this machine does not have, or not yet. See ip(7): IP_FREEBIND.
    fn set_freebind(on: bool) = of_flag(NumberOption::FreeBind, on);
    /// Whether an address may be bound that this machine does not have.
    fn freebind() -> bool = number(Property::Number(NumberOption::FreeBind)), |number| number != 0;
}

option! {
    linux on TcpSocket;
    /// Lets the socket speak for addresses of other machines, as a transparent proxy does. Needs CAP_NET_ADMIN or
    /// CAP_NET_RAW. See ip(7): IP_TRANSPARENT.
    fn set_transparent(on: bool) = of_flag(NumberOption::Transparent, on);
    /// Whether the socket may speak for addresses of other machines.
    fn transparent() -> bool = number(Property::Number(NumberOption::Transparent)), |number| number != 0;
}

option! {
    linux on TcpSocket;
    /// Only what comes and goes by this network device, for example `b"eth0"`, is the socket's; None is any. See socket(7):
    /// SO_BINDTODEVICE.
    fn bind_device(name: Option<&[u8]>) = Setting::ShortName(NameOption::Device, short(name.unwrap_or_default())?);
    /// By which network device packets come and go, if only by one.
    fn device() -> Option<Vec<u8>> = short_name(Property::ShortName(NameOption::Device)),
        |name| (!name.is_empty()).then_some(name);
}

fn of_flag(option: NumberOption, on: bool) -> Setting {
    Setting::Number(option, on.into())
}

/// A number that does not fit is the greatest: it is the system that says what is too much.
fn of_number(option: NumberOption, number: u32) -> Setting {
    Setting::Number(option, i32::try_from(number).unwrap_or(i32::MAX))
}

/// In a unit of so many nanoseconds, rounded up: so a span that there is does not become none.
fn in_units(span: Option<Duration>, unit_ns: u128) -> u32 {
    let units = span.unwrap_or_default().as_nanos().div_ceil(unit_ns);
    units.min(i32::MAX as u128) as u32
}

fn seconds(span: Option<Duration>) -> u32 {
    in_units(span, 1_000_000_000)
}

#[cfg(target_os = "linux")]
fn milliseconds(span: Option<Duration>) -> u32 {
    in_units(span.map(|span| span.max(Duration::from_nanos(1))), 1_000_000)
}

#[cfg(target_os = "linux")]
fn short(name: &[u8]) -> io::Result<ShortName> {
    ShortName::of(name).ok_or_else(|| {
        let text =
            format!("{:?} is too long: such a name has at most 15 bytes", String::from_utf8_lossy(name));
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

/// When, and how often, a peer is asked that has not been heard of. What is None is the system's choice.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::net::Keepalive;
///
/// // After a minute of silence, then each ten seconds; after six questions without an answer it is gone.
/// let keepalive = Keepalive::new()
///     .with_time(Duration::from_secs(60))
///     .with_interval(Duration::from_secs(10))
///     .with_retries(6);
/// assert_eq!(keepalive.retries(), Some(6));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    time: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl Keepalive {
    /// All is left to the system.
    pub const fn new() -> Keepalive {
        Keepalive { time: None, interval: None, retries: None }
    }

    /// After how long a silence the peer is asked. Whole seconds, rounded up; on Linux from 1 to 32767.
    pub const fn with_time(mut self, span: Duration) -> Keepalive {
        self.time = Some(span);
        self
    }

    /// How long after a question the next one. Whole seconds, rounded up; on Linux from 1 to 32767.
    pub const fn with_interval(mut self, span: Duration) -> Keepalive {
        self.interval = Some(span);
        self
    }

    /// After how many questions without an answer the connection is given up; on Linux from 1 to 127.
    pub const fn with_retries(mut self, count: u32) -> Keepalive {
        self.retries = Some(count);
        self
    }

    /// After how long a silence the peer is asked.
    pub const fn time(&self) -> Option<Duration> {
        self.time
    }

    /// How long after a question the next one.
    pub const fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// After how many questions without an answer the connection is given up.
    pub const fn retries(&self) -> Option<u32> {
        self.retries
    }
}

/// Keep-alive as one value, on all types.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
macro_rules! keepalive {
    ($($of:ty),*) => {
        $(#[cfg_attr(docsrs, doc(cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))))]
        impl $of {
            /// Lets the system find out by itself that a silent peer is gone, and says when and how often it asks. It
            /// turns keep-alive on; [`set_keepalive`](Self::set_keepalive) turns it off.
            ///
            /// # Errors
            /// Those of setsockopt(2); what was set before the one that failed stays.
            pub fn set_tcp_keepalive(&self, keepalive: &Keepalive) -> io::Result<()> {
                keepalive.set(self.socket())?;
                self.set_keepalive(true)
            }

            /// When and how often the system asks a silent peer. None if it does not.
            ///
            /// # Errors
            /// Those of getsockopt(2).
            pub fn tcp_keepalive(&self) -> io::Result<Option<Keepalive>> {
                if self.keepalive()? { Keepalive::of(self.socket()).map(Some) } else { Ok(None) }
            }
        })*
    };
}

#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
keepalive! { TcpSocket, TcpStream, TcpListener }

#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
impl Keepalive {
    fn set(&self, to: &crate::driver::Descriptor) -> io::Result<()> {
        let settings = [
            (NumberOption::KeepaliveTime, self.time.map(|span| seconds(Some(span)))),
            (NumberOption::KeepaliveInterval, self.interval.map(|span| seconds(Some(span)))),
            (NumberOption::KeepaliveRetries, self.retries),
        ];
        for (option, number) in settings {
            if let Some(number) = number {
                socket::set(to, of_number(option, number))?;
            }
        }
        Ok(())
    }

    fn of(of: &crate::driver::Descriptor) -> io::Result<Keepalive> {
        let number = |option| socket::number(of, Property::Number(option));
        Ok(Keepalive::new()
            .with_time(Duration::from_secs(number(NumberOption::KeepaliveTime)?))
            .with_interval(Duration::from_secs(number(NumberOption::KeepaliveInterval)?))
            .with_retries(number(NumberOption::KeepaliveRetries)? as u32))
    }
}
