//! Sockets of this machine: their names, and what only they know. See unix(7).

mod address;
mod datagram;
mod seqpacket;
mod stream;
mod stream_messages;

pub use address::SocketAddr;
pub use datagram::UnixDatagram;
pub use seqpacket::{UnixSeqpacket, UnixSeqpacketListener};
pub use stream::UnixStream;
