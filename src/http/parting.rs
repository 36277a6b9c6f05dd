//! How a connection is parted from: who is cut off is told why, and who still sends can read the last answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::transport::Watched;
use crate::buf::ReadBuf;
use crate::io::{PollRead, PollWrite};
use crate::task::LocalSend;
use crate::time::{Sleep, sleep};

/// What is told to whom the head of a request takes too long.
pub(super) const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Says why a connection is ended, and that it is.
pub(super) fn poll_refuse(io: &mut Watched, left: &mut &[u8], cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    while !left.is_empty() {
        let count = ready!(io.poll_write(cx, left))?;
        *left = &left[count..];
    }
    ready!(io.poll_flush(cx))?;
    io.poll_shutdown(cx)
}

/// How long a client that still sends is listened to after the last answer.
const LINGERS: Duration = Duration::from_secs(1);
/// And how much it may send meanwhile.
const LINGERS_BYTES: usize = 1 << 20;

/// A connection that has been answered for the last time while its client still sends.
///
/// Closing a socket with something unread in it resets it, and a reset takes the answer from a client that has not read it yet (RFC 9112,
/// 9.6). So what comes is read and dropped, until the client has ended as well: for a second, and a
/// megabyte, at most.
pub(super) struct Lingering {
    io: LocalSend<Watched>,
    until: Sleep,
    heard: usize,
}

impl Lingering {
    pub(super) fn new(io: LocalSend<Watched>) -> Lingering {
        Lingering { io, until: sleep(LINGERS), heard: 0 }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.until).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // It was said by hyper already, if it came so far.
        if ready!(self.io.poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        loop {
            let mut room = [0; 4096];
            let mut buffer = ReadBuf::new(&mut room);
            let read = ready!(self.io.poll_read(cx, &mut buffer));
            self.heard += buffer.filled_len();
            if read.is_err() || buffer.filled_len() == 0 || self.heard > LINGERS_BYTES {
                return Poll::Ready(());
            }
        }
    }
}
