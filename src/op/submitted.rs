//! The future of an operation.
//!
//! ```text
//! Idle --poll--> Entered --submit--> InFlight --answer, poll--> Entered --> Finished
//!  |               ^  '<--the answer was not the last---'  |
//!  '--busy--> Queued                                       '--dropped--> the slot owns the operation
//!                                                                        and asks for its end
//! ```
//! Entered lasts no longer than a poll, unless a buffer or a waker panics in it.
#![allow(unsafe_code)]

mod rare;

use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{CancelWhen, Cancellable, Stop};
use crate::driver::{Begin, Completion, Hold, Operation, Port, Refused, Ticket, Token, Trial};
use crate::engine::{self, Engine};
use crate::executor::Waiter;
#[cfg(feature = "tracing")]
use crate::executor::traced;

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
///
/// # Examples
/// As [`cancel`](Self::cancel).
#[must_use = "an operation does nothing until it is awaited"]
pub struct Submitted<O: Operation> {
    /// Present but in `Finished`. Without the compiler's assumption that what it owns is touched by nobody
    /// else: the kernel writes to the buffers while this is moved about.
    operation: MaybeUninit<O>,
    pub(super) stage: Stage,
    stop: Stop,
    /// Where it went out. None for an operation of a descriptor, which knows.
    pub(super) port: Option<Rc<Port>>,
}

#[derive(Clone, Copy)]
pub(super) enum Stage {
    Idle,
    /// In the queue of a busy direction.
    Queued(Ticket),
    /// It counts on its descriptor, and has its turn in the direction; the kernel knows nothing of it.
    Entered,
    InFlight(Token),
    Finished,
}

/// What became of the attempt to begin.
pub(super) enum Begun {
    InTurn,
    Waiting,
    /// It was asked to stop before, or its runtime has ended.
    Refused,
}

/// An operation moves only heap addresses about, and nothing points into this.
impl<O: Operation> Unpin for Submitted<O> {}

impl<O: Operation> Submitted<O> {
    pub(crate) fn new(operation: O) -> Submitted<O> {
        Submitted { operation: MaybeUninit::new(operation), stage: Stage::Idle, stop: Stop::Not, port: None }
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
        self.stop(Stop::Cancelled);
    }

    /// Asks the kernel to stop when `signal` is ready, and resolves from its own completion, as after
    /// [`cancel`](Self::cancel): with the data if they came first.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let stream = TcpStream::connect(listener.local_addr()?).await?;
    ///
    ///     let work = annulus::spawn(async { "done" });
    ///     let (result, buffer) = stream.read(Vec::with_capacity(1024)).cancel_when(work).await;
    ///     assert!(result.is_err());
    ///     assert_eq!(buffer.capacity(), 1024);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn cancel_when<F: Future>(self, signal: F) -> CancelWhen<Self, F> {
        CancelWhen::new(self, Stop::Cancelled, signal)
    }

    /// Submits now, for what names no descriptor: the first poll says who waits.
    pub(crate) fn start(&mut self) {
        debug_assert!(self.operation().descriptor().is_none());
        self.port = Some(engine::current_port());
        // In a forked child the first poll says so.
        if !self.port().has_ended() {
            self.submit(Begin::Now, Waker::noop());
        }
    }

    /// Whether the driver has it, or has answered: a poll before may have found that the task has spent its budget.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Idle | Stage::Queued(_))
    }

    #[inline]
    fn operation(&self) -> &O {
        debug_assert!(!matches!(self.stage, Stage::Finished));
        // SAFETY: present in every stage but Finished.
        unsafe { self.operation.assume_init_ref() }
    }

    #[inline]
    pub(super) fn operation_mut(&mut self) -> &mut O {
        debug_assert!(!matches!(self.stage, Stage::Finished));
        // SAFETY: as above.
        unsafe { self.operation.assume_init_mut() }
    }

    /// Moves the operation out.
    #[inline]
    pub(super) fn finish(&mut self) -> O {
        debug_assert!(!matches!(self.stage, Stage::Finished));
        self.stage = Stage::Finished;
        // SAFETY: it was present, and from now on the stage says that it is not.
        unsafe { self.operation.assume_init_read() }
    }

    /// Where the operation goes out, from `begin` on.
    #[inline]
    pub(super) fn port(&self) -> &Rc<Port> {
        let descriptors = self.operation().descriptor().map(Hold::port);
        descriptors.or(self.port.as_ref()).expect("an operation that began has a port")
    }

    /// The first step, if nothing is in its way, which nearly always is so: the loop that runs is the descriptor's, and the
    /// direction is free, with nothing left in it.
    #[inline(always)]
    fn begin_at_once(&mut self) -> bool {
        if self.stop != Stop::Not {
            return false;
        }
        let operation = self.operation();
        let begun = match operation.descriptor() {
            Some(hold) => {
                engine::with_current(|engine| engine.is_of(hold.port()) && engine.has_budget_left())
                    == Some(true)
                    && (!operation.follows_writes() || hold.has_settled())
                    && hold.begin_at_once(operation.way())
            }
            None => {
                self.port = engine::with_current(Engine::port_of_a_task).flatten();
                self.port.is_some()
            }
        };
        if begun {
            self.stage = Stage::Entered;
        }
        begun
    }

    /// The answer of a system call made at once, where that is cheaper than a trip through the driver: the loop has
    /// nothing else to do.
    #[inline(always)]
    fn attempt(&mut self) -> Option<Completion> {
        let operation = self.operation();
        let trial = operation.trial();
        let hold = operation.descriptor().filter(|_| trial != Trial::Never)?;
        let light = engine::with_current(Engine::is_light) == Some(true);
        if light && hold.port().may_attempt() { self.attempt_now(trial) } else { None }
    }

    fn attempt_now(&mut self, trial: Trial) -> Option<Completion> {
        let hold = self.operation().descriptor()?;
        let pays = trial == Trial::OfAny || (hold.is_alone() && hold.attempts().pays(hold.number()));
        if !pays || hold.port().is_elsewhere(hold.number()) {
            return None;
        }
        let request = self.operation_mut().request();
        // SAFETY: the operation has begun, so the descriptor is open, and it is not submitted: the memory is its own.
        let answer = unsafe { request.try_at_once() };
        #[cfg(feature = "tracing")]
        if traced::may_be_wanted() {
            self.port().show_attempt(&request, answer.ok());
        }
        if trial == Trial::OfAny {
            return answer.ok().map(Completion::of);
        }
        let answered = answer.ok().filter(|count| *count as u32 == request.length);
        let attempts = self.operation().descriptor()?.attempts();
        match answer {
            Err(Refused::ForGood) => attempts.give_up(),
            _ => attempts.note(answered.is_some()),
        }
        answered.map(Completion::of)
    }

    /// What needs no trip to the driver.
    #[inline]
    pub(super) fn answer_at_hand(&mut self) -> Option<Completion> {
        match self.is_to_stop() {
            true => Some(Completion::cancelled()),
            false => self.operation_mut().answer_at_hand(),
        }
    }

    #[inline]
    pub(super) fn is_to_stop(&self) -> bool {
        self.stop != Stop::Not
            || self.operation().descriptor().is_some_and(Hold::is_closing)
            || self.port().has_ended()
    }

    #[inline(never)]
    pub(super) fn submit(&mut self, begin: Begin, waker: &Waker) {
        self.submit_inline(begin, waker);
    }

    #[inline(always)]
    fn submit_inline(&mut self, begin: Begin, waker: &Waker) {
        // Both run user code (a buffer's, a waker's): before the port is borrowed.
        let request = self.operation_mut().request();
        let waiter = Waiter::of(waker);
        let token = self.port().submit(&request, begin, waiter);
        if let (Some(hold), Some(way)) = (self.operation().descriptor(), self.operation().way()) {
            hold.direction(way).begin(token);
        }
        self.stage = Stage::InFlight(token);
        #[cfg(feature = "tracing")]
        if traced::may_be_wanted() {
            self.port().show_submission(token, &request);
        }
    }

    /// The answer is the operation's last: the next one may begin.
    #[inline(always)]
    fn conclude(&mut self, answer: Completion) -> Poll<O::Output> {
        let operation = self.finish();
        if let Some(hold) = operation.descriptor() {
            hold.end(operation.way());
        }
        Poll::Ready(operation.complete(answer))
    }
}

