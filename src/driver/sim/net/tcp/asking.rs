//! The one who asks for a connection: until there is a greeting, a refusal, or no hope.

use std::net::SocketAddr;

use super::connection::HEADER_SIZE;
use super::flow::{Content, GREETING_TIMEOUT_NS};
use super::{Progress, State};
use crate::driver::sim::net::calendar::Event;
use crate::driver::sim::net::socket::internet;
use crate::driver::sim::net::{Address, Answer, Moment, Network, Socket, SocketId};

/// `tcp_syn_linear_timeouts` and `tcp_syn_retries`: the question leaves at 0, 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67
/// seconds, and there is no hope at 131.
const QUESTIONS_IN_STEP: u32 = 4;
const QUESTIONS_MAX: u32 = 11;

impl Network {
    pub(in crate::driver::sim::net) fn connect_tcp(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        address: &Address,
    ) -> Answer<()> {
        let tcp = self.tcp(id).ok_or(libc::EBADF)?;
        match (tcp.progress, &tcp.state) {
            (Progress::Connected, _) => return Err(libc::EISCONN),
            (Progress::Broken, _) => return Err(libc::EINVAL),
            (Progress::Connecting, State::Asking) => return Err(libc::EAGAIN),
            (Progress::Connecting, State::Closed) => {
                // It failed: who asks is told once, and may begin anew.
                let error = tcp.base.error.take().unwrap_or(libc::ECONNABORTED);
                tcp.progress = Progress::Unconnected;
                tcp.base.shut_read = false;
                tcp.base.shut_write = false;
                tcp.is_finished = false;
                tcp.remote = None;
                tcp.peer = None;
                return Err(error);
            }
            (Progress::Connecting, _) => {
                tcp.progress = Progress::Connected;
                return Ok(());
            }
            (Progress::Unconnected, State::Closed) => {}
            (Progress::Unconnected, _) => return Err(libc::EISCONN),
        }
        let (host, domain, bound) = (tcp.base.host, tcp.base.domain, tcp.local);
        let bound = bound.filter(|_| tcp.holds_port);
        let only_v6 = tcp.base.options.only_v6;
        let to = internet(domain, address)?;
        if only_v6 && to.is_ipv4() {
            return Err(libc::ENETUNREACH);
        }
        let (there, source, to) = self.route_of(host, bound, to)?;
        if bound.is_some_and(|bound| self.is_connected(id, SocketAddr::new(source, bound.port()), to)) {
            return Err(libc::EADDRNOTAVAIL);
        }
        if bound.is_none() {
            // The kernel says so, and not that an address is in use: there is none left.
            let none = SocketAddr::new(source, 0);
            self.hold_port(moment, id, none).map_err(|_| libc::EADDRNOTAVAIL)?;
        }
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return Err(libc::EBADF) };
        if let Some(local) = &mut tcp.local {
            local.set_ip(source);
        }
        tcp.remote = Some(to);
        tcp.remote_host = there;
        tcp.peer = None;
        tcp.state = State::Asking;
        tcp.progress = Progress::Connecting;
        tcp.attempt += 1;
        tcp.questions = 0;
        tcp.base.error = None;
        tcp.received.clear();
        tcp.outgoing.clear(&mut self.calendar);
        self.ask(moment, id);
        Err(libc::EAGAIN)
    }

    /// Whether another socket has a connection of the same two names.
    fn is_connected(&self, id: SocketId, local: SocketAddr, remote: SocketAddr) -> bool {
        let Some(Socket::Tcp(own)) = self.sockets.get(&id) else { return false };
        self.ports.tcp_holders(own.base.host, local.port()).filter(|other| *other != id).any(|other| {
            match self.sockets.get(&other) {
                Some(Socket::Tcp(tcp)) => {
                    !tcp.is_over() && tcp.local == Some(local) && tcp.remote == Some(remote)
                }
                _ => false,
            }
        })
    }

    /// Sends the question, and enters when it is sent again.
    pub(in crate::driver::sim::net) fn ask(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        let (from, to, attempt, questions) = (tcp.base.host, tcp.remote_host, tcp.attempt, tcp.questions);
        tcp.asks_again = None;
        if questions == QUESTIONS_MAX {
            moment.note("timed out", id, 0);
            return self.tear(moment, id, libc::ETIMEDOUT);
        }
        let arrival = self.links.arrival(moment, from, to, HEADER_SIZE);
        self.calendar.enter(arrival, Event::AskArrives { from: id, attempt });
        let wait_ns = GREETING_TIMEOUT_NS << questions.saturating_sub(QUESTIONS_IN_STEP);
        let again = self.calendar.enter(moment.now.saturating_add(wait_ns), Event::AskLeaves(id));
        if let Some(tcp) = self.tcp(id) {
            tcp.questions += 1;
            tcp.asks_again = Some(again);
        }
    }

    /// A question is there, or is lost.
    pub(in crate::driver::sim::net) fn asked(&mut self, moment: &mut Moment, asker: SocketId, attempt: u32) {
        let Some(tcp) = self.tcp(asker) else { return };
        let (from, there, Some(at)) = (tcp.base.host, tcp.remote_host, tcp.remote) else { return };
        if !matches!(tcp.state, State::Asking) || tcp.attempt != attempt {
            return;
        }
        let known = tcp.peer;
        if self.loses(moment, from, there) {
            return moment.note("lost", asker, 0);
        }
        // Asked again, though the greeting is on its way.
        if known.is_some_and(|greeted| self.sockets.contains_key(&greeted)) {
            return;
        }
        if from == there && self.tcp(asker).is_some_and(|tcp| tcp.local == Some(at)) {
            return self.meets_itself(moment, asker);
        }
        let Some(listener) = self.find_listener(moment, there, at) else {
            return self.answer_by_reset(moment, there, from, Event::Refusal { to: asker, attempt });
        };
        let greeted = self.greet(moment, listener, asker, at);
        if let Some(tcp) = self.tcp(asker) {
            tcp.peer = greeted;
        }
    }

    /// Who asks at the own address is answered by the one who asks: such a connection is its own peer.
    fn meets_itself(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        tcp.state = State::Open;
        tcp.peer = Some(id);
        self.calendar.strike(tcp.asks_again.take());
        if tcp.base.shut_write {
            self.send_end(moment, id);
        }
        moment.wake(id);
    }

    /// A greeting arrives: the second part at who asked, or the third at who was asked.
    pub(super) fn greeted(&mut self, moment: &mut Moment, from: SocketId, id: SocketId) {
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        match tcp.state {
            State::Asking => {
                tcp.state = State::Open;
                tcp.peer = Some(from);
                self.calendar.strike(tcp.asks_again.take());
                self.send_segment(moment, id, Content::Greeting);
            }
            State::Asked => self.becomes_ready(moment, id),
            _ => {}
        }
    }

    pub(in crate::driver::sim::net) fn refused(&mut self, moment: &mut Moment, id: SocketId, attempt: u32) {
        let Some(tcp) = self.tcp(id) else { return };
        if !matches!(tcp.state, State::Asking) || tcp.attempt != attempt {
            return;
        }
        let (own, there) = (tcp.base.host, tcp.remote_host);
        if self.loses(moment, there, own) {
            return moment.note("lost", id, 0);
        }
        moment.note("refused", id, 0);
        self.tear(moment, id, libc::ECONNREFUSED);
    }

    /// `shutdown` while it asks: the one who waits for the connection is told.
    pub(super) fn stop_asking(&mut self, moment: &mut Moment, id: SocketId, error: i32) {
        self.tear(moment, id, error);
        if let Some(tcp) = self.tcp(id) {
            tcp.base.shut_read = false;
            tcp.base.shut_write = false;
        }
    }
}
