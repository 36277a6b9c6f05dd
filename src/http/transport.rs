//! What a connection's bytes come and go by, and what the board learns from them.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::watch::Watch;
use crate::buf::ReadBuf;
use crate::io::{PollRead, PollWrite};
use crate::launch::Counted;
use crate::net::{BufferedStream, Inet, Unix};

/// Over what HTTP is spoken.
pub(super) enum Transport {
    Tcp(BufferedStream<Inet>),
    /// Of a shard, of whose connections it is one.
    Shards(BufferedStream<Inet>, #[allow(dead_code, reason = "it counts as long as it is there")] Counted),
    Unix(BufferedStream<Unix>),
    #[cfg(feature = "rustls")]
    Tls(
        Box<crate::tls::TlsStream<crate::net::PollStream<Inet>>>,
        #[allow(dead_code, reason = "as above")] Option<Counted>,
    ),
}

macro_rules! each {
    ($self:ident, $stream:ident => $does:expr) => {
        match $self {
            Transport::Tcp($stream) | Transport::Shards($stream, _) => $does,
            Transport::Unix($stream) => $does,
            #[cfg(feature = "rustls")]
            Transport::Tls($stream, _) => $does,
        }
    };
}

#[cfg(feature = "rustls")]
impl Transport {
    /// Whether both ends have agreed on HTTP/2.
    pub(super) fn has_agreed_on_second(&self) -> bool {
        matches!(self, Transport::Tls(stream, _) if stream.alpn_protocol() == Some(b"h2"))
    }
}

impl PollRead for Transport {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl PollWrite for Transport {
    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, bytes))
    }

    #[inline]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, stream => stream.is_write_vectored())
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_shutdown(cx))
    }
}

/// A connection as hyper has it: watched, and with what was read of it to see what is spoken.
///
/// It is shared with the connection's task, which sees to it that a client that goes away is noticed.
pub(super) struct Watched {
    shared: Rc<RefCell<Shared>>,
    watch: Rc<Watch>,
}

struct Shared {
    transport: Transport,
    /// Read before, and given to the next read.
    ahead: Vec<u8>,
}

impl Shared {
    /// Reads what comes, in front of the next read. Nothing is the end.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // On the stack: who waits holds nothing.
        let mut room = [MaybeUninit::uninit(); 1024];
        let mut buffer = ReadBuf::uninit(&mut room);
        ready!(self.transport.poll_read(cx, &mut buffer))?;
        self.ahead.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled_len()))
    }
}

impl Watched {
    pub(super) fn new(transport: Transport, watch: Rc<Watch>) -> Watched {
        Watched { shared: Rc::new(RefCell::new(Shared { transport, ahead: Vec::new() })), watch }
    }

    /// The same connection.
    pub(super) fn share(&self) -> Watched {
        Watched { shared: Rc::clone(&self.shared), watch: Rc::clone(&self.watch) }
    }

    /// Waits until more than `count` bytes have come, and hands all of them to `see`; they stay for the next read. Fewer are all before the
    /// end.
    pub(super) fn poll_first<T>(
        &mut self,
        cx: &mut Context<'_>,
        count: usize,
        see: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        let mut shared = self.shared.borrow_mut();
        while shared.ahead.len() <= count {
            if ready!(shared.poll_ahead(cx))? == 0 {
                break;
            }
        }
        Poll::Ready(Ok(see(&shared.ahead)))
    }

    /// Whether the client has gone, while nobody reads: what else comes is kept for the next read. Then that is not seen any more, until it was read.
    pub(super) fn is_left(&self, cx: &mut Context<'_>) -> bool {
        let mut shared = self.shared.borrow_mut();
        shared.ahead.is_empty() && matches!(shared.poll_ahead(cx), Poll::Ready(Ok(0) | Err(_)))
    }

    /// Puts back what was read and not understood.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.shared.borrow_mut().ahead.splice(..0, bytes.iter().copied());
    }

    pub(super) fn has_ahead(&self) -> bool {
        !self.shared.borrow().ahead.is_empty()
    }
}

impl PollRead for Watched {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Shared { transport, ahead } = &mut *self.shared.borrow_mut();
        if !ahead.is_empty() {
            let count = ahead.len().min(buffer.remaining());
            buffer.put_slice(&ahead[..count]);
            match count == ahead.len() {
                true => *ahead = Vec::new(),
                false => drop(ahead.drain(..count)),
            }
            self.watch.has_read(count);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled_len();
        let read = transport.poll_read(cx, buffer);
        match read.is_ready() {
            true => self.watch.has_read(buffer.filled_len() - before),
            false => self.watch.read_waits(),
        }
        read
    }
}

impl Watched {
    #[inline]
    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written.is_ready() {
            true => self.watch.has_written(),
            false => self.watch.write_waits(),
        }
        written
    }
}

impl PollWrite for Watched {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.shared.borrow_mut().transport.poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.shared.borrow_mut().transport.poll_write_vectored(cx, parts);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.shared.borrow_mut().transport.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // That nothing waits to be flushed is no progress.
        let flushed = self.shared.borrow_mut().transport.poll_flush(cx);
        self.watch.flush_waits(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.borrow_mut().transport.poll_shutdown(cx)
    }
}

crate::compat::foreign_traits!(for Watched);
