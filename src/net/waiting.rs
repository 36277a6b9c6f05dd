//! What one direction of a view waits for before a call is worth a try: the socket, its turn, or, where the ring tells of
//! room that is none, some time.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::family::Family;
use super::socket;
use super::stream::Stream;
use crate::buf::ReadBuf;
use crate::driver::Way;
use crate::engine::poll_turn;
use crate::op::{self, Entering, Now, Submitted, Turn};
use crate::time::{Sleep, sleep};

/// Of what is asked again by a timer: after so long at first, then twice as long each time, up to 64 times.
const PAUSE: Duration = Duration::from_millis(1);
const DOUBLINGS_MAX: u8 = 6;

pub(super) struct Waiting {
    what: What,
    /// How often in a row the ring told of room where there was none.
    in_vain: u8,
}

enum What {
    Nothing,
    Ready(Submitted<op::Poll>, Way),
    Line(Entering),
    /// What was before is done, and nothing else begins until the call was made.
    Turn(Turn),
    Pause(Sleep),
}

fn events(way: Way) -> i16 {
    match way {
        Way::Read => libc::POLLIN,
        Way::Write => libc::POLLOUT,
    }
}

impl Waiting {
    pub(super) fn new() -> Waiting {
        Waiting { what: What::Nothing, in_vain: 0 }
    }

    /// Ready when a call is worth a try.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.what {
            What::Nothing | What::Turn(_) => Poll::Ready(Ok(())),
            _ => self.poll_what_it_is(cx),
        }
    }

    fn poll_what_it_is(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let after = loop {
            self.what = match &mut self.what {
                What::Nothing | What::Turn(_) => return Poll::Ready(Ok(())),
                What::Ready(poll, way) => match ready!(Pin::new(poll).poll(cx)) {
                    Ok(told) if is_asked_for(told, *way) => break Ok(()),
                    // A ring tells as well that the peer has ended what it sends, again and again. It would be asked
                    // without an end while there is no room.
                    Ok(_) => {
                        let pause = PAUSE * (1 << self.in_vain);
                        self.in_vain = (self.in_vain + 1).min(DOUBLINGS_MAX);
                        What::Pause(sleep(pause))
                    }
                    Err(error) => break Err(error),
                },
                What::Line(entering) => What::Turn(ready!(Pin::new(entering).poll(cx))),
                What::Pause(sleep) => {
                    ready!(Pin::new(sleep).poll(cx));
                    break Ok(());
                }
            }
        };
        self.what = What::Nothing;
        Poll::Ready(after)
    }

    /// The turn that a call is made in, if it had to wait for one.
    #[inline]
    pub(super) fn turn(&self) -> Option<&Turn> {
        match &self.what {
            What::Turn(turn) => Some(turn),
            _ => None,
        }
    }

    /// The call was made.
    #[inline]
    pub(super) fn end_turn(&mut self) {
        if let What::Turn(_) = self.what {
            self.what = What::Nothing;
        }
    }

    /// Waits until the socket is ready; behind what has the direction, for that may leave something, and the socket does not
    /// tell of it.
    pub(super) fn wait_for<F: Family>(&mut self, stream: &Stream<F>, way: Way) {
        if let What::Nothing = self.what {
            let hold = stream.socket().hold();
            self.what = match hold.direction(way).is_busy() {
                true => What::Line(Turn::of(hold, way)),
                false => What::Ready(Submitted::new(op::Poll::new(hold, events(way))), way),
            };
        }
    }

    /// Ready when the socket is.
    pub(super) fn poll_ready<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
        way: Way,
    ) -> Poll<io::Result<()>> {
        loop {
            self.wait_for(stream, way);
            ready!(self.poll(cx))?;
            match self.turn() {
                None => return Poll::Ready(Ok(())),
                Some(_) => self.end_turn(),
            }
        }
    }

    /// Writes now, or when there is room.
    pub(super) fn write<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.until_written(cx, stream, |turn| op::send_now(&stream.socket().hold(), bytes, turn))
    }

    /// The same of several parts.
    pub(super) fn write_parts<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A call takes so many parts and no more: if those were all empty, it would seem that nothing more is taken.
        let Some(first) = parts.iter().position(|part| !part.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        let parts = &parts[first..];
        if let Some(bytes) = gathered(parts, &mut [MaybeUninit::uninit(); SMALL]) {
            return self.write(cx, stream, bytes);
        }
        self.until_written(cx, stream, |turn| op::send_parts_now(&stream.socket().hold(), parts, turn))
    }

    #[inline]
    fn until_written<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
        send: impl Fn(Option<&Turn>) -> io::Result<Now<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll(cx))?;
            ready!(poll_turn(cx));
            let sent = send(self.turn());
            self.end_turn();
            match sent? {
                Now::Done(count) => {
                    self.in_vain = 0;
                    return Poll::Ready(Ok(count));
                }
                Now::NotReady | Now::NotInTurn => self.wait_for(stream, Way::Write),
            }
        }
    }

    /// Ends what is sent, after all that is being written.
    pub(super) fn shutdown<F: Family>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream<F>,
    ) -> Poll<io::Result<()>> {
        // What waits for room has written nothing, and no end needs any.
        if let What::Ready(..) | What::Pause(_) = self.what {
            self.what = What::Nothing;
        }
        while self.turn().is_none() && stream.socket().is_busy(Way::Write) {
            self.wait_for(stream, Way::Write);
            ready!(self.poll(cx))?;
        }
        let ended = socket::end_sending(stream.socket());
        self.end_turn();
        match ended {
            // The peer has gone first: there is nobody to be told.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }
}

/// Up to so many bytes are gathered before they are sent: a call with one part costs less than one with several.
const SMALL: usize = 1024;

/// What is small, in one piece.
fn gathered<'a>(parts: &[IoSlice<'_>], room: &'a mut [MaybeUninit<u8>; SMALL]) -> Option<&'a [u8]> {
    let mut left = SMALL;
    for part in parts {
        left = left.checked_sub(part.len())?;
    }
    let mut buffer = ReadBuf::uninit(room);
    parts.iter().for_each(|part| buffer.put_slice(part));
    Some(buffer.into_filled())
}

/// Whether it is said that a transfer would find something, an error included.
fn is_asked_for(told: u32, way: Way) -> bool {
    let asked = events(way) | libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
    told & u32::from(asked.unsigned_abs()) != 0
}
