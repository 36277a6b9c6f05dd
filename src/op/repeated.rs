//! Operations that are answered several times, one item an answer.
//!
//! The kernel may end such an operation at any time, for want of a buffer or of room in its queue, or because nobody
//! took the answers. Then it is submitted again, and nobody notices. What nobody took when the future was dropped waits
//! for the next operation in the same direction, as everywhere.

use std::task::{Context, Poll, ready};

use super::submitted::{Begun, Stage};
use super::{Operation, Submitted};
use crate::driver::{Begin, Completion, Port};
use crate::engine::{self, Engine};

/// An operation that may be answered several times.
pub trait Repeat: Operation {
    /// What an answer brings.
    type Item;

    /// Makes an item of an answer. None is the end.
    fn one(&mut self, answer: Completion) -> Option<Self::Item>;
}

impl<O: Repeat> Submitted<O> {
    /// The next item. It keeps its turn in the direction until it ends or is dropped.
    #[inline]
    pub(crate) fn poll_next_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<O::Item>> {
        loop {
            let answer = match self.stage {
                Stage::Finished => return Poll::Ready(None),
                Stage::Idle | Stage::Queued(_) => match self.begin(cx) {
                    Begun::InTurn => continue,
                    Begun::Waiting => return Poll::Pending,
                    Begun::Refused => {
                        self.leave_queue();
                        return Poll::Ready(self.finish().one(Completion::cancelled()));
                    }
                },
                Stage::Entered => match self.answer_at_hand() {
                    Some(answer) => {
                        // It was counted when it came, but for the call that finds it.
                        self.port().tally().begun(O::form().kind);
                        answer
                    }
                    None => {
                        self.submit(Begin::Now, cx.waker());
                        return Poll::Pending;
                    }
                },
                Stage::InFlight(token) => {
                    if !engine::with_current(|engine| engine.has_budget(cx.waker())).unwrap_or(true) {
                        return Poll::Pending;
                    }
                    let port: &Port = self.port();
                    let answer = ready!(port.poll_next(token, cx.waker()));
                    if answer.result >= 0 {
                        port.tally().done(O::form().kind, answer);
                    }
                    match answer.has_more() {
                        // Its last answer counts as the submission.
                        true => port.tally().begun(O::form().kind),
                        false => self.stage = Stage::Entered,
                    }
                    if answer.result < 0 {
                        self.count_error(answer);
                    }
                    answer
                }
            };
            engine::with_current(Engine::spend_budget);
            match self.sort(answer, cx) {
                Sorted::Item(item) => return Poll::Ready(Some(item)),
                Sorted::Again => {}
                Sorted::Waiting => return Poll::Pending,
                Sorted::End => return Poll::Ready(None),
            }
        }
    }

    #[cold]
    fn count_error(&self, answer: Completion) {
        match self.begins_anew(answer) {
            true => self.port().tally().again(O::form().kind),
            false => self.port().tally().answered(O::form(), answer),
        }
    }

    /// Whether it is submitted again, because of its last answer: it was asked to end since nobody took the answers, there was
    /// no buffer to pick, or nothing to receive.
    fn begins_anew(&self, answer: Completion) -> bool {
        let is_last = matches!(self.stage, Stage::Entered);
        let passes = [libc::ECANCELED, libc::ENOBUFS, libc::EAGAIN].contains(&-answer.result);
        is_last && passes && !self.is_to_stop()
    }

    #[inline]
    fn sort(&mut self, answer: Completion, cx: &mut Context<'_>) -> Sorted<O::Item> {
        let is_last = matches!(self.stage, Stage::Entered);
        let has_failed = answer.result < 0;
        if has_failed && self.is_to_stop() {
            let answer = self.stopped(answer);
            return self.conclude_items(answer);
        }
        match -answer.result {
            // It was asked to end because nobody took the answers; or there was no buffer to pick.
            libc::ECANCELED | libc::ENOBUFS if is_last => return Sorted::Again,
            libc::EAGAIN if is_last => {
                self.submit(Begin::WhenReady, cx.waker());
                return Sorted::Waiting;
            }
            _ => {}
        }
        match self.operation_mut().one(answer) {
            Some(item) => Sorted::Item(item),
            None if is_last => self.conclude_items(Completion::of(0)),
            None => Sorted::Again,
        }
    }

    /// Its last answer: the direction is the next one's.
    #[cold]
    fn conclude_items(&mut self, answer: Completion) -> Sorted<O::Item> {
        let mut operation = self.finish();
        if let Some(hold) = operation.descriptor() {
            hold.end(operation.way());
        }
        match operation.one(answer) {
            Some(item) => Sorted::Item(item),
            None => Sorted::End,
        }
    }
}

enum Sorted<T> {
    Item(T),
    /// It is submitted again, or has more.
    Again,
    Waiting,
    End,
}
