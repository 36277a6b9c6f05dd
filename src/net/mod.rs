//! Sockets.

mod addresses;
mod family;
mod listener;
mod socket;
mod split;
mod stream;
mod tcp;

pub use addresses::ToSocketAddrs;
pub use family::{Family, Inet};
pub use listener::{Accept, Listener};
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::Stream;
pub use tcp::{TcpListener, TcpStream};
