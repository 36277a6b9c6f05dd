//! Sockets.

mod addresses;
mod buffered_stream;
mod datagram;
mod datagram_stream;
mod detached;
mod exchange;
mod family;
mod handover;
mod incoming;
mod listener;
mod message;
mod poll_stream;
mod recv_stream;
mod socket;
mod split;
mod stream;
mod tcp;
mod udp;
mod udp_options;
pub mod unix;
mod waiting;
mod zero_copy;

pub use crate::driver::ZeroCopy;
pub use addresses::{ToSocketAddrs, lookup_host};
pub use buffered_stream::BufferedStream;
pub use datagram::Datagram;
pub use datagram_stream::DatagramStream;
pub use detached::Detached;
pub use exchange::Exchange;
pub use family::{Family, Inet, Unix};
pub use handover::NotHandedOver;
pub use incoming::Incoming;
pub use listener::{Accept, Listener};
pub use message::{Control, Everything, LeftMessage, Length, Message, Outgoing, Received, Sender};
pub use poll_stream::PollStream;
pub use recv_stream::RecvStream;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::Stream;
pub use tcp::{ConnectFailure, Keepalive, TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};
pub use zero_copy::{Released, WriteZc, splice};

pub use crate::driver::Interface;
pub use crate::sys::control::{Ancillary, Credentials, OtherControl, PacketInfo};
