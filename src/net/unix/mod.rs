//! Sockets of this machine: their names, and what only they know. See unix(7).

mod address;
mod connect;
mod datagram;
mod handover;
mod listener;
mod seqpacket;
mod seqpacket_listener;
mod stream;
mod stream_messages;

pub use address::SocketAddr;
pub use datagram::UnixDatagram;
pub use listener::UnixListener;
pub use seqpacket::UnixSeqpacket;
pub use seqpacket_listener::UnixSeqpacketListener;
pub use stream::UnixStream;

pub use crate::sys::peer::PeerCredentials;
