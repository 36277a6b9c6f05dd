//! What a socket of datagrams is asked and told: addresses, the kernel's buffers, the error that waits.

use std::io;

use super::datagram::Datagram;
use super::family::Family;
use super::socket;
#[cfg(feature = "sim")]
use crate::driver::Faults;
use crate::driver::{Property, Setting};

impl<F: Family> Datagram<F> {
    /// The address of this end.
    ///
    /// # Errors
    /// Those of getsockname(2).
    ///
    /// # Examples
    /// As [`Datagram`].
    pub fn local_addr(&self) -> io::Result<F::Address> {
        socket::local_name(self.socket()).and_then(F::address)
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    /// Those of getpeername(2). ENOTCONN: it is not connected.
    ///
    /// # Examples
    /// As [`Datagram`].
    pub fn peer_addr(&self) -> io::Result<F::Address> {
        socket::peer_name(self.socket()).and_then(F::address)
    }

    /// The error that waits on the socket, which is thereby taken.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        socket::take_error(self.socket())
    }

    /// Asks for a receive buffer of so many bytes in the kernel, which doubles the number for itself. What finds no room
    /// in it is dropped by UDP, and waits in its sender by Unix.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UdpSocket;
    ///
    /// annulus::run(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     socket.set_recv_buffer_size(64 << 10)?;
    ///     assert!(socket.recv_buffer_size()? >= 64 << 10);
    ///     socket.set_send_buffer_size(64 << 10)?;
    ///     assert!(socket.send_buffer_size()? >= 64 << 10);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        socket::set(self.socket(), Setting::ReceiveBuffer(bytes))
    }

    /// The size of the kernel's receive buffer, in bytes.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    ///
    /// # Examples
    /// As [`set_recv_buffer_size`](Self::set_recv_buffer_size).
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        Ok(socket::number(self.socket(), Property::ReceiveBuffer)? as usize)
    }

    /// Asks for a send buffer of so many bytes in the kernel, which doubles the number for itself.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    ///
    /// # Examples
    /// As [`set_recv_buffer_size`](Self::set_recv_buffer_size).
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        socket::set(self.socket(), Setting::SendBuffer(bytes))
    }

    /// The size of the kernel's send buffer, in bytes.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    ///
    /// # Examples
    /// As [`set_recv_buffer_size`](Self::set_recv_buffer_size).
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        Ok(socket::number(self.socket(), Property::SendBuffer)? as usize)
    }

    /// What may go wrong with this socket in a simulation from now on, and how often, instead of what may go wrong on its
    /// host.
    ///
    /// # Errors
    /// `Unsupported` on the drivers of a real kernel.
    ///
    /// # Examples
    /// As [`Stream::plan_faults`](super::Stream::plan_faults).
    #[cfg(feature = "sim")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sim")))]
    pub fn plan_faults(&self, faults: &Faults) -> io::Result<()> {
        socket::plan_faults(self.socket(), faults)
    }
}
