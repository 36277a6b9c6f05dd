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

/// A socket to show an option with.
macro_rules! shown_with {
    (TcpSocket) => {
        "# let socket = annulus::net::TcpSocket::new_v4().await?;"
    };
    (TcpListener) => {
        "# let socket = annulus::net::TcpListener::bind(\"127.0.0.1:0\").await?;"
    };
    (TcpStream) => {
        "# let listener = annulus::net::TcpListener::bind(\"127.0.0.1:0\").await?;\n\
         # let socket = annulus::net::TcpStream::connect(listener.local_addr()?).await?;"
    };
}

/// Writes a setter and a getter, for one type after the other. Both are shown by the lines at the end. `linux on ...`: where there is
/// Linux, and the documentation says so.
macro_rules! option {
    (linux on $($rest:tt)*) => {
        option! { @[cfg(target_os = "linux"), cfg_attr(docsrs, doc(cfg(target_os = "linux")))] $($rest)* }
    };
    (on $($rest:tt)*) => { option! { @[] $($rest)* } };
    (@[$($if:meta),*] $first:ident $(, $other:ident)*; $($methods:tt)*) => {
        option! { @for [$($if),*] $first; $($methods)* }
        option! { @[$($if),*] $($other),*; $($methods)* }
    };
    (@[$($if:meta),*]; $($methods:tt)*) => {};
    (
        @for [$($if:meta),*] $of:ident;
        $(#[$about_set:meta])*
        fn $set:ident($value:ident: $takes:ty) = $setting:expr;
        $(#[$about_get:meta])*
        fn $get:ident() -> $gives:ty = $ask:ident($property:expr) $(, |$reply:ident| $made:expr)?;
        as $($line:literal),+
    ) => {
        $(#[$if])*
        impl $of {
            $(#[$about_set])*
            ///
            /// # Errors
            /// Those of setsockopt(2).
            ///
            /// # Examples
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # annulus::run(async {
            #[doc = shown_with!($of)]
            $(#[doc = $line])+
            /// # Ok(())
            /// # })?
            /// # }
            /// ```
            pub fn $set(&self, $value: $takes) -> io::Result<()> {
                socket::set(self.socket(), $setting)
            }

            $(#[$about_get])*
            ///
            /// # Errors
            /// Those of getsockopt(2).
            ///
            /// # Examples
            #[doc = concat!("As [`", stringify!($set), "`](Self::", stringify!($set), ").")]
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
    as "socket.set_nodelay(true)?;", "assert!(socket.nodelay()?);"
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// Lets the system find out by itself that a silent peer is gone. When and how often it asks is the system's choice
    /// (on Linux after two hours), or that of `set_tcp_keepalive`.
    fn set_keepalive(on: bool) = Setting::Keepalive(on);
    /// Whether the system looks after a silent peer.
    fn keepalive() -> bool = flag(Property::Keepalive);
    as "socket.set_keepalive(true)?;", "assert!(socket.keepalive()?);"
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// How long closing may take to send what was written, in whole seconds; zero resets the connection instead.
    fn set_linger(span: Option<Duration>) = Setting::Linger(span);
    /// How long closing may take to send what was written.
    fn linger() -> Option<Duration> = span(Property::Linger);
    as "# use std::time::Duration;",
        "socket.set_linger(Some(Duration::from_secs(2)))?;",
        "assert_eq!(socket.linger()?, Some(Duration::from_secs(2)));"
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// Sets the time to live of packets, in hops: 1 to 255.
    fn set_ttl(hops: u32) = Setting::Ttl(hops);
    /// The time to live of packets, in hops.
    fn ttl() -> u32 = number(Property::Ttl), |hops| hops as u32;
    as "socket.set_ttl(12)?;", "assert_eq!(socket.ttl()?, 12);"
}

option! {
    on TcpSocket, TcpListener;
    /// Asks for a receive buffer of so many bytes in the kernel, which doubles the number for itself. Above 64 KiB it is to
    /// be set before the socket connects or listens: the window's scale is agreed on in the greeting.
    fn set_recv_buffer_size(bytes: usize) = Setting::ReceiveBuffer(bytes);
    /// The size of the kernel's receive buffer, in bytes.
    fn recv_buffer_size() -> usize = number(Property::ReceiveBuffer), |bytes| bytes as usize;
    as "socket.set_recv_buffer_size(64 << 10)?;", "assert!(socket.recv_buffer_size()? >= 64 << 10);"
}

option! {
    on TcpSocket, TcpListener;
    /// Asks for a send buffer of so many bytes in the kernel, which doubles the number for itself.
    fn set_send_buffer_size(bytes: usize) = Setting::SendBuffer(bytes);
    /// The size of the kernel's send buffer, in bytes.
    fn send_buffer_size() -> usize = number(Property::SendBuffer), |bytes| bytes as usize;
    as "socket.set_send_buffer_size(64 << 10)?;", "assert!(socket.send_buffer_size()? >= 64 << 10);"
}

option! {
    on TcpSocket;
    /// Lets an address be bound that connections of an earlier socket still have, so that a server can be started again
    /// at once. See socket(7): SO_REUSEADDR.
    fn set_reuseaddr(on: bool) = of_flag(NumberOption::ReuseAddress, on);
    /// Whether an address may be bound that connections of an earlier socket still have.
    fn reuseaddr() -> bool = number(Property::Number(NumberOption::ReuseAddress)), |number| number != 0;
    as "socket.set_reuseaddr(true)?;", "assert!(socket.reuseaddr()?);"
}

option! {
    on TcpSocket;
    /// Lets several sockets listen at one address, which all of them have to ask for; on Linux connections are spread
    /// over them. See socket(7): SO_REUSEPORT.
    fn set_reuseport(on: bool) = of_flag(NumberOption::ReusePort, on);
    /// Whether several sockets may listen at one address.
    fn reuseport() -> bool = number(Property::Number(NumberOption::ReusePort)), |number| number != 0;
    as "socket.set_reuseport(true)?;", "assert!(socket.reuseport()?);"
}

option! {
    on TcpSocket;
    /// Whether a socket of version 6 has nothing to do with version 4. To be set before it is bound. See ipv6(7):
    /// IPV6_V6ONLY.
    fn set_only_v6(on: bool) = of_flag(NumberOption::OnlyV6, on);
    /// Whether a socket of version 6 has nothing to do with version 4.
    fn only_v6() -> bool = number(Property::Number(NumberOption::OnlyV6)), |number| number != 0;
    as "let socket = annulus::net::TcpSocket::new_v6().await?;",
        "socket.set_only_v6(true)?;",
        "assert!(socket.only_v6()?);"
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// The type of service of packets of version 4: the byte that routers prefer packets by. The two lowest bits are the
    /// system's. See ip(7): IP_TOS.
    fn set_tos_v4(tos: u32) = of_number(NumberOption::TypeOfService, tos);
    /// The type of service of packets of version 4.
    fn tos_v4() -> u32 = number(Property::Number(NumberOption::TypeOfService)), |tos| tos as u32;
    as "socket.set_tos_v4(0x48)?;", "assert_eq!(socket.tos_v4()?, 0x48);"
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// The traffic class of packets of version 6: the byte that routers prefer packets by. The two lowest bits are the
    /// system's. See ipv6(7): IPV6_TCLASS.
    fn set_tclass_v6(class: u32) = of_number(NumberOption::TrafficClass, class);
    /// The traffic class of packets of version 6.
    fn tclass_v6() -> u32 = number(Property::Number(NumberOption::TrafficClass)), |class| class as u32;
    as "if socket.local_addr()?.is_ipv6() {",
        "    socket.set_tclass_v6(0x48)?;",
        "    assert_eq!(socket.tclass_v6()?, 0x48);",
        "}"
}

option! {
    on TcpSocket, TcpStream, TcpListener;
    /// The most bytes that one segment carries; on Linux from 88 to 32767. To be set before the socket connects or listens.
    /// See tcp(7): TCP_MAXSEG.
    fn set_mss(bytes: u32) = of_number(NumberOption::MaxSegment, bytes);
    /// The most bytes that one segment carries.
    fn mss() -> u32 = number(Property::Number(NumberOption::MaxSegment)), |bytes| bytes as u32;
    as "socket.set_mss(1400)?;", "println!(\"{} bytes\", socket.mss()?);"
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
    as "# use std::time::Duration;",
        "socket.set_user_timeout(Some(Duration::from_secs(30)))?;",
        "assert_eq!(socket.user_timeout()?, Some(Duration::from_secs(30)));"
}

option! {
    linux on TcpSocket, TcpStream;
    /// Holds back what does not fill a segment, for at most 200 ms, until this is turned off again: for a header and a body
    /// that are written one after the other. See tcp(7): TCP_CORK.
    fn set_cork(on: bool) = of_flag(NumberOption::Cork, on);
    /// Whether what does not fill a segment is held back.
    fn cork() -> bool = number(Property::Number(NumberOption::Cork)), |number| number != 0;
    as "socket.set_cork(true)?;",
        "assert!(socket.cork()?);",
        "// ... a header, a body ...",
        "socket.set_cork(false)?;"
}

option! {
    linux on TcpSocket, TcpStream;
    /// Acknowledges at once what comes, instead of waiting for something to send along. The system turns it on and off
    /// again by itself as the connection goes on. See tcp(7): TCP_QUICKACK.
    fn set_quickack(on: bool) = of_flag(NumberOption::QuickAck, on);
    /// Whether what comes is acknowledged at once, just now.
    fn quickack() -> bool = number(Property::Number(NumberOption::QuickAck)), |number| number != 0;
    as "socket.set_quickack(true)?;", "println!(\"{}\", socket.quickack()?);"
}

option! {
    linux on TcpSocket, TcpStream, TcpListener;
    /// From how many bytes on that are written and not sent yet the connection does not count as writable; 0 leaves it to
    /// the system. Keeps what is written last from waiting behind much that was written before. See
    /// [the kernel's documentation](https://docs.kernel.org/networking/ip-sysctl.html) of `tcp_notsent_lowat`.
    fn set_notsent_lowat(bytes: u32) = of_number(NumberOption::NotSentLowAt, bytes);
    /// From how many unsent bytes on the connection does not count as writable.
    fn notsent_lowat() -> u32 = number(Property::Number(NumberOption::NotSentLowAt)), |bytes| bytes as u32;
    as "socket.set_notsent_lowat(16 << 10)?;", "assert_eq!(socket.notsent_lowat()?, 16 << 10);"
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
    as "let name = socket.congestion()?;", "socket.set_congestion(&name)?;"
}

option! {
    linux on TcpSocket, TcpStream, TcpListener;
    /// Which processor is to have the packets of this socket: among listeners of one address, a connection goes to the
    /// one whose processor its packets came to. See socket(7): SO_INCOMING_CPU.
    fn set_incoming_cpu(cpu: u32) = of_number(NumberOption::IncomingCpu, cpu);
    /// Which processor had the last packet of this socket. None if none has.
    fn incoming_cpu() -> Option<u32> = number(Property::Number(NumberOption::IncomingCpu)),
        |cpu| (cpu as u32 != u32::MAX).then_some(cpu as u32);
    as "socket.set_incoming_cpu(0)?;", "println!(\"{:?}\", socket.incoming_cpu()?);"
}

option! {
    linux on TcpSocket, TcpStream, TcpListener;
    /// How long, in microseconds, a receive that finds nothing looks for packets itself before it waits: less delay, for
    /// more work of the processor. More than the system's own number needs CAP_NET_ADMIN. See socket(7): SO_BUSY_POLL.
    fn set_busy_poll(microseconds: u32) = of_number(NumberOption::BusyPoll, microseconds);
    /// How long, in microseconds, a receive that finds nothing looks for packets itself.
    fn busy_poll() -> u32 = number(Property::Number(NumberOption::BusyPoll)), |span| span as u32;
    as "if let Err(error) = socket.set_busy_poll(50) {",
        "    println!(\"{error}: this machine permits {} us\", socket.busy_poll()?);",
        "}"
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
    as "# use std::time::Duration;",
        "socket.set_defer_accept(Some(Duration::from_secs(1)))?;",
        "assert!(socket.defer_accept()? >= Some(Duration::from_secs(1)));"
}

option! {
    linux on TcpSocket, TcpListener;
    /// Takes bytes that come with the greeting (TCP Fast Open), from as many greetings at a time as `queue` says; 0 takes
    /// none. The system has to permit it: bit 2 of net.ipv4.tcp_fastopen. Such bytes may come twice: only for requests
    /// that may be made again. See tcp(7): TCP_FASTOPEN.
    fn set_fastopen(queue: u32) = of_number(NumberOption::FastOpen, queue);
    /// From how many greetings at a time bytes are taken.
    fn fastopen() -> u32 = number(Property::Number(NumberOption::FastOpen)), |queue| queue as u32;
    as "socket.set_fastopen(16)?;", "assert_eq!(socket.fastopen()?, 16);"
}

option! {
    linux on TcpSocket;
    /// Sends the first bytes with the greeting (TCP Fast Open), where the server has permitted it before. Connecting then
    /// resolves at once, and the first write does what connecting would; so write before reading. See tcp(7):
    /// TCP_FASTOPEN_CONNECT.
    fn set_fastopen_connect(on: bool) = of_flag(NumberOption::FastOpenConnect, on);
    /// Whether the first bytes are sent with the greeting.
    fn fastopen_connect() -> bool = number(Property::Number(NumberOption::FastOpenConnect)), |number| number != 0;
    as "socket.set_fastopen_connect(true)?;", "assert!(socket.fastopen_connect()?);"
}

option! {
    linux on TcpSocket;
    /// Lets an address be bound that this machine does not have, or not yet. See ip(7): IP_FREEBIND.
    fn set_freebind(on: bool) = of_flag(NumberOption::FreeBind, on);
    /// Whether an address may be bound that this machine does not have.
    fn freebind() -> bool = number(Property::Number(NumberOption::FreeBind)), |number| number != 0;
    as "socket.set_freebind(true)?;", "assert!(socket.freebind()?);"
}

option! {
    linux on TcpSocket;
    /// Lets the socket speak for addresses of other machines, as a transparent proxy does. Needs CAP_NET_ADMIN or
    /// CAP_NET_RAW. See ip(7): IP_TRANSPARENT.
    fn set_transparent(on: bool) = of_flag(NumberOption::Transparent, on);
    /// Whether the socket may speak for addresses of other machines.
    fn transparent() -> bool = number(Property::Number(NumberOption::Transparent)), |number| number != 0;
    as "match socket.set_transparent(true) {",
        "    Ok(()) => assert!(socket.transparent()?),",
        "    Err(error) => println!(\"{error}: this program may not\"),",
        "}"
}

option! {
    linux on TcpSocket;
    /// Only what comes and goes by this network device, for example `b"eth0"`, is the socket's; None is any. See socket(7):
    /// SO_BINDTODEVICE.
    fn bind_device(name: Option<&[u8]>) = Setting::ShortName(NameOption::Device, short(name.unwrap_or_default())?);
    /// By which network device packets come and go, if only by one.
    fn device() -> Option<Vec<u8>> = short_name(Property::ShortName(NameOption::Device)),
        |name| (!name.is_empty()).then_some(name);
    as "socket.bind_device(None)?;", "assert_eq!(socket.device()?, None);"
}

fn of_flag(option: NumberOption, on: bool) -> Setting {
    Setting::Number(option, on.into())
}

/// A number that does not fit is the greatest: it is the system that says what is too much.
pub(super) fn of_number(option: NumberOption, number: u32) -> Setting {
    Setting::Number(option, i32::try_from(number).unwrap_or(i32::MAX))
}

/// In a unit of so many nanoseconds, rounded up: so a span that there is does not become none.
fn in_units(span: Option<Duration>, unit_ns: u128) -> u32 {
    let units = span.unwrap_or_default().as_nanos().div_ceil(unit_ns);
    units.min(i32::MAX as u128) as u32
}

pub(super) fn seconds(span: Option<Duration>) -> u32 {
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
