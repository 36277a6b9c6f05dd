//! What an operation's future does rarely: it waits for its turn, was asked to stop, is answered by an error or only in
//! part, or is dropped. Out of line, so that what nearly always happens stands alone in [`poll`](std::future::Future::poll).
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::{Begun, Stage, Submitted};
use crate::driver::{Begin, Completion, Departure, Operation, Port, Wait, orphan};
use crate::engine::{self, Engine};
use crate::executor::RuntimeId;
use crate::op::Stop;

impl<O: Operation> Submitted<O> {
    /// The first step, and the next ones while others have the direction.
    #[cold]
    pub(in crate::op) fn begin(&mut self, cx: &mut Context<'_>) -> Begun {
        let current = engine::with_current(|engine| (engine.executor.id(), engine.has_budget(cx.waker())));
        if let Some((_, false)) = current {
            return self.waits();
        }
        if self.operation().descriptor().is_none() {
            self.port = Some(engine::current_port());
        }
        if self.stop != Stop::Not || self.port().has_ended() {
            return Begun::Refused;
        }
        assert_at_home(self.port(), current.map(|(id, _)| id));
        if !self.enter(cx) {
            return self.waits();
        }
        self.stage = Stage::Entered;
        Begun::InTurn
    }

    /// It is awaited, and its turn will come. That it has a port tells it from one that nobody has polled.
    fn waits(&mut self) -> Begun {
        let port =
            self.operation().descriptor().map_or_else(engine::current_port, |hold| Rc::clone(hold.port()));
        self.port = Some(port);
        Begun::Waiting
    }

    /// Takes the operation's turn, if it has to wait for one, and counts on the descriptor. False if it is not yet its
    /// turn.
    #[inline]
    fn enter(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(hold) = self.operation().descriptor() else { return true };
        if self.operation().follows_writes() && !hold.is_settled(cx.waker()) {
            return false;
        }
        let way = self.operation().way();
        if let Some(way) = way {
            let mut ticket = match self.stage {
                Stage::Queued(ticket) => Some(ticket),
                _ => None,
            };
            let entered = hold.direction(way).enter(&mut ticket, cx.waker());
            if !entered {
                self.stage = ticket.map_or(Stage::Idle, Stage::Queued);
                return false;
            }
        }
        hold.begin(way);
        true
    }

    /// From Entered on: submits, unless the last answer is at hand.
    #[cold]
    fn set_out(&mut self, cx: &mut Context<'_>) -> Poll<O::Output> {
        loop {
            let Some(answer) = self.answer_at_hand() else {
                self.submit(Begin::Now, cx.waker());
                return Poll::Pending;
            };
            engine::with_current(Engine::spend_budget);
            self.port().tally().begun(O::form().kind);
            if !self.operation_mut().goes_on(answer) {
                return self.conclude_rarely(answer);
            }
        }
    }

    /// It was asked to stop before it had its turn, or there are no turns any more.
    #[cold]
    pub(super) fn refuse(&mut self) -> Poll<O::Output> {
        self.leave_queue();
        let answer = self.stopped(Completion::cancelled());
        Poll::Ready(self.finish().complete(answer))
    }

    /// As `conclude`, where that is rare, or the answer may be an error.
    #[cold]
    pub(super) fn conclude_rarely(&mut self, answer: Completion) -> Poll<O::Output> {
        let answer = if answer.result < 0 && self.is_to_stop() { self.stopped(answer) } else { answer };
        self.conclude(answer)
    }

    /// What an answer says that came after the request to stop: whatever the kernel calls it that it did so.
    #[cold]
    pub(in crate::op) fn stopped(&self, answer: Completion) -> Completion {
        match -answer.result {
            libc::ECANCELED | libc::EAGAIN | libc::EINTR if self.stop == Stop::TimedOut => {
                Completion::of(-libc::ETIMEDOUT)
            }
            libc::EAGAIN | libc::EINTR => Completion::cancelled(),
            _ => answer,
        }
    }

    /// Whether it is to be submitted again: because the kernel said that the descriptor is not ready, which it does for one
    /// that is non-blocking in a way that its own waiting does not cover; or that there was no buffer to pick, while all
    /// were named by answers that have been seen meanwhile.
    #[inline]
    fn begins_again(&self, answer: Completion) -> Option<Begin> {
        let begin = match -answer.result {
            libc::EAGAIN if matches!(self.operation().wait(), Wait::Readable | Wait::Writable) => {
                Begin::WhenReady
            }
            libc::ENOBUFS if O::form().picks => Begin::Now,
            _ => return None,
        };
        (!self.is_to_stop()).then_some(begin)
    }

