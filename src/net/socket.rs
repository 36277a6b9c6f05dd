//! What sockets of all kinds share: being made, being asked.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use socket2::{Domain, SockAddr, Type};

#[cfg(feature = "sim")]
use crate::driver::Faults;
use crate::driver::{Control, Descriptor, Property, Reply, Setting};
use crate::engine::current_port;
use crate::op::{Socket, Submitted};
use crate::sys::peer::PeerCredentials;

/// A TCP socket of the address' family.
pub(super) async fn tcp(address: &SocketAddr) -> io::Result<Descriptor> {
    tcp_of(Domain::for_address(*address)).await
}

/// A TCP socket of that family.
pub(super) async fn tcp_of(domain: Domain) -> io::Result<Descriptor> {
    Submitted::new(Socket::new(current_port(), domain.into(), Type::STREAM.into(), 0)).await
}

fn control(socket: &Descriptor, control: Control<'_>) -> io::Result<Reply> {
    socket.port().control(socket.number(), control)
}

pub(super) fn bind(socket: &Descriptor, address: SocketAddr) -> io::Result<()> {
    let told = |error: io::Error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one"
            }
            io::ErrorKind::AddrInUse => "another socket has it: choose another port, or end its owner",
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has it",
            _ => return error,
        };
        io::Error::new(error.kind(), format!("{address}: {error}; {remedy}"))
    };
    control(socket, Control::Bind(&SockAddr::from(address))).map(drop).map_err(told)
}

/// Binds to a name that the caller can say better.
pub(super) fn bind_name(socket: &Descriptor, name: &SockAddr) -> io::Result<()> {
    control(socket, Control::Bind(name)).map(drop)
}

/// Two Unix sockets that are connected.
pub(super) fn pair(kind: i32) -> io::Result<(Descriptor, Descriptor)> {
    let port = current_port();
    match port.control(-1, Control::Pair(kind))? {
        Reply::Pair([one, other]) => Ok((Descriptor::new(one, &port), Descriptor::new(other, &port))),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

/// Who connected to a Unix socket, or listened where it is connected to.
pub(super) fn peer_credentials(socket: &Descriptor) -> io::Result<PeerCredentials> {
    match control(socket, Control::PeerCredentials)? {
        Reply::PeerCredentials(credentials) => Ok(credentials),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

pub(super) fn listen(socket: &Descriptor, backlog: u32) -> io::Result<()> {
    let listening = control(socket, Control::Listen(i32::try_from(backlog).unwrap_or(i32::MAX))).map(drop);
    listening.map_err(|error| match (error.kind(), local_name(socket).ok().and_then(|name| name.as_socket())) {
        (io::ErrorKind::AddrInUse, Some(address)) => {
            let remedy = "another socket listens there: choose another port, or have both say set_reuseport before";
            io::Error::new(error.kind(), format!("{address}: {error}; {remedy}"))
        }
        _ => error,
    })
}

pub(super) fn end_sending(socket: &Descriptor) -> io::Result<()> {
    control(socket, Control::EndSending).map(drop)
}

pub(super) fn set(socket: &Descriptor, setting: Setting) -> io::Result<()> {
    control(socket, Control::Set(setting)).map(drop)
}

#[cfg(feature = "sim")]
pub(super) fn plan_faults(socket: &Descriptor, faults: &Faults) -> io::Result<()> {
    control(socket, Control::Plan(faults)).map(drop)
}

pub(super) fn local_name(socket: &Descriptor) -> io::Result<SockAddr> {
    name(control(socket, Control::LocalName)?)
}

pub(super) fn peer_name(socket: &Descriptor) -> io::Result<SockAddr> {
    if let Some(peer) = socket.peer() {
        return Ok(peer.clone());
    }
    name(control(socket, Control::PeerName)?)
}

fn name(reply: Reply) -> io::Result<SockAddr> {
    match reply {
        Reply::Name(name) => Ok(name),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

pub(super) fn flag(socket: &Descriptor, property: Property) -> io::Result<bool> {
    match control(socket, Control::Get(property))? {
        Reply::Flag(on) => Ok(on),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

pub(super) fn number(socket: &Descriptor, property: Property) -> io::Result<u64> {
    match control(socket, Control::Get(property))? {
        Reply::Number(number) => Ok(number),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has options that are names"))]
pub(super) fn short_name(socket: &Descriptor, property: Property) -> io::Result<Vec<u8>> {
    match control(socket, Control::Get(property))? {
        Reply::ShortName(name) => Ok(name),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

pub(super) fn span(socket: &Descriptor, property: Property) -> io::Result<Option<Duration>> {
    match control(socket, Control::Get(property))? {
        Reply::Span(span) => Ok(span),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

pub(super) fn take_error(socket: &Descriptor) -> io::Result<Option<io::Error>> {
    match control(socket, Control::Get(Property::Error))? {
        Reply::Error(error) => Ok(error),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

/// As shutdown(2) wants it.
pub(super) fn how(how: Shutdown) -> i32 {
    match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    }
}

fn unexpected(reply: &str) -> io::Error {
    io::Error::other(format!("the driver's answer does not fit the question: {reply}"))
}
