//! The future of an operation.
//!
//! ```text
//! Idle --poll--> InFlight --answer, poll--> Finished
//!  |               |   '--dropped--> the slot owns the operation and asks for its end
//!  '--direction busy--> Queued --its turn--> InFlight
//! ```
#![allow(unsafe_code)]

use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::driver::{Begin, Completion, Hold, Operation, Port, Ticket, Token, Wait, conclude};
use crate::engine::{self, Engine};

/// An operation on its way: resolves from its own completion.
///
/// Nothing happens before the first poll. What the operation needs, a buffer for example, it owns, so the
/// future may be moved, dropped or forgotten at any time.
///
/// # Cancel safety
/// Dropping it asks the kernel to stop. Whatever the completion brings all the same is kept for the next
/// operation of the same kind on the same descriptor (bytes that were received, a connection that was
/// accepted) or closed and freed. A buffer that was lent is freed when the kernel has let go of it. To get the
/// buffer back, [`cancel`](Self::cancel) and await instead.
///
/// # Panics
/// When it is first polled outside of a running loop, under another loop than the one its descriptor is of, or
/// after it has resolved.
#[must_use = "an operation does nothing until it is awaited"]
pub struct Submitted<O: Operation> {
    /// Present but in `Finished`. Without the compiler's assumption that what it owns is touched by nobody
    /// else: the kernel writes to the buffers while this is moved about.
    operation: MaybeUninit<O>,
    stage: Stage,
    cancelled: bool,
}

enum Stage {
    Idle,
    /// In the queue of a busy direction.
    Queued(Ticket),
    InFlight(Token, Rc<Port>),
    Finished,
}

/// An operation moves only heap addresses about, and nothing points into this.
impl<O: Operation> Unpin for Submitted<O> {}

impl<O: Operation> Submitted<O> {
    pub(crate) fn new(operation: O) -> Submitted<O> {
        Submitted { operation: MaybeUninit::new(operation), stage: Stage::Idle, cancelled: false }
    }

    /// Asks the kernel to stop. Await the future afterwards: it resolves from its own completion, with its
    /// buffer, and with the data if the data came first. If the request to stop won, the error is ECANCELED.
    ///
    /// Before the first poll it has the effect that nothing is submitted. Twice is as good as once.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let stream = TcpStream::connect(listener.local_addr()?).await?;
    ///
    ///     let mut read = stream.read(Vec::with_capacity(1024));
    ///     if annulus::time::timeout(Duration::from_millis(5), &mut read).await.is_err() {
    ///         read.cancel();
    ///         let (result, buffer) = read.await;
    ///         assert!(result.is_err());
    ///         assert_eq!(buffer.capacity(), 1024);
    ///     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn cancel(&mut self) {
        self.cancelled = true;
        if let Stage::InFlight(token, port) = &self.stage {
            port.cancel(*token);
        }
    }

    /// Submits now, for what names no descriptor: the first poll says who waits.
    pub(crate) fn start(&mut self) {
        if let Stage::Idle = self.stage {
            let port = port_of(None);
            let token = port.submit(self.operation(), Begin::Now, Waker::noop());
            self.stage = Stage::InFlight(token, port);
        }
    }

    fn operation(&mut self) -> &mut O {
        debug_assert!(!matches!(self.stage, Stage::Finished));
        // SAFETY: present in every stage but Finished.
        unsafe { self.operation.assume_init_mut() }
    }

    /// Moves the operation out.
    fn finish(&mut self) -> O {
        debug_assert!(!matches!(self.stage, Stage::Finished));
        self.stage = Stage::Finished;
        // SAFETY: it was present, and from now on the stage says that it is not.
        unsafe { self.operation.assume_init_read() }
    }

    /// The first step, and the next ones while others have the direction.
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<O::Output> {
        let operation = self.operation();
        let hold = operation.descriptor().cloned();
        let port = port_of(hold.as_ref());
        if let (Some(hold), Some(way)) = (&hold, self.operation().way()) {
            if !self.enter(hold, way, cx) {
                return Poll::Pending;
            }
        }
        if let Some(hold) = &hold {
            hold.begin();
        }
        let refused = port.has_ended() || self.cancelled || hold.as_ref().is_some_and(Hold::is_closing);
        let at_hand = match refused {
            true => Some(Completion::cancelled()),
            false => self.operation().answer_at_hand(),
        };
        match at_hand {
            Some(answer) => {
                engine::with_current(Engine::spend_budget);
                self.conclude(answer, &port)
            }
            None => self.submit(port, Begin::Now, cx),
        }
    }

    /// Takes the operation's turn in its direction. False if that is not yet.
    fn enter(&mut self, hold: &Hold, way: crate::driver::Way, cx: &mut Context<'_>) -> bool {
        let mut ticket = match &self.stage {
            Stage::Queued(ticket) => Some(*ticket),
            _ => None,
        };
        let entered = hold.direction(way).enter(&mut ticket, cx.waker());
        self.stage = ticket.map_or(Stage::Idle, Stage::Queued);
        entered
    }

    fn submit(&mut self, port: Rc<Port>, begin: Begin, cx: &mut Context<'_>) -> Poll<O::Output> {
        let operation = self.operation();
        let token = port.submit(operation, begin, cx.waker());
        if let (Some(hold), Some(way)) = (operation.descriptor(), operation.way()) {
            hold.direction(way).begin(token);
        }
        self.stage = Stage::InFlight(token, port);
        Poll::Pending
    }

    fn conclude(&mut self, answer: Completion, port: &Rc<Port>) -> Poll<O::Output> {
        Poll::Ready(conclude(self.finish(), |operation| operation.complete(answer, port)))
    }

    /// The answer has come.
    fn answered(&mut self, answer: Completion, port: Rc<Port>, cx: &mut Context<'_>) -> Poll<O::Output> {
        // The descriptor is non-blocking in a way that the kernel does not wait out: wait, then try again.
        let again = answer.result == -libc::EAGAIN
            && matches!(O::form().wait, Wait::Readable | Wait::Writable)
            && !self.cancelled
            && !port.has_ended();
        match again {
            true => self.submit(port, Begin::WhenReady, cx),
            false => self.conclude(answer, &port),
        }
    }
}

