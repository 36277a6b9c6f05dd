//! Calls on a descriptor that answer at once: binding, listening, names, options.
//!
//! They go through the driver, because only the driver knows what its numbers mean.

use std::io;
use std::net::{IpAddr, Shutdown};
use std::time::Duration;

use socket2::SockAddr;

#[cfg(feature = "sim")]
use super::Faults;
use super::number::{NameOption, NumberOption, ShortName};
use super::packets::{Device, Multicast, PacketOption};
use crate::sys;
use crate::sys::peer::{PeerCredentials, peer_credentials};
use crate::sys::socket::with_socket;
use crate::sys::splice;

/// What is asked of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Control<'a> {
    /// bind(2)
    Bind(&'a SockAddr),
    /// listen(2), with the length of the queue of connections that wait to be accepted.
    Listen(i32),
    /// shutdown(2) of what is sent.
    EndSending,
    /// getsockname(2)
    LocalName,
    /// getpeername(2)
    PeerName,
    /// setsockopt(2)
    Set(Setting),
    /// getsockopt(2)
    Get(Property),
    /// socketpair(2), of Unix sockets of this type. Of no descriptor.
    Pair(i32),
    /// SO_PEERCRED or its like: who connected, or listens.
    PeerCredentials,
    /// The addresses of a host, by its name. Of no descriptor.
    #[cfg_attr(not(feature = "sim"), allow(dead_code, reason = "only a simulated world knows names at once"))]
    Resolve(&'a str),
    /// A pipe, if it can be had of at least so many bytes. Of no descriptor.
    Pipe(usize),
    /// Bytes that are in a pipe.
    TakeOut(usize),
    /// What may go wrong with the descriptor, in a simulation.
    #[cfg(feature = "sim")]
    Plan(&'a Faults),
}

/// An option of a socket, with its new value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Setting {
    Nodelay(bool),
    Keepalive(bool),
    ReuseAddress(bool),
    Linger(Option<Duration>),
    /// Time to live, or hop limit, of the packets sent.
    Ttl(u32),
    ReceiveBuffer(usize),
    SendBuffer(usize),
    Number(NumberOption, i32),
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has options that are names"))]
    ShortName(NameOption, ShortName),
    Packet(PacketOption, u32),
    Multicast(Multicast),
    Device(Device),
}

/// An option of a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Property {
    Nodelay,
    Keepalive,
    Linger,
    Ttl,
    ReceiveBuffer,
    SendBuffer,
    Number(NumberOption),
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has options that are names"))]
    ShortName(NameOption),
    Packet(PacketOption),
    /// The error that waits to be told, which is thereby taken.
    Error,
}

/// What was answered.
#[derive(Debug)]
pub(crate) enum Reply {
    Done,
    Name(SockAddr),
    /// Two numbers, which are the caller's.
    Pair([i32; 2]),
    PeerCredentials(PeerCredentials),
    Flag(bool),
    Number(u64),
    Span(Option<Duration>),
    ShortName(Vec<u8>),
    Error(Option<io::Error>),
    /// None where the question is the resolver's, which takes its time.
    Addresses(Option<Vec<IpAddr>>),
    /// The ends to read from and to write to, and how many bytes the pipe holds.
    Pipe {
        ends: [i32; 2],
        room: usize,
    },
    Bytes(Vec<u8>),
}

/// The answers of the operating system.
pub(super) fn of_the_system(number: i32, control: Control<'_>) -> io::Result<Reply> {
    match control {
        Control::Resolve(_) => return Ok(Reply::Addresses(None)),
        Control::Pair(kind) => return crate::sys::socket::pair(kind).map(Reply::Pair),
        Control::Pipe(bytes) => return splice::pipe(bytes).map(|(ends, room)| Reply::Pipe { ends, room }),
        Control::TakeOut(bytes) => return splice::take_out(number, bytes).map(Reply::Bytes),
        _ => {}
    }
    with_socket(number, |socket| {
        Ok(match control {
            Control::Bind(address) => {
                socket.bind(address)?;
                Reply::Done
            }
            Control::Listen(backlog) => {
                socket.listen(backlog)?;
                Reply::Done
            }
            Control::Resolve(_) | Control::Pair(_) | Control::Pipe(_) | Control::TakeOut(_) => {
                unreachable!("answered above")
            }
            Control::PeerCredentials => Reply::PeerCredentials(peer_credentials(&socket)?),
            #[cfg(feature = "sim")]
            Control::Plan(_) => return Err(no_plan()),
            Control::EndSending => {
                socket.shutdown(Shutdown::Write)?;
                Reply::Done
            }
            Control::LocalName => Reply::Name(socket.local_addr()?),
            Control::PeerName => Reply::Name(socket.peer_addr()?),
            Control::Set(setting) => {
                set(number, &socket, setting)?;
                Reply::Done
            }
            Control::Get(property) => match property {
                Property::Nodelay => Reply::Flag(socket.tcp_nodelay()?),
                Property::Keepalive => Reply::Flag(socket.keepalive()?),
                Property::Linger => Reply::Span(socket.linger()?),
                Property::Ttl if is_v6(&socket)? => Reply::Number(u64::from(socket.unicast_hops_v6()?)),
                Property::Ttl => Reply::Number(u64::from(socket.ttl_v4()?)),
                Property::ReceiveBuffer => Reply::Number(socket.recv_buffer_size()? as u64),
                Property::SendBuffer => Reply::Number(socket.send_buffer_size()? as u64),
                Property::Number(option) => {
                    // As the bits of an `int`: none of the options that there are is negative, but for "none".
                    Reply::Number(u64::from(sys::option::number(number, option.place())? as u32))
                }
                Property::ShortName(option) => Reply::ShortName(sys::option::name(number, option.place())?),
                Property::Packet(option) => Reply::Number(option.get(&socket)?.into()),
                Property::Error => Reply::Error(socket.take_error()?),
            },
        })
    })
}

fn set(number: i32, socket: &socket2::Socket, setting: Setting) -> io::Result<()> {
    match setting {
        Setting::Number(option, value) => sys::option::set_number(number, option.place(), value),
        Setting::ShortName(option, name) => sys::option::set_name(number, option.place(), name.bytes()),
        Setting::Nodelay(on) => socket.set_tcp_nodelay(on),
        Setting::Keepalive(on) => socket.set_keepalive(on),
        Setting::ReuseAddress(on) => socket.set_reuse_address(on),
        Setting::Linger(span) => socket.set_linger(span),
        Setting::Ttl(hops) if is_v6(socket)? => socket.set_unicast_hops_v6(hops),
        Setting::Ttl(hops) => socket.set_ttl_v4(hops),
        Setting::ReceiveBuffer(bytes) => socket.set_recv_buffer_size(bytes),
        Setting::SendBuffer(bytes) => socket.set_send_buffer_size(bytes),
        Setting::Packet(option, value) => option.set(socket, value),
        Setting::Multicast(multicast) => multicast.set(socket),
        Setting::Device(device) => device.set(socket),
    }
}

#[cfg(feature = "sim")]
fn no_plan() -> io::Error {
    let text = "a real kernel makes no faults on purpose: only Driver::Sim and the hosts of a sim::World do";
    io::Error::new(io::ErrorKind::Unsupported, text)
}

fn is_v6(socket: &socket2::Socket) -> io::Result<bool> {
    Ok(socket.local_addr()?.is_ipv6())
}
