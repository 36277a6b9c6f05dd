//! The calls of a program: each looks at what kind of socket it is given, and asks the one who knows.

use std::net::SocketAddr;

use super::SOCKET_FLAGS;
use super::address::{plain, shaped};
use super::pipe::Pipe;
use super::tcp::Tcp;
use super::udp::Udp;
use super::unix::Unix;
use super::{Address, Answer, Base, HostId, Moment, Network, Options, Received, Socket, SocketId};
use crate::sys::control::Facts;

/// `IPPROTO_MAX`.
const PROTOCOL_END: i32 = 263;

impl Socket {
    pub(super) fn host(&self) -> HostId {
        self.base().map_or_else(
            || match self {
                Socket::Pipe(pipe) => pipe.host,
                _ => unreachable!("all but pipes have a base"),
            },
            |base| base.host,
        )
    }

    pub(super) fn base(&self) -> Option<&Base> {
        match self {
            Socket::Tcp(tcp) => Some(&tcp.base),
            Socket::Udp(udp) => Some(&udp.base),
            Socket::Unix(unix) => Some(&unix.base),
            Socket::Pipe(_) => None,
        }
    }

    fn base_mut(&mut self) -> Option<&mut Base> {
        match self {
            Socket::Tcp(tcp) => Some(&mut tcp.base),
            Socket::Udp(udp) => Some(&mut udp.base),
            Socket::Unix(unix) => Some(&mut unix.base),
            Socket::Pipe(_) => None,
        }
    }
}

/// The plain form of an address that a socket of this family can use.
pub(super) fn internet(domain: i32, address: &Address) -> Answer<SocketAddr> {
    match address {
        Address::Internet(address) if address.is_ipv6() == (domain == libc::AF_INET6) => Ok(plain(*address)),
        // Too short to be one of the longer ones.
        Address::Internet(_) if domain == libc::AF_INET6 => Err(libc::EINVAL),
        _ => Err(libc::EAFNOSUPPORT),
    }
}

