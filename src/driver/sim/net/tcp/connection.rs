//! How a connection lives: segments arrive, windows open, and it ends, cleanly or by a reset.

use super::flow::{Content, GREETING_RETRIES, RETRIES, SEGMENT_MAX};
use super::{State, Tcp};
use crate::driver::sim::net::calendar::Event;
use crate::driver::sim::net::{HostId, Moment, Network, Socket, SocketId};

/// What a reset, or any small packet, takes of a bandwidth.
pub(super) const HEADER_SIZE: usize = 54;
/// `tcp_fin_timeout`: how long a closed socket waits for the other end to close too.
const FORGETTING_NS: u64 = 60_000_000_000;

/// Whom a segment found.
enum Found {
    /// Nobody who knows the connection.
    Stranger,
    /// One who takes it.
    Peer,
    /// A socket whose owner has closed it or reads no more: what comes ends the connection.
    Deaf,
}

impl Network {
    pub(super) fn send_bytes(&mut self, moment: &mut Moment, id: SocketId, bytes: &[u8]) {
        for piece in bytes.chunks(SEGMENT_MAX) {
            self.send_segment(moment, id, Content::Bytes(piece.to_vec()));
        }
    }

    pub(super) fn send_end(&mut self, moment: &mut Moment, id: SocketId) {
        self.send_segment(moment, id, Content::End);
    }

    pub(super) fn send_segment(&mut self, moment: &mut Moment, id: SocketId, content: Content) {
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        let size = HEADER_SIZE + if let Content::Bytes(bytes) = &content { bytes.len() } else { 0 };
        let arrival = self.links.arrival(moment, tcp.base.host, tcp.remote_host, size);
        tcp.outgoing.send(&mut self.calendar, id, arrival, content);
    }

    /// The first segment of a socket is there, or is lost.
    pub(in crate::driver::sim::net) fn deliver(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        tcp.outgoing.entry_is_due();
        let (from, to, Some(peer)) = (tcp.base.host, tcp.remote_host, tcp.peer) else { return };
        let retries = if matches!(tcp.state, State::Asked) { GREETING_RETRIES } else { RETRIES };
        let gives_up = !matches!(tcp.state, State::Asked) && tcp.outgoing.is_out_of_patience(moment.now);
        if tcp.outgoing.losses() > retries || gives_up {
            moment.note("timed out", id, 0);
            return self.tear(moment, id, libc::ETIMEDOUT);
        }
        if self.loses(moment, from, to) {
            return self.segment_is_lost(moment, id);
        }
        match self.find_peer(id, peer) {
            Found::Peer => self.hand_over(moment, id, peer),
            Found::Stranger => self.turn_away(moment, id, peer),
            Found::Deaf => {
                self.take_off(moment, id, peer, usize::MAX);
                let orphan = self.tcp(peer).is_some_and(|deaf| deaf.is_orphan);
                if orphan {
                    self.abort(moment, peer);
                } else {
                    // It learns from itself that the connection is over.
                    self.answer_by_reset(moment, to, from, Event::Reset { to: id, from: peer });
                    self.tear(moment, peer, libc::ECONNRESET);
                }
            }
        }
    }

    fn find_peer(&mut self, id: SocketId, peer: SocketId) -> Found {
        let Some(tcp) = self.tcp(id) else { return Found::Stranger };
        let attempt = tcp.attempt;
        let content = match tcp.outgoing.first().map(|first| &first.content) {
            Some(Content::Bytes(_)) => Some(true),
            Some(_) => Some(false),
            None => None,
        };
        match self.tcp(peer) {
            // It has had everything, and only its acknowledgement is missing: a socket that is gone said so before.
            _ if content.is_none() => Found::Peer,
            Some(tcp) if matches!(tcp.state, State::Asking) && tcp.attempt == attempt => Found::Peer,
            Some(tcp) if tcp.peer != Some(id) || tcp.is_over() => Found::Stranger,
            Some(tcp) if content == Some(true) && tcp.is_deaf() => Found::Deaf,
            Some(_) => Found::Peer,
            None => Found::Stranger,
        }
    }

