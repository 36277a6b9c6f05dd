//! TCP: connections between hosts, and who waits for them.
//!
//! A connection is two sockets, each of which keeps what it has sent until the other has it ([`flow`]). They know
//! each other by number, and trust nobody else: what comes to a socket that does not know the sender is answered by
//! a reset. `state` is what the kernel calls the state of the `sock`, `progress` what `connect` was told.

mod asking;
mod connection;
mod cut;
mod flow;
mod listener;

use std::collections::VecDeque;
use std::net::SocketAddr;

use self::flow::Flow;
use self::listener::Listener;
use super::HALF_HANG_UP;
use super::address::{Transport, anywhere, claim, shaped};
use super::calendar::Entry;
use super::socket::internet;
use super::{Address, Answer, Base, HostId, Moment, Network, Received, SocketId};

/// How far a socket is.
enum State {
    /// Fresh, or over: whatever was received can still be read.
    Closed,
    Listening(Listener),
    /// It asks for a connection (SYN_SENT).
    Asking,
    /// It was made for somebody who asked, and waits for the last word of the greeting (SYN_RECV).
    Asked,
    /// Connected, and not ended in both directions.
    Open,
}

/// What the program knows of its `connect`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unconnected,
    Connecting,
    Connected,
    /// It was shut down before it asked again, and will never learn (SS_DISCONNECTING).
    Broken,
}

pub(super) struct Tcp {
    pub(super) base: Base,
    state: State,
    progress: Progress,
    local: Option<SocketAddr>,
    /// The port was asked for: it is kept when a connection is over.
    is_bound: bool,
    /// The name stays when the port is given back.
    holds_port: bool,
    /// How it is entered there.
    transport: Transport,
    remote: Option<SocketAddr>,
    remote_host: HostId,
    /// The other end. None until it has answered.
    peer: Option<SocketId>,
    /// How often this socket has asked for a connection; and in a socket that was made for one who asked, the
    /// number that came with the question.
    attempt: u32,
    /// How many questions of this attempt have left, and when the next one does.
    questions: u32,
    asks_again: Option<Entry>,
    /// Who listens, until the connection was accepted.
    parent: Option<SocketId>,
    received: VecDeque<u8>,
    /// The peer said that nothing comes after what was received (FIN).
    is_finished: bool,
    outgoing: Flow,
    /// Its owner has closed it: it only delivers what it has.
    is_orphan: bool,
    forgetting: Option<Entry>,
}

impl Tcp {
    pub(super) fn new(base: Base) -> Tcp {
        Tcp {
            remote_host: base.host,
            base,
            state: State::Closed,
            progress: Progress::Unconnected,
            local: None,
            is_bound: false,
            holds_port: false,
            transport: Transport::Tcp,
            remote: None,
            peer: None,
            attempt: 0,
            questions: 0,
            asks_again: None,
            parent: None,
            received: VecDeque::new(),
            is_finished: false,
            outgoing: Flow::default(),
            is_orphan: false,
            forgetting: None,
        }
    }

    pub(super) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    pub(super) fn has_port(&self) -> bool {
        self.holds_port
    }

    /// For how long what it sends may be lost.
    pub(super) fn set_patience(&mut self, milliseconds: Option<u64>) {
        self.outgoing.patience_ns = milliseconds.map(|count| count * 1_000_000);
    }