impl Network {
    pub(crate) fn socket(&mut self, host: HostId, domain: i32, kind: i32, protocol: i32) -> Answer<SocketId> {
        let kind = kind & !SOCKET_FLAGS;
        let socket = match domain {
            libc::AF_INET | libc::AF_INET6 => match (kind, protocol) {
                (_, protocol) if !(0..PROTOCOL_END).contains(&protocol) => return Err(libc::EINVAL),
                (libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => {
                    Socket::Tcp(Box::new(Tcp::new(Base::new(host, domain, Options::new(true)))))
                }
                (libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => {
                    Socket::Udp(Udp::new(Base::new(host, domain, Options::new(false))))
                }
                (libc::SOCK_STREAM | libc::SOCK_DGRAM, _) => return Err(libc::EPROTONOSUPPORT),
                (0..=10, _) => return Err(libc::ESOCKTNOSUPPORT),
                _ => return Err(libc::EINVAL),
            },
            libc::AF_UNIX => match (kind, protocol) {
                _ if !(0..=10).contains(&kind) => return Err(libc::EINVAL),
                (_, protocol) if protocol != 0 && protocol != libc::PF_UNIX => {
                    return Err(libc::EPROTONOSUPPORT);
                }
                (libc::SOCK_STREAM | libc::SOCK_SEQPACKET | libc::SOCK_DGRAM, _) => {
                    Socket::Unix(Unix::new(Base::new(host, domain, Options::new(false)), kind))
                }
                // A raw Unix socket is one of datagrams.
                (libc::SOCK_RAW, _) => {
                    Socket::Unix(Unix::new(Base::new(host, domain, Options::new(false)), libc::SOCK_DGRAM))
                }
                _ => return Err(libc::ESOCKTNOSUPPORT),
            },
            _ => return Err(libc::EAFNOSUPPORT),
        };
        Ok(self.add(socket))
    }

    pub(crate) fn bind(&mut self, moment: &mut Moment, id: SocketId, address: &Address) -> Answer<()> {
        match self.known(id)? {
            Socket::Tcp(_) => self.bind_tcp(moment, id, address),
            Socket::Udp(_) => self.bind_udp(moment, id, address),
            Socket::Unix(_) => self.bind_unix(moment, id, address),
            Socket::Pipe(_) => Err(libc::ENOTSOCK),
        }
    }

    pub(crate) fn listen(&mut self, moment: &mut Moment, id: SocketId, backlog: i32) -> Answer<()> {
        // A negative one is the greatest; the kernel keeps to `net.core.somaxconn`.
        let backlog = usize::try_from(backlog).unwrap_or(usize::MAX).min(4096);
        match self.known(id)? {
            Socket::Tcp(_) => self.listen_tcp(moment, id, backlog),
            Socket::Udp(_) => Err(libc::EOPNOTSUPP),
            Socket::Unix(_) => self.listen_unix(moment, id, backlog),
            Socket::Pipe(_) => Err(libc::ENOTSOCK),
        }
    }

    /// `EAGAIN` while it is under way: asked again after the socket was woken, it says what became of it.
    pub(crate) fn connect(&mut self, moment: &mut Moment, id: SocketId, address: &Address) -> Answer<()> {
        match self.known(id)? {
            Socket::Tcp(_) => self.connect_tcp(moment, id, address),
            Socket::Udp(_) => self.connect_udp(moment, id, address),
            Socket::Unix(_) => self.connect_unix(moment, id, address),
            Socket::Pipe(_) => Err(libc::ENOTSOCK),
        }
    }

    pub(crate) fn accept(&mut self, moment: &mut Moment, id: SocketId) -> Answer<SocketId> {
        match self.known(id)? {
            Socket::Tcp(_) => self.accept_tcp(moment, id),
            Socket::Udp(_) => Err(libc::EOPNOTSUPP),
            Socket::Unix(_) => self.accept_unix(moment, id),
            Socket::Pipe(_) => Err(libc::ENOTSOCK),
        }
    }

    pub(crate) fn shutdown(&mut self, moment: &mut Moment, id: SocketId, how: i32) -> Answer<()> {
        let (read, write) = match how {
            libc::SHUT_RD => (true, false),
            libc::SHUT_WR => (false, true),
            libc::SHUT_RDWR => (true, true),
            _ => return Err(libc::EINVAL),
        };
        match self.known(id)? {
            Socket::Tcp(_) => self.shutdown_tcp(moment, id, read, write),
            Socket::Udp(_) => self.shutdown_udp(moment, id, read, write),
            Socket::Unix(_) => self.shutdown_unix(moment, id, read, write),
            Socket::Pipe(_) => Err(libc::ENOTSOCK),
        }
    }

    pub(crate) fn close(&mut self, moment: &mut Moment, id: SocketId) -> Answer<()> {
        match self.known(id)? {
            Socket::Tcp(_) => self.close_tcp(moment, id),
            Socket::Udp(_) => self.remove(id),
            Socket::Unix(_) => self.close_unix(moment, id),
            Socket::Pipe(_) => self.close_pipe(moment, id),
        }
        Ok(())
    }

    /// Of the flags only `MSG_PEEK` means something here. No bytes at all: a stream has ended.
    pub(crate) fn receive(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        length: usize,
        flags: i32,
    ) -> Answer<Received> {
        let peek = flags & libc::MSG_PEEK != 0;
        match self.known(id)? {
            Socket::Tcp(_) => self.receive_tcp(moment, id, length, peek),
            Socket::Udp(_) => self.receive_udp(id, length, peek),
            Socket::Unix(_) => self.receive_unix(moment, id, length, peek),
            Socket::Pipe(_) => self.read_pipe(moment, id, length),
        }
    }

    #[cfg(test)]
    pub(crate) fn send(&mut self, moment: &mut Moment, id: SocketId, bytes: &[u8]) -> Answer<usize> {
        self.send_to(moment, id, bytes, None)
    }

    #[cfg(test)]
    pub(crate) fn send_to(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        bytes: &[u8],
        to: Option<&Address>,
    ) -> Answer<usize> {
        self.send_with(moment, id, bytes, to, Facts::default())
    }

    pub(crate) fn send_with(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        bytes: &[u8],
        to: Option<&Address>,
        facts: Facts,
    ) -> Answer<usize> {
        match self.known(id)? {
            // A connection does not look at the address.
            Socket::Tcp(_) => self.send_tcp(moment, id, bytes),
            Socket::Udp(_) => self.send_udp(moment, id, bytes, to, facts),
            Socket::Unix(_) => self.send_unix(moment, id, bytes, to),
            Socket::Pipe(_) => self.write_pipe(moment, id, bytes),
        }
    }

    /// The bits of `poll(2)`. A socket that is not there has `POLLNVAL`.
    pub(crate) fn readiness(&self, id: SocketId) -> i16 {
        match self.sockets.get(&id) {
            Some(Socket::Tcp(tcp)) => tcp.readiness(),
            Some(Socket::Udp(udp)) => udp.readiness(),
            Some(Socket::Unix(unix)) => self.readiness_unix(id, unix),
            Some(Socket::Pipe(pipe)) => self.readiness_pipe(pipe),
            None => libc::POLLNVAL,
        }
    }

    pub(crate) fn local_name(&self, id: SocketId) -> Answer<Address> {
        match self.known(id)? {
            Socket::Tcp(tcp) => Ok(shaped(tcp.base.domain, tcp.local_or_none())),
            Socket::Udp(udp) => Ok(shaped(udp.base.domain, udp.local_or_none())),
            Socket::Unix(unix) => Ok(Address::Unix(unix.name.clone())),
            Socket::Pipe(_) => Err(libc::ENOTSOCK),
        }
    }

    pub(crate) fn peer_name(&self, id: SocketId) -> Answer<Address> {
        match self.known(id)? {
            Socket::Tcp(tcp) => tcp.peer_name(),
            Socket::Udp(udp) => {
                udp.remote.map(|remote| shaped(udp.base.domain, remote)).ok_or(libc::ENOTCONN)
            }
            Socket::Unix(unix) => self.peer_name_unix(unix),
            Socket::Pipe(_) => Err(libc::ENOTSOCK),
        }
    }

    pub(crate) fn options(&self, id: SocketId) -> Answer<&Options> {
        self.known(id)?.base().map(|base| &base.options).ok_or(libc::ENOTSOCK)
    }

    pub(crate) fn options_mut(&mut self, id: SocketId) -> Answer<&mut Options> {
        self.known_mut(id)?.base_mut().map(|base| &mut base.options).ok_or(libc::ENOTSOCK)
    }

    /// `SO_ERROR`: zero, or the error, which is then told.
    pub(crate) fn take_error(&mut self, id: SocketId) -> Answer<i32> {
        let base = self.known_mut(id)?.base_mut().ok_or(libc::ENOTSOCK)?;
        Ok(base.error.take().unwrap_or(0))
    }

    /// `SO_DOMAIN` and `SO_TYPE`. None for a pipe, on which `recv` and `send` are not allowed.
    pub(crate) fn domain_and_kind(&self, id: SocketId) -> Answer<Option<(i32, i32)>> {
        Ok(match self.known(id)? {
            Socket::Tcp(tcp) => Some((tcp.base.domain, libc::SOCK_STREAM)),
            Socket::Udp(udp) => Some((udp.base.domain, libc::SOCK_DGRAM)),
            Socket::Unix(unix) => Some((unix.base.domain, unix.kind)),
            Socket::Pipe(_) => None,
        })
    }

    pub(super) fn known(&self, id: SocketId) -> Answer<&Socket> {
        self.sockets.get(&id).ok_or(libc::EBADF)
    }

    fn known_mut(&mut self, id: SocketId) -> Answer<&mut Socket> {
        self.sockets.get_mut(&id).ok_or(libc::EBADF)
    }

    pub(super) fn tcp(&mut self, id: SocketId) -> Option<&mut Tcp> {
        match self.sockets.get_mut(&id) {
            Some(Socket::Tcp(tcp)) => Some(tcp),
            _ => None,
        }
    }

    pub(super) fn udp(&mut self, id: SocketId) -> Option<&mut Udp> {
        match self.sockets.get_mut(&id) {
            Some(Socket::Udp(udp)) => Some(udp),
            _ => None,
        }
    }

    pub(super) fn unix(&mut self, id: SocketId) -> Option<&mut Unix> {
        match self.sockets.get_mut(&id) {
            Some(Socket::Unix(unix)) => Some(unix),
            _ => None,
        }
    }

    pub(super) fn end(&mut self, id: SocketId) -> Option<&mut Pipe> {
        match self.sockets.get_mut(&id) {
            Some(Socket::Pipe(pipe)) => Some(pipe),
            _ => None,
        }
    }
}
