//! Calls on sockets. Nothing here raises SIGPIPE, and nothing here blocks: what would is -EAGAIN.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::{TRANSFER_MAX, answer, borrow, negated};

/// "Do not wait, whatever the descriptor says", and no SIGPIPE where the call can say so.
#[cfg(not(target_vendor = "apple"))]
pub(super) const QUIET: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
/// Apple's calls cannot say it; `socket` below sets SO_NOSIGPIPE instead.
#[cfg(target_vendor = "apple")]
pub(super) const QUIET: i32 = libc::MSG_DONTWAIT;

/// socket(2): close-on-exec and non-blocking.
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32) -> i32 {
    let protocol = (protocol != 0).then(|| Protocol::from(protocol));
    match Socket::new(Domain::from(domain), Type::from(kind), protocol) {
        Ok(socket) => owned(socket),
        Err(error) => negated(Err(error)),
    }
}

/// socketpair(2), of Unix sockets: both close-on-exec and non-blocking.
pub(crate) fn pair(kind: i32) -> io::Result<[RawFd; 2]> {
    let (one, other) = Socket::pair(Domain::UNIX, Type::from(kind), None)?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok([one.into_raw_fd(), other.into_raw_fd()])
}

/// accept(2): the accepted socket is close-on-exec and non-blocking.
pub(crate) fn accept(fd: RawFd) -> i32 {
    // SAFETY: the operation that asks holds the descriptor open (I4).
    let listener = unsafe { borrow(fd) };
    match SockRef::from(&listener).accept() {
        Ok((socket, _)) => owned(socket),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_shut(fd) => -libc::EINVAL,
        Err(error) => negated(Err(error)),
    }
}

/// Whether a listener that has no connection will never have one. Of one that is shut down a waiting accept(2) says
/// EINVAL; but on Linux a Unix listener's says EAGAIN to those that do not wait, while poll(2) says that it is readable,
/// so who believes both asks for ever.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_shut(fd: RawFd) -> bool {
    let ready = super::poll_now(fd, libc::POLLRDHUP);
    ready > 0 && ready & i32::from(libc::POLLRDHUP) != 0
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_shut(_: RawFd) -> bool {
    false
}

fn owned(socket: Socket) -> i32 {
    match socket.set_nonblocking(true) {
        Ok(()) => socket.into_raw_fd(),
        Err(error) => negated(Err(error)),
    }
}

/// connect(2), asked once or again: -EAGAIN while it is under way, then what became of it.
pub(crate) fn connect(fd: RawFd, address: &SockAddr) -> i32 {
    // SAFETY: the operation that asks holds the descriptor open (I4).
    let borrowed = unsafe { borrow(fd) };
    let socket = SockRef::from(&borrowed);
    // Linux tells the outcome of an attempt under way to the next connect(2), and not before that is the socket fit for
    // another attempt. Elsewhere it is kept as the socket's error, and asking takes it away.
    if cfg!(not(target_os = "linux")) {
        match socket.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return negated(Err(error)),
        }
    }
    match socket.connect(address) {
        Ok(()) => 0,
        Err(error) => match error.raw_os_error() {
            // On Linux it is an error: an attempt that succeeded says 0 the next time.
            Some(libc::EISCONN) if cfg!(not(target_os = "linux")) => 0,
            Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR) => -libc::EAGAIN,
            _ => negated(Err(error)),
        },
    }
}

/// recv(2).
///
/// # Safety
/// `length` bytes from `pointer` may be written until the call returns.
pub(crate) unsafe fn recv(fd: RawFd, pointer: *mut u8, length: usize, flags: i32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::recv(fd, pointer.cast(), length.min(TRANSFER_MAX), flags | libc::MSG_DONTWAIT) })
}

/// send(2).
///
/// # Safety
/// `length` bytes from `pointer` may be read until the call returns.
pub(crate) unsafe fn send(fd: RawFd, pointer: *const u8, length: usize, flags: i32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::send(fd, pointer.cast(), length.min(TRANSFER_MAX), flags | QUIET) })
}

/// recvmsg(2) of bytes alone: no address, no control data.
///
/// # Safety
/// `vectors` points to `count` entries, each of memory that may be written until the call returns.
pub(crate) unsafe fn receive_vectored(fd: RawFd, vectors: *mut libc::iovec, count: u32) -> i32 {
    let mut header = message(vectors, count);
    // SAFETY: the header lives on this stack for the time of the call; the rest is the caller's promise.
    answer(unsafe { libc::recvmsg(fd, &mut header, libc::MSG_DONTWAIT) })
}

