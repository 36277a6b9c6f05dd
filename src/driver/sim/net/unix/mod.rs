//! Unix sockets: streams, datagrams and packets within a host. What is sent is in the peer's queue at once, and
//! takes room of the sender's buffer until it is read.
//!
//! A connection is there when `connect` returns: whoever connects makes the socket that will be accepted.

mod message;
mod name;

use std::collections::{BTreeSet, VecDeque};

use self::message::Message;
pub(super) use self::name::Names;
use super::HALF_HANG_UP;
use super::{Address, Answer, Base, HostId, Moment, Network, Options, Socket, SocketId, UnixName};

/// `net.unix.max_dgram_qlen`: one more datagram may wait.
const DATAGRAMS_MAX: usize = 10;

enum State {
    Fresh,
    Listening { backlog: usize, ready: VecDeque<SocketId> },
    Connected,
}

pub(super) struct Unix {
    pub(super) base: Base,
    pub(super) kind: i32,
    pub(super) name: UnixName,
    state: State,
    peer: Option<SocketId>,
    /// The name of a peer that may be gone.
    peer_name: UnixName,
    received: VecDeque<Message>,
    /// What the messages take that it has sent and nobody has read.
    held: usize,
    /// Who waits for room in the queue of this one, and must be woken when there is some.
    waiting: BTreeSet<SocketId>,
}

impl Unix {
    pub(super) fn new(base: Base, kind: i32) -> Unix {
        Unix {
            base,
            kind,
            name: UnixName::Unnamed,
            state: State::Fresh,
            peer: None,
            peer_name: UnixName::Unnamed,
            received: VecDeque::new(),
            held: 0,
            waiting: BTreeSet::new(),
        }
    }

    pub(super) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening { .. })
    }

    fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    /// Connections that wait to be accepted, or datagrams of others than the peer.
    fn is_full(&self) -> bool {
        match &self.state {
            State::Listening { backlog, ready } => ready.len() > *backlog,
            _ => self.received.len() > DATAGRAMS_MAX,
        }
    }
}

impl Network {
    /// `socketpair(2)`: two that are connected.
    pub(crate) fn pair(&mut self, host: HostId, kind: i32) -> Answer<(SocketId, SocketId)> {
        let one = self.socket(host, libc::AF_UNIX, kind, 0)?;
        let other = self.socket(host, libc::AF_UNIX, kind, 0)?;
        for (id, peer) in [(one, other), (other, one)] {
            if let Some(unix) = self.unix(id) {
                unix.state = State::Connected;
                unix.peer = Some(peer);
            }
        }
        Ok((one, other))
    }

    pub(super) fn listen_unix(&mut self, moment: &mut Moment, id: SocketId, backlog: usize) -> Answer<()> {
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        if unix.kind == libc::SOCK_DGRAM {
            return Err(libc::EOPNOTSUPP);
        }
        if unix.name == UnixName::Unnamed {
            return Err(libc::EINVAL);
        }
        match &mut unix.state {
            State::Fresh => unix.state = State::Listening { backlog, ready: VecDeque::new() },
            State::Listening { backlog: before, .. } => *before = backlog,
            State::Connected => return Err(libc::EINVAL),
        }
        moment.wake(id);
        self.wake_waiting(moment, id);
        Ok(())
    }

    pub(super) fn connect_unix(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        address: &Address,
    ) -> Answer<()> {
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        let (host, kind) = (unix.base.host, unix.kind);
        let found = self.find_unix(host, kind, address)?;
        if kind == libc::SOCK_DGRAM {
            return self.connect_datagrams(moment, id, found);
        }
        let listener = self.unix(found).ok_or(libc::ECONNREFUSED)?;
        if !listener.is_listening() || listener.base.shut_read {
            return Err(libc::ECONNREFUSED);
        }
        let is_full = listener.is_full();
        let name = listener.name.clone();
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        match unix.state {
            _ if is_full => {
                if let Some(listener) = self.unix(found) {
                    listener.waiting.insert(id);
                }
                return Err(libc::EAGAIN);
            }
            State::Connected => return Err(libc::EISCONN),
            State::Listening { .. } => return Err(libc::EINVAL),
            State::Fresh => {}
        }
        let mut made = Unix::new(Base::new(host, libc::AF_UNIX, Options::new(false)), kind);
        made.name = name.clone();
        made.state = State::Connected;
        made.peer = Some(id);
        let made = self.add(Socket::Unix(made));
        if let Some(unix) = self.unix(id) {
            unix.state = State::Connected;
            unix.peer = Some(made);
            unix.peer_name = name;
        }
        if let Some(State::Listening { ready, .. }) = self.unix(found).map(|listener| &mut listener.state) {
            ready.push_back(made);
        }
        moment.wake(found);
        moment.wake(id);
        Ok(())
    }

    fn connect_datagrams(&mut self, moment: &mut Moment, id: SocketId, found: SocketId) -> Answer<()> {
        let Some(other) = self.unix(found) else { return Err(libc::ECONNREFUSED) };
        if other.peer.is_some_and(|peer| peer != id) {
            return Err(libc::EPERM);
        }
        let name = other.name.clone();
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        let before = unix.peer.replace(found);
        unix.peer_name = name;
        unix.state = State::Connected;
        if let Some(before) = before.filter(|before| *before != found) {
            self.part(moment, id, before);
        }
        moment.wake(id);
        Ok(())
    }

