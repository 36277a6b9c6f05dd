//! What Unix sockets say to each other. A message stays with its borders, or flows into a stream, but always takes
//! as much room as the kernel would need for it, until all of it was read.

use super::{Unix, UnixName};
use crate::driver::sim::net::udp::charge;
use crate::driver::sim::net::{Address, Answer, Moment, Network, Received, SocketId};

/// What one piece of a stream can have: a head, which is a page with its trailer, and eight pages.
const HEAD_MAX: usize = 4096 - 320;
const PIECE_MAX: usize = HEAD_MAX + (32 << 10);

pub(super) struct Message {
    bytes: Vec<u8>,
    /// So many of them were read.
    taken: usize,
    sender: SocketId,
    from: UnixName,
    charge: usize,
}

/// What a piece of a stream takes: all over a head is in pages.
fn charge_of_piece(length: usize) -> usize {
    let pages = length.saturating_sub(HEAD_MAX).next_multiple_of(4096).min(length);
    charge(length - pages) + pages
}

impl Unix {
    fn has_room(&self) -> bool {
        self.held < self.base.options.send_size()
    }

    fn take_message(&mut self) -> Option<Message> {
        self.received.pop_front()
    }
}

impl Network {
    pub(in crate::driver::sim::net) fn send_unix(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        bytes: &[u8],
        to: Option<&Address>,
    ) -> Answer<usize> {
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        match unix.kind {
            libc::SOCK_STREAM => self.send_stream(moment, id, bytes, to.is_some()),
            libc::SOCK_SEQPACKET => {
                unix.base.take_error()?;
                if !unix.is_connected() {
                    return Err(libc::ENOTCONN);
                }
                // A connection does not look at the address.
                self.send_message(moment, id, bytes, None)
            }
            _ => self.send_message(moment, id, bytes, to),
        }
    }

    fn send_stream(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        bytes: &[u8],
        is_addressed: bool,
    ) -> Answer<usize> {
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        if is_addressed {
            return Err(if unix.is_connected() { libc::EISCONN } else { libc::EOPNOTSUPP });
        }
        let peer = unix.peer.ok_or(libc::ENOTCONN)?;
        if unix.base.shut_write {
            return Err(libc::EPIPE);
        }
        let piece_max = PIECE_MAX.min((unix.base.options.send_size() / 2).saturating_sub(64)).max(1);
        let mut sent = 0;
        while sent < bytes.len() {
            let piece = &bytes[sent..bytes.len().min(sent + piece_max)];
            let problem = match self.unix(id) {
                Some(unix) => match unix.base.take_error() {
                    Err(error) => Some(error),
                    Ok(()) if !unix.has_room() => Some(libc::EAGAIN),
                    Ok(()) => None,
                },
                None => Some(libc::EBADF),
            };
            let problem = problem.or(match self.unix(peer) {
                Some(peer) if !peer.base.shut_read => None,
                _ => Some(libc::EPIPE),
            });
            if let Some(problem) = problem {
                return if sent > 0 { Ok(sent) } else { Err(problem) };
            }
            self.queue_message(moment, id, peer, piece, charge_of_piece(piece.len()));
            sent += piece.len();
        }
        Ok(sent)
    }