    /// The peer takes what it has room for.
    fn hand_over(&mut self, moment: &mut Moment, id: SocketId, peer: SocketId) {
        let room = self.tcp(peer).map_or(0, |peer| peer.room());
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        let is_aborted = tcp.is_over();
        let mut taken = 0;
        match tcp.outgoing.first().map(|first| &mut first.content) {
            Some(Content::Bytes(_)) if room == 0 && is_aborted => {
                tcp.outgoing.give_up_all_but_reset();
                return tcp.outgoing.proceed(&mut self.calendar, id, moment.now);
            }
            Some(Content::Bytes(_)) if room == 0 => return tcp.outgoing.stall(&mut self.calendar),
            Some(Content::Bytes(bytes)) => {
                taken = bytes.len().min(room);
                let bytes = bytes[..taken].to_vec();
                if let Some(peer) = self.tcp(peer) {
                    peer.received.extend(bytes);
                }
            }
            Some(Content::Greeting) => self.greeted(moment, id, peer),
            Some(Content::End) => {
                if let Some(peer) = self.tcp(peer) {
                    peer.is_finished = true;
                    peer.base.shut_read = true;
                }
            }
            Some(Content::Reset) => {
                self.remove(id);
                return self.reset_arrives(moment, peer, id);
            }
            None => {}
        }
        moment.note("delivered", peer, taken);
        moment.wake(peer);
        self.take_off(moment, id, peer, taken);
        self.settle(moment, peer);
        self.settle(moment, id);
    }

    /// The peer has the first segment, or some of it: what the sender learns, and what comes next.
    fn take_off(&mut self, moment: &mut Moment, id: SocketId, peer: SocketId, taken: usize) {
        let Some(tcp) = self.tcp(id) else { return };
        let (from, to) = (tcp.base.host, tcp.remote_host);
        let heard = self.links.way(to, from).up && self.host(from).up;
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        let taken = match tcp.outgoing.first().map(|first| &first.content) {
            Some(Content::Bytes(bytes)) => taken.min(bytes.len()),
            _ => 0,
        };
        let had_something = tcp.outgoing.first().is_some();
        if had_something {
            tcp.outgoing.delivered(taken);
        }
        if heard {
            tcp.outgoing.acknowledged();
        } else {
            moment.note("acknowledgement lost", peer, taken);
        }
        tcp.outgoing.proceed(&mut self.calendar, id, moment.now);
        moment.wake(id);
    }

    /// Nobody knows the connection. The reset that says so may be lost too: so it is also sent again.
    fn turn_away(&mut self, moment: &mut Moment, id: SocketId, peer: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        let (from, to) = (tcp.base.host, tcp.remote_host);
        let first = tcp.outgoing.first().map(|first| &first.content);
        if matches!(first, None | Some(Content::Reset)) {
            return self.remove(id);
        }
        self.answer_by_reset(moment, to, from, Event::Reset { to: id, from: peer });
        self.segment_is_lost(moment, id);
    }

    pub(super) fn answer_by_reset(&mut self, moment: &mut Moment, from: HostId, to: HostId, event: Event) {
        let arrival = self.links.arrival(moment, from, to, HEADER_SIZE);
        self.calendar.enter(arrival, event);
    }

    fn segment_is_lost(&mut self, moment: &mut Moment, id: SocketId) {
        moment.note("lost", id, 0);
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        if !tcp.is_over() {
            return tcp.outgoing.retry(&mut self.calendar, id, moment.now);
        }
        // It was aborted: nobody is left who would send again.
        let was_reset =
            matches!(tcp.outgoing.first().map(|first| &first.content), Some(Content::Reset) | None);
        if was_reset {
            return self.remove(id);
        }
        tcp.outgoing.give_up_all_but_reset();
        tcp.outgoing.proceed(&mut self.calendar, id, moment.now);
    }

    /// The program has read: a peer who waits for room hears of it, once it is worth it.
    pub(super) fn open_window(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        let (from, to, Some(peer)) = (tcp.base.host, tcp.remote_host, tcp.peer) else { return };
        let half = tcp.base.options.stream_receive_max() / 2;
        let worth_it = tcp.room() >= half.max(1);
        let waits = self.tcp(peer).is_some_and(|peer| peer.peer == Some(id) && peer.outgoing.is_stalled());
        if !worth_it || !waits {
            return;
        }
        let heard = self.links.arrival(moment, from, to, HEADER_SIZE);
        let back = self.links.arrival(moment, to, from, HEADER_SIZE) - moment.now;
        let Some(Socket::Tcp(peer_tcp)) = self.sockets.get_mut(&peer) else { return };
        peer_tcp.outgoing.enter(&mut self.calendar, peer, heard.saturating_add(back));
    }