    /// It has neither listened nor connected.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_over() && self.progress == Progress::Unconnected
    }

    pub(super) fn local_or_none(&self) -> SocketAddr {
        self.local.unwrap_or(SocketAddr::new(anywhere(self.base.domain), 0))
    }

    pub(super) fn peer_name(&self) -> Answer<Address> {
        match (&self.state, self.remote) {
            (State::Open | State::Asked, Some(remote)) => Ok(shaped(self.base.domain, remote)),
            _ => Err(libc::ENOTCONN),
        }
    }

    /// As `tcp_poll` of the kernel has it, branch by branch.
    pub(super) fn readiness(&self) -> i16 {
        let base = &self.base;
        let mut bits = 0;
        match &self.state {
            State::Listening(listener) => return if listener.is_ready() { libc::POLLIN } else { 0 },
            State::Closed => bits |= libc::POLLHUP,
            _ if base.shut_read && base.shut_write => bits |= libc::POLLHUP,
            _ => {}
        }
        if base.shut_read {
            bits |= libc::POLLIN | HALF_HANG_UP;
        }
        if !matches!(self.state, State::Asking | State::Asked) {
            if !self.received.is_empty() {
                bits |= libc::POLLIN;
            }
            if base.shut_write || self.is_writable() {
                bits |= libc::POLLOUT;
            }
        }
        if base.error.is_some() {
            bits |= libc::POLLERR;
        }
        bits
    }

    /// There is room, and not only a little: a third of all.
    fn is_writable(&self) -> bool {
        self.outgoing.bytes() + self.outgoing.bytes() / 2 <= self.base.options.stream_send_max()
    }

    /// There is no connection, or none any more.
    fn is_over(&self) -> bool {
        matches!(self.state, State::Closed)
    }
}

impl Network {
    pub(super) fn bind_tcp(&mut self, moment: &mut Moment, id: SocketId, address: &Address) -> Answer<()> {
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        let (host, domain) = (tcp.base.host, tcp.base.domain);
        let is_free = tcp.is_over() && !tcp.holds_port;
        let only_v6 = tcp.base.options.only_v6;
        let address = internet(domain, address)?;
        if only_v6 && address.is_ipv4() {
            return Err(libc::EINVAL);
        }
        let anywhere = address.ip().is_unspecified() || tcp.base.options.binds_freely();
        if !anywhere && !self.host(host).has(address.ip()) {
            return Err(libc::EADDRNOTAVAIL);
        }
        if !is_free {
            return Err(libc::EINVAL);
        }
        self.hold_port(moment, id, address)?;
        if let Some(tcp) = self.tcp(id) {
            tcp.is_bound = true;
        }
        Ok(())
    }

    /// Gives the socket a port: a certain one, if nobody minds, or any.
    fn hold_port(&mut self, moment: &mut Moment, id: SocketId, mut address: SocketAddr) -> Answer<()> {
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        let host = tcp.base.host;
        if address.port() == 0 {
            let port = self.ports.free(moment.dice, host, Transport::Tcp).ok_or(libc::EADDRINUSE)?;
            address.set_port(port);
        } else if self.somebody_minds(id, address) {
            return Err(libc::EADDRINUSE);
        }
        self.ports.take(host, Transport::Tcp, address.port(), id);
        if let Some(tcp) = self.tcp(id) {
            tcp.local = Some(address);
            tcp.holds_port = true;
            tcp.transport = Transport::Tcp;
        }
        Ok(())
    }

    /// Whether a holder of the port objects to another. Those who allow reuse object only when they listen.
    fn somebody_minds(&self, id: SocketId, address: SocketAddr) -> bool {
        let Ok(super::Socket::Tcp(own)) = self.known(id) else { return true };
        let (ip, options) = (address.ip(), &own.base.options);
        self.ports.tcp_holders(own.base.host, address.port()).filter(|other| *other != id).any(|other| {
            let Ok(super::Socket::Tcp(other)) = self.known(other) else { return false };
            let Some(theirs) = other.local.map(|local| local.ip()) else { return false };
            let overlap = claim(ip, options.only_v6, theirs).is_some()
                || claim(theirs, other.base.options.only_v6, ip).is_some();
            let reuse = options.reuse_address && other.base.options.reuse_address;
            let share = options.reuse_port && other.base.options.reuse_port;
            overlap && !share && (!reuse || other.is_listening())
        })
    }

    /// A connection that is over gives its port back, unless the program asked for it.
    fn leave_port(&mut self, id: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        if tcp.is_bound || !std::mem::take(&mut tcp.holds_port) {
            return;
        }
        let (host, transport, local) = (tcp.base.host, tcp.transport, tcp.local_or_none());
        self.ports.give_back(host, transport, local.port(), id);
    }