    fn send_message(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        bytes: &[u8],
        to: Option<&Address>,
    ) -> Answer<usize> {
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        let (host, kind, peer) = (unix.base.host, unix.kind, unix.peer);
        if bytes.len() > unix.base.options.send_size() - 32 {
            return Err(libc::EMSGSIZE);
        }
        unix.base.take_error()?;
        if unix.base.shut_write {
            return Err(libc::EPIPE);
        }
        if !unix.has_room() {
            return Err(libc::EAGAIN);
        }
        let other = match (to, peer) {
            (Some(to), _) => self.find_unix(host, kind, to)?,
            (None, Some(peer)) if self.sockets.contains_key(&peer) => peer,
            (None, None) => return Err(libc::ENOTCONN),
            (None, Some(_)) => {
                // The peer is gone: that is told once, and then it is as if there had never been one.
                let unix = self.unix(id).ok_or(libc::EBADF)?;
                unix.peer = None;
                self.lose_messages(moment, id);
                return Err(libc::ECONNREFUSED);
            }
        };
        let receiver = self.unix(other).ok_or(libc::ECONNREFUSED)?;
        if kind == libc::SOCK_DGRAM && receiver.peer.is_some_and(|peer| peer != id) {
            return Err(libc::EPERM);
        }
        if receiver.base.shut_read {
            return Err(libc::EPIPE);
        }
        if kind == libc::SOCK_DGRAM && other != id && receiver.peer != Some(id) && receiver.is_full() {
            receiver.waiting.insert(id);
            return Err(libc::EAGAIN);
        }
        self.queue_message(moment, id, other, bytes, charge(bytes.len()));
        Ok(bytes.len())
    }

    fn queue_message(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        to: SocketId,
        bytes: &[u8],
        charge: usize,
    ) {
        let Some(unix) = self.unix(id) else { return };
        unix.held += charge;
        let message =
            Message { bytes: bytes.to_vec(), taken: 0, sender: id, from: unix.name.clone(), charge };
        if let Some(receiver) = self.unix(to) {
            receiver.received.push_back(message);
        }
        moment.wake(to);
    }

    pub(in crate::driver::sim::net) fn receive_unix(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        length: usize,
        peek: bool,
    ) -> Answer<Received> {
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        let is_stream = unix.kind == libc::SOCK_STREAM;
        if !unix.is_connected() && unix.kind != libc::SOCK_DGRAM {
            return Err(if is_stream { libc::EINVAL } else { libc::ENOTCONN });
        }
        if !is_stream || unix.received.is_empty() {
            unix.base.take_error()?;
        }
        if unix.received.is_empty() {
            // For datagrams, this is what a blocking `recv` answers.
            return if unix.base.shut_read { Ok(Received::default()) } else { Err(libc::EAGAIN) };
        }
        if is_stream {
            return Ok(self.receive_stream(moment, id, length, peek));
        }
        let Some(message) = unix.received.front() else { return Err(libc::EAGAIN) };
        let full_length = message.bytes.len();
        let received = Received {
            bytes: message.bytes[..length.min(full_length)].to_vec(),
            from: Some(message.from.clone()).filter(|from| *from != UnixName::Unnamed).map(Address::Unix),
            full_length,
            ..Received::default()
        };
        if !peek {
            let message = unix.take_message();
            self.was_read(moment, id, message);
        }
        Ok(received)
    }

    fn receive_stream(&mut self, moment: &mut Moment, id: SocketId, length: usize, peek: bool) -> Received {
        let mut bytes = Vec::new();
        let Some(unix) = self.unix(id) else { return Received::default() };
        if peek {
            let all = unix.received.iter().flat_map(|message| &message.bytes[message.taken..]);
            bytes.extend(all.take(length));
        }
        while !peek && bytes.len() < length {
            let Some(unix) = self.unix(id) else { break };
            let Some(message) = unix.received.front_mut() else { break };
            let end = message.bytes.len().min(message.taken + length - bytes.len());
            bytes.extend_from_slice(&message.bytes[message.taken..end]);
            message.taken = end;
            if end == message.bytes.len() {
                let message = unix.take_message();
                self.was_read(moment, id, message);
            }
        }
        Received::bytes(bytes)
    }

    /// The sender has its room back, and who waited for a place in the queue may have it.
    fn was_read(&mut self, moment: &mut Moment, id: SocketId, message: Option<Message>) {
        let Some(message) = message else { return };
        if let Some(sender) = self.unix(message.sender) {
            sender.held -= message.charge;
            moment.wake(message.sender);
        }
        self.wake_waiting(moment, id);
    }

    /// Nobody will read what was received.
    pub(super) fn lose_messages(&mut self, moment: &mut Moment, id: SocketId) {
        while let Some(message) = self.unix(id).and_then(Unix::take_message) {
            self.was_read(moment, id, Some(message));
        }
    }
}