    /// Whoever waits for room on this host asks whether it is still there: nobody there will say so.
    pub(in crate::driver::sim::net) fn prod_senders_to(&mut self, moment: &mut Moment, host: HostId) {
        for (id, socket) in &mut self.sockets {
            let Socket::Tcp(tcp) = socket else { continue };
            if tcp.remote_host == host && tcp.outgoing.is_stalled() {
                tcp.outgoing.retry(&mut self.calendar, *id, moment.now);
            }
        }
    }

    /// The owner closes in a way that loses something: what is on its way still arrives, and a reset behind it.
    pub(super) fn abort(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        if tcp.peer.is_none() || tcp.is_over() {
            return self.remove(id);
        }
        tcp.is_orphan = true;
        tcp.state = State::Closed;
        tcp.received.clear();
        self.calendar.strike(tcp.forgetting.take());
        if tcp.outgoing.is_stalled() || tcp.outgoing.losses() > 0 {
            tcp.outgoing.give_up_all_but_reset();
        }
        self.send_segment(moment, id, Content::Reset);
    }

    /// Somebody who knows no such connection has answered.
    pub(in crate::driver::sim::net) fn answer_arrives(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        from: SocketId,
    ) {
        let Some(tcp) = self.tcp(id) else { return };
        let (own, there) = (tcp.base.host, tcp.remote_host);
        if self.loses(moment, there, own) {
            return moment.note("lost", id, 0);
        }
        self.reset_arrives(moment, id, from);
    }

    fn reset_arrives(&mut self, moment: &mut Moment, id: SocketId, from: SocketId) {
        let Some(tcp) = self.tcp(id) else { return };
        if tcp.peer != Some(from) {
            return;
        }
        let left_half = tcp.is_finished && !tcp.outgoing.is_ended();
        let error = if left_half { libc::EPIPE } else { libc::ECONNRESET };
        moment.note("reset", id, 0);
        self.tear(moment, id, error);
    }

    /// The connection is over, and nobody is told but the owner.
    pub(super) fn tear(&mut self, moment: &mut Moment, id: SocketId, error: i32) {
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        if tcp.is_over() && !tcp.is_orphan {
            return;
        }
        if tcp.is_orphan || matches!(tcp.state, State::Asked) {
            let parent = tcp.parent;
            self.leave_listener(parent, id);
            return self.remove(id);
        }
        tcp.outgoing.clear(&mut self.calendar);
        self.calendar.strike(tcp.asks_again.take());
        tcp.state = State::Closed;
        tcp.base.error = Some(error);
        tcp.base.shut_read = true;
        tcp.base.shut_write = true;
        moment.wake(id);
        self.leave_port(id);
    }

    /// Sees whether a connection has ended in both directions, or has only the peer to wait for.
    pub(super) fn settle(&mut self, moment: &mut Moment, id: SocketId) {
        let Some(Socket::Tcp(tcp)) = self.sockets.get_mut(&id) else { return };
        let is_open = matches!(tcp.state, State::Open);
        if !is_open || !tcp.outgoing.is_ended() || !tcp.outgoing.is_done() {
            return;
        }
        match (tcp.is_finished, tcp.is_orphan) {
            (true, true) => self.remove(id),
            (true, false) => {
                tcp.state = State::Closed;
                tcp.base.shut_write = true;
                moment.wake(id);
                self.leave_port(id);
            }
            (false, true) if tcp.forgetting.is_none() => {
                let at = moment.now.saturating_add(FORGETTING_NS);
                tcp.forgetting = Some(self.calendar.enter(at, Event::Forgetting(id)));
            }
            (false, _) => {}
        }
    }
}

impl Tcp {
    /// How much more it can keep until it is read.
    fn room(&self) -> usize {
        self.base.options.stream_receive_max().saturating_sub(self.received.len())
    }

    /// What comes now can never be read: as in `tcp_rcv_state_process`, only when it has ended its own half too.
    fn is_deaf(&self) -> bool {
        self.is_orphan || (self.base.shut_read && !self.is_finished && self.outgoing.is_ended())
    }
}
