//! Who waits for connections, and those that wait to be accepted.
//!
//! A question is answered only while there is a place in the queue: a connection that was greeted can wait for as
//! long as the program lets it.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::flow::Content;
use super::{Progress, State, Tcp};
use crate::driver::sim::net::address::{Transport, anywhere, claim};
use crate::driver::sim::net::{Answer, Base, HostId, Moment, Network, Socket, SocketId};

#[derive(Default)]
pub(super) struct Listener {
    backlog: usize,
    /// Connected, and not accepted yet.
    ready: VecDeque<SocketId>,
    /// Greeted, but the last word of the greeting is still on its way.
    greeted: BTreeSet<SocketId>,
}

impl Listener {
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// One more than was asked for, as ever.
    fn is_full(&self) -> bool {
        self.ready.len() + self.greeted.len() > self.backlog
    }
}

impl Network {
    pub(in crate::driver::sim::net) fn listen_tcp(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        backlog: usize,
    ) -> Answer<()> {
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        match &mut tcp.state {
            State::Listening(listener) => {
                listener.backlog = backlog;
                return Ok(());
            }
            State::Closed if tcp.progress == Progress::Unconnected => {}
            _ => return Err(libc::EINVAL),
        }
        let (local, domain) = (tcp.local.filter(|_| tcp.holds_port), tcp.base.domain);
        match local {
            Some(local) if self.somebody_minds(id, local) => return Err(libc::EADDRINUSE),
            Some(_) => {}
            None => {
                let anywhere = SocketAddr::new(anywhere(domain), 0);
                self.hold_port(moment, id, anywhere)?;
            }
        }
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        tcp.state = State::Listening(Listener { backlog, ..Listener::default() });
        moment.wake(id);
        Ok(())
    }

    /// Who listens at an address: the one who named it most exactly.
    pub(super) fn find_listener(
        &self,
        moment: &mut Moment,
        host: HostId,
        at: SocketAddr,
    ) -> Option<SocketId> {
        let mut best = (0, Vec::new());
        for id in self.ports.holders(host, Transport::Tcp, at.port()) {
            let Some(Socket::Tcp(tcp)) = self.sockets.get(&id) else { continue };
            let (true, Some(local)) = (tcp.is_listening(), tcp.local) else { continue };
            let Some(claim) = claim(local.ip(), tcp.base.options.only_v6, at.ip()) else { continue };
            if claim > best.0 {
                best = (claim, Vec::new());
            }
            if claim == best.0 {
                best.1.push(id);
            }
        }
        // Those who share a port share the connections.
        match best.1.len() {
            0 | 1 => best.1.pop(),
            several => Some(best.1[moment.dice.below(several as u64) as usize]),
        }
    }

    /// Makes the socket for one who asks, and greets. None where no place is free.
    pub(super) fn greet(
        &mut self,
        moment: &mut Moment,
        listener: SocketId,
        asker: SocketId,
        at: SocketAddr,
    ) -> Option<SocketId> {
        let Some(Socket::Tcp(asking)) = self.sockets.get(&asker) else { return None };
        let (remote, remote_host, attempt) = (asking.local, asking.base.host, asking.attempt);
        let Some(Socket::Tcp(tcp)) = self.sockets.get(&listener) else { return None };
        let State::Listening(queue) = &tcp.state else { return None };
        if queue.is_full() {
            moment.note("backlog is full", listener, 0);
            return None;
        }
        let host = tcp.base.host;
        let mut greeted = Tcp::new(Base::new(host, tcp.base.domain, tcp.base.options.clone()));
        // A listener that was shut down before it listened has such children.
        greeted.base.shut_read = tcp.base.shut_read;
        greeted.base.shut_write = tcp.base.shut_write;
        greeted.outgoing.patience_ns = tcp.outgoing.patience_ns;
        greeted.state = State::Asked;
        greeted.progress = Progress::Connected;
        greeted.local = Some(at);
        greeted.holds_port = true;
        greeted.transport = Transport::Accepted;
        greeted.remote = remote;
        greeted.remote_host = remote_host;
        greeted.peer = Some(asker);
        greeted.attempt = attempt;
        greeted.parent = Some(listener);
        let id = self.add(Socket::Tcp(Box::new(greeted)));
        self.ports.take(host, Transport::Accepted, at.port(), id);
        if let Some(State::Listening(queue)) = self.tcp(listener).map(|tcp| &mut tcp.state) {
            queue.greeted.insert(id);
        }
        self.send_segment(moment, id, Content::Greeting);
        Some(id)
    }

    /// A greeting is complete: the connection can be accepted.
    pub(super) fn becomes_ready(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        tcp.state = State::Open;
        let (parent, was_shut) = (tcp.parent, tcp.base.shut_write);
        if was_shut {
            self.send_end(moment, id);
        }
        let Some(parent) = parent else { return };
        if let Some(State::Listening(queue)) = self.tcp(parent).map(|tcp| &mut tcp.state) {
            queue.greeted.remove(&id);
            queue.ready.push_back(id);
            moment.wake(parent);
        }
    }

    pub(super) fn leave_listener(&mut self, parent: Option<SocketId>, id: SocketId) {
        let Some(tcp) = parent.and_then(|parent| self.tcp(parent)) else { return };
        if let State::Listening(queue) = &mut tcp.state {
            queue.greeted.remove(&id);
            queue.ready.retain(|ready| *ready != id);
        }
    }

    pub(in crate::driver::sim::net) fn accept_tcp(
        &mut self,
        _moment: &mut Moment,
        id: SocketId,
    ) -> Answer<SocketId> {
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        let State::Listening(queue) = &mut tcp.state else { return Err(libc::EINVAL) };
        let accepted = queue.ready.pop_front().ok_or(libc::EAGAIN)?;
        if let Some(tcp) = self.tcp(accepted) {
            tcp.parent = None;
        }
        Ok(accepted)
    }

    /// Nobody will accept those who wait: they are reset.
    pub(super) fn stop_listening(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        let State::Listening(queue) = std::mem::replace(&mut tcp.state, State::Closed) else { return };
        for ready in queue.ready {
            self.abort(moment, ready);
        }
        // To those it is as if nobody had ever known them.
        for greeted in queue.greeted {
            self.remove(greeted);
        }
        if let Some(tcp) = self.tcp(id) {
            tcp.base.shut_read = false;
            tcp.base.shut_write = false;
        }
        self.leave_port(id);
        moment.wake(id);
    }
}