/// Where the operation goes out: its descriptor's port, or the current loop's.
#[inline]
fn port_of(hold: Option<&Hold>) -> Rc<Port> {
    let Some(hold) = hold else {
        return engine::expect_current("an operation", |engine| Rc::clone(&engine.port));
    };
    let port = hold.port();
    let current = engine::with_current(|engine| engine.executor.id());
    assert!(
        current == Some(port.runtime()) || port.has_ended(),
        "an operation was polled {}: sockets and files belong to the loop that opened them",
        if current.is_some() { "under another loop than its descriptor's" } else { "outside of its loop" }
    );
    Rc::clone(port)
}

impl<O: Operation> Future for Submitted<O> {
    type Output = O::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let this = &mut *self;
        match &this.stage {
            Stage::InFlight(token, port) => {
                let Poll::Ready(answer) = port.poll(*token, cx.waker()) else {
                    assert!(
                        !port.has_ended(),
                        "an operation was polled whose runtime has ended before the kernel answered: \
                         it never will, and its memory is leaked"
                    );
                    return Poll::Pending;
                };
                // Retired: from here the operation is as it was before it was submitted.
                let Stage::InFlight(_, port) = std::mem::replace(&mut this.stage, Stage::Idle) else {
                    unreachable!("just matched")
                };
                this.answered(answer, port, cx)
            }
            Stage::Idle | Stage::Queued(_) => {
                if engine::with_current(|engine| engine.has_budget(cx.waker())) == Some(false) {
                    return Poll::Pending;
                }
                this.begin(cx)
            }
            Stage::Finished => panic!("an operation was polled after it had resolved"),
        }
    }
}

impl<O: Operation> Drop for Submitted<O> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Finished => self.stage = Stage::Finished,
            Stage::Idle => drop(self.finish()),
            Stage::Queued(ticket) => {
                let operation = self.finish();
                if let (Some(hold), Some(way)) = (operation.descriptor(), operation.way()) {
                    hold.direction(way).give_up(ticket);
                }
            }
            Stage::InFlight(token, port) => port.abandon(token, self.finish()),
        }
    }
}

impl<O: Operation> std::fmt::Debug for Submitted<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = match self.stage {
            Stage::Idle => "idle",
            Stage::Queued(_) => "queued",
            Stage::InFlight(..) => "in flight",
            Stage::Finished => "finished",
        };
        f.debug_struct("Submitted").field("operation", &O::form().name).field("stage", &stage).finish()
    }
}