    /// What was received from a peer is lost with it; and it learns that, if it still thinks of this one as its own.
    fn part(&mut self, moment: &mut Moment, id: SocketId, before: SocketId) {
        let has_messages = self.unix(id).is_some_and(|unix| !unix.received.is_empty());
        self.lose_messages(moment, id);
        if let Some(unix) = self.unix(before).filter(|unix| has_messages && unix.peer == Some(id)) {
            unix.base.error = Some(libc::ECONNRESET);
            moment.wake(before);
        }
    }

    pub(super) fn accept_unix(&mut self, moment: &mut Moment, id: SocketId) -> Answer<SocketId> {
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        if unix.kind == libc::SOCK_DGRAM {
            return Err(libc::EOPNOTSUPP);
        }
        let shut = unix.base.shut_read;
        let State::Listening { ready, .. } = &mut unix.state else { return Err(libc::EINVAL) };
        // What a blocking `accept` answers once the listener was shut down.
        let accepted = ready.pop_front().ok_or(if shut { libc::EINVAL } else { libc::EAGAIN })?;
        self.wake_waiting(moment, id);
        Ok(accepted)
    }

    pub(super) fn shutdown_unix(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        read: bool,
        write: bool,
    ) -> Answer<()> {
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        unix.base.shut_read |= read;
        unix.base.shut_write |= write;
        let peer = unix.peer.filter(|_| unix.kind != libc::SOCK_DGRAM);
        moment.wake(id);
        self.wake_waiting(moment, id);
        if let Some((peer, unix)) = peer.and_then(|peer| Some((peer, self.unix(peer)?))) {
            unix.base.shut_read |= write;
            unix.base.shut_write |= read;
            moment.wake(peer);
        }
        Ok(())
    }

    pub(super) fn close_unix(&mut self, moment: &mut Moment, id: SocketId) {
        self.leave_unix(moment, id, false);
    }

    /// `unaccepted`: nobody ever had it, and its peer learns that as if something were unread.
    fn leave_unix(&mut self, moment: &mut Moment, id: SocketId, unaccepted: bool) {
        let Some(unix) = self.unix(id) else { return };
        let rude = unaccepted || !unix.received.is_empty();
        let (peer, kind, name) = (unix.peer, unix.kind, unix.name.clone());
        let ready = match &mut unix.state {
            State::Listening { ready, .. } => std::mem::take(ready),
            _ => VecDeque::new(),
        };
        for ready in ready {
            self.leave_unix(moment, ready, true);
        }
        self.lose_messages(moment, id);
        self.wake_waiting(moment, id);
        if let Some((peer, unix)) = peer.and_then(|peer| Some((peer, self.unix(peer)?))) {
            if kind != libc::SOCK_DGRAM {
                unix.base.shut_read = true;
                unix.base.shut_write = true;
                unix.peer_name = name;
                if rude {
                    unix.base.error = Some(libc::ECONNRESET);
                }
            }
            moment.wake(peer);
        }
        self.remove(id);
    }

    pub(super) fn peer_name_unix(&self, unix: &Unix) -> Answer<Address> {
        let peer = unix.peer.ok_or(libc::ENOTCONN)?;
        Ok(Address::Unix(match self.sockets.get(&peer) {
            Some(Socket::Unix(peer)) => peer.name.clone(),
            _ => unix.peer_name.clone(),
        }))
    }

    /// As `unix_poll` and `unix_dgram_poll` of the kernel.
    pub(super) fn readiness_unix(&self, id: SocketId, unix: &Unix) -> i16 {
        let base = &unix.base;
        let mut bits = 0;
        if base.error.is_some() {
            bits |= libc::POLLERR;
        }
        if base.shut_read && base.shut_write {
            bits |= libc::POLLHUP;
        }
        if base.shut_read {
            bits |= libc::POLLIN | HALF_HANG_UP;
        }
        let has_ready = matches!(&unix.state, State::Listening { ready, .. } if !ready.is_empty());
        if has_ready || !unix.received.is_empty() {
            bits |= libc::POLLIN;
        }
        if unix.kind != libc::SOCK_DGRAM && matches!(unix.state, State::Fresh) {
            bits |= libc::POLLHUP;
        }
        let peer = unix.peer.and_then(|peer| self.sockets.get(&peer));
        let is_blocked = unix.kind == libc::SOCK_DGRAM
            && matches!(peer, Some(Socket::Unix(peer)) if peer.peer != Some(id) && peer.is_full());
        if !unix.is_listening() && unix.held * 4 <= base.options.send_size() && !is_blocked {
            bits |= libc::POLLOUT;
        }
        bits
    }

    /// Somebody who found no room may try again, and a listener that is gone be asked in vain.
    fn wake_waiting(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(unix) = self.unix(id) else { return };
        for waiting in std::mem::take(&mut unix.waiting) {
            moment.wake(waiting);
        }
    }
}
