//! Two ends of a connection that is memory.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use super::channel::Channel;
use super::{AsyncRead, AsyncWrite};
use crate::buf::{IoBuf, IoBufMut};

/// One end of a connection in memory. Made by [`duplex`].
///
/// What is written to the one end is read from the other. Dropping an end lets the other one read what is there, and
/// then the end; what it writes is `BrokenPipe` from then on. Both ends belong to one thread. Reading and writing take `&self`
/// as well (`&DuplexStream` is a reader and a writer), so both may be done at the same time; two readers of one end
/// get what they get.
///
/// # Cancel safety
/// A read or write that is dropped has moved nothing. A `write_all` may have written a part.
///
/// # Examples
/// As [`duplex`].
pub struct DuplexStream {
    incoming: Rc<Channel>,
    outgoing: Rc<Channel>,
}

/// Makes a connection in memory; each direction holds at most so many bytes (at least one), and a writer that finds it full waits.
///
/// For tests of what speaks over any stream, and to put two things together that expect one. It needs no descriptor, no
/// system call and no loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncRead, AsyncWrite, duplex};
///
/// annulus::run(async {
///     let (mut client, mut server) = duplex(64);
///     annulus::spawn(async move {
///         let (result, request) = server.read_to_string(String::new()).await;
///         result?;
///         server.write_all(format!("{request}? Yes.")).await.0
///     });
///     client.write_all("Does it work").await.0?;
///     client.shutdown().await?;
///     let (result, answer) = client.read_to_string(String::new()).await;
///     result?;
///     assert_eq!(answer, "Does it work? Yes.");
///     Ok(())
/// })?
/// # }
/// ```
pub fn duplex(bytes_max: usize) -> (DuplexStream, DuplexStream) {
    let (there, back) = (Rc::new(Channel::new(bytes_max)), Rc::new(Channel::new(bytes_max)));
    let one = DuplexStream { incoming: Rc::clone(&back), outgoing: Rc::clone(&there) };
    (one, DuplexStream { incoming: there, outgoing: back })
}

impl Drop for DuplexStream {
    fn drop(&mut self) {
        self.outgoing.end();
        self.incoming.refuse();
    }
}

impl AsyncRead for &DuplexStream {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        if buffer.bytes_total() == 0 {
            return (Ok(0), buffer);
        }
        let count = poll_fn(|cx| self.incoming.poll_read(cx, &mut buffer)).await;
        (Ok(count), buffer)
    }
}

impl AsyncWrite for &DuplexStream {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        if buffer.bytes_init() == 0 {
            return (Ok(0), buffer);
        }
        (poll_fn(|cx| self.outgoing.poll_write(cx, buffer.as_init())).await, buffer)
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.outgoing.end();
        Ok(())
    }

    /// A write that is dropped has written nothing.
    async fn settle(&mut self) -> io::Result<Option<usize>> {
        Ok(Some(0))
    }
}

impl AsyncRead for DuplexStream {
    async fn read<B: IoBufMut>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        (&*self).read(buffer).await
    }
}

impl AsyncWrite for DuplexStream {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        (&*self).write(buffer).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        (&*self).shutdown().await
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        (&*self).settle().await
    }
}

impl fmt::Debug for DuplexStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DuplexStream { incoming, outgoing } = self;
        f.debug_struct("DuplexStream").field("incoming", incoming).field("outgoing", outgoing).finish()
    }
}
