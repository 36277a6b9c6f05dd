//! A request, and the beginning of its reply, as one future.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::family::Family;
use super::stream::Stream;
use crate::buf::{IoBuf, IoBufMut};
use crate::cancel::{CancelToken, Cancelled};
use crate::driver::{Hold, Way};
use crate::op::{self, CancelWhen, Cancellable, Entering, Stop, Submitted, Turn};
use crate::time::{Sleep, sleep};

impl<F: Family> Stream<F> {
    /// Sends the whole request, and receives the beginning of the reply: some bytes, as [`read`](Self::read) does. 0 is the
    /// end. Gives both buffers back.
    ///
    /// Both directions of the stream are taken until it is done, so exchanges of several tasks on one stream come one after
    /// the other, each with its own reply. The request is sent at once, and only the reply is waited for.
    ///
    /// # Cancel safety
    /// After dropping it, or stopping it, the request may have been sent, or a part of it, or none:
    /// [`settle_writes`](Self::settle_writes) says how much. A reply that comes all the same is given to the next read,
    /// which may not expect it: so close a connection whose exchange did not end.
    ///
    /// # Errors
    /// Those of send(2) and recv(2). Where the request was not sent as a whole, [`Incomplete`](crate::io::Incomplete) says
    /// how much of it was.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (server, _) = listener.accept().await?;
    ///     drop(annulus::spawn(async move {
    ///         let (result, question) = server.read(Vec::with_capacity(100)).await;
    ///         assert_eq!((result.unwrap(), &question[..]), (4, &b"ping"[..]));
    ///         server.write_all("pong").await.0.unwrap();
    ///     }));
    ///
    ///     let (result, request, reply) = client.exchange("ping", Vec::with_capacity(100)).await;
    ///     assert_eq!((result?, request, &reply[..]), (4, "ping", &b"pong"[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn exchange<Q: IoBuf, P: IoBufMut>(&self, request: Q, reply: P) -> Exchange<Q, P> {
        let hold = self.socket().hold();
        let entering = Turn::of(hold.clone(), Way::Read);
        Exchange { stage: Stage::Queued(hold, None, entering, request, reply), stop: Stop::Not }
    }
}

/// The future of [`Stream::exchange`].
///
/// # Examples
/// As [`TcpStream::exchange`](super::Stream::exchange).
#[must_use = "an exchange does nothing until it is awaited"]
pub struct Exchange<Q: IoBuf, P: IoBufMut> {
    stage: Stage<Q, P>,
    stop: Stop,
}

enum Stage<Q: IoBuf, P: IoBufMut> {
    /// Waits for the turn to read, and then for the turn to write.
    Queued(Hold, Option<Turn>, Entering, Q, P),
    Begun(Submitted<op::Exchange<Q, P>>),
    Over,
}

/// The buffers are used by their addresses alone, which stay the same.
impl<Q: IoBuf, P: IoBufMut> Unpin for Exchange<Q, P> {}

impl<Q: IoBuf, P: IoBufMut> Exchange<Q, P> {
    /// Asks the kernel to stop; await the future afterwards. See [`Submitted::cancel`].
    ///
    /// # Examples
    /// As [`Submitted::cancel`](crate::Submitted::cancel).
    pub fn cancel(&mut self) {
        self.stop(Stop::Cancelled);
    }

    /// Asks the kernel to stop when `signal` is ready. See [`Submitted::cancel_when`].
    ///
    /// # Examples
    /// As [`Submitted::cancel_when`](crate::Submitted::cancel_when).
    pub fn cancel_when<S: Future>(self, signal: S) -> CancelWhen<Self, S> {
        CancelWhen::new(self, Stop::Cancelled, signal)
    }

    /// Asks the kernel to stop when the token is cancelled. See [`Submitted::cancel_on`].
    ///
    /// # Examples
    /// As [`CancelToken`](crate::CancelToken).
    pub fn cancel_on(self, token: &CancelToken) -> CancelWhen<Self, Cancelled> {
        self.cancel_when(token.cancelled())
    }

    /// Asks the kernel to stop when `span` is over. See [`Submitted::timeout`].
    ///
    /// # Examples
    /// As [`Submitted::timeout`](crate::Submitted::timeout).
    pub fn timeout(self, span: Duration) -> CancelWhen<Self, Sleep> {
        CancelWhen::new(self, Stop::TimedOut, sleep(span))
    }
}

impl<Q: IoBuf, P: IoBufMut> Cancellable for Exchange<Q, P> {
    fn stop(&mut self, why: Stop) {
        if self.stop == Stop::Not {
            self.stop = why;
        }
        if let Stage::Begun(exchange) = &mut self.stage {
            exchange.stop(why);
        }
    }
}

impl<Q: IoBuf, P: IoBufMut> Future for Exchange<Q, P> {
    type Output = (io::Result<usize>, Q, P);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Stage::Begun(exchange) = &mut self.stage {
                let output = ready!(Pin::new(exchange).poll(cx));
                self.stage = Stage::Over;
                return Poll::Ready(output);
            }
            let is_to_stop = self.stop != Stop::Not;
            let turn = match &mut self.stage {
                Stage::Queued(_, _, entering, ..) if !is_to_stop => Some(ready!(Pin::new(entering).poll(cx))),
                Stage::Queued(..) => None,
                _ => panic!("an exchange was polled after it had resolved"),
            };
            let Stage::Queued(hold, first, entering, request, reply) =
                std::mem::replace(&mut self.stage, Stage::Over)
            else {
                unreachable!("it was looked at")
            };
            drop(entering);
            self.stage = match (first, turn) {
                (_, None) => {
                    let errno = if self.stop == Stop::TimedOut { libc::ETIMEDOUT } else { libc::ECANCELED };
                    return Poll::Ready((Err(io::Error::from_raw_os_error(errno)), request, reply));
                }
                (None, turn) => {
                    let entering = Turn::of(hold.clone(), Way::Write);
                    Stage::Queued(hold, turn, entering, request, reply)
                }
                (Some(first), Some(second)) => {
                    let exchange = op::Exchange::new(hold, request, reply, [first, second]);
                    Stage::Begun(Submitted::new(exchange))
                }
            };
        }
    }
}

impl<Q: IoBuf, P: IoBufMut> fmt::Debug for Exchange<Q, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Queued(..) => "queued",
            Stage::Begun(_) => "begun",
            Stage::Over => "over",
        };
        f.debug_struct("Exchange").field("stage", &stage).finish()
    }
}
