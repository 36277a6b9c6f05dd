//! What a connection is asked and told: addresses, the kernel's buffers, the error that waits.

use std::io;

use super::family::Family;
use super::socket;
use super::stream::Stream;
#[cfg(feature = "sim")]
use crate::driver::Faults;
use crate::driver::{Property, Setting};

impl<F: Family> Stream<F> {
    /// The address of this end.
    ///
    /// # Errors
    /// Those of getsockname(2).
    ///
    /// # Examples
    /// As [`TcpListener`](super::TcpListener).
    pub fn local_addr(&self) -> io::Result<F::Address> {
        F::address(socket::local_name(self.socket())?)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// Those of getpeername(2).
    ///
    /// # Examples
    /// As [`TcpListener`](super::TcpListener).
    pub fn peer_addr(&self) -> io::Result<F::Address> {
        F::address(socket::peer_name(self.socket())?)
    }

    /// Asks for a receive buffer of so many bytes in the kernel, which doubles the number for itself.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, _other) = UnixStream::pair()?;
    ///     one.set_recv_buffer_size(64 << 10)?;
    ///     assert!(one.recv_buffer_size()? >= 64 << 10);
    ///     one.set_send_buffer_size(64 << 10)?;
    ///     assert!(one.send_buffer_size()? >= 64 << 10);
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

    /// The error that waits on the socket, which is thereby taken.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    ///
    /// # Examples
    /// As [`Stream`].
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        socket::take_error(self.socket())
    }

    /// What may go wrong with this connection in a simulation from now on, and how often, instead of what may go wrong on its
    /// host.
    ///
    /// # Errors
    /// `Unsupported` on the drivers of a real kernel.
    ///
    /// # Examples
    /// ```
    /// use annulus::net::UnixStream;
    /// use annulus::sim::Faults;
    /// use annulus::{Driver, Runtime};
    ///
    /// Runtime::builder().driver(Driver::Sim(7)).build()?.run(async {
    ///     let (one, _other) = UnixStream::pair()?;
    ///     one.plan_faults(&Faults::none())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "sim")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sim")))]
    pub fn plan_faults(&self, faults: &Faults) -> io::Result<()> {
        socket::plan_faults(self.socket(), faults)
    }
}
