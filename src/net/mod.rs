//! Sockets.

mod addresses;
mod listener;
mod socket;
mod split;
mod stream;

pub use addresses::ToSocketAddrs;
pub use listener::{Accept, TcpListener};
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::TcpStream;
