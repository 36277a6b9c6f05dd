//! What goes beside the bytes of a stream: descriptors and credentials.

use super::UnixStream;
use crate::buf::{IoBuf, IoBufMut};
use crate::net::message::{CONTROL_ROOM, Control};
use crate::op::{Bounds, Many, One, RecvMessage, SendMessage, Submitted};
use crate::sys::control::Ancillary;

impl UnixStream {
    /// Writes some bytes of the buffer, from its beginning, with descriptors or credentials, and says how many bytes. What
    /// goes with them goes with the first of them, so there has to be one; and it goes once, so write the rest by
    /// [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    /// After dropping it, some of the bytes may have been sent, with what goes with them, or none; a later write begins
    /// when that is settled. The descriptors are closed here in any case.
    ///
    /// # Errors
    /// Those of sendmsg(2). EINVAL: there are no bytes, or too many descriptors. `Unsupported` in a simulated world, which
    /// has no descriptors to send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::net::UdpSocket;
    /// use annulus::net::{Ancillary, unix::UnixStream};
    ///
    /// # if std::env::var("ANNULUS_DRIVER").is_ok_and(|driver| driver.starts_with("sim")) {
    /// #     return Ok(());
    /// # }
    /// annulus::run(async {
    ///     let (one, other) = UnixStream::pair()?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     let address = socket.local_addr()?;
    ///     let with = Ancillary::new().with_descriptors([socket.into()]);
    ///     one.send_message("a socket", with).await.0?;
    ///
    ///     let (message, buffer) = other.recv_message(Vec::with_capacity(100)).await;
    ///     let received = UdpSocket::from(message?.control.take_descriptors().remove(0));
    ///     assert_eq!((received.local_addr()?, &buffer[..]), (address, &b"a socket"[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn send_message<B: IoBuf>(&self, buffer: B, ancillary: Ancillary) -> Submitted<SendMessage<One<B>>> {
        let hold = self.socket().hold();
        Submitted::new(SendMessage::new(hold, Bounds::None, One(buffer), None, ancillary))
    }

    /// As [`send_message`](Self::send_message), of several buffers, one after the other.
    ///
    /// # Cancel safety
    /// As [`send_message`](Self::send_message).
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message).
    ///
    /// # Examples
    /// As [`send_message`](Self::send_message), with several buffers.
    pub fn send_message_vectored<B: IoBuf>(
        &self,
        buffers: Vec<B>,
        ancillary: Ancillary,
    ) -> Submitted<SendMessage<Many<B>>> {
        let hold = self.socket().hold();
        Submitted::new(SendMessage::new(hold, Bounds::None, Many(buffers), None, ancillary))
    }

    /// Reads some bytes, with the descriptors and credentials that came with them; there is room for 1280 bytes of that. 0
    /// bytes are the end. Who reads in another way gets the bytes alone: descriptors that come with them are closed.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: what comes all the same is given to the next receive of this kind. If another read
    /// comes before, it gets the bytes, and the descriptors are closed.
    ///
    /// # Errors
    /// Those of recvmsg(2).
    ///
    /// # Examples
    /// As [`send_message`](Self::send_message).
    pub fn recv_message<B: IoBufMut>(&self, buffer: B) -> Submitted<RecvMessage<One<B>, Control>> {
        Submitted::new(RecvMessage::new(self.socket().hold(), Bounds::None, One(buffer), CONTROL_ROOM))
    }

    /// As [`recv_message`](Self::recv_message), into several buffers, and with so many bytes of room for control data.
    ///
    /// # Cancel safety
    /// As [`recv_message`](Self::recv_message).
    ///
    /// # Errors
    /// As [`recv_message`](Self::recv_message).
    ///
    /// # Examples
    /// As [`send_message`](Self::send_message), with several buffers.
    pub fn recv_message_vectored<B: IoBufMut>(
        &self,
        buffers: Vec<B>,
        control_bytes: usize,
    ) -> Submitted<RecvMessage<Many<B>, Control>> {
        Submitted::new(RecvMessage::new(self.socket().hold(), Bounds::None, Many(buffers), control_bytes))
    }
}