    /// It is dropped before it has resolved.
    #[cold]
    pub(super) fn let_go(&mut self) {
        match self.stage {
            Stage::InFlight(token) => {
                let port = Rc::clone(self.port());
                self.unsettle();
                self.stage = Stage::Finished;
                let operation = std::mem::replace(&mut self.operation, MaybeUninit::uninit());
                // SAFETY: it was present, and from now on the stage says that it is not.
                port.abandon(token, unsafe { orphan(operation) });
            }
            Stage::Entered => {
                // Somebody's code has panicked between two submissions. What was gathered before is kept.
                self.unsettle();
                let operation = self.finish();
                let _departure = Departure::of(&operation);
                operation.salvage(Completion::cancelled());
            }
            Stage::Idle => {
                let operation = self.finish();
                // One that was to be stopped before it began has been dealt with; a panic's mistake is another one.
                if self.stop == Stop::Not && self.port.is_none() && !std::thread::panicking() {
                    engine::with_current(|engine| engine.executor.never_polled(O::form().name));
                }
                drop(operation);
            }
            Stage::Queued(_) => {
                self.leave_queue();
                drop(self.finish());
            }
            Stage::Finished => {}
        }
    }

    /// A write to a file whose outcome is open: those that follow wait for it.
    fn unsettle(&self) {
        if self.operation().writes_file() {
            self.operation().descriptor().inspect(|hold| hold.unsettle());
        }
    }

    /// Gives a place in the queue of a busy direction back.
    pub(in crate::op) fn leave_queue(&mut self) {
        let Stage::Queued(ticket) = self.stage else { return };
        if let (Some(hold), Some(way)) = (self.operation().descriptor(), self.operation().way()) {
            hold.direction(way).give_up(ticket);
        }
        self.stage = Stage::Idle;
    }

    /// It has to wait for its turn, or there was something in its way.
    #[cold]
    pub(super) fn poll_rarely(&mut self, cx: &mut Context<'_>) -> Poll<O::Output> {
        match self.stage {
            Stage::Idle | Stage::Queued(_) => match self.begin(cx) {
                Begun::InTurn => self.set_out(cx),
                Begun::Waiting => Poll::Pending,
                Begun::Refused => self.refuse(),
            },
            Stage::InFlight(_) => unreachable!("it is polled for its answer"),
            Stage::Entered => panic!("an operation was polled after its buffer or its waker had panicked"),
            Stage::Finished => panic!("an operation was polled after it had resolved"),
        }
    }

    /// An answer that was at hand.
    #[cold]
    pub(super) fn answer_rarely(&mut self, answer: Completion, cx: &mut Context<'_>) -> Poll<O::Output> {
        engine::with_current(Engine::spend_budget);
        self.port().tally().begun(O::form().kind);
        match self.operation_mut().goes_on(answer) {
            true => self.set_out(cx),
            false => self.conclude_rarely(answer),
        }
    }

    /// An answer that is an error, or not the last word: of a good one the operation has said so already.
    #[cold]
    pub(super) fn go_on_rarely(&mut self, answer: Completion, cx: &mut Context<'_>) -> Poll<O::Output> {
        if let Some(begin) = self.begins_again(answer) {
            self.port().tally().again(O::form().kind);
            self.submit(begin, cx.waker());
            return Poll::Pending;
        }
        let (is_good, kind) = (answer.result >= 0, O::form().kind);
        let goes_on = is_good || self.operation_mut().goes_on(answer);
        match is_good {
            true => {}
            false if goes_on => self.port().tally().again(kind),
            false => self.port().tally().answered(O::form(), answer),
        }
        match goes_on {
            true => self.set_out(cx),
            false => self.conclude_rarely(answer),
        }
    }
}

/// Sockets and files are used on the loop that opened them.
#[inline]
fn assert_at_home(port: &Port, current: Option<RuntimeId>) {
    assert!(
        current == Some(port.runtime()),
        "an operation was polled {}: sockets and files belong to the loop that opened them",
        if current.is_some() { "under another loop than its descriptor's" } else { "outside of its loop" }
    );
}