    pub(super) fn shutdown_tcp(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        read: bool,
        write: bool,
    ) -> Answer<()> {
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        match tcp.state {
            State::Listening(_) => {
                if read {
                    self.stop_listening(moment, id);
                }
                return Ok(());
            }
            State::Asking => {
                self.stop_asking(moment, id, libc::ECONNRESET);
                return Ok(());
            }
            State::Closed => {
                tcp.base.shut_read |= read;
                tcp.base.shut_write |= write;
                if tcp.progress == Progress::Connecting {
                    tcp.progress = Progress::Broken;
                }
                moment.wake(id);
                return Err(libc::ENOTCONN);
            }
            State::Asked | State::Open => tcp.progress = Progress::Connected,
        }
        tcp.base.shut_read |= read;
        let ends = write && !tcp.base.shut_write;
        tcp.base.shut_write |= write;
        moment.wake(id);
        if ends {
            self.send_end(moment, id);
        }
        Ok(())
    }

    pub(super) fn close_tcp(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        match tcp.state {
            State::Listening(_) => {
                self.stop_listening(moment, id);
                self.remove(id);
            }
            // Whoever greets a socket that is gone is answered by a reset.
            State::Closed | State::Asking => self.remove(id),
            State::Asked | State::Open => {
                let rude = tcp.base.options.linger_seconds == Some(0);
                if rude || !tcp.received.is_empty() {
                    return self.abort(moment, id);
                }
                tcp.is_orphan = true;
                tcp.base.shut_read = true;
                let ends = !tcp.base.shut_write;
                tcp.base.shut_write = true;
                if ends {
                    self.send_end(moment, id);
                }
                self.settle(moment, id);
            }
        }
    }

    pub(super) fn receive_tcp(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        length: usize,
        peek: bool,
    ) -> Answer<Received> {
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        if tcp.is_listening() {
            return Err(libc::ENOTCONN);
        }
        if tcp.received.is_empty() {
            // A clean end is told for ever, and an error once: then it is an end too.
            if tcp.is_finished {
                return Ok(Received::default());
            }
            tcp.base.take_error()?;
            return match tcp.state {
                _ if tcp.base.shut_read => Ok(Received::default()),
                State::Closed => Err(libc::ENOTCONN),
                _ => Err(libc::EAGAIN),
            };
        }
        let length = length.min(tcp.received.len());
        let bytes: Vec<u8> = if peek {
            tcp.received.iter().take(length).copied().collect()
        } else {
            tcp.received.drain(..length).collect()
        };
        if !peek {
            self.open_window(moment, id);
        }
        Ok(Received::bytes(bytes))
    }

    pub(super) fn send_tcp(&mut self, moment: &mut Moment, id: SocketId, bytes: &[u8]) -> Answer<usize> {
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        match tcp.state {
            State::Asking | State::Asked => {
                tcp.base.take_error()?;
                return Err(libc::EAGAIN);
            }
            State::Open if !tcp.base.shut_write => {}
            _ => {
                tcp.base.take_error()?;
                return Err(libc::EPIPE);
            }
        }
        let room = tcp.base.options.stream_send_max().saturating_sub(tcp.outgoing.bytes());
        if room == 0 && !bytes.is_empty() {
            return Err(libc::EAGAIN);
        }
        let bytes = &bytes[..bytes.len().min(room)];
        self.send_bytes(moment, id, bytes);
        Ok(bytes.len())
    }

    /// What a TCP socket leaves when it is removed: a port, and entries in the calendar.
    pub(super) fn forget_tcp(&mut self, id: SocketId, tcp: Tcp) {
        if tcp.holds_port {
            self.ports.give_back(tcp.base.host, tcp.transport, tcp.local_or_none().port(), id);
        }
        for entry in [tcp.asks_again, tcp.forgetting, tcp.outgoing.entry()] {
            self.calendar.strike(entry);
        }
    }
}
