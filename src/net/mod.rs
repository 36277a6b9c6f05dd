//! Sockets.

mod addresses;
mod family;
mod handover;
mod incoming;
mod listener;
mod recv_stream;
mod socket;
mod split;
mod stream;
mod tcp;

pub use addresses::{ToSocketAddrs, lookup_host};
pub use family::{Family, Inet};
pub use handover::NotHandedOver;
pub use incoming::Incoming;
pub use listener::{Accept, Listener};
pub use recv_stream::RecvStream;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::Stream;
pub use tcp::{ConnectFailure, Keepalive, TcpListener, TcpSocket, TcpStream};
