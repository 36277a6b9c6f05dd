//! Faults of a network on purpose: a connection ends though neither end wants it.

use super::State;
use crate::driver::sim::net::{Moment, Network, SocketId};

impl Network {
    /// Whether bytes are all that matters: no boundaries of messages.
    pub(in crate::driver::sim) fn is_stream(&self, id: SocketId) -> bool {
        use crate::driver::sim::net::Socket;
        match self.known(id) {
            Ok(Socket::Tcp(_) | Socket::Pipe(_)) => true,
            Ok(Socket::Unix(unix)) => unix.kind == libc::SOCK_STREAM,
            _ => false,
        }
    }

    /// Ends an open connection with an error. ECONNRESET is told to the other end as well, as by a middleman; of
    /// another error it learns when it next sends.
    pub(in crate::driver::sim) fn cut(&mut self, moment: &mut Moment, id: SocketId, error: i32) {
        let Some(tcp) = self.tcp(id).filter(|tcp| matches!(tcp.state, State::Open)) else { return };
        let peer = tcp.peer;
        moment.note("cut", id, 0);
        self.tear(moment, id, error);
        let Some(peer) = peer.filter(|_| error == libc::ECONNRESET) else { return };
        if self.tcp(peer).is_some_and(|tcp| tcp.peer == Some(id)) {
            self.tear(moment, peer, error);
        }
    }
}