/// sendmsg(2) of bytes alone: no address, no control data.
///
/// # Safety
/// `vectors` points to `count` entries, each of memory that may be read until the call returns.
pub(crate) unsafe fn send_vectored(fd: RawFd, vectors: *mut libc::iovec, count: u32) -> i32 {
    let header = message(vectors, count);
    // SAFETY: the header lives on this stack for the time of the call; the rest is the caller's promise.
    answer(unsafe { libc::sendmsg(fd, &header, QUIET) })
}

/// A message header around an array of buffers, and nothing else.
#[allow(clippy::unnecessary_cast, reason = "the width of the count differs from one system to the next")]
pub(crate) fn message(vectors: *mut libc::iovec, count: u32) -> libc::msghdr {
    // SAFETY: plain numbers and pointers: all zeroes is a value, "nothing".
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vectors;
    header.msg_iovlen = count as _;
    header
}

/// shutdown(2); `how` is SHUT_RD, SHUT_WR or SHUT_RDWR.
pub(crate) fn shutdown(fd: RawFd, how: i32) -> i32 {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::shutdown(fd, how) } as isize)
}

/// An option or a name of a socket, by way of `socket2`.
pub(crate) fn with_socket<T>(fd: RawFd, ask: impl FnOnce(SockRef<'_>) -> io::Result<T>) -> io::Result<T> {
    // SAFETY: the handle that asks holds the descriptor open (I4).
    let borrowed = unsafe { borrow(fd) };
    debug_assert!(borrowed.as_raw_fd() >= 0);
    ask(SockRef::from(&borrowed))
}

/// Sets an option that is a number: its level and name.
pub(crate) fn set_number(socket: &Socket, (level, name): (i32, i32), value: i32) -> io::Result<()> {
    set(socket, level, name, &value)
}

/// setsockopt(2).
fn set<T: Copy>(socket: &Socket, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is read for the time of the call.
    let answer =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const *value).cast(), length) };
    super::checked(super::answer(answer as isize)).map(drop)
}

/// getsockopt(2), of an option that is a number.
pub(crate) fn number(socket: &Socket, (level, name): (i32, i32)) -> io::Result<i32> {
    let mut value = 0i32;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: both are written to for the time of the call.
    let answer = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length)
    };
    super::checked(super::answer(answer as isize))?;
    // Some are a byte.
    Ok(if length == 1 { i32::from(value.to_ne_bytes()[0]) } else { value })
}

/// IP_MULTICAST_IF, by the interface's index.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn set_multicast_out(socket: &Socket, index: u32) -> io::Result<()> {
    let nothing = libc::in_addr { s_addr: 0 };
    let asked = libc::ip_mreqn { imr_multiaddr: nothing, imr_address: nothing, imr_ifindex: index as i32 };
    set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &asked)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn set_multicast_out(_: &Socket, _: u32) -> io::Result<()> {
    let text = "IPv4 names an interface by its address here, and not by its index";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP: of a group only what one source sends.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn set_source(
    socket: &Socket,
    index: u32,
    group: std::net::IpAddr,
    source: std::net::IpAddr,
    join: bool,
) -> io::Result<()> {
    let storage = |ip: std::net::IpAddr| {
        let name = SockAddr::from(std::net::SocketAddr::new(ip, 0));
        // SAFETY: plain bytes, of the one size that a storage has.
        unsafe { name.as_ptr().cast::<libc::sockaddr_storage>().read() }
    };
    /// group_source_req, which libc names from 0.2.190 on only.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Asked {
        interface: u32,
        group: libc::sockaddr_storage,
        source: libc::sockaddr_storage,
    }
    // SAFETY: plain numbers: all zeroes is a value.
    let mut asked: Asked = unsafe { std::mem::zeroed() };
    (asked.interface, asked.group, asked.source) = (index, storage(group), storage(source));
    let level = if group.is_ipv4() { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
    let name = if join { libc::MCAST_JOIN_SOURCE_GROUP } else { libc::MCAST_LEAVE_SOURCE_GROUP };
    set(socket, level, name, &asked)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn set_source(
    _: &Socket,
    _: u32,
    _: std::net::IpAddr,
    _: std::net::IpAddr,
    _: bool,
) -> io::Result<()> {
    let text = "a source of a group is joined here by the address of an IPv4 interface only";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}