impl<O: Operation> Future for Submitted<O> {
    type Output = O::Output;

    /// What nearly always is so stands here and is inlined; everything else is in `poll_rarely`.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let this = &mut *self;
        let stage = this.stage;
        match stage {
            Stage::Idle if this.begin_at_once() => {
                if let Some(answer) = this.operation_mut().answer_at_hand() {
                    return this.answer_rarely(answer, cx);
                }
                if let Some(answer) = this.attempt() {
                    engine::with_current(Engine::spend_budget);
                    let tally = this.port().tally();
                    tally.begun(O::form().kind);
                    if answer.result >= 0 {
                        tally.done(O::form().kind, answer);
                    }
                    if answer.result < 0 || this.operation_mut().goes_on(answer) {
                        return this.go_on_rarely(answer, cx);
                    }
                    return this.conclude(answer);
                }
                this.submit_inline(Begin::Now, cx.waker());
                Poll::Pending
            }
            Stage::InFlight(token) => {
                let port: &Port = this.port();
                let Poll::Ready(answer) = port.poll(token, cx.waker()) else { return Poll::Pending };
                if answer.result >= 0 {
                    port.tally().done(O::form().kind, answer);
                }
                // Retired: from here the operation is as it was before it was submitted.
                this.stage = Stage::Entered;
                if answer.result < 0 || this.operation_mut().goes_on(answer) {
                    return this.go_on_rarely(answer, cx);
                }
                this.conclude(answer)
            }
            _ => this.poll_rarely(cx),
        }
    }
}

impl<O: Operation> Cancellable for Submitted<O> {
    fn stop(&mut self, why: Stop) {
        // The first reason counts.
        if self.stop != Stop::Not {
            return;
        }
        self.stop = why;
        if let Stage::InFlight(token) = self.stage {
            self.port().cancel(token);
        }
    }
}

impl<O: Operation> Drop for Submitted<O> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Finished) {
            self.let_go();
        }
    }
}

impl<O: Operation> std::fmt::Debug for Submitted<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = match self.stage {
            Stage::Idle => "idle",
            Stage::Queued(_) => "queued",
            Stage::Entered => "entered",
            Stage::InFlight(..) => "in flight",
            Stage::Finished => "finished",
        };
        f.debug_struct("Submitted").field("operation", &O::form().name).field("stage", &stage).finish()
    }
}
